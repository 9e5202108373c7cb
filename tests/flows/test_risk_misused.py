"""Who would get around the risk check, and what it must not be stopped by: deep answers, haste, other people's failures."""

import asyncio
import time
import uuid

import msgspec
from aiohttp import web
from msgspec import structs
from tests.flows.test_risk import IP, OFTEN, Active, active, pay, service, shown, who  # noqa: F401 - fixtures
from tests.receiver import Receiver
from tests.world import World

from scrooge.connectors import breaker
from scrooge.domain.attempt import Authentication, State, Unauthenticated
from scrooge.flows import attempts, authorize, risk_service
from scrooge.flows.authorize import Wanted
from scrooge.flows.keys import Keyed
from scrooge.flows.risking import About, checked
from scrooge.flows.scrooge import Scrooge, now
from scrooge.money import Money
from scrooge.risk.check import Ask
from scrooge.risk.recent import MINUTE
from scrooge.storage import risk
from scrooge.storage.directory import Principal
from scrooge.storage.instruments import Instrument

DEEP = b'{"decision":"allow","x":' + b"[" * 8000


def about(**more: str) -> About:
    return About(reference="r", minor=1299, currency="EUR", **more)


async def instrument(s: Scrooge, world: World, who: Principal) -> Instrument:  # noqa: F811
    return await authorize.instrument_of(s, who, await world.instrument(stripe="pm_card_visa"), None)


async def test_an_answer_too_deep_to_be_read_is_none(
    world: World, s: Scrooge, who: Principal, active: Active, receiver: Receiver  # noqa: F811
):  # fmt: skip
    active(service=service(receiver))
    receiver.answer = lambda n: web.Response(body=DEEP)
    p = await pay(s, who, await world.instrument(stripe="pm_card_visa"))
    assert p.attempts[-1].state is State.APPROVED
    assert (await shown(world, p.id))["risk"][0]["check"]["service"]["failed"] == "the answer could not be read"


async def test_a_question_that_is_given_up_keeps_no_service_shut(
    world: World, s: Scrooge, who: Principal, active: Active, receiver: Receiver  # noqa: F811
):  # fmt: skip
    """It was the probe of an open breaker."""
    counts = active(service=service(receiver, deadline_ms=2000))
    card = await instrument(s, world, who)
    assert counts.policy.service is not None
    line = risk_service.line_of(s, who, counts.policy.service)
    line.breaker.open(time.monotonic() - breaker.OPEN_FIRST, breaker.OPEN_FIRST)
    receiver.delay = 1.0
    asked = asyncio.create_task(checked(s, who, about(), card, None))
    while not receiver.got:
        await asyncio.sleep(0.01)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    receiver.delay = 0.0
    found = (await checked(s, who, about(), card, None)).kept
    assert found is not None
    assert found.service is not None
    assert (found.service.decision, line.at_once) == ("allow", 0)


async def test_the_failures_of_others_and_of_test_mode_shut_no_service(
    world: World, s: Scrooge, who: Principal, active: Active, receiver: Receiver  # noqa: F811
):  # fmt: skip
    """They may name the same URL, and have the wrong key for it."""
    counts = active(service=service(receiver))
    assert counts.policy.service is not None
    for other in (structs.replace(who, merchant="mer_other"), structs.replace(who, livemode=True)):
        risk_service.line_of(s, other, counts.policy.service).breaker.open(time.monotonic(), 30.0)
    found = (await checked(s, who, about(), await instrument(s, world, who), None)).kept
    assert found is not None
    assert found.service is not None
    assert found.service.decision == "allow"


async def test_velocity_holds_while_the_service_thinks(
    world: World, s: Scrooge, who: Principal, active: Active, receiver: Receiver  # noqa: F811
):  # fmt: skip
    active(mode="enforce", rules=[OFTEN], service=service(receiver, deadline_ms=2000))
    receiver.delay = 0.3
    card, ip = await world.instrument(stripe="pm_card_visa"), "198.18.3.3"
    made = await asyncio.gather(*[pay(s, who, card, ip=ip) for _ in range(8)])
    assert sum(bool(p.attempts) for p in made) == 3


async def test_a_service_that_hangs_leaves_the_psp_its_time(
    world: World, s: Scrooge, who: Principal, active: Active, receiver: Receiver  # noqa: F811
):  # fmt: skip
    active(service=service(receiver, deadline_ms=2000))
    receiver.delay = 5.0
    wanted = Wanted(
        reference=uuid.uuid4().hex, amount=Money(1299, "EUR"), instrument=await world.instrument(stripe="pm_card_visa")
    )
    p, _ = await authorize.create(s, who, wanted, Keyed(uuid.uuid4().hex, b"f" * 32, time.monotonic() + 3.5))
    assert p.attempts[-1].state is State.APPROVED


async def test_a_clock_that_is_ahead_elsewhere_forgets_nothing_here(
    world: World, s: Scrooge, who: Principal, active: Active  # noqa: F811
):  # fmt: skip
    active(mode="enforce", rules=[OFTEN])
    card, ip = await world.instrument(stripe="pm_card_visa"), "198.18.4.4"
    assert (await pay(s, who, card, ip=ip)).attempts
    seen = s.risk.waiting[-1]
    ahead = structs.replace(seen, minute=seen.minute + 3 * 1440)
    await risk.tell(s.db, uuid.uuid4().hex, [ahead])
    await s.risk.hear()
    made = [await pay(s, who, card, ip=ip) for _ in range(4)]
    assert [bool(p.attempts) for p in made] == [True, False, False, False], "both count, and what comes later, too"
    at = (seen.minute + 1) * MINUTE
    suspect = s.risk.underway[made[0].id][0]
    assert s.risk.recent.tally(Ask(suspect.merchant, "ip", ip, 10), structs.replace(suspect, at=at)).attempts == 3


async def test_where_nothing_was_looked_at_no_low_risk_is_claimed(
    world: World, s: Scrooge, who: Principal, active: Active  # noqa: F811
):  # fmt: skip
    card = await instrument(s, world, who)
    active(mode="enforce", rules=[OFTEN])
    assert (await checked(s, who, about(ip=IP), card, None)).clean
    assert not (await checked(s, who, about(), card, None)).clean, "no rule had anything to look at"
    active(rules=[])
    assert not (await checked(s, who, about(ip=IP), card, None)).clean


async def test_a_list_of_countries_is_one_of_the_cards_issuer(
    world: World, s: Scrooge, who: Principal, active: Active, monkeypatch  # noqa: F811
):  # fmt: skip
    known = s.bins
    card = structs.replace(await instrument(s, world, who), iin="424242")
    monkeypatch.setattr(s, "bins", lambda iin: structs.replace(known(iin), country="KP"))
    active(mode="enforce", rules=[
        {"name": "not-there", "type": "list", "of": "country", "values": ["kp"], "does": "block", "mode": "enforce"}
    ])  # fmt: skip
    assert (await checked(s, who, about(), card, None)).blocks


async def test_what_a_service_says_of_the_payer_is_kept_without_him(
    world: World, s: Scrooge, who: Principal, active: Active, receiver: Receiver  # noqa: F811
):  # fmt: skip
    """Reasons go into the failure, events and webhooks, where an address would stay for ever."""
    said = {"decision": "block", "reasons": [f"Jo@Shop.Example from {IP} is known", "and jo@shop.example again"]}
    active(service=service(receiver, said))
    p = await pay(s, who, await world.instrument(stripe="pm_card_visa"), ip=IP, email="jo@shop.example")
    text = msgspec.json.encode(await shown(world, p.id)).decode()
    assert IP not in text and "shop.example" not in text.casefold()
    assert p.failure is not None
    assert p.failure.reasons == {"service": "[email] from [ip] is known; and [email] again"}


async def test_a_challenge_that_risk_wants_is_no_exemption(
    world: World, s: Scrooge, who: Principal, active: Active, monkeypatch  # noqa: F811
):  # fmt: skip
    """The policy's choice would be an exemption: what is kept says what was asked."""
    wanted = Authentication(
        ask="exemption", because="low value", source="art. 16", exemption="low_value",
        counts=Unauthenticated("card", "EUR", 1299, now()),
    )  # fmt: skip
    monkeypatch.setattr(attempts, "authentication", lambda *a, **k: wanted)
    active(mode="enforce", rules=[{**OFTEN, "of": "merchant", "most": 1, "does": "challenge"}])
    await pay(s, who, await world.instrument(stripe="pm_card_visa"))
    p = await pay(s, who, await world.instrument(stripe="pm_card_visa"), return_url="https://shop.example/back")
    asked = p.attempts[-1].authentication
    assert asked is not None
    assert (p.attempts[-1].state, asked.ask, asked.exemption) == (State.ACTION_REQUIRED, "challenge", "")
    assert (asked.liability, asked.counts) == ("issuer", wanted.counts)
