"""Renewals that were declined are tried again later: once for each time that was scheduled, whatever crashes."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from tests.flows.test_payments import effects, until
from tests.world import World

from scrooge.ids import hex_of

POOR = {"stripe": "pm_card_visa_chargeDeclinedInsufficientFunds", "adyen": "stored_insufficient_funds"}


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


async def card(world: World, **tokens: str) -> str:
    credentials = [{"connector_account": c, "psp_token": t} for c, t in tokens.items()]
    status, made = await world.post("/v1/instruments", {"customer": "user-1", "credentials": credentials})
    assert status == 201, made
    return made["id"]


async def renewal(world: World, instrument: str, days: float = 30, **more: Any) -> dict[str, Any]:
    status, p = await world.pay(
        instrument=instrument, initiator="merchant", purpose="subscription_renewal", retry_until=in_days(days), **more
    )
    assert status in {201, 202}, p
    return p


async def money_arrives(sql: asyncpg.Connection, instrument: str, token: str = "pm_card_visa") -> None:
    """As if the payer's salary had come: the same instrument is approved from now on."""
    await sql.execute("UPDATE credentials SET psp_token = $2 WHERE instrument_id = $1", hex_of(instrument), token)


async def its_time_comes(sql: asyncpg.Connection, payment: str) -> None:
    assert (
        await sql.execute(
            "UPDATE retries SET due_at = now() WHERE payment_id = $1 AND due_at IS NOT NULL", hex_of(payment)
        )
        != "UPDATE 0"
    )


async def test_what_passes_with_time_is_scheduled_and_made_once_and_the_rest_is_told(world: World, sql):
    instrument = await card(world, stripe=POOR["stripe"])
    p = await renewal(world, instrument)
    assert (p["status"], p["retry"]["status"], p["retry"]["retries"]) == ("declined", "scheduled", 0)
    assert datetime.now(UTC) + timedelta(hours=23) < datetime.fromisoformat(p["retry"]["at"])
    assert "funds: 24 hours after the failure" in p["retry"]["because"]
    await money_arrives(sql, instrument)
    await its_time_comes(sql, p["id"])
    p = await until(world, p["id"], lambda p: p["status"] == "captured")
    assert (p["retry"]["status"], p["retry"]["retries"], len(p["attempts"])) == ("recovered", 1, 2)
    assert effects(await world.truth(), p["id"]) == {("sale", "declined", 1299): 1, ("sale", "approved", 1299): 1}
    events = await world.events(p["id"], "retry_scheduled", "retry_ended")
    assert [e["type"] for e in events] == ["sale_declined", "retry_scheduled", "sale_approved", "retry_ended"]
    assert events[1]["data"]["retry"]["retries"] == 0
    assert events[3]["data"]["retry"] == {"outcome": "recovered", "because": "approved", "retries": 1}
    await asyncio.sleep(1)
    assert (
        await sql.fetchval("SELECT count(*) FROM retries WHERE payment_id = $1 AND due_at IS NOT NULL", hex_of(p["id"]))
        == 0
    )


async def test_each_round_schedules_the_next_until_the_timetable_ends(world: World, sql):
    instrument = await card(world, stripe=POOR["stripe"])
    p = await renewal(world, instrument, days=59)
    for rounds in range(1, 7):
        await its_time_comes(sql, p["id"])
        p = await until(
            world, p["id"], lambda p, n=rounds: p["retry"]["retries"] == n and p["retry"]["status"] != "made"
        )
    assert (p["status"], p["retry"]["status"], len(p["attempts"])) == ("declined", "needs_customer", 7)
    assert "used up" in p["retry"]["because"]
    [last] = [e for e in await world.events(p["id"], "customer_needed") if e["type"] == "customer_needed"]
    assert last["data"]["retry"]["need"] == "add_funds"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"initiator": "customer", "retry_until": in_days(3)}, "retries_refused"),
        ({"retry_until": in_days(3)}, "retries_refused"),
        ({"initiator": "merchant", "retry_until": in_days(-1)}, "retries_refused"),
        ({"initiator": "merchant", "retry_until": in_days(61)}, "retries_refused"),
        ({"initiator": "merchant", "retry_until": "9999-12-31T23:59:59Z"}, "retries_refused"),
        ({"initiator": "merchant", "retry_until": "2026-12-31"}, "invalid_field"),
        ({"initiator": "merchant", "retry_until": "2026-12-31T10:00:00"}, "invalid_field"),
        ({"initiator": "merchant", "retry_until": "soon"}, "invalid_field"),
    ],
)
async def test_who_has_to_come_back_and_what_is_no_time_is_refused(world: World, body: dict[str, Any], code: str):
    status, problem = await world.pay(token=POOR["stripe"], **body)
    assert (status, problem["code"], problem["param"]) == (422, code, "retry_until")


async def test_a_hard_decline_waits_for_another_card_and_one_without_the_wish_has_nothing(world: World):
    p = await renewal(world, await card(world, stripe="pm_card_visa_chargeDeclinedStolenCard"))
    assert (p["status"], p["retry"]["status"], p["retry"]["at"]) == ("declined", "needs_customer", None)
    assert "the payer has to do something" in p["retry"]["because"]
    status, p = await world.pay(token=POOR["stripe"], initiator="merchant")
    assert (status, p["status"]) == (201, "declined")
    assert "retry" not in p


async def test_a_deadline_that_comes_first_is_said_at_once_and_the_payer_has_until_then(world: World):
    p = await renewal(world, await card(world, stripe=POOR["stripe"]), days=0.5)
    assert (p["retry"]["status"], "past the deadline" in p["retry"]["because"]) == ("needs_customer", True)
    p = await renewal(world, await card(world, stripe=POOR["stripe"]), days=0.003)
    assert (p["retry"]["status"], "past the deadline" in p["retry"]["because"]) == ("lost", True)


async def test_the_same_request_again_is_answered_the_same_after_its_time(world: World, sql):
    instrument, key = await card(world, stripe=POOR["stripe"]), uuid.uuid4().hex
    body = {
        "reference": key, "amount": {"value": "9.00", "currency": "EUR"}, "instrument": instrument,
        "initiator": "merchant", "retry_until": (datetime.now(UTC) + timedelta(seconds=2)).isoformat(),
    }  # fmt: skip
    _, first = await world.post("/v1/payments", body, idempotency=key)
    await asyncio.sleep(2.1)
    status, again = await world.post("/v1/payments", body, idempotency=key)
    assert (status, again["id"]) == (201, first["id"])


async def test_a_cascade_comes_first_and_its_end_is_what_is_scheduled(world: World):
    p = await renewal(world, await card(world, stripe="pm_card_visa_chargeDeclined", adyen=POOR["adyen"]))
    assert p["attempt_count"] == 2
    assert (p["retry"]["status"], p["retry"]["because"][:5]) == ("scheduled", "funds")
    p = await renewal(world, await card(world, stripe="pm_card_visa_chargeDeclined", adyen="stored_visa"))
    assert (p["status"], p["retry"]["status"]) == ("captured", None)


@pytest.mark.parametrize("how", ["cancel", "voids", "authorizations"])
async def test_the_caller_stops_it_at_once(world: World, sql, how: str):
    instrument = await card(world, stripe=POOR["stripe"])
    p = await renewal(world, instrument)
    path = f"/v1/payments/{p['id']}/" + ("retries/cancel" if how == "cancel" else how)
    status, answer = await world.post(path, {})
    assert (status, answer.get("code")) == {
        "cancel": (200, None), "voids": (409, "authorization_not_approved"), "authorizations": (201, None),
    }[how]  # fmt: skip
    _, p = await world.get(f"/v1/payments/{p['id']}")
    assert p["retry"]["status"] == "canceled"
    await sql.execute(
        "UPDATE retries SET due_at = now() WHERE payment_id = $1 AND state = 'scheduled'", hex_of(p["id"])
    )
    await asyncio.sleep(1.5)
    _, after = await world.get(f"/v1/payments/{p['id']}")
    assert (after["attempt_count"], after["retry"]) == (p["attempt_count"], p["retry"])
    status, _ = await world.post(f"/v1/payments/{p['id']}/retries/cancel", {})
    assert status == 200
    ended = [e for e in await world.events(p["id"], "retry_ended") if e["type"] == "retry_ended"]
    assert [e["data"]["retry"]["outcome"] for e in ended] == ["canceled"]


async def test_a_deleted_instrument_ends_it(world: World, sql):
    instrument = await card(world, stripe=POOR["stripe"])
    p = await renewal(world, instrument)
    async with world.http.delete(f"{world.api_url}/v1/instruments/{instrument}", headers=world.headers()) as answer:
        assert answer.status == 200
    await its_time_comes(sql, p["id"])
    p = await until(world, p["id"], lambda p: p["retry"]["status"] == "lost")
    assert (p["retry"]["because"], len(p["attempts"])) == ("the instrument was deleted", 1)


async def test_a_card_without_money_at_first_is_recovered_by_itself(world: World, sql):
    """The sandbox's own card for it: the same amount asked again is approved."""
    p = await renewal(
        world, await card(world, adyen="stored_funds_later"), value=f"{uuid.uuid4().int % 90000 + 100}.00"
    )
    assert p["retry"]["status"] == "scheduled"
    await its_time_comes(sql, p["id"])
    p = await until(world, p["id"], lambda p: p["status"] == "captured")
    assert p["retry"]["status"] == "recovered"


async def test_what_the_schemes_refuse_is_put_off_until_they_let_it(world: World, sql):
    """Seven declines in 24 hours of a brand nobody names: the retry would be the eighth."""
    instrument = await card(world, stripe=POOR["stripe"])
    url = await asyncio.to_thread(world.start_beside, "limited", SCROOGE_SCHEME_LIMITS="all")
    p = await renewal(world, instrument, at=url)
    for _ in range(6):
        status, _ = await world.pay(instrument=instrument, at=url)
        assert status == 201
    world.kill("limited")
    world.processes["worker"].terminate()
    await asyncio.to_thread(world.processes["worker"].wait, 60)
    world.start("worker", SCROOGE_SCHEME_LIMITS="all")
    before = p["retry"]["at"]
    await its_time_comes(sql, p["id"])
    p = await until(world, p["id"], lambda p: "other-day" in p["retry"]["because"])
    assert (p["retry"]["status"], p["retry"]["retries"], len(p["attempts"])) == ("scheduled", 0, 1)
    assert before[:10] <= p["retry"]["at"][:10]
    world.processes["worker"].terminate()
    await asyncio.to_thread(world.processes["worker"].wait, 60)
    world.start("worker")


POINTS = ("retry.claimed", "record.before", "record.written", "record.after", "send.before", "send.after",
          "apply.before", "apply.after")  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
async def test_a_worker_killed_at_any_point_leaves_one_attempt_for_each_time(world: World, sql, point: str):
    """Judged by the tables and by what the PSP did."""
    instrument = await card(world, stripe=POOR["stripe"])
    payments = [await renewal(world, instrument) for _ in range(3)]
    await money_arrives(sql, instrument)
    world.processes["worker"].terminate()
    await asyncio.to_thread(world.processes["worker"].wait, 60)
    world.start("worker", SCROOGE_CRASH_POINT=point, SCROOGE_PSP_TIMEOUT_SECONDS="2")
    for p in payments:
        await its_time_comes(sql, p["id"])
    assert await asyncio.to_thread(world.processes["worker"].wait, 60) == -9, point
    world.start("worker")
    for p in payments:
        await sql.execute(
            "UPDATE retries SET due_at = now() WHERE payment_id = $1 AND due_at IS NOT NULL", hex_of(p["id"])
        )
        done = await until(world, p["id"], lambda p: p["status"] == "captured")
        assert (len(done["attempts"]), done["retry"]["status"]) == (2, "recovered"), point
        assert effects(await world.truth(), p["id"])[("sale", "approved", 1299)] == 1, point
        made = await sql.fetch("SELECT state FROM retries WHERE payment_id = $1 ORDER BY seq", hex_of(p["id"]))
        assert [row["state"] for row in made] == ["scheduled", "made", "recovered"], point


async def test_who_dies_before_asking_elsewhere_leaves_a_step_that_a_worker_takes(world: World, sql):
    instrument = await card(world, stripe="pm_card_visa_chargeDeclined", adyen="stored_visa")
    url = await asyncio.to_thread(
        world.start_beside, "dying", SCROOGE_CRASH_POINT="cascade.before", SCROOGE_PSP_TIMEOUT_SECONDS="2"
    )
    reference = uuid.uuid4().hex
    with pytest.raises(Exception):  # noqa: B017 - whatever a dead server looks like
        await renewal(world, instrument, at=url, reference=reference)
    world.processes.pop("dying").wait()
    _, found = await world.get(f"/v1/payments?reference={reference}")
    p = await until(world, found["data"][0]["id"], lambda p: p["retry"]["status"] == "scheduled")
    assert (p["status"], len(p["attempts"]), p["retry"]["because"][:7]) == ("declined", 1, "generic")


async def test_two_workers_and_a_turn_given_twice_make_one_attempt(world: World, sql):
    instrument = await card(world, stripe=POOR["stripe"])
    payments = [await renewal(world, instrument) for _ in range(10)]
    await money_arrives(sql, instrument)
    world.start("second worker")
    for _ in range(20):
        for p in payments:
            await sql.execute(
                "UPDATE retries SET due_at = now() WHERE payment_id = $1 AND state = 'scheduled'", hex_of(p["id"])
            )
        await asyncio.sleep(0.1)
    for p in payments:
        done = await until(world, p["id"], lambda p: p["status"] == "captured")
        assert len(done["attempts"]) == 2
        assert effects(await world.truth(), p["id"])[("sale", "approved", 1299)] == 1
    world.kill("second worker")
