"""For people who say what is checked before a payment: policies, and what their rules would say."""

from msgspec import UNSET

from scrooge.api import bodies, pages, risk_answers, risk_bodies
from scrooge.api.call import Answer, Call
from scrooge.api.parsing import address_of, money_of
from scrooge.api.routing import desk_of, next_cursor, place_of
from scrooge.api.routing_bodies import ActivationFilter, PolicyFilter
from scrooge.api.show import instant_if
from scrooge.flows import risk_policies as flow
from scrooge.flows.authorize import instrument_of
from scrooge.flows.risking import About
from scrooge.postgres.rows import instant
from scrooge.storage import risk
from scrooge.storage.risk import Version


async def draft(call: Call) -> Answer:
    body: risk_bodies.DraftRiskPolicy = call.body
    made, new = await flow.draft(call.s, desk_of(call), body.document, body.notes)
    return Answer(201 if new else 200, policy(made))


async def several(call: Call) -> Answer:
    query: PolicyFilter = call.query
    found = await risk.policies(call.s.db, desk_of(call), before=place_of(call), limit=query.limit + 1)
    cursor = next_cursor(call, found, query.limit)
    data = [policy(p) for p in found[: query.limit]]
    document = risk_answers.RiskPolicyList(data=data, **pages.listed(call, cursor, more=cursor is not None))
    return Answer(200, document, pages.link(call, cursor))


async def read(call: Call) -> Answer:
    return Answer(200, policy(await flow.read(call.s, desk_of(call), call.path["risk_policy"])))


async def activate(call: Call) -> Answer:
    body: risk_bodies.ActivateRiskPolicy = call.body
    desk, one = desk_of(call), call.path["risk_policy"]
    return Answer(200, policy(await flow.activate(call.s, desk, one, body.expect_active, body.reason)))


async def roll_back(call: Call) -> Answer:
    body: risk_bodies.RollBackRisk = call.body
    found = await flow.roll_back(call.s, desk_of(call), body.to, body.reason)
    return Answer(200, risk_answers.RiskState(object="risk_state", policy=policy(found) if found else None))


async def activations(call: Call) -> Answer:
    query: ActivationFilter = call.query
    data = [
        risk_answers.RiskActivation(
            object="risk_activation",
            number=a.number,
            policy=a.policy,
            previous=a.previous,
            kind=a.kind,
            author=a.author,
            reason=a.reason,
            created_at=instant(a.created_at),
        )
        for a in await risk.activations(call.s.db, desk_of(call), query.limit)
    ]
    return Answer(200, risk_answers.RiskActivationList(data=data, **pages.listed(call, None, more=False)))


async def explain(call: Call) -> Answer:
    body: risk_bodies.ExplainRisk = call.body
    money = money_of(body.amount)
    instrument = await instrument_of(call.s, call.principal, body.instrument, body.customer)
    payer = bodies.Payer() if body.payer is UNSET else body.payer
    about = About(
        reference="", minor=money.minor, currency=money.currency, customer=body.customer,
        ip=address_of(payer.ip), email=payer.email,
    )  # fmt: skip
    version, verdict, tallies = await flow.explain(
        call.s, call.principal, desk_of(call), about, instrument, body.policy
    )
    hits = [
        risk_answers.RiskHit(rule=h.rule, does=h.does, because=h.because, enforced=h.enforced)
        for h in (verdict.hits if verdict else ())
    ]
    document = risk_answers.RiskExplanation(
        object="risk_explanation",
        policy=version,
        did=verdict.does if verdict else "allow",
        would=verdict.would if verdict else "allow",
        hits=hits,
        counts={name: [t.attempts, t.declines, t.others] for name, t in tallies.items()},
    )
    return Answer(200, document)


def policy(p: Version) -> risk_answers.RiskPolicy:
    return risk_answers.RiskPolicy(
        id=p.id,
        object="risk_policy",
        version=p.version,
        name=p.name,
        state=p.state,
        document=p.document,
        author=p.author,
        notes=p.notes,
        created_at=instant(p.created_at),
        activated_at=instant_if(p.activated_at),
    )
