"""Stored value: accounts, what is loaded on them, their statements."""

from msgspec import UnsetType

from scrooge.api import pages
from scrooge.api import stored_value_documents as d
from scrooge.api.call import Answer, Call
from scrooge.api.parsing import money_of
from scrooge.api.payments import headers_of, moment_of
from scrooge.api.show import amount
from scrooge.errors import AmountOutOfRange, InvalidField
from scrooge.flows import stored_value
from scrooge.flows import stored_value_adjustments as adjustments
from scrooge.flows import stored_value_codes as codes
from scrooge.flows.scrooge import now
from scrooge.money import MINOR_MAX, Money, exponent_of
from scrooge.postgres.rows import instant
from scrooge.storage import stored_value as rows
from scrooge.storage.stored_value import Account, Moved
from scrooge.storage.stored_value_adjustments import Adjustment
from scrooge.storage.stored_value_codes import Issue


async def create(call: Call) -> Answer:
    body: d.OpenStoredValueAccount = call.body
    exponent_of(body.currency)
    expires_at = to_come(body.expires_at)
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
    place = call.path["stored_value_account"]
    if isinstance(body.amount, UnsetType) is isinstance(body.code, UnsetType):
        raise InvalidField("an amount or a code, one of them", param="amount")
    if isinstance(body.amount, UnsetType):
        asked = codes.redeem(call.s, call.principal, place, str(body.code), body.reference, call.key)
    else:
        money = money_of(body.amount)
        asked = stored_value.load(call.s, call.principal, place, money, body.reference, call.key)
    account, move, replayed = await asked
    return Answer(201, line(account.currency, move), headers_of(201, replayed))


async def adjust(call: Call) -> Answer:
    body: d.AdjustStoredValue = call.body
    account, adjustment, replayed = await adjustments.adjust(
        call.s, call.principal, call.path["stored_value_account"], money_of(body.amount), body.direction,
        body.reference, body.reason, call.key,
    )  # fmt: skip
    status = 202 if adjustment.state == "proposed" else 201
    return Answer(status, adjusted(account, adjustment), {"Idempotent-Replayed": "true"} if replayed else {})


async def read_adjustment(call: Call) -> Answer:
    return Answer(200, adjusted(*await adjustments.seen(call.s, call.principal, call.path["stored_value_adjustment"])))


async def approve(call: Call) -> Answer:
    return await decided(call, "applied")


async def reject(call: Call) -> Answer:
    return await decided(call, "rejected")


async def decided(call: Call, state: str) -> Answer:
    place = call.path["stored_value_adjustment"]
    return Answer(200, adjusted(*await adjustments.decide(call.s, call.principal, place, state)))


async def make_codes(call: Call) -> Answer:
    body: d.MakeStoredValueCodes = call.body
    money = money_of(body.amount)
    if money.minor > call.s.settings.stored_value_load_max_minor:
        most = Money(call.s.settings.stored_value_load_max_minor, money.currency)
        raise AmountOutOfRange(f"the most at once is {most}", param="amount.value")
    issue, told, replayed = await codes.make(
        call.s, call.principal, money, body.count, body.reference, to_come(body.expires_at), call.key
    )
    return Answer(201, issued(issue, told), headers_of(201, replayed))


async def read_codes(call: Call) -> Answer:
    return Answer(200, issued(await codes.seen(call.s, call.principal, call.path["stored_value_codes"]), []))


async def cancel_codes(call: Call) -> Answer:
    return Answer(200, issued(await codes.cancel(call.s, call.principal, call.path["stored_value_codes"]), []))


def to_come(text: str | None) -> int | None:
    """Raises InvalidField."""
    at = None if text is None else moment_of(text, "expires_at", 0)
    if at is not None and at <= now():
        raise InvalidField("a moment to come", param="expires_at")
    return at


def adjusted(account: Account, a: Adjustment) -> d.StoredValueAdjustment:
    return d.StoredValueAdjustment(
        id=a.id, object="stored_value_adjustment", account=a.account, direction=a.direction,  # type: ignore[arg-type]
        amount=amount(a.minor, account.currency), reference=a.reference, reason=a.reason, status=a.state,
        proposed_by=a.proposed_by, proposed_at=instant(a.proposed_at), decided_by=a.decided_by,
        decided_at=instant(a.decided_at) if a.decided_at is not None else None,
    )  # fmt: skip


def issued(i: Issue, told: list[str]) -> d.StoredValueCodes:
    over = i.expires_at is not None and i.expires_at <= now()
    return d.StoredValueCodes(
        id=i.id, object="stored_value_codes", livemode=i.livemode, reference=i.reference,
        amount=amount(i.minor, i.currency), count=i.codes, used=i.used,
        status="canceled" if i.canceled_at is not None else "expired" if over else "open",
        expires_at=instant(i.expires_at) if i.expires_at is not None else None, created_at=instant(i.created_at),
        codes=told,
    )  # fmt: skip


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
