"""Which attempt a notification is about, and what never counts as news."""

import re
import uuid
from typing import Any

import asyncpg
import pytest
from msgspec import structs
from tests.flows.test_payments import until
from tests.world import World

from scrooge.connectors.connector import Notification
from scrooge.domain.attempt import Attempt, Operation, State
from scrooge.domain.outcome import Approved, Rejected, Reversed, Unknown
from scrooge.domain.payment import Payment
from scrooge.flows.receive import candidates, mine, of_verification, pick, told
from scrooge.ids import hex_of
from scrooge.money import Money
from scrooge.storage.directory import ConnectorAccount

PAY = "pay_01K9YAAAAAAAAAAAAAAAAAAAAA"
ACCOUNT = ConnectorAccount("con_1", "mer_1", "adyen", "adyen", "Shop", False, None, "active", 0, "")
A, C, V, R = Operation.AUTHORIZE, Operation.CAPTURE, Operation.VOID, Operation.REFUND


def attempt(number: int, operation: Operation, psp_reference: str | None, **facts: Any) -> Attempt:
    return Attempt(
        id=f"att_{number}", number=number, operation=operation, minor=1000, connector_account="con_1",
        state=facts.pop("state", State.PENDING), parent=None if operation is A else "att_1",
        reference=f"{PAY}-{number}", psp_reference=psp_reference, **facts,
    )  # fmt: skip


AUTHORIZED = attempt(1, A, "PSP1", state=State.APPROVED)
SALE = structs.replace(AUTHORIZED, sale=True)


def note(operation: Operation, **facts: Any) -> Notification:
    return Notification(event_id="e", kind="K", operation=operation, outcome=facts.pop("outcome", Approved()), **facts)


def test_our_reference_decides():
    mine, other = attempt(2, C, "CAP2"), attempt(3, C, "CAP3")
    assert pick([AUTHORIZED, mine, other], note(C, reference=f"{PAY}-2", psp_reference="CAP3")) is mine


def test_a_refund_made_at_the_psps_own_site_is_not_taken_for_one_we_asked():
    """It carries the payment's reference, and our own refund is in flight on the same authorization."""
    ours = attempt(2, R, "REF2")
    news = note(R, reference=f"{PAY}-1", psp_reference="REF9", parent_psp_reference="PSP1")
    assert pick([SALE, ours], news) is None


def test_the_psps_reference_decides_where_ours_is_missing():
    mine, other = attempt(2, R, "REF2"), attempt(3, R, "REF3")
    assert pick([SALE, mine, other], note(R, psp_reference="REF3")) is other


def test_the_only_open_attempt_on_the_authorization_is_meant_and_two_are_never_guessed_between():
    one, two = attempt(2, V, None), attempt(3, V, None)
    news = note(V, psp_reference="PSP1", parent_psp_reference="PSP1")
    assert pick([AUTHORIZED, one], news) is one
    assert pick([AUTHORIZED, one, two], news) is None


def test_the_capture_half_of_a_sale_is_news_only_when_it_fails():
    p = Payment(id=PAY, merchant="m", caller="c", reference="r", minor=1000, currency="EUR", attempts=(SALE,))
    news = note(C, reference=f"{PAY}-1", psp_reference="CAP9", parent_psp_reference="PSP1")
    assert pick([SALE], news) is SALE
    assert told(p, SALE, ACCOUNT, news) is None
    for outcome in (Rejected("refused"), Reversed("failed")):
        assert isinstance(told(p, SALE, ACCOUNT, structs.replace(news, outcome=outcome)), Reversed)


def test_news_of_an_authorization_for_nothing_is_the_verifications():
    verification = structs.replace(attempt(1, A, None, state=State.UNKNOWN), operation=Operation.VERIFY, minor=0)
    news = of_verification([verification], note(A, reference=f"{PAY}-1", psp_reference="PSP1"))
    assert pick([verification], news) is verification
    assert of_verification([AUTHORIZED], note(A)).operation is A


def test_a_void_we_did_not_ask_for_ends_the_authorization():
    p = Payment(id=PAY, merchant="m", caller="c", reference="r", minor=1000, currency="EUR", attempts=(AUTHORIZED,))
    news = note(V, psp_reference="PSP1", parent_psp_reference="PSP1")
    assert pick([AUTHORIZED], news) is AUTHORIZED
    assert isinstance(told(p, AUTHORIZED, ACCOUNT, news), Reversed)


def test_news_of_another_merchant_account_is_kept_and_never_applied():
    ours, others = (note(C, merchant_account=name) for name in ("Shop", "AnotherShop"))
    assert mine(ours, ACCOUNT) is ours
    assert mine(note(C), ACCOUNT).outcome is not None, "a PSP that names none means the account it was sent to"
    assert mine(others, ACCOUNT).outcome is None
    assert "another merchant account" in mine(others, ACCOUNT).kind


def test_an_approval_of_another_amount_is_not_believed():
    mine = attempt(2, C, "CAP2")
    p = Payment(
        id=PAY, merchant="m", caller="c", reference="r", minor=1000, currency="EUR", attempts=(AUTHORIZED, mine)
    )
    for wrong in (Money(999, "EUR"), Money(100_000, "EUR"), Money(1000, "USD")):
        news = note(C, reference=f"{PAY}-2", outcome=Approved("CAP2", wrong))
        assert type(told(p, mine, ACCOUNT, news)).__name__ == "Unknown"


def test_a_partial_approval_that_the_reply_told_is_no_difference_when_it_is_told_again():
    part = structs.replace(AUTHORIZED, approved_minor=600)
    p = Payment(id=PAY, merchant="m", caller="c", reference="r", minor=1000, currency="EUR", attempts=(part,))
    assert isinstance(told(p, part, ACCOUNT, note(A, outcome=Approved("PSP1", Money(600, "EUR")))), Approved)
    assert isinstance(told(p, part, ACCOUNT, note(A, outcome=Approved("PSP1", Money(601, "EUR")))), Unknown)


async def test_only_a_whole_reference_of_ours_names_a_payment():
    for reference in (f"x{PAY}-1", f"{PAY}-1x", f"{PAY}", "order-1", f"{PAY}-123456"):
        news = structs.replace(note(C), reference=reference)
        assert await candidates(None, "con_1", news) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("psp", ["stripe", "adyen"])
async def test_a_forged_notification_is_refused_and_changes_nothing(world: World, psp: str):
    _, p = await world.pay(psp, capture="manual")
    url = f"{world.api_url}/notifications/{world.accounts[psp]['id']}"
    item = {"pspReference": "X", "eventCode": "CANCELLATION", "success": "true", "merchantReference": f"{p['id']}-1"}
    bodies = {
        "stripe": (b'{"id":"evt_1","type":"payment_intent.canceled"}', {"Stripe-Signature": "t=1,v1=00"}),
        "adyen": (b'{"notificationItems":[{"NotificationRequestItem":%s}]}' % str(item).replace("'", '"').encode(), {}),
    }
    raw, headers = bodies[psp]
    refused = await counted(world, psp, "refused")
    async with world.http.post(url, data=raw, headers={"Content-Type": "application/json", **headers}) as answer:
        assert answer.status == 401
        assert (await answer.json())["code"] == "notification_refused"
    assert await counted(world, psp, "refused") == refused + 1
    connection = await asyncpg.connect(world.database_url)
    kept = await connection.fetchval("SELECT count(*) FROM inbox WHERE raw = $1", raw)
    await connection.close()
    assert kept == 0, "what is not stored is not applied"
    _, after = await world.get(f"/v1/payments/{p['id']}")
    assert after["status"] == p["status"]


async def counted(world: World, psp: str, result: str) -> float:
    """From the metrics of the process that answers notifications."""
    async with world.http.get(f"{world.api_url}/metrics") as answer:
        text = await answer.text()
    line = rf'scrooge_notifications_total{{connector="{psp}",result="{result}"}} ([0-9.e+]+)'
    return float((re.findall(line, text) or ["0"])[0])


async def test_a_notification_for_an_account_that_does_not_exist_is_not_found(world: World):
    async with world.http.post(f"{world.api_url}/notifications/con_{uuid.uuid4().hex[:26]}", data=b"{}") as answer:
        assert answer.status == 404


async def test_reordered_notifications_end_in_the_same_place(world: World):
    await world.fault("reordered_notifications")
    try:
        _, p = await world.pay("adyen", capture="manual", value="20.00")
        for value in ("5.00", "6.00"):
            body = {"amount": {"value": value, "currency": "EUR"}}
            assert (await world.post(f"/v1/payments/{p['id']}/captures", body))[0] == 201
        p = await until(world, p["id"], lambda p: p["amount_captured"]["value"] == "11.00")
    finally:
        await world.no_faults()
    assert p["status"] == "partially_captured"


async def test_a_reply_about_another_amount_is_unknown_and_one_break(world: World):
    """However often the PSP repeats it: by its answer, when it is asked again and by its notification."""
    await world.fault("wrong_amount", connector="stripe")
    try:
        status, p = await world.pay("stripe")
        assert (status, p["outcome_certainty"]) == (202, "unknown")
        await world.post(f"/v1/payments/{p['id']}/sync", {})
    finally:
        await world.no_faults()
    connection = await asyncpg.connect(world.database_url)
    kinds = await connection.fetch("SELECT kind FROM breaks WHERE payment_id = $1", hex_of(p["id"]))
    await connection.close()
    assert [row["kind"] for row in kinds] == ["amount_differs"]
    await until(world, p["id"], lambda p: p["status"] == "captured")


async def test_an_event_names_the_connector_account_and_the_psps_reference(world: World):
    _, p = await world.pay("stripe")
    _, full = await world.get(f"/v1/payments/{p['id']}?expand=attempts")
    [event] = await world.events(p["id"], "sale_approved")
    assert event["data"]["connector_account"] == "stripe"
    assert event["data"]["psp_reference"] == full["attempts"][0]["psp_reference"] != ""
