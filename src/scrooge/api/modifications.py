"""Captures, voids, refunds and increments of a payment: one shape, four names."""

from typing import Any

from msgspec import UnsetType

from scrooge.api import bodies, pages, show, splits
from scrooge.api import modification_answers as ma
from scrooge.api.call import Answer, Call, headers_of, payment_id
from scrooge.api.facts import facts_of
from scrooge.api.parsing import money_of
from scrooge.domain.attempt import Operation
from scrooge.errors import InvalidField
from scrooge.flows import authorize
from scrooge.flows.modify import modify
from scrooge.money import Money


async def capture(call: Call) -> Answer:
    body: bodies.CapturePayment = call.body
    return await modified(call, Operation.CAPTURE, body.amount, body.reference, body.final)


async def void(call: Call) -> Answer:
    body: bodies.VoidPayment = call.body
    return await modified(call, Operation.VOID, body.amount, body.reference)


async def refund(call: Call) -> Answer:
    body: bodies.RefundPayment = call.body
    tender = None if isinstance(body.tender, UnsetType) else body.tender
    return await modified(call, Operation.REFUND, body.amount, body.reference, tender=tender)


async def increment(call: Call) -> Answer:
    body: bodies.IncrementPayment = call.body
    return await modified(call, Operation.INCREMENT, body.amount, body.reference)


async def modified(
    call: Call, operation: Operation, asked: bodies.AmountAsked | None, reference: str | None,
    final: bool = False, tender: str | None = None,
) -> Answer:  # fmt: skip
    amount: Money | None = money_of(asked) if asked is not None else None
    p = await authorize.visible(call.s, call.principal, payment_id(call))
    if p.tenders:
        return await splits.modified(call, p, operation, amount, reference, final, tender)
    if tender is not None:
        raise InvalidField("only of a payment with tenders", param="tender")
    p, attempt_id, replayed = await modify(call.s, call.principal, p, operation, amount, reference, final, call.key)
    shown = show.modification(p, p.attempt(attempt_id), await facts_of(call, [p], cards=False))
    status = 202 if shown.outcome_certainty == "unknown" else 201
    return Answer(status, shown, headers_of(status, replayed), payment=p.id)


async def captures(call: Call) -> Answer:
    return await made(call, Operation.CAPTURE, ma.CaptureList)


async def voids(call: Call) -> Answer:
    return await made(call, Operation.VOID, ma.VoidList)


async def refunds(call: Call) -> Answer:
    return await made(call, Operation.REFUND, ma.RefundList)


async def increments(call: Call) -> Answer:
    return await made(call, Operation.INCREMENT, ma.IncrementList)


async def made(call: Call, operation: Operation, kind: Any) -> Answer:
    """All of them, oldest first: a payment has few."""
    p = await authorize.visible(call.s, call.principal, payment_id(call))
    if p.tenders:
        return Answer(200, kind(data=await splits.made(call, p, operation), **pages.listed(call, None, more=False)))
    facts = await facts_of(call, [p], cards=False)
    found = [show.modification(p, a, facts) for a in p.attempts if a.operation is operation]
    return Answer(200, kind(data=found, **pages.listed(call, None, more=False)), payment=p.id)
