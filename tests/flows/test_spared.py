"""What is learned is worth less than a payment: whatever goes wrong there, the payment goes on, and so do other lessons."""

import uuid
from collections.abc import AsyncIterator

import pytest
from msgspec import Raw, structs
from tests.world import World

from scrooge.domain.payment import Payment
from scrooge.flows import authorize, remembering
from scrooge.flows.authorize import Wanted
from scrooge.flows.keys import Keyed
from scrooge.flows.learning import Lesson
from scrooge.flows.remembering import Remembering
from scrooge.flows.scrooge import Scrooge
from scrooge.money import Money
from scrooge.routing.health import Health
from scrooge.routing.lessons import Heard
from scrooge.routing.policy.document import Rule
from scrooge.routing.policy.plan import Compiled, default_policy
from scrooge.storage.directory import Principal

BOTH = {"stripe": "pm_card_visa", "adyen": "stored_visa"}


@pytest.fixture
async def who(s: Scrooge, world: World) -> Principal:
    found = await s.directory.principal(world.key)
    assert found is not None
    return found


@pytest.fixture
async def only(s: Scrooge, who: Principal) -> AsyncIterator:
    """Everything goes to the account that is named."""
    scope = (who.merchant, who.livemode, None)

    def turn(name: str) -> None:
        policy = default_policy(["stripe", "adyen"])
        s.routing.active[scope] = "pol_test"
        s.routing.compiled[scope] = Compiled(structs.replace(policy, rules=(Rule(name="only", use=(name,)),)))

    turn("adyen")
    yield turn
    del s.routing.active[scope], s.routing.compiled[scope]


async def pay(s: Scrooge, who: Principal, instrument: str, keyed: Keyed, amount: Money) -> tuple[Payment, bool]:
    wanted = Wanted(reference=keyed.key, amount=amount, instrument=instrument)
    return await authorize.create(s, who, wanted, keyed)


async def test_a_bug_in_hearing_what_a_card_is_called_fails_no_payment(
    world: World, s: Scrooge, who: Principal, monkeypatch: pytest.MonkeyPatch
):
    heard: list[str] = []

    def bug(attempt: str, outcome: object) -> None:
        heard.append(attempt)
        raise ZeroDivisionError

    monkeypatch.setattr(s.learning.fingerprints, "hear", bug)
    keyed = Keyed(uuid.uuid4().hex, uuid.uuid4().bytes)
    p, _ = await pay(s, who, await world.instrument(**BOTH), keyed, Money(1299, "EUR"))
    assert (p.attempts[-1].state, heard) == ("approved", [p.attempts[-1].id])


@pytest.mark.parametrize("broken", ["late_after", "took", "learn", "trouble"])
async def test_a_bug_in_health_fails_no_payment(
    world: World, s: Scrooge, who: Principal, only, broken: str, monkeypatch: pytest.MonkeyPatch
):
    def bug(*args: object) -> None:
        raise ZeroDivisionError

    card = await world.instrument(**BOTH)
    await pay(s, who, card, Keyed(uuid.uuid4().hex, b"1"), Money(1299, "EUR"))
    monkeypatch.setattr(Health, broken, bug)
    s.routing.active.clear()  # Deciding asks for troubles, too; this is about what comes after it.
    try:
        p, _ = await pay(s, who, card, Keyed(uuid.uuid4().hex, b"1"), Money(1299, "EUR"))
    finally:
        only("adyen")
    assert [a.state for a in p.attempts] == ["approved"]


async def test_a_bug_while_a_decision_is_noted_fails_no_payment(
    world: World, s: Scrooge, who: Principal, only, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("scrooge.flows.learning.note", lambda *args: 1 / 0)
    p, _ = await pay(s, who, await world.instrument(**BOTH), Keyed(uuid.uuid4().hex, b"1"), Money(1299, "EUR"))
    assert [a.state for a in p.attempts] == ["approved"]


async def test_a_key_is_answered_as_before_when_routing_would_now_choose_who_cannot_take_it(
    world: World, s: Scrooge, who: Principal, only
):
    card, keyed = await world.instrument(**BOTH), Keyed(uuid.uuid4().hex, b"1")
    amount = Money(1234, "KWD")  # Stripe takes it in steps of ten, and Adyen as it is.
    first, replayed = await pay(s, who, card, keyed, amount)
    assert not replayed
    only("stripe")
    again, replayed = await pay(s, who, card, keyed, amount)
    assert (again.id, replayed) == (first.id, True)


async def test_a_decision_that_cannot_be_read_holds_up_no_other_lesson(
    world: World, s: Scrooge, who: Principal, only, monkeypatch: pytest.MonkeyPatch
):
    card = await world.instrument(**BOTH)
    made = [(await pay(s, who, card, Keyed(uuid.uuid4().hex, b"1"), Money(1299, "EUR")))[0] for _ in range(2)]
    of_later = Raw(b'{"facts": {"a_fact_of_later": 1}}')
    kept = remembering.routing.decisions

    async def decisions(db, payment: str):
        return [("", of_later)] if payment == made[0].id else await kept(db, payment)

    monkeypatch.setattr(remembering.routing, "decisions", decisions)
    s.learning.unread.extend(Lesson(p, p.attempts[0], Heard.APPROVED, resolved=False) for p in made)
    taught = []
    monkeypatch.setattr(s.learning, "teach", lambda lesson, facts: taught.append(lesson.payment.id))
    await Remembering(s.db, s.learning).unread()
    assert taught == [made[1].id]
    assert not s.learning.unread
