"""For people who steer: policies, prices, switches, and why a payment would go where it goes."""

from collections.abc import Sequence
from typing import Any

from msgspec import structs

from scrooge.api import pages, routing_answers, routing_bodies
from scrooge.api.call import Answer, Call
from scrooge.api.parsing import money_of
from scrooge.api.show import instant_if
from scrooge.errors import Problem
from scrooge.flows import explain as explaining
from scrooge.flows import policies as flow
from scrooge.flows import switches as steer
from scrooge.flows.authorize import instrument_of
from scrooge.flows.policy_checks import payment_shown
from scrooge.flows.scrooge import now
from scrooge.postgres.rows import instant
from scrooge.routing.authentication import Choice
from scrooge.routing.facts import Facts
from scrooge.routing.policy.diff import Moved
from scrooge.storage import policies
from scrooge.storage.policies import Desk, Switch, Tariffs, Version


def desk_of(call: Call) -> Desk:
    who = call.principal
    return Desk(who.merchant, who.merchant_name, who.livemode, f"key:{who.key_id}")


# --- policies -------------------------------------------------------------------------------


async def draft(call: Call) -> Answer:
    body: routing_bodies.DraftPolicy = call.body
    made, new = await flow.draft(call.s, desk_of(call), body.document, body.notes)
    return Answer(201 if new else 200, policy(made))


async def several(call: Call) -> Answer:
    query: routing_bodies.PolicyFilter = call.query
    found = await policies.policies(call.s.db, desk_of(call), before=place_of(call), limit=query.limit + 1)
    cursor = next_cursor(call, found, query.limit)
    data = [policy(p) for p in found[: query.limit]]
    document = routing_answers.RoutingPolicyList(data=data, **pages.listed(call, cursor, more=cursor is not None))
    return Answer(200, document, pages.link(call, cursor))


async def read(call: Call) -> Answer:
    return Answer(200, policy(await flow.read(call.s, desk_of(call), call.path["policy"])))


async def diff(call: Call) -> Answer:
    query: routing_bodies.DiffFilter = call.query
    base, found = await flow.compare(call.s, desk_of(call), call.path["policy"], query.base)
    document = routing_answers.PolicyDiff(
        object="routing_policy_diff",
        base=base,
        policy=call.path["policy"],
        changes=[routing_answers.PolicyChange(place=c.place, before=c.before, after=c.after) for c in found.changes],
        moved=None if found.moved is None else [moved(m) for m in found.moved],
    )
    return Answer(200, document)


async def activate(call: Call) -> Answer:
    body: routing_bodies.ActivatePolicy = call.body
    desk = desk_of(call)
    return Answer(200, policy(await flow.activate(call.s, desk, call.path["policy"], body.expect_active, body.reason)))


async def roll_back(call: Call) -> Answer:
    body: routing_bodies.RollBack = call.body
    found = await flow.roll_back(call.s, desk_of(call), body.to, body.caller, body.reason)
    shown = None if found is None else policy(found)
    return Answer(200, routing_answers.RoutingState(object="routing_state", policy=shown))


async def activations(call: Call) -> Answer:
    query: routing_bodies.ActivationFilter = call.query
    data = [
        routing_answers.RoutingActivation(
            object="routing_activation",
            number=a.number,
            caller=a.caller,
            policy=a.policy,
            previous=a.previous,
            kind=a.kind,
            author=a.author,
            reason=a.reason,
            created_at=instant(a.created_at),
        )
        for a in await policies.activations(call.s.db, desk_of(call), query.limit)
    ]
    return Answer(200, routing_answers.RoutingActivationList(data=data, **pages.listed(call, None, more=False)))


# --- prices ---------------------------------------------------------------------------------


async def set_tariffs(call: Call) -> Answer:
    body: routing_bodies.SetTariffs = call.body
    made, new = await steer.set_tariffs(call.s, desk_of(call), body.document, body.notes)
    return Answer(201 if new else 200, tariffs(made))


async def all_tariffs(call: Call) -> Answer:
    query: routing_bodies.PolicyFilter = call.query
    found = await policies.tariffs(call.s.db, desk_of(call), before=place_of(call), limit=query.limit + 1)
    cursor = next_cursor(call, found, query.limit)
    data = [tariffs(t) for t in found[: query.limit]]
    document = routing_answers.RoutingTariffsList(data=data, **pages.listed(call, cursor, more=cursor is not None))
    return Answer(200, document, pages.link(call, cursor))


# --- switches -------------------------------------------------------------------------------


async def switch(call: Call) -> Answer:
    body: routing_bodies.MakeSwitch = call.body
    expires = None if body.expires_in_seconds is None else now() + body.expires_in_seconds * 1_000_000
    made = await steer.switch(
        call.s, desk_of(call), body.connector_account, body.state, body.when or {}, body.reason, expires
    )
    return Answer(201, switched(made))


async def switches(call: Call) -> Answer:
    query: routing_bodies.SwitchFilter = call.query
    found = await policies.switches(
        call.s.db, desk_of(call), counting=query.all == "false", before=place_of(call), limit=query.limit + 1
    )
    cursor = next_cursor(call, found, query.limit)
    data = [switched(w) for w in found[: query.limit]]
    document = routing_answers.RoutingSwitchList(data=data, **pages.listed(call, cursor, more=cursor is not None))
    return Answer(200, document, pages.link(call, cursor))


async def read_switch(call: Call) -> Answer:
    return Answer(200, switched(await steer.read_switch(call.s, desk_of(call), call.path["switch"])))


async def end_switch(call: Call) -> Answer:
    return Answer(200, switched(await steer.end_switch(call.s, desk_of(call), call.path["switch"])))


# --- explaining -----------------------------------------------------------------------------


async def explain(call: Call) -> Answer:
    body: routing_bodies.ExplainRouting = call.body
    asked, who = body.payment, call.principal
    try:
        money = money_of(asked.amount)
    except Problem as problem:
        problem.param = f"payment.{problem.param}"
        raise
    facts = Facts(
        currency=money.currency,
        minor=money.minor,
        at=now(),
        merchant=who.merchant_name,
        caller=who.caller_name,
        country=asked.country,
        brand=asked.brand,
        iin=asked.iin,
        issuer=asked.issuer,
        funding=asked.funding,
        product=asked.product,
        method=asked.method,
        initiator=asked.initiator,
        purpose=asked.purpose,
        three_ds=asked.three_ds,
    )
    instrument = None
    if asked.instrument is not None:
        instrument = await instrument_of(call.s, who, asked.instrument, None)
        facts = explaining.with_instrument(facts, instrument)
    only, low_risk = body.connector_account, asked.found_low_risk
    found = await explaining.explain(call.s, desk_of(call), facts, instrument, only, body.policy, who.caller, low_risk)
    authentication = {name: foreseen(c) for name, c in found.authentication.items()}
    rest = structs.asdict(found) | {"authentication": authentication}
    return Answer(200, routing_answers.RoutingExplanation(object="routing_explanation", **rest))


# --- as documents ---------------------------------------------------------------------------


def place_of(call: Call) -> str | None:
    cursor = call.query.cursor
    return pages.position_of(call, cursor, "cursor", tuple[str])[0] if cursor else None


def next_cursor(call: Call, found: Sequence[Any], limit: int) -> str | None:
    """One more was read than is shown."""
    return pages.cursor_of(call, [found[limit - 1].id]) if len(found) > limit else None


def foreseen(c: Choice) -> routing_answers.AuthenticationForeseen:
    return routing_answers.AuthenticationForeseen(
        ask=c.ask,
        because=c.because,
        source=c.source,
        exemption=c.exemption or None,
        liability=c.liability,
        notice_by=instant_if(c.notice_by),
    )


def policy(p: Version) -> routing_answers.RoutingPolicy:
    return routing_answers.RoutingPolicy(
        id=p.id,
        object="routing_policy",
        version=p.version,
        name=p.name,
        caller=p.caller,
        state=p.state,
        document=p.document,
        author=p.author,
        notes=p.notes,
        created_at=instant(p.created_at),
        activated_at=instant_if(p.activated_at),
    )


def moved(m: Moved) -> routing_answers.PolicyMove:
    return routing_answers.PolicyMove(
        payment=payment_shown(m.payment),
        way_before=m.before[0],
        accounts_before=list(m.before[1]),
        way_after=m.after[0],
        accounts_after=list(m.after[1]),
    )


def tariffs(t: Tariffs) -> routing_answers.RoutingTariffs:
    return routing_answers.RoutingTariffs(
        id=t.id,
        object="routing_tariffs",
        version=t.version,
        document=t.document,
        author=t.author,
        notes=t.notes,
        created_at=instant(t.created_at),
    )


def switched(w: Switch) -> routing_answers.RoutingSwitch:
    return routing_answers.RoutingSwitch(
        id=w.id,
        object="routing_switch",
        connector_account=w.connector_account,
        account_name=w.account_name,
        state=w.state,
        when=w.when,
        reason=w.reason,
        counts=w.counts,
        author=w.author,
        created_at=instant(w.created_at),
        expires_at=instant_if(w.expires_at),
        ended_at=instant_if(w.ended_at),
        ended_by=w.ended_by,
    )
