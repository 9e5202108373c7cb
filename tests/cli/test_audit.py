"""The audit finds each wrong that it claims to look for, and nothing in a world without any."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import Approved, Declined, Reversed
from scrooge.postgres.rows import key_of
from scrooge.storage.audit import audit
from scrooge.storage.findings import FAULTS, Report
from scrooge.storage.truth import Q as TRUTH_QUERIES
from scrooge.storage.truth import TruthLine

EXPECTED = {("stripe", "authorize"): 3600, ("stripe", "capture"): 3600}


async def told(lines: list[dict]) -> AsyncIterator[TruthLine]:
    for line in lines:
        yield TruthLine(**line)


async def audited(world, lines: list[dict] | None = None) -> Report:
    return await audit(world.url, EXPECTED, told(lines) if lines is not None else None)


def only(report: Report, *faults: str) -> None:
    """These faults and no others, each told in a sentence."""
    assert {f for f in FAULTS if getattr(report, f)} == set(faults), report
    assert not report.ok
    assert report.findings


async def test_a_true_world_has_no_findings(world):
    await world.all_sorts()
    report = await audited(world, world.truth)
    assert (report.ok, report.findings) == (True, [])
    assert (report.payments, report.unresolved, report.breaks) == (world.made, 2, 0)
    assert (report.truth_lines, report.foreign) == (len(world.truth), 0)


async def test_empty_books_are_true(world):
    assert await audited(world, []) == Report(ok=True, findings=[])


async def test_it_runs_without_a_psp_to_ask(world):
    await world.all_sorts()
    assert (await audited(world)).ok


BREAKING = {
    "a journal out of balance": (
        "UPDATE postings SET minor = minor + 1 WHERE line = 1 AND journal_id = (SELECT min(journal_id::text)::uuid"
        " FROM postings)",
        {"unbalanced_journals", "ledger_differs"},
    ),
    "a journal without lines": (
        "DELETE FROM postings WHERE payment_id = {sale}",
        {"unbalanced_journals", "ledger_differs"},
    ),
    "money on the wrong account": (
        "UPDATE postings SET account = 'liabilities.order_clearing.ads' WHERE payment_id = {sale} AND minor < 0",
        {"ledger_differs"},
    ),
    "a receivable that was never refunded in the books": (
        "DELETE FROM postings WHERE journal_id IN (SELECT id FROM journals WHERE effect = 'refund_approved');"
        "DELETE FROM journals WHERE effect = 'refund_approved'",
        {"ledger_differs"},
    ),
    "a promise to refund that the books forgot": (
        "DELETE FROM postings WHERE payment_id = {promised} AND journal_id IN"
        " (SELECT id FROM journals WHERE effect = 'refund_sent');"
        "DELETE FROM journals WHERE payment_id = {promised} AND effect = 'refund_sent'",
        {"ledger_differs"},
    ),
    "an authorization held in the memo accounts after its void": (
        "DELETE FROM postings WHERE payment_id = {void} AND journal_id IN"
        " (SELECT id FROM journals WHERE effect = 'void_approved');"
        "DELETE FROM journals WHERE payment_id = {void} AND effect = 'void_approved'",
        {"ledger_differs"},
    ),
    "a counter that forgot a capture": (
        "UPDATE attempts SET captured_minor = 0, voided_minor = 0"
        " WHERE payment_id = {part} AND operation = 'authorize'",
        {"counters_differ", "ledger_differs"},
    ),
    "a counter that forgot what is held": (
        "UPDATE attempts SET held_refund_minor = 0 WHERE payment_id = {promised}",
        {"counters_differ"},
    ),
    "a status that the attempts do not say": (
        "UPDATE payments SET status = 'captured' WHERE id = {declined}",
        {"statuses_differ"},
    ),
    "a payment without an attempt": (
        "DELETE FROM attempts WHERE payment_id = {open}; UPDATE payments SET status = 'processing' WHERE id = {open}",
        {"counters_differ"},
    ),
    "a conclusion that was not announced": (
        "DELETE FROM events WHERE payment_id = {declined}",
        {"events_missing"},
    ),
    "two live authorizations": (
        "DROP INDEX one_live_authorization; INSERT INTO attempts (bucket, payment_id, id, number, operation,"
        " connector_account_id, minor, currency, sale, state, reference, request, sent_at, ask_at)"
        " SELECT bucket, payment_id, gen_random_uuid(), 2, operation, connector_account_id, minor, currency, sale,"
        " 'sent', reference || '0', request, sent_at, now() FROM attempts WHERE payment_id = {held}",
        {"double_charges", "counters_differ", "statuses_differ", "ledger_differs"},
    ),
}


@pytest.mark.parametrize("name", BREAKING)
async def test_it_finds(world, name):
    lives = await world.all_sorts()
    sql, faults = BREAKING[name]
    ids = {life: f"'{key_of(p.id)[1]}'" for life, p in lives.items()}
    await world.break_with(sql.format_map(ids))
    report = await audited(world)
    found = {f for f in FAULTS if getattr(report, f)}
    # A second live authorization also changes which one the payment stands on.
    assert found == faults or (name == "two live authorizations" and "double_charges" in found), report
    assert not report.ok
    assert report.findings


async def test_more_captured_than_the_payment_is_for_is_a_double_charge(world):
    p = await world.pay(Approved("a"), 1000)
    await world.break_with(f"UPDATE payments SET minor = 999 WHERE id = '{key_of(p.id)[1]}'")
    assert (await audited(world)).double_charges == 1


# --- against the PSPs -----------------------------------------------------------------------


def line(reference: str, operation: str = "sale", psp: str = "psp", **more) -> dict:
    return {
        "n": 0, "reference": reference, "operation": operation, "psp_reference": psp, "minor": 1000,
        "currency": "EUR", "outcome": "approved", **more,
    }  # fmt: skip


async def test_one_reference_taken_twice_at_the_psp_is_a_double_charge(world):
    p = await world.pay(Approved("first"))
    twice = [*world.truth, line(f"{p.id}-1", psp="second")]
    report = await audited(world, twice)
    only(report, "double_charges")
    assert report.findings == [f"{p.id}: the PSPs took the money 2 times"]
    undone = [*twice, line(f"{p.id}-1", psp="second", outcome="reversed")]
    assert (await audited(world, undone)).ok


async def test_two_references_of_one_payment_taken_are_a_double_charge(world):
    p = await world.pay(Approved("first"))
    report = await audited(world, [*world.truth, line(f"{p.id}-2", psp="other")])
    only(report, "double_charges", "lost")


async def test_what_was_given_back_is_not_taken_twice(world):
    p = await world.pay(Approved("first"), sale=False)
    p = await world.asks(p, Operation.VOID, 1000, Approved("void"))
    again = [*world.truth, line(f"{p.id}-2", "authorize", psp="other")]
    assert (await audited(world, again)).double_charges == 0
    # A void under the authorization's own reference, as one of the PSPs has it.
    world.truth[-1]["reference"] = f"{p.id}-1"
    report = await audited(world, world.truth)
    assert report.ok, report


async def test_a_success_that_no_attempt_of_ours_stands_for_is_lost(world):
    declined = await world.pay(Declined(psp_reference="no", decline="unmapped"))
    report = await audited(world, [line(f"{declined.id}-1", psp="yes")])
    only(report, "lost")
    assert "the PSP's sale yes of 10.00 EUR succeeded; ours: declined" in report.findings[0]
    unknown = f"{declined.id[:-1]}{'0' if declined.id[-1] != '0' else '1'}-1"
    assert (await audited(world, [line(unknown)])).lost == 1


async def test_a_success_is_not_lost_while_we_still_ask_or_after_it_was_reversed(world):
    sent = await world.pay(None)
    back = await world.pay(Approved("a"))
    await world.hears(back, back.attempts[0].id, Reversed("failed"))
    report = await audited(world, [*world.truth, line(f"{sent.id}-1")])
    assert report.ok, report
    assert report.unresolved == 1


@pytest.mark.parametrize("wrong", [{"minor": 1001}, {"currency": "USD"}])
async def test_another_amount_at_the_psp_is_a_mismatch(world, wrong):
    await world.pay(Approved("a"))
    only(await audited(world, [world.truth[0] | wrong]), "amount_mismatches")


async def test_an_approval_that_the_psp_knows_nothing_of_is_a_phantom(world):
    p = await world.pay(Approved("a"), sale=False)
    await world.asks(p, Operation.CAPTURE, 400, Approved("c"), final=True)
    only(await audited(world, world.truth[:1]), "phantoms")
    assert (await audited(world, [])).phantoms == 2


async def test_a_reversal_we_have_not_heard_of_is_shown_but_is_no_fault(world):
    p = await world.pay(Approved("a"))
    report = await audited(world, [*world.truth, line(f"{p.id}-1", outcome="reversed", psp="a")])
    assert report.ok
    assert report.reversals_unheard == 1
    assert report.findings


async def test_what_is_not_ours_is_counted_and_left_alone(world):
    report = await audited(world, [line("somebody-else"), line("pay_short-1")])
    assert report.ok
    assert report.foreign == 2


async def test_a_pending_attempt_is_unresolved_once_its_time_is_over(world):
    p = await world.pay(None)
    await world.break_with(f"UPDATE attempts SET state = 'pending' WHERE payment_id = '{key_of(p.id)[1]}'")
    assert (await audited(world)).unresolved == 0
    assert (await audit(world.url, {("stripe", "authorize"): 0})).unresolved == 1


async def test_open_breaks_are_counted(world):
    await world.break_with(
        "INSERT INTO breaks (bucket, id, kind, detail, natural_key)"
        " VALUES (0, gen_random_uuid(), 'orphan_notification', '{}', 'x')"
    )
    report = await audited(world)
    assert (report.ok, report.breaks) == (True, 1)


async def test_only_the_first_findings_are_told_and_all_are_counted(world):
    for _ in range(25):
        await world.pay(Approved("a"))
    await world.break_with("UPDATE payments SET status = 'voided'")
    report = await audited(world)
    assert report.statuses_differ == 25
    assert len(report.findings) == 20


async def test_it_reads_as_the_serving_role_and_writes_nothing(world):
    connection = await asyncpg.connect(world.url)
    try:
        await connection.execute("SET ROLE scrooge_app")
        await connection.execute(TRUTH_QUERIES["truth_table"].sql)
        for query in TRUTH_QUERIES.values():
            await connection.prepare(query.sql)
    finally:
        await connection.close()
