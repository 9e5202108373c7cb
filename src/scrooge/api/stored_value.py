"""Stored value: accounts, what is loaded on them, their statements."""

from scrooge.api import pages
from scrooge.api import stored_value_documents as d
from scrooge.api.call import Answer, Call
from scrooge.api.parsing import money_of
from scrooge.api.payments import headers_of, moment_of
from scrooge.api.show import amount
from scrooge.errors import InvalidField
from scrooge.flows import stored_value
from scrooge.flows.scrooge import now
from scrooge.money import MINOR_MAX, exponent_of
from scrooge.postgres.rows import instant
from scrooge.storage import stored_value as rows
from scrooge.storage.stored_value import Account, Moved


async def create(call: Call) -> Answer:
    body: d.OpenStoredValueAccount = call.body
    exponent_of(body.currency)
    expires_at = None if body.expires_at is None else moment_of(body.expires_at, "expires_at", 0)
    if expires_at is not None and expires_at <= now():
        raise InvalidField("a moment to come", param="expires_at")
    who = call.principal
    wanted = Account(
        id="", merchant=who.merchant, caller=who.caller, livemode=who.livemode, reference=body.reference,
        customer=body.customer, currency=body.currency, purpose=body.purpose, instrument="", expires_at=expires_at,
    )  # fmt: skip
    account, replayed = await stored_value.open_account(call.s, who, call.key, wanted)
    return Answer(201, shown(account), headers_of(201, replayed))


async def read(call: Call) -> Answer:
    return Answer(200, shown(await stored_value.visible(call.s, call.principal, call.path["stored_value_account"])))


async def of_customer(call: Call) -> Answer:
    query: d.StoredValueFilter = call.query
    who = call.principal
    before = pages.position_of(call, query.cursor, "cursor", tuple[str])[0] if query.cursor else None
    found, place = await rows.of_customer(call.s.db, who.merchant, query.customer, who.livemode, before, query.limit)
    cursor = pages.cursor_of(call, [place]) if place else None
    document = d.StoredValueAccountList(
        data=[shown(a) for a in found], **pages.listed(call, cursor, more=cursor is not None)
    )
    return Answer(200, document, pages.link(call, cursor))


async def load(call: Call) -> Answer:
    body: d.LoadStoredValue = call.body
    account, move, replayed = await stored_value.load(
        call.s, call.principal, call.path["stored_value_account"], money_of(body.amount), body.reference, call.key
    )
    return Answer(201, line(account.currency, move), headers_of(201, replayed))


async def statement(call: Call) -> Answer:
    query = call.query
    account = await stored_value.visible(call.s, call.principal, call.path["stored_value_account"])
    before = pages.position_of(call, query.cursor, "cursor", tuple[int])[0] if query.cursor else MINOR_MAX
    found, place = await rows.statement(call.s.db, account.id, before, query.limit)
    cursor = pages.cursor_of(call, [place]) if place else None
    document = d.StoredValueMoveList(
        data=[line(account.currency, m) for m in found], **pages.listed(call, cursor, more=cursor is not None)
    )
    return Answer(200, document, pages.link(call, cursor))


async def close(call: Call) -> Answer:
    return Answer(200, shown(await stored_value.close(call.s, call.principal, call.path["stored_value_account"])))


def status_of(a: Account) -> str:
    if a.closed_at is not None:
        return "closed"
    return "expired" if a.expires_at is not None and a.expires_at <= now() else "open"


def shown(a: Account) -> d.StoredValueAccount:
    return d.StoredValueAccount(
        id=a.id, object="stored_value_account", livemode=a.livemode, reference=a.reference, customer=a.customer,
        currency=a.currency, purpose=a.purpose, instrument=a.instrument, status=status_of(a),
        available=amount(a.available, a.currency), held=amount(a.held, a.currency),
        expires_at=instant(a.expires_at) if a.expires_at is not None else None,
        closed_at=instant(a.closed_at) if a.closed_at is not None else None, replaced_by=a.replaced_by,
        created_at=instant(a.created_at),
    )  # fmt: skip


def line(currency: str, m: Moved) -> d.StoredValueMove:
    return d.StoredValueMove(
        id=m.id, object="stored_value_move", account=m.account, number=m.number or 0, kind=m.kind,
        amount=amount(m.minor, currency), available=amount(m.available, currency), held=amount(m.held, currency),
        reference=m.reference, payment=m.payment, attempt=m.attempt, reason=m.note, created_at=instant(m.created_at),
    )  # fmt: skip
