"""Two who act on one payment at once, and answers that come when they should not: found by hostile reading."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from msgspec import structs
from tests.flows.test_payments import amount, effects, follow
from tests.world import World, alone

from scrooge.connectors.send import send
from scrooge.domain.attempt import State
from scrooge.domain.news import hear
from scrooge.domain.outcome import ActionRequired, Approved, Declined, Rejected, Unknown
from scrooge.domain.payment import Payment
from scrooge.errors import ContradictoryOutcome
from scrooge.flows import ask as asking
from scrooge.flows import challenge, perform, resolve
from scrooge.flows.authorize import Wanted, create
from scrooge.flows.challenge import authenticate, come_back
from scrooge.flows.keys import Keyed
from scrooge.flows.perform import apply, change_of
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import bucket_in, hex_of, new_id
from scrooge.money import Money
from scrooge.storage import changes, payments, work
from scrooge.storage.directory import Principal


@pytest.fixture
async def s(world: World) -> AsyncIterator[Scrooge]:
    async with alone(world) as s:
        yield s


async def principal(s: Scrooge, world: World) -> Principal:
    found = await s.directory.principal(world.key)
    assert found is not None
    return found


async def made(s: Scrooge, world: World, *psps: str, sale: bool = True) -> Payment:
    tokens = {"stripe": "pm_card_visa", "adyen": "stored_visa"}
    wanted = Wanted(
        reference=uuid.uuid4().hex, amount=Money(1299, "EUR"), capture="automatic" if sale else "manual",
        instrument=await world.instrument(**{psp: tokens[psp] for psp in psps}),
    )  # fmt: skip
    payment, _ = await create(s, await principal(s, world), wanted, Keyed(uuid.uuid4().hex, b"x" * 32))
    return payment


async def again(s: Scrooge, p: Payment) -> Payment:
    found = await payments.read(s.db, p.id)
    assert found is not None
    return found


async def asked(s: Scrooge, payment_id: str, attempt_id: str) -> Payment | None:
    """One turn of the resolver, as a worker takes it."""
    epoch = await work.claim_attempt(s.db, payment_id, attempt_id, 30)
    assert epoch is not None
    return await resolve.resolve(s, work.Lease(payment_id, attempt_id, "", epoch))


async def lost(s: Scrooge, world: World, psp: str) -> Payment:
    """A payment that the PSP took and whose answer was lost."""
    await world.instrument(**{psp: {"stripe": "pm_card_visa", "adyen": "stored_visa"}[psp]})
    await world.fault("charge_then_drop", connector=psp)
    try:
        p = await made(s, world, psp)
    finally:
        await world.no_faults()
    return p


async def test_of_two_stale_changes_one_is_kept(s: Scrooge, world: World):
    """The version decides: both were decided on the same reading of the payment."""
    p = await made(s, world, "stripe", sale=False)
    first = structs.replace(p, answered=False)
    second = structs.replace(p, accounts=())
    assert await changes.save(s.db, [await change_of(s, p, first)]) == {p.id}
    assert await changes.save(s.db, [await change_of(s, p, second)]) == set()
    assert (await again(s, p)).version == p.version + 1


@pytest.mark.parametrize("operation", ["captures", "voids", "refunds"])
async def test_a_herd_with_one_key_modifies_once(world: World, operation: str):
    _, p = await world.pay(capture="automatic" if operation == "refunds" else "manual")
    body = {"reference": "r", "amount": amount("1.00")} if operation == "refunds" else {}
    key, path = uuid.uuid4().hex, f"/v1/payments/{p['id']}/{operation}"
    answers = await asyncio.gather(*(world.post(path, body, idempotency=key) for _ in range(40)))
    assert {a["code"] for status, a in answers if status != 201} <= {"request_in_progress"}
    assert len({a["id"] for status, a in answers if status == 201}) == 1
    kind = operation.removesuffix("s")
    truth = effects(await world.truth(), p["id"])
    assert sum(n for (what, _, _), n in truth.items() if what == kind) == 1


async def test_a_herd_with_one_key_authorizes_again_once(world: World):
    _, p = await world.pay("stripe", token="pm_card_visa_chargeDeclinedInsufficientFunds")
    body, key = {"instrument": await world.instrument(stripe="pm_card_visa")}, uuid.uuid4().hex
    path = f"/v1/payments/{p['id']}/authorizations"
    answers = await asyncio.gather(*(world.post(path, body, idempotency=key) for _ in range(40)))
    assert {a["code"] for status, a in answers if status != 201} <= {"request_in_progress"}
    assert effects(await world.truth(), p["id"])[("sale", "approved", 1299)] == 1


async def test_not_processed_is_believed_only_while_nobody_else_has_asked(s: Scrooge, world: World):
    """The first sender stalled; the resolver replayed and the PSP took the money; then the first cannot connect."""
    p = await lost(s, world, "stripe")
    attempt = p.attempts[0]
    assert attempt.state is State.UNKNOWN
    for known in (p, structs.replace(p, attempts=(structs.replace(attempt, state=State.SENT),))):
        after = await apply(s, known, attempt.id, Rejected("not sent: could not connect"), first=True)
        assert after.attempts[0].state is State.UNKNOWN
    resolved = await asked(s, p.id, attempt.id)
    assert resolved is not None
    assert resolved.attempts[0].state is State.APPROVED
    assert effects(await world.truth(), p.id) == {("sale", "approved", 1299): 1}


async def test_a_claim_before_the_first_answer_makes_rejected_unknown(s: Scrooge, world: World, monkeypatch: Any):
    asked: list[str] = []

    async def stalled(*args: Any, **more: Any) -> Any:
        """The network stalls before the first byte; meanwhile the resolver asks."""
        if not asked:
            asked.append("first")
            p_id, a_id = args[3].payment, args[3].reference
            found = await payments.read(s.db, p_id)
            attempt = next(a for a in found.attempts if a.reference == a_id)
            await s.db.pool.execute(
                "UPDATE attempts SET ask_at = now(), asks = asks + 1 WHERE payment_id = $1 AND id = $2",
                hex_of(p_id), hex_of(attempt.id),
            )  # fmt: skip
            return asking.Answer(Rejected("not sent: could not connect"), 0.0, None)
        return await send(*args, **more)

    monkeypatch.setattr(asking, "send", stalled)
    p = await made(s, world, "stripe", "adyen")
    assert [a.state for a in p.attempts] == [State.UNKNOWN], "no cascade on doubt"


async def test_a_first_request_that_missed_its_deadline_is_not_sent(s: Scrooge, world: World, monkeypatch: Any):
    late = asking.now
    monkeypatch.setattr(asking, "now", lambda: late() + 9_000_000)
    p = await made(s, world, "stripe")
    assert (p.attempts[0].state, p.attempts[0].reason) == (State.UNKNOWN, "it was too late to send")
    assert effects(await world.truth(), p.id) == {}


async def test_a_question_after_the_payer_came_back_never_concludes_that_nothing_happened(
    s: Scrooge, world: World, monkeypatch: Any
):
    """The payer finished at the PSP; we cannot connect to ask. A second authorization would take the money twice."""
    _, p = await world.pay("stripe", token="pm_card_authenticationRequired", return_url="https://shop.example/r")
    monkeypatch.setattr(s.directory, "wire", unreachable(s))
    token = (
        await again(s, Payment(id=p["id"], merchant="", caller="", reference="", minor=1, currency="EUR"))
    ).attempts[0]
    after, _ = await come_back(s, f"{p['id']}.{token.return_token}", {})
    assert after.attempts[0].state is State.UNKNOWN


def unreachable(s: Scrooge) -> Any:
    real = s.directory.wire

    def wire(account: Any) -> Any:
        return structs.replace(real(account), base_url="http://127.0.0.1:9")

    return wire


async def test_details_that_the_psp_refuses_leave_the_payer_free_to_come_again(world: World):
    _, p = await world.pay("adyen", token="stored_challenge_always", return_url="https://shop.example/r")
    _, after = await world.post(f"/v1/payments/{p['id']}/authentications", {"details": {"redirectResult": "junk"}})
    assert after["status"] == "requires_action"
    await follow(world, after["next_action"]["url"], "success")
    _, after = await world.get(f"/v1/payments/{p['id']}")
    assert after["status"] == "captured"


async def test_whoever_the_payers_browser_overtakes_is_not_told_that_its_key_did_it(
    s: Scrooge, world: World, monkeypatch: Any
):
    _, p = await world.pay("adyen", token="stored_challenge_always", return_url="https://shop.example/r")
    real = challenge.account_of

    async def overtaken(*args: Any) -> Any:
        await follow(world, p["next_action"]["url"], "success")
        return await real(*args)

    monkeypatch.setattr(challenge, "account_of", overtaken)
    keyed = Keyed(uuid.uuid4().hex, b"x" * 32)
    after, replayed = await authenticate(s, await principal(s, world), p["id"], {"redirectResult": "late"}, keyed)
    assert (after.attempts[0].state, replayed) == (State.APPROVED, False)
    assert effects(await world.truth(), p["id"]) == {("sale", "approved", 1299): 1}


async def test_details_refused_when_sent_again_say_nothing_about_what_the_first_did(s: Scrooge, world: World):
    """The PSP took the money and its answer was lost; now it knows the details as used. Waiting for a payer who was here,
    we would call the payment expired after an hour, and let it be made again."""
    _, p = await world.pay("adyen", token="stored_challenge_always", return_url="https://shop.example/r")
    await world.fault("charge_then_drop", connector="adyen")
    try:
        await follow(world, p["next_action"]["url"], "success")
        known = await payments.read(s.db, p["id"])
        assert known is not None
        [attempt] = known.attempts
        assert attempt.state is State.UNKNOWN
        await world.no_faults()
        await world.fault("broken_idempotency", connector="adyen")
        after = await asked(s, p["id"], attempt.id)
    finally:
        await world.no_faults()
    assert after is not None
    assert after.attempts[0].state is State.UNKNOWN
    assert effects(await world.truth(), p["id"]) == {("sale", "approved", 1299): 1}


async def test_a_challenge_that_is_told_of_after_the_payer_came_back_is_old_news(s: Scrooge, world: World):
    """A worker was stopped with that answer in hand; meanwhile the payer has been there, and the PSP took the money."""
    await world.fault("charge_then_drop", connector="adyen")
    try:
        _, p = await world.pay("adyen", token="stored_challenge_always", return_url="https://shop.example/r")
        stale = await payments.read(s.db, p["id"])
        assert stale is not None
        [attempt] = stale.attempts
        await world.no_faults()
        challenged = await asked(s, p["id"], attempt.id)
        assert challenged is not None
        action = challenged.attempts[0].action
        assert action is not None
        await world.fault("charge_then_drop", connector="adyen")
        await follow(world, action.url, "success")
    finally:
        await world.no_faults()
    after = await apply(s, stale, attempt.id, ActionRequired(action), epoch=1)
    assert after.attempts[0].state is State.UNKNOWN
    assert (await again(s, stale)).attempts[0].state is State.UNKNOWN


async def test_a_payer_who_was_just_sent_to_authenticate_is_not_given_up(s: Scrooge, world: World):
    _, p = await world.pay("stripe", token="pm_card_authenticationRequired", return_url="https://shop.example/r")
    [attempt] = (
        await again(s, Payment(id=p["id"], merchant="", caller="", reference="", minor=1, currency="EUR"))
    ).attempts
    after = await asked(s, p["id"], attempt.id)
    assert after is not None
    assert after.attempts[0].state is State.ACTION_REQUIRED


async def test_a_second_success_of_one_attempt_opens_a_break_and_is_given_back(s: Scrooge, world: World):
    p = await made(s, world, "stripe")
    after = await apply(s, p, p.attempts[0].id, Approved("pi_of_another_charge", Money(1299, "EUR")))
    assert [a.state for a in after.attempts] == [State.APPROVED, State.REVERSING]
    assert await again(s, p) == after
    rows = await s.db.pool.fetch("SELECT kind FROM breaks WHERE payment_id = $1", hex_of(p.id))
    assert [row["kind"] for row in rows] == ["second_success"]
    told = await s.db.pool.fetch("SELECT type FROM events WHERE attempt_id = $1", hex_of(after.attempts[1].id))
    assert [row["type"] for row in told] == ["sale_reversing"], "what is said to be reversed later was told of before"
    assert hear(p, p.attempts[0].id, Approved(p.attempts[0].psp_reference), 1) == p
    owner = await asyncpg.connect(world.database_url)  # Stripe has no such payment to give back.
    await owner.execute(
        "UPDATE attempts SET state = 'reversed' WHERE payment_id = $1 AND state = 'reversing'", hex_of(p.id)
    )
    await owner.execute("UPDATE attempts SET ask_at = NULL WHERE payment_id = $1", hex_of(p.id))
    await owner.close()


async def test_a_request_is_never_replayed_after_the_psp_forgot_its_key(s: Scrooge, world: World, monkeypatch: Any):
    """By the database's clock, whatever this process's clock says. Later, only an inquiry may find the payment."""
    p = await lost(s, world, "stripe")
    sent: list[str] = []

    async def watched(*args: Any, **more: Any) -> Any:
        sent.append(args[4].method)
        return await send(*args, **more)

    monkeypatch.setattr(asking, "send", watched)
    await older(world, p, "30 hours")
    await asyncio.sleep(1)  # Stripe's search sees a payment a little later.
    after = await asked(s, p.id, p.attempts[0].id)
    assert sent == ["GET"]
    assert after is not None
    assert after.attempts[0].state is State.APPROVED
    assert effects(await world.truth(), p.id) == {("sale", "approved", 1299): 1}


async def older(world: World, p: Payment, interval: str) -> None:
    owner = await asyncpg.connect(world.database_url)
    await owner.execute(
        f"UPDATE attempts SET recorded_at = now() - interval '{interval}' WHERE payment_id = $1", hex_of(p.id)
    )
    await owner.close()


async def test_no_trace_concludes_nothing_while_the_key_could_still_be_used(s: Scrooge, world: World, monkeypatch: Any):
    """Only a stored failure proves that the key is used up: a replay that was lost proves nothing."""
    p = await lost(s, world, "stripe")
    questions: list[str] = []

    async def silent(*args: Any, **more: Any) -> Any:
        questions.append(args[4].method)
        replay = args[4].method == "POST"
        return asking.Answer(Unknown("timeout") if replay else Unknown("not found", absent=True), 0.0, None)

    monkeypatch.setattr(asking, "send", silent)
    await older(world, p, "1 hour")
    for _ in range(5):
        after = await asked(s, p.id, p.attempts[0].id)
        assert after is not None
        assert after.attempts[0].state is State.UNKNOWN
    assert set(questions) == {"POST", "GET"}


async def test_many_modifications_need_no_second_connection(world: World):
    """40 refunds of 40 payments at once, with a pool smaller than that: none is turned away."""
    paid = [await world.pay() for _ in range(40)]
    await asyncio.sleep(1.1)  # What is known of accounts is a second old by now.
    answers = await asyncio.gather(
        *(world.post(f"/v1/payments/{p['id']}/refunds", {"reference": "r"}) for _, p in paid)
    )
    assert Counter(status for status, _ in answers) == {201: 40}


async def test_a_declined_answer_after_a_conclusion_is_refused(s: Scrooge, world: World):
    p = await made(s, world, "stripe")
    from scrooge.domain.declines import Decline

    with pytest.raises(ContradictoryOutcome):
        await apply(s, p, p.attempts[0].id, Declined(Decline.DO_NOT_HONOR, "05"))


async def test_test_and_live_share_neither_references_nor_keys(s: Scrooge, world: World):
    p = await made(s, world, "stripe", sale=False)
    row = await s.db.pool.fetchrow("SELECT * FROM idempotency_keys WHERE payment_id = $1", hex_of(p.id))
    attempt = structs.replace(p.attempts[0], id=new_id("att", bucket_in(p.id)), state=State.SENT)
    for livemode, made_again in ((False, 0), (True, 1)):
        twin = structs.replace(p, id=new_id("pay", bucket_in(p.id)), livemode=livemode, attempts=(attempt,))
        guard = changes.Guard(row["bucket"], row["key"], row["fingerprint"], livemode)
        request = (await payments.request_of(s.db, p.id, p.attempts[0].id))[0]
        assert len(await changes.create(s.db, [(twin, guard, request, perform.now() + 10**12)])) == made_again
