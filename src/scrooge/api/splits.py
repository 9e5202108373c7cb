"""Payments with tenders, behind the routes of all payments."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from msgspec import UnsetType, structs

from scrooge.api import answers, bodies, pages, show, show_split, timeline
from scrooge.api.call import Answer, Call, headers_of
from scrooge.api.facts import cards_of, facts_of
from scrooge.api.show import Facts
from scrooge.domain.attempt import Operation
from scrooge.domain.payment import Payment, status_of
from scrooge.domain.split import Split, Tender
from scrooge.errors import InvalidField, NotFound, Problem
from scrooge.flows import authorize, challenge, resolve, split_orders
from scrooge.flows import splits as flow
from scrooge.flows.splits import Context
from scrooge.flows.wanted import Wanted
from scrooge.ids import number_of
from scrooge.money import Money
from scrooge.storage import splits
from scrooge.storage.listing import Filter


async def create(call: Call, wanted: Wanted, asked: list[bodies.TenderAsked]) -> Answer:
    tenders = [tender_of(wanted, place, tender, len(asked)) for place, tender in enumerate(asked)]
    split, replayed = await flow.create(call.s, call.principal, wanted, tenders, call.key)
    return await answer_of(call, split, replayed)


def tender_of(wanted: Wanted, place: int, asked: bodies.TenderAsked, many: int) -> Tender:
    """An amount of 0: the rest. Raises InvalidField, and the Problems of amounts."""
    account = None if isinstance(asked.connector_account, UnsetType) else asked.connector_account
    if isinstance(asked.amount, UnsetType):
        if place < many - 1:
            raise InvalidField("only the last tender is for the rest", param=f"tenders.{place}.amount")
        return Tender("", asked.instrument, 0, account)
    try:
        money = Money.parse(asked.amount, wanted.amount.currency)
    except Problem as problem:
        problem.param = f"tenders.{place}.amount"
        raise
    if not money.minor:
        raise InvalidField("an amount is more than zero", param=f"tenders.{place}.amount")
    return Tender("", asked.instrument, money.minor, account)


async def answer_of(call: Call, split: Split, replayed: bool, done: int = 201) -> Answer:
    document = show_split.payment(split, await facts_of_split(call, [split]))
    status = done if document.outcome_certainty == "certain" else 202
    return Answer(status, document, headers_of(status, replayed), payment=split.whole.id)


async def facts_of_split(call: Call, several: Sequence[Split]) -> Facts:
    facts = await facts_of(call, [p for split in several for p in (split.whole, *split.there)], cards=False)
    instruments = {tender.instrument for split in several for tender in split.tenders}
    return structs.replace(facts, cards=await cards_of(call, instruments))


async def known(call: Call, p: Payment) -> Split:
    split = await splits.read(call.s.db, p.id)
    assert split is not None
    return split


async def read(call: Call, p: Payment) -> Answer:
    query: bodies.Expand = call.query
    split = await known(call, p)
    document = show_split.payment(split, await facts_of_split(call, [split]))
    if query.expand:
        document = await expanded(call, split, document, frozenset(query.expand.split(",")))
    return Answer(200, document, payment=p.id)


async def expanded(call: Call, split: Split, document: answers.Payment, asked: frozenset[str]) -> answers.Payment:
    """With what is asked for of every part, one part after the other; the timeline is that of all, in order."""
    of = [split.whole, *split.there]
    facts = await facts_of(call, of)
    each = [await timeline.expanded(call.s.db, p, facts, asked) for p in of]
    found: dict[str, Any] = {
        name: [item for one in each for item in getattr(one, name) or []] for name in asked if name != "timeline"
    }
    if "timeline" in asked:
        moved = sorted((item for one in each for item in one.timeline or []), key=lambda item: item.at)
        found["timeline"] = [structs.replace(item, seq=seq) for seq, item in enumerate(moved, start=1)]
    return structs.replace(document, **found)


async def shown(call: Call, wholes: list[Payment]) -> dict[str, answers.Payment]:
    """Of a page of a list, by payment."""
    found = await splits.read_several(call.s.db, wholes)
    facts = await facts_of_split(call, list(found.values())) if found else None
    return {i: show_split.payment(split, facts) for i, split in found.items() if facts is not None}


async def parts(call: Call, payment_id: str, f: Filter) -> Answer:
    """The parts of one payment, oldest first: none, where it has none or does not exist for this caller."""
    found: list[Payment] = []
    with suppress(NotFound):
        number_of(payment_id, "pay")
        p = await authorize.visible(call.s, call.principal, payment_id)
        found = (await known(call, p)).there if p.tenders else []
    found = [part for part in found if passes(part, f)]
    facts = await facts_of(call, found)
    data = [show.payment(part, facts) for part in found]
    return Answer(200, answers.PaymentList(data=data, **pages.listed(call, None, more=False)))


def passes(p: Payment, f: Filter) -> bool:
    asked = ((f.status, status_of(p)), (f.customer, p.customer), (f.reference, p.reference))
    return all(wanted in {None, has} for wanted, has in asked) and f.made_from <= p.created_at < f.made_before


async def authenticate(call: Call, p: Payment, details: dict[str, str]) -> Answer:
    """Of the part that waits for the payer; the others follow."""
    split = await known(call, p)
    waits = [part for part in split.there if status_of(part) == "requires_action"] or split.there
    if not waits:
        raise NotFound("none of its parts has been asked yet")
    _, replayed = await challenge.authenticate(call.s, call.principal, waits[-1].id, details, call.key)
    return await answer_of(call, await flow.answered(call.s, call.principal, p.id, Context(call.key.until)), replayed)


async def sync(call: Call, p: Payment) -> Answer:
    for part in (await known(call, p)).there:
        await resolve.sync(call.s, call.principal, part.id)
    return await answer_of(call, await flow.answered(call.s, call.principal, p.id, Context()), False, done=200)


async def modified(
    call: Call, p: Payment, operation: Operation, amount: Money | None, reference: str | None, final: bool,
    tender: str | None,
) -> Answer:  # fmt: skip
    split, order_id, replayed = await split_orders.ask(
        call.s, call.principal, p, operation, amount, reference, final, tender, call.key
    )
    [order] = [o for o in split.orders if o.id == order_id]
    document = show_split.modification(split, order)
    status = 202 if document.outcome_certainty == "unknown" else 201
    return Answer(status, document, headers_of(status, replayed), payment=p.id)


async def made(call: Call, p: Payment, operation: Operation) -> list[Any]:
    """All of an operation, oldest first."""
    split = await known(call, p)
    return [show_split.modification(split, o) for o in split.orders if o.operation is operation]
