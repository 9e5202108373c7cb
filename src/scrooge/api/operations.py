"""For operators: breaks, and decisions about attempts that nobody can be asked about."""

from collections.abc import Sequence
from typing import Any

from scrooge.api import operation_answers, operation_bodies, pages, show
from scrooge.api.call import Answer, Call
from scrooge.api.parsing import money_of
from scrooge.api.payments import payment_id
from scrooge.api.show import instant_if
from scrooge.flows import authorize, decisions
from scrooge.flows import breaks as flow
from scrooge.postgres.rows import instant
from scrooge.storage import breaks
from scrooge.storage import decisions as kept
from scrooge.storage.breaks import Break
from scrooge.storage.decisions import Decision, Said

# --- breaks ---------------------------------------------------------------------------------


async def several(call: Call) -> Answer:
    query: operation_bodies.BreakFilter = call.query
    who = call.principal
    still_open = None if query.open is None else query.open == "true"
    found = await breaks.page(
        call.s.db, who.merchant, who.livemode, still_open, query.kind, place_of(call, query.cursor), query.limit + 1
    )
    cursor = next_cursor(call, found, query.limit)
    data = [shown(b) for b in found[: query.limit]]
    document = operation_answers.BreakList(data=data, **pages.listed(call, cursor, more=cursor is not None))
    return Answer(200, document, pages.link(call, cursor))


async def read(call: Call) -> Answer:
    return Answer(200, shown(await flow.visible(call.s, call.principal, call.path["break"])))


async def close(call: Call) -> Answer:
    body: operation_bodies.CloseBreak = call.body
    return Answer(200, shown(await flow.close(call.s, call.principal, call.path["break"], body.note)))


# --- decisions ------------------------------------------------------------------------------


async def propose(call: Call) -> Answer:
    body: operation_bodies.ProposeDecision = call.body
    amount = money_of(body.amount) if body.amount is not None else None
    said = Said(outcome=body.outcome, evidence=body.evidence, psp_reference=body.psp_reference, amount=amount)
    made = await decisions.propose(call.s, call.principal, payment_id(call), body.attempt, said)
    return Answer(201, decision(made), payment=made.payment)


async def of_payment(call: Call) -> Answer:
    p = await authorize.visible(call.s, call.principal, payment_id(call))
    data = [decision(d) for d in await kept.of_payment(call.s.db, p.id)]
    return Answer(200, operation_answers.DecisionList(data=data, **pages.listed(call, None, more=False)), payment=p.id)


async def decided(call: Call) -> Answer:
    query: operation_bodies.DecisionFilter = call.query
    who = call.principal
    before = place_of(call, query.cursor)
    found = await kept.page(call.s.db, who.merchant, who.livemode, query.state, before, query.limit + 1)
    cursor = next_cursor(call, found, query.limit)
    data = [decision(d) for d in found[: query.limit]]
    document = operation_answers.DecisionList(data=data, **pages.listed(call, cursor, more=cursor is not None))
    return Answer(200, document, pages.link(call, cursor))


async def read_decision(call: Call) -> Answer:
    return Answer(200, decision(await decisions.seen(call.s, call.principal, call.path["decision"])))


async def approve(call: Call) -> Answer:
    d = await decisions.approve(call.s, call.principal, call.path["decision"])
    return Answer(200, decision(d), payment=d.payment)


async def reject(call: Call) -> Answer:
    body: operation_bodies.RejectDecision = call.body
    d = await decisions.reject(call.s, call.principal, call.path["decision"], body.note)
    return Answer(200, decision(d), payment=d.payment)


# --- as documents ---------------------------------------------------------------------------


def place_of(call: Call, cursor: str | None) -> str | None:
    return pages.position_of(call, cursor, "cursor", tuple[str])[0] if cursor else None


def next_cursor(call: Call, found: Sequence[Any], limit: int) -> str | None:
    """One more was read than is shown."""
    return pages.cursor_of(call, [found[limit - 1].id]) if len(found) > limit else None


def shown(b: Break) -> operation_answers.Break:
    return operation_answers.Break(
        id=b.id,
        object="break",
        kind=b.kind,
        payment=b.payment,
        attempt=b.attempt,
        connector_account=b.connector_account,
        detail=b.detail,
        opened_at=instant(b.opened_at),
        closed_at=instant_if(b.closed_at),
        closed_by=b.closed_by,
        note=b.note,
    )


def decision(d: Decision) -> operation_answers.Decision:
    return operation_answers.Decision(
        id=d.id,
        object="decision",
        payment=d.payment,
        attempt=d.attempt,
        outcome=d.outcome,
        psp_reference=d.psp_reference,
        amount=show.amount(d.amount.minor, d.amount.currency) if d.amount else None,
        evidence=d.evidence,
        state=d.state,
        proposed_by=d.proposed_by,
        proposed_at=instant(d.proposed_at),
        expires_at=instant(d.expires_at),
        decided_by=d.decided_by,
        decided_at=instant_if(d.decided_at),
        note=d.note,
    )
