"""The check before a payment, live: what is blocked asks no PSP, what watches decides nothing, and a service that is
slow, dead or mad costs nobody a payment unless the policy says so."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import msgspec
import pytest
from aiohttp import web
from msgspec import structs
from tests.receiver import Receiver
from tests.world import World

from scrooge.domain.attempt import Operation, State
from scrooge.domain.payment import Payment
from scrooge.errors import RiskBlocked, RiskUnavailable
from scrooge.flows import authorize, modify
from scrooge.flows.authorize import Wanted
from scrooge.flows.keys import Keyed
from scrooge.flows.risk_memory import Memory
from scrooge.flows.scrooge import Scrooge
from scrooge.money import Money
from scrooge.risk.policy import Policy, rules_of
from scrooge.risk.recent import digest
from scrooge.storage.directory import Principal
from scrooge.storage.risk import Counts
from scrooge.webhooks.signing import new_secret

IP, OTHER = "198.18.0.7", "198.18.0.8"
SECRET = new_secret()
LISTED = {"name": "no", "type": "list", "of": "ip", "values": [IP], "does": "block", "mode": "enforce"}
OFTEN = {"name": "often", "type": "velocity", "of": "ip", "counts": "attempts", "most": 3, "minutes": 10,
         "does": "block", "mode": "enforce"}  # fmt: skip
Active = Callable[..., Counts]


@pytest.fixture
async def who(s: Scrooge, world: World) -> Principal:
    found = await s.directory.principal(world.key)
    assert found is not None
    return found


@pytest.fixture
async def active(s: Scrooge, who: Principal) -> AsyncIterator[Active]:
    """Makes a policy count in this process."""
    whose = who.merchant, who.livemode

    def made(**document: Any) -> Counts:
        policy = msgspec.convert({"name": "p", **document}, Policy)
        counts = Counts("rsk_test", policy, rules_of(policy, "rsk_test"))
        s.risk.active.active[whose], s.risk.active.counts[whose] = "rsk_test", counts
        return counts

    s.risk.recent.seen.clear()
    s.risk.lines.by_name.clear()
    s.risk.lines.secrets["secret:risk"] = time.monotonic() + 1e6, SECRET
    settings = s.settings
    s.settings = structs.replace(settings, webhook_loopback=True)
    yield made
    s.settings = settings
    s.risk.active.active.clear()
    s.risk.active.counts.clear()


async def pay(s: Scrooge, who: Principal, instrument: str, key: str | None = None, **more: Any) -> Payment:
    reference = more.pop("reference", None) or f"order-{uuid.uuid4().hex}"
    wanted = Wanted(reference=reference, amount=Money(1299, "EUR"), instrument=instrument, **more)
    return (await authorize.create(s, who, wanted, keyed(key)))[0]


def keyed(key: str | None = None) -> Keyed:
    return Keyed(key or uuid.uuid4().hex, b"f" * 32)


async def shown(world: World, payment: str) -> dict[str, Any]:
    status, found = await world.get(f"/v1/payments/{payment}?expand=attempts,risk,timeline")
    assert status == 200, found
    return found


def service(receiver: Receiver, said: Any = None, **more: Any) -> dict[str, Any]:
    receiver.answer = lambda n: web.json_response(said or {"decision": "allow"})
    return {"url": receiver.url, "secret": "secret:risk", "fail": "open", "mode": "enforce", **more}


async def test_without_a_policy_nothing_is_looked_at(world: World, s: Scrooge, who: Principal):
    p = await pay(s, who, await world.instrument(stripe="pm_card_visa"), ip=IP)
    assert p.attempts[-1].state is State.APPROVED
    assert (await shown(world, p.id))["risk"] == []
    assert not s.risk.recent.seen and not s.risk.waiting


async def test_what_is_blocked_is_a_failed_payment_that_asked_no_psp(
    world: World, s: Scrooge, who: Principal, active: Active
):
    active(mode="enforce", rules=[LISTED])
    key, reference = uuid.uuid4().hex, f"order-{uuid.uuid4().hex}"
    instrument = await world.instrument(stripe="pm_card_visa")
    p = await pay(s, who, instrument, key, reference=reference, ip=IP)
    assert not p.attempts
    found = await shown(world, p.id)
    assert (found["status"], found["failure"]["code"]) == ("failed", "risk_blocked")
    assert found["failure"]["reasons"] == {"no": "ip is on the list no"}
    [checked] = found["risk"]
    assert (checked["attempt"], checked["check"]["did"], checked["check"]["policy"]) == (None, "block", "rsk_test")
    assert "risk_checked" in {row["type"] for row in found["timeline"]}
    assert not [line for line in await world.truth() if p.id in line.get("reference", "")]
    active()
    assert (await pay(s, who, instrument, key, reference=reference, ip=IP)).id == p.id, "the same key, the same answer"


async def test_what_watches_decides_nothing_and_is_told(world: World, s: Scrooge, who: Principal, active: Active):
    active(rules=[LISTED])
    p = await pay(s, who, await world.instrument(stripe="pm_card_visa"), ip=IP)
    assert p.attempts[-1].state is State.APPROVED
    [checked] = (await shown(world, p.id))["risk"]
    assert (checked["check"]["did"], checked["check"]["would"]) == ("allow", "block")
    assert checked["check"]["hits"] == [
        {"rule": "no", "does": "block", "because": "ip is on the list no", "enforced": False}
    ]
    assert IP not in msgspec.json.encode(checked).decode()


async def test_velocity_holds_among_requests_at_once(world: World, s: Scrooge, who: Principal, active: Active):
    active(mode="enforce", rules=[OFTEN])
    instrument = await world.instrument(stripe="pm_card_visa")
    made = await asyncio.gather(*[pay(s, who, instrument, ip=IP) for _ in range(8)])
    assert sum(bool(p.attempts) for p in made) == 3
    assert (await pay(s, who, instrument, ip=OTHER)).attempts


async def test_a_request_that_comes_twice_counts_once(world: World, s: Scrooge, who: Principal, active: Active):
    active(mode="enforce", rules=[OFTEN])
    instrument, key, reference = await world.instrument(stripe="pm_card_visa"), uuid.uuid4().hex, uuid.uuid4().hex
    for _ in range(6):
        assert (await pay(s, who, instrument, key, reference=reference, ip=IP)).attempts
    assert (await pay(s, who, instrument, ip=IP)).attempts


async def test_declines_are_learned_and_known_to_other_processes(
    world: World, s: Scrooge, who: Principal, active: Active, sql: asyncpg.Connection
):
    active(mode="enforce", rules=[{**OFTEN, "counts": "declines", "most": 2}])
    bad, ip = await world.instrument(stripe="pm_card_chargeDeclined"), "198.18.77.7"
    for _ in range(2):
        assert (await pay(s, who, bad, ip=ip)).attempts[-1].state is State.DECLINED
    assert not (await pay(s, who, bad, ip=ip)).attempts
    other = Memory(s.db)
    other.active.active, other.active.counts = dict(s.risk.active.active), dict(s.risk.active.counts)
    await s.risk.turn()
    await other.turn()
    await other.turn()
    key = digest(f"{who.merchant} test", "ip", ip)
    told = other.recent.seen[key].minutes
    assert told == s.risk.recent.seen[key].minutes, "heard once, although looked at twice"
    assert [sum(row) for row in zip(*told.values(), strict=True)] == [2, 2]
    assert ip not in str(await sql.fetch("SELECT seen FROM risk_sightings"))
    await other.close()


async def test_only_authorizations_are_checked(
    world: World, s: Scrooge, who: Principal, active: Active, receiver: Receiver
):
    active()
    instrument = await world.instrument(stripe="pm_card_visa")
    p = await pay(s, who, instrument, capture="manual")
    active(service=service(receiver, {"decision": "block"}, fail="closed"))
    for kind in (Operation.CAPTURE, Operation.REFUND):
        after, *_ = await modify.modify(s, who, p, kind, None, f"r-{kind}", kind is Operation.CAPTURE, keyed())
        assert after.attempts[-1].operation is kind
    assert not receiver.got


async def test_a_payment_that_is_tried_again_is_checked_again(world: World, s: Scrooge, who: Principal, active: Active):
    bad = await world.instrument(stripe="pm_card_chargeDeclined")
    p = await pay(s, who, bad, ip=IP)
    active(mode="enforce", rules=[LISTED])
    with pytest.raises(RiskBlocked) as refused:
        await authorize.again(s, who, p.id, None, keyed(), ip=IP)
    assert refused.value.members["reasons"] == {"no": "ip is on the list no"}
    after, _ = await authorize.again(s, who, p.id, None, keyed(), ip=OTHER)
    assert len(after.attempts) == 2


# --- the service -----------------------------------------------------------------------------


async def test_a_service_is_asked_signed_and_says_no(
    world: World, s: Scrooge, who: Principal, active: Active, receiver: Receiver
):
    active(service=service(receiver, {"decision": "block", "score": 97.5, "reasons": ["known to us"]}))
    p = await pay(s, who, await world.instrument(stripe="pm_card_visa"), ip=IP, email="jo@shop.example")
    [asked] = receiver.verified(SECRET)
    assert asked["payment"]["amount"] == {"value": "12.99", "currency": "EUR"}
    assert asked["payer"] == {"ip": IP, "email": "jo@shop.example"}
    assert (asked["version"], asked["merchant"], asked["livemode"]) == (1, "tests", False)
    found = await shown(world, p.id)
    assert (found["status"], found["failure"]["reasons"]) == ("failed", {"service": "known to us"})
    assert found["risk"][0]["check"]["service"]["score"] == 97.5


async def test_review_goes_on_and_is_announced(
    world: World, s: Scrooge, who: Principal, active: Active, receiver: Receiver
):
    active(service=service(receiver, {"decision": "review", "reasons": ["new customer"]}))
    p = await pay(s, who, await world.instrument(stripe="pm_card_visa"))
    assert p.attempts[-1].state is State.APPROVED
    events = await world.events(p.id, "payment_review_wanted")
    [event] = [e for e in events if e["type"] == "payment_review_wanted"]
    assert event["data"]["check"]["service"]["reasons"] == ["new customer"]


async def test_a_challenge_asks_the_payer_who_is_there(
    world: World, s: Scrooge, who: Principal, active: Active, receiver: Receiver
):
    active(service=service(receiver, {"decision": "challenge"}))
    instrument = await world.instrument(stripe="pm_card_visa")
    p = await pay(s, who, instrument, return_url="https://shop.example/back")
    assert p.attempts[-1].state is State.ACTION_REQUIRED
    p = await pay(s, who, instrument, initiator="merchant", purpose="recurring")
    assert p.attempts[-1].state is State.APPROVED
    check = (await shown(world, p.id))["risk"][0]["check"]
    assert (check["did"], check["then"]) == ("challenge", "the payer is not there to be asked")


BAD: dict[str, Callable[[int], web.Response]] = {
    "an error": lambda n: web.Response(status=500),
    "a redirect": lambda n: web.Response(status=302, headers={"Location": "http://169.254.169.254/"}),
    "garbage": lambda n: web.Response(body=b"\x00\xff not json"),
    "another word": lambda n: web.json_response({"decision": "maybe"}),
    "nothing": lambda n: web.Response(status=204),
    "a million bytes": lambda n: web.Response(body=b'{"decision":"allow","x":"' + b"x" * 1_000_000 + b'"}'),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("fail", ["open", "closed"])
async def test_what_is_no_answer_is_the_policys_to_judge(
    world: World, s: Scrooge, who: Principal, active: Active, receiver: Receiver, name: str, fail: str
):
    active(service=service(receiver, fail=fail))
    receiver.answer = BAD[name]
    instrument = await world.instrument(stripe="pm_card_visa")
    if fail == "closed":
        with pytest.raises(RiskUnavailable):
            await pay(s, who, instrument)
    else:
        p = await pay(s, who, instrument)
        assert p.attempts[-1].state is State.APPROVED
        assert (await shown(world, p.id))["risk"][0]["check"]["service"]["failed"]
    assert len(receiver.got) == 1


async def test_a_slow_service_takes_its_deadline_and_soon_nothing(
    world: World, s: Scrooge, who: Principal, active: Active, receiver: Receiver
):
    active(service=service(receiver, deadline_ms=50))
    receiver.delay = 5.0
    instrument = await world.instrument(stripe="pm_card_visa")
    for _ in range(6):
        p = await pay(s, who, instrument)
        assert p.attempts[-1].state is State.APPROVED
    asked = len(receiver.got)
    for _ in range(3):
        await pay(s, who, instrument)
    assert asked <= 6 and len(receiver.got) == asked, "its breaker is open"


async def test_a_dead_service_and_one_within_our_network_are_not_reached(
    world: World, s: Scrooge, who: Principal, active: Active, receiver: Receiver
):
    for url in ("http://127.0.0.1:1/", "https://10.0.0.8/", "https://169.254.169.254/"):
        active(service={"url": url, "secret": "secret:risk", "fail": "open", "mode": "enforce"})
        p = await pay(s, who, await world.instrument(stripe="pm_card_visa"))
        assert p.attempts[-1].state is State.APPROVED
        assert (await shown(world, p.id))["risk"][0]["check"]["service"]["failed"]


async def test_a_list_that_allows_spares_the_question(
    world: World, s: Scrooge, who: Principal, active: Active, receiver: Receiver
):
    friend = {**LISTED, "name": "friends", "does": "allow"}
    active(mode="enforce", rules=[friend], service=service(receiver, {"decision": "block"}))
    assert (await pay(s, who, await world.instrument(stripe="pm_card_visa"), ip=IP)).attempts
    assert not receiver.got
