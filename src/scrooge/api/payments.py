"""Payments: create, read, list, authorize again, authenticate, ask the PSP now."""

from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET, UnsetType

from scrooge.api import answers, bodies, pages, show, splits
from scrooge.api.call import Answer, Call, headers_of, payment_id
from scrooge.api.facts import facts_of
from scrooge.api.parsing import address_of, money_of
from scrooge.api.timeline import expanded
from scrooge.domain.mandate import Terms
from scrooge.domain.payment import Payment, certain
from scrooge.errors import InvalidField, MissingField
from scrooge.flows import authorize, challenge, resolve, retries
from scrooge.flows.authorize import Wanted
from scrooge.postgres.rows import microseconds
from scrooge.storage import listing
from scrooge.storage.listing import BEGINNING, END, Filter


async def create(call: Call) -> Answer:
    body: bodies.CreatePayment = call.body
    wanted = Wanted(
        reference=body.reference, amount=money_of(body.amount), **paid_by(body),
        customer=body.customer, initiator=body.initiator, purpose=body.purpose, capture=body.capture,
        return_url=body.return_url, statement_descriptor=body.statement_descriptor,
        metadata=body.metadata, connector_account=body.connector_account,
        save_for=body.save_for.use if body.save_for else None, save_terms=terms_of(body.save_for),
        retry_until=retry_until(body.retry_until),
        incremental=body.incremental is True,
        **payer_of(body.payer),
    )  # fmt: skip
    if not isinstance(body.tenders, UnsetType):
        return await splits.create(call, wanted, body.tenders)
    p, replayed = await authorize.create(call.s, call.principal, wanted, call.key)
    return await answer_of(call, p, replayed)


def paid_by(body: bodies.CreatePayment) -> dict[str, Any]:
    """Raises MissingField."""
    if body.tenders is not UNSET and (body.instrument is not UNSET or body.mandate is not UNSET):
        raise InvalidField("tenders, or an instrument, or a mandate", param="tenders")
    if body.instrument is UNSET and body.mandate is UNSET and body.tenders is UNSET:
        raise MissingField("an instrument, or a mandate, which names one", param="instrument")
    return {"instrument": body.instrument or "", "mandate": body.mandate or None}


def terms_of(asked: bodies.SaveFor | None) -> Terms | None:
    """Raises the Problems of amounts."""
    if asked is None:
        return None
    most = None if isinstance(asked.max, UnsetType) else money_of(asked.max, "save_for.max")
    return Terms(
        max_minor=most.minor if most else None, currency=most.currency if most else None,
        period=asked.interval or None, description=asked.description or None,
        fallback=asked.fallback,
    )  # fmt: skip


def retry_until(text: str | None) -> int | None:
    """RFC 3339 with an offset, as Unix microseconds. Raises InvalidField."""
    if text is None:
        return None
    if "T" not in text.upper():
        raise InvalidField("a moment like 2026-12-20T10:00:00Z", param="retry_until")
    return moment_of(text, "retry_until", 0)


async def cancel_retries(call: Call) -> Answer:
    p = await retries.cancel(call.s, call.principal, payment_id(call))
    return await answer_of(call, p, replayed=False, done=200)


async def authorize_again(call: Call) -> Answer:
    body: bodies.AuthorizePayment = call.body
    payer, one = payer_of(body.payer), payment_id(call)
    p, replayed = await authorize.again(call.s, call.principal, one, body.instrument, call.key, **payer)
    return await answer_of(call, p, replayed)


def payer_of(payer: bodies.Payer | UnsetType) -> dict[str, Any]:
    """Raises InvalidField."""
    return {} if isinstance(payer, UnsetType) else {"ip": address_of(payer.ip), "email": payer.email}


async def authenticate(call: Call) -> Answer:
    body: bodies.AuthenticatePayment = call.body
    p = await authorize.visible(call.s, call.principal, payment_id(call))
    if p.tenders:
        return await splits.authenticate(call, p, body.details)
    p, replayed = await challenge.authenticate(call.s, call.principal, p.id, body.details, call.key)
    return await answer_of(call, p, replayed)


async def sync(call: Call) -> Answer:
    p = await resolve.sync(call.s, call.principal, payment_id(call))
    if p.tenders:
        return await splits.sync(call, p)
    return await answer_of(call, p, replayed=False, done=200)


async def read(call: Call) -> Answer:
    query: bodies.Expand = call.query
    p = await authorize.visible(call.s, call.principal, payment_id(call))
    if p.tenders:
        return await splits.read(call, p)
    facts = await facts_of(call, [p])
    parts = frozenset(query.expand.split(",")) if query.expand else frozenset()
    return Answer(200, await expanded(call.s.db, p, facts, parts), payment=p.id)


async def several(call: Call) -> Answer:
    query: bodies.PaymentFilter = call.query
    before = pages.position_of(call, query.cursor, "cursor", tuple[str])[0] if query.cursor else None
    f = filter_of(call)
    if query.part_of is not None:
        return await splits.parts(call, query.part_of, f)
    found, place = await listing.page(call.s.db, f, before, query.limit)
    facts = await facts_of(call, found)
    whole = await splits.shown(call, [p for p in found if p.tenders])
    cursor = pages.cursor_of(call, [place]) if place else None
    document = answers.PaymentList(
        data=[
            whole.get(p.id) or show.payment(p, facts)
            for p in found
            if p.minor  # A verification is no payment.
        ],
        **pages.listed(call, cursor, more=cursor is not None),
    )
    return Answer(200, document, pages.link(call, cursor))


def filter_of(call: Call) -> Filter:
    query: bodies.PaymentFilter = call.query
    starts = [
        moment_of(query.created_from, "created[gte]", BEGINNING),
        moment_of(query.created_after, "created[gt]", BEGINNING - 1) + 1,
    ]
    ends = [
        moment_of(query.created_before, "created[lt]", END),
        moment_of(query.created_until, "created[lte]", END) + 1,
    ]
    return Filter(
        merchant=call.principal.merchant, livemode=call.principal.livemode, status=query.status,
        reference=query.reference, customer=query.customer, made_from=max(starts),
        made_before=min(ends),
    )  # fmt: skip


def moment_of(text: str | None, param: str, otherwise: int) -> int:
    """RFC 3339, or a day in UTC, as Unix microseconds within the years that can be asked for."""
    if text is None:
        return otherwise
    try:
        at = datetime.fromisoformat(text.upper())
        if "T" not in text.upper():
            at = at.replace(tzinfo=UTC)
        if at.tzinfo is None:
            raise ValueError("no offset")
        return min(max(microseconds(at) or 0, BEGINNING), END)
    except ValueError:
        raise InvalidField("a moment like 2026-11-20T10:00:00Z, or a day like 2026-11-20", param=param) from None


async def answer_of(call: Call, p: Payment, replayed: bool, done: int = 201) -> Answer:
    """202 while we cannot tell what happened; a repeated request gets the same as the first."""
    facts = await facts_of(call, [p])
    status = done if certain(p) else 202
    return Answer(status, show.payment(p, facts), headers_of(status, replayed), payment=p.id)
