"""Who is asked to authenticate, end to end: by the policy, in each PSP's words, and what follows a soft decline."""

import uuid
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest
from msgspec import structs
from tests.flows.test_payments import follow
from tests.world import World

from scrooge.domain.payment import Payment
from scrooge.errors import AuthenticationRequired
from scrooge.flows import authorize, resolve
from scrooge.flows.authorize import Wanted
from scrooge.flows.keys import Keyed
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import hex_of
from scrooge.money import Money
from scrooge.routing.bins import Bin, no_table
from scrooge.routing.policy.document import Authentication, FraudRate
from scrooge.routing.policy.plan import Compiled, default_policy
from scrooge.storage.directory import Principal

RETURN = "https://shop.example/r"
ADYEN = {"sca": "stored_sca", "strict": "stored_sca_strict", "plain": "stored_visa"}
STRIPE = {"sca": "pm_card_sandbox_sca", "strict": "pm_card_sandbox_scaStrict"}


@pytest.fixture
async def who(s: Scrooge, world: World) -> Principal:
    found = await s.directory.principal(world.key)
    assert found is not None
    return found


@pytest.fixture
async def policy(s: Scrooge, world: World, who: Principal) -> AsyncIterator[Compiled]:
    """Both accounts are with acquirers in the Netherlands, and their fraud allows risk analysis up to EUR 100."""
    for name in ("stripe", "adyen"):
        account = await s.directory.account(name, who.merchant)
        assert account is not None
        await s.directory.set_acquirer_country(account, "NL", "test")
    rates = tuple(FraudRate(account=a, quarter="2026-Q3", percent="0.12") for a in ("stripe", "adyen"))
    made = Compiled(
        structs.replace(default_policy(["stripe", "adyen"]), authentication=Authentication(fraud_rates=rates))
    )
    scope = (who.merchant, who.livemode, None)
    s.routing.active[scope], s.routing.compiled[scope] = "pol_test", made
    yield made
    del s.routing.active[scope], s.routing.compiled[scope]


async def card(world: World, **tokens: str) -> str:
    """An instrument of its own, of which nothing is counted yet."""
    credentials = [{"connector_account": c, "psp_token": t} for c, t in tokens.items()]
    status, made = await world.post("/v1/instruments", {"customer": "user-1", "credentials": credentials})
    assert status == 201, made
    return made["id"]


async def pay(s: Scrooge, who: Principal, instrument: str, minor: int = 2000, **more) -> Payment:
    more = {"return_url": RETURN, "currency": "EUR", **more}
    money = Money(minor, more.pop("currency"))
    wanted = Wanted(reference=f"order-{uuid.uuid4().hex}", amount=money, instrument=instrument, **more)
    return (await authorize.create(s, who, wanted, Keyed(uuid.uuid4().hex, uuid.uuid4().bytes)))[0]


async def sent(sql: asyncpg.Connection, p: Payment) -> list[str]:
    rows = await sql.fetch(
        "SELECT request->>'body' AS body FROM attempts WHERE payment_id = $1 ORDER BY number", hex_of(p.id)
    )
    return [r["body"] for r in rows]


async def test_without_that_part_of_a_policy_the_psp_decides_as_before(
    s: Scrooge, world: World, who: Principal, policy: Compiled, sql: asyncpg.Connection
):
    scope = (who.merchant, who.livemode, None)
    s.routing.compiled[scope] = Compiled(default_policy(["stripe", "adyen"]))
    p = await pay(s, who, await card(world, adyen=ADYEN["plain"]), 50_000)
    assert p.attempts[0].authentication is None
    [body] = await sent(sql, p)
    assert "scaExemption" not in body
    assert "attemptAuthentication" not in body


async def test_at_adyen_an_exemption_is_asked_for_and_granted(s, world, who, policy, sql):
    p = await pay(s, who, await card(world, adyen=ADYEN["sca"]))
    assert [a.state.value for a in p.attempts] == ["approved"]
    chosen = p.attempts[0].authentication
    assert (chosen.ask, chosen.exemption, chosen.liability) == ("exemption", "low_value", "merchant")
    [body] = await sent(sql, p)
    document = msgspec.json.decode(body)
    assert document["additionalData"]["scaExemption"] == "lowValue"
    assert document["authenticationData"] == {"attemptAuthentication": "never"}
    status, shown = await world.get(f"/v1/payments/{p.id}?expand=routing,timeline")
    assert status == 200
    told = shown["routing"][0]["authentication"]
    assert told["source"].startswith("Regulation (EU) 2018/389 art. 16")
    [row] = [m for m in shown["timeline"] if m["type"] == "authentication_chosen"]
    assert row["content"] == told


async def test_an_exemption_that_the_issuer_refuses_ends_in_an_authentication_and_is_never_asked_for_again(
    s, world, who, policy, sql
):
    """Exemption, soft decline, 3-D Secure, approved; and the counter begins anew."""
    instrument = await card(world, adyen=ADYEN["strict"])
    p = await pay(s, who, instrument)
    assert [a.state.value for a in p.attempts] == ["declined", "action_required"]
    assert [a.authentication.ask for a in p.attempts] == ["exemption", "challenge"]
    first, second = map(msgspec.json.decode, await sent(sql, p))
    assert first["additionalData"]["scaExemption"] == "lowValue"
    assert "scaExemption" not in second.get("additionalData", {})
    assert second["authenticationData"] == {"attemptAuthentication": "always"}
    assert await counted(sql, instrument) == 2
    await follow(world, p.attempts[-1].action.url, "success")
    done = await resolve.sync(s, who, p.id)
    assert done.attempts[-1].state.value == "approved"
    assert await counted(sql, instrument) == 0


async def test_at_stripe_which_asks_for_exemptions_by_itself_the_road_is_the_same(s, world, who, policy, sql):
    granted = await pay(s, who, await card(world, stripe=STRIPE["sca"]))
    assert [a.state.value for a in granted.attempts] == ["approved"]
    chosen = granted.attempts[0].authentication
    assert (chosen.ask, chosen.exemption) == ("nothing", "")
    p = await pay(s, who, await card(world, stripe=STRIPE["strict"]))
    assert [a.state.value for a in p.attempts] == ["declined", "action_required"]
    first, second = await sent(sql, p)
    assert "request_three_d_secure" not in first
    assert "request_three_d_secure%5D=any" in second
    await follow(world, p.attempts[-1].action.url, "success")
    assert (await resolve.sync(s, who, p.id)).attempts[-1].state.value == "approved"


async def test_what_no_exemption_covers_is_authenticated_at_once(s, world, who, policy, sql):
    for token in ({"adyen": ADYEN["sca"]}, {"stripe": STRIPE["sca"]}):
        p = await pay(s, who, await card(world, **token), 50_000)
        assert [a.state.value for a in p.attempts] == ["action_required"]
        assert (p.attempts[0].authentication.ask, p.attempts[0].authentication.liability) == ("challenge", "issuer")


async def test_who_cannot_come_back_is_not_sent_away(s, world, who, policy, sql):
    p = await pay(s, who, await card(world, adyen=ADYEN["plain"]), 50_000, return_url=None)
    assert p.attempts[0].state.value == "approved"
    assert p.attempts[0].authentication.ask == "nothing"
    assert "attemptAuthentication" not in (await sent(sql, p))[0]


async def test_a_merchants_own_payment_asks_nobody(s, world, who, policy, sql):
    p = await pay(s, who, await card(world, adyen=ADYEN["sca"]), 50_000, initiator="merchant", return_url=None)
    assert p.attempts[0].state.value == "approved"
    assert p.attempts[0].authentication.counts is None


async def test_after_five_low_values_the_seventh_payment_is_authenticated(s, world, who, policy, sql):
    """Five have come before the sixth, which is the last."""
    instrument = await card(world, adyen=ADYEN["sca"])
    told = [(await pay(s, who, instrument, 100)).attempts[-1].authentication for _ in range(7)]
    assert [t.ask for t in told] == ["exemption"] * 6 + ["challenge"]
    assert await counted(sql, instrument) == 7


async def test_a_fresh_authorization_after_a_soft_decline_asks_for_no_exemption(s, world, who, policy, sql):
    p = await pay(s, who, await card(world, adyen=ADYEN["strict"]), return_url=None)
    assert [a.state.value for a in p.attempts] == ["declined"], "there is no way back for the payer"
    keyed = Keyed(uuid.uuid4().hex, uuid.uuid4().bytes)
    again = (await authorize.again(s, who, p.id, None, keyed))[0]
    assert len(again.attempts) == 2
    assert again.attempts[-1].authentication.exemption == ""


async def test_a_fresh_authorization_of_a_card_whose_low_values_are_used_up_is_recorded_without(
    s, world, who, policy, sql
):
    instrument = await card(world, adyen="stored_do_not_honor")
    p = await pay(s, who, instrument, 100)
    for _ in range(6):
        keyed = Keyed(uuid.uuid4().hex, uuid.uuid4().bytes)
        p = (await authorize.again(s, who, p.id, None, keyed))[0]
    assert [a.authentication.ask for a in p.attempts] == ["exemption"] * 6 + ["challenge"]


async def test_an_indian_mandate_is_not_debited_above_its_limit_without_the_payer(
    s: Scrooge, world: World, who: Principal, policy: Compiled, monkeypatch
):
    monkeypatch.setattr(s, "bins", lambda iin: Bin(country="IN"))
    instrument = await card(world, adyen=ADYEN["plain"])
    before = len(await world.truth())
    with pytest.raises(AuthenticationRequired) as refused:
        await pay(s, who, instrument, 1_500_001, currency="INR", initiator="merchant", return_url=None)
    assert refused.value.members["source"].startswith("RBI")
    assert len(await world.truth()) == before, "nothing was sent"
    covered = await pay(s, who, instrument, 1_500_000, currency="INR", initiator="merchant", return_url=None)
    assert covered.attempts[0].state.value == "approved"
    monkeypatch.setattr(s, "bins", no_table)
    unknown = await pay(s, who, instrument, 1_500_001, currency="INR", initiator="merchant", return_url=None)
    assert unknown.attempts[0].state.value == "approved", "only where the issuer is known to be Indian"


async def counted(sql: asyncpg.Connection, instrument: str) -> int:
    found = await sql.fetchval("SELECT cardinality(times) FROM low_value_counters WHERE card = $1", instrument)
    return found or 0


async def test_through_the_api_where_the_acquirer_is_is_said_and_explain_tells_what_would_be_asked(world: World):
    url = f"{world.api_url}/v1/connector-accounts/adyen"
    async with world.http.patch(url, json={"acquirer_country": "XX"}, headers=world.headers()) as answer:
        assert (answer.status, (await answer.json())["param"]) == (422, "acquirer_country")
    async with world.http.patch(url, json={"acquirer_country": "FR"}, headers=world.headers()) as answer:
        assert (answer.status, (await answer.json())["acquirer_country"]) == (200, "FR")
    rates = [{"account": "adyen", "quarter": "2026-Q3", "percent": "0.05"}]
    document = {"name": "asks", "accounts": {"adyen": {}}, "authentication": {"fraud_rates": rates}}
    status, wrong = await world.post(
        "/v1/routing/policies", {"document": document | {"authentication": {"fraud_rates": [rates[0], rates[0]]}}}
    )
    assert (status, wrong["findings"][0]["place"]) == (422, "authentication.fraud_rates[1]")
    status, draft = await world.post("/v1/routing/policies", {"document": document})
    assert status == 201, draft

    async def told(**payment) -> dict:
        payment = {"amount": {"value": "200.00", "currency": "EUR"}, "country": "DE", **payment}
        status, found = await world.post("/v1/routing/explain", {"payment": payment, "policy": draft["id"]})
        assert status == 200, found
        return found["authentication"]["adyen"]

    assert (await told())["ask"] == "challenge"
    low = await told(found_low_risk=True)
    assert (low["ask"], low["exemption"], low["liability"]) == ("exemption", "risk_analysis", "merchant")
    assert "art. 18" in low["source"]
    debit = {"amount": {"value": "15000.00", "currency": "INR"}, "country": "IN", "initiator": "merchant"}
    covered = await told(**debit)
    assert covered["ask"] == "nothing"
    assert covered["notice_by"] is not None
    assert (await told(**debit | {"amount": {"value": "15000.01", "currency": "INR"}}))["ask"] == "payer"
