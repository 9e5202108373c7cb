"""Accounts of stored value: opened, loaded, closed. What payments do with them is in flows/moves.py."""

from typing import Any

from msgspec import structs

from scrooge.connectors.stored_value import NAME
from scrooge.errors import (
    AmountOutOfRange,
    CurrencyMismatch,
    IdempotencyKeyReused,
    NameTaken,
    NotFound,
    Problem,
    ReferenceExists,
    RequestInProgress,
    RetriesRefused,
    StoredValueClosed,
    StoredValueExpired,
    StoredValueNotEmpty,
    StoredValueTooLow,
)
from scrooge.flows.keys import Keyed, guard_of
from scrooge.flows.scrooge import Scrooge, now
from scrooge.ids import bucket_in, bucket_of, new_id, number_of
from scrooge.money import Money
from scrooge.postgres.database import redone
from scrooge.storage import stored_value as rows
from scrooge.storage.directory import ConnectorAccount, Principal
from scrooge.storage.instruments import Instrument
from scrooge.storage.stored_value import Account, Move, Moved

EVENTS = {"load": "stored_value_loaded", "adjust_up": "stored_value_adjusted",
          "adjust_down": "stored_value_adjusted", "expire": "stored_value_expired"}  # fmt: skip
NAMES = {True: "stored-value", False: "stored-value-test"}  # of the connector accounts, by mode


def check(instrument: Instrument, currency: str, retry_until: int | None) -> None:
    """What is refused before anything is recorded. Raises CurrencyMismatch, StoredValueClosed, StoredValueExpired,
    RetriesRefused."""
    account = instrument.stored_value
    if account is None:
        return
    if account.currency != currency:
        raise CurrencyMismatch(f"the stored value is in {account.currency}", param="amount.currency")
    if account.closed_at is not None:
        raise StoredValueClosed("the account that this instrument stands for is closed", param="instrument")
    if account.expires_at is not None and account.expires_at <= now():
        raise StoredValueExpired("the account that this instrument stands for has expired", param="instrument")
    if retry_until is not None:
        raise RetriesRefused(
            "stored value is loaded or it is not: nothing changes by asking again", param="retry_until"
        )


async def open_account(s: Scrooge, who: Principal, keyed: Keyed, wanted: Account) -> tuple[Account, bool]:
    """The account of this key, and whether it was there.

    Raises IdempotencyKeyReused, ReferenceExists, RequestInProgress.
    """
    assert wanted.reference is not None
    bucket = bucket_of(who.merchant, who.caller, wanted.reference)
    connector_account = await account_at(s, who)
    made = Account(
        id=new_id("sva", bucket), merchant=who.merchant, caller=who.caller, livemode=who.livemode,
        reference=wanted.reference, customer=wanted.customer, currency=wanted.currency, purpose=wanted.purpose,
        instrument=new_id("ins", bucket), expires_at=wanted.expires_at, created_at=now(),
    )  # fmt: skip
    opened = await rows.open_account(s.db, made, connector_account.id, guard_of(who, keyed))
    if opened is not None:
        return opened, False
    used = await key_made(s, who, keyed, "sva")
    before = await rows.read(s.db, used) if used is not None else None
    if before is not None:
        return before, True
    other = await rows.of_reference(s.db, bucket, who.merchant, who.caller, who.livemode, wanted.reference)
    if other is None:
        raise RequestInProgress("another request with this reference was running", retry_after=1)
    raise ReferenceExists("this reference was used before, under another key", param="reference", existing_id=other)


async def key_made(s: Scrooge, who: Principal, keyed: Keyed, prefix: str) -> str | None:
    """What an earlier request with this key made. Raises IdempotencyKeyReused."""
    found = await rows.key(s.db, guard_of(who, keyed), who.caller, prefix)
    if found is not None and found[0] != keyed.fingerprint:
        raise IdempotencyKeyReused("this key was used with another method, path or body")
    return None if found is None else found[1]


async def account_at(s: Scrooge, who: Principal) -> ConnectorAccount:
    """The merchant's connector account for stored value in this mode; made with the first account."""
    found = await known_at(s, who)
    name = NAMES[who.livemode]
    while found is None:
        try:
            found = await s.directory.add_account(who.merchant, name, NAME, NAME, who.livemode, {}, None, "scrooge")
        except NameTaken:
            await s.directory.refresh(now=True)
            found = await known_at(s, who)
            name += "-own"
    return found


async def known_at(s: Scrooge, who: Principal) -> ConnectorAccount | None:
    mine = [a for a in await s.directory.accounts(who.merchant) if a.livemode is who.livemode]
    return next((a for a in mine if a.connector == NAME), None)


async def visible(s: Scrooge, who: Principal, account_id: str) -> Account:
    """Raises NotFound, for another merchant's and one of the other mode as well."""
    number_of(account_id, "sva")
    found = await rows.read(s.db, account_id)
    if found is None or (found.merchant, found.livemode) != (who.merchant, who.livemode):
        raise NotFound("no such account of stored value")
    return found


async def load(
    s: Scrooge, who: Principal, account_id: str, amount: Money, reference: str, keyed: Keyed
) -> tuple[Account, Moved, bool]:
    """(account, move, whether an earlier request did it). Raises NotFound, CurrencyMismatch, AmountOutOfRange,
    StoredValueClosed, StoredValueExpired, IdempotencyKeyReused, ReferenceExists."""
    account = await visible(s, who, account_id)
    check_amount(account, amount, s.settings.stored_value_load_max_minor)
    return await moved(s, who, account, "load", amount, reference, keyed)


def check_amount(account: Account, amount: Money, most: int) -> None:
    if amount.currency != account.currency:
        raise CurrencyMismatch(f"the account is in {account.currency}", param="amount.currency")
    if amount.minor > most:
        raise AmountOutOfRange(f"the most at once is {Money(most, account.currency)}", param="amount.value")


async def moved(
    s: Scrooge, who: Principal, account: Account, kind: str, amount: Money, reference: str, keyed: Keyed,
    note: str | None = None,
) -> tuple[Account, Moved, bool]:  # fmt: skip
    """One move that no payment asks for, with the key that it uses up in one transaction."""
    asked = Move(
        id=new_id("svm", bucket_in(account.id)), account=account.id,
        kind=kind, minor=amount.minor, currency=amount.currency, merchant=account.merchant,
        livemode=account.livemode, caller=who.caller_name, reference=reference, author=f"key:{who.key_id}", note=note,
    )  # fmt: skip
    done = await recorded(s, who, account, asked, keyed)
    if done is None:
        used = await key_made(s, who, keyed, "svm")
        before = await rows.move_of_id(s.db, account.id, used) if used is not None else None
        if before is None:
            raise RequestInProgress("the first request with this key is still running", retry_after=1)
        return await visible(s, who, account.id), before, True
    return await visible(s, who, account.id), done, False


@redone
async def recorded(s: Scrooge, who: Principal, account: Account, asked: Move, keyed: Keyed) -> Moved | None:
    """None: the key was used before. Raises the Problem of what is refused, keeping nothing of it."""
    async with s.db.transaction() as connection:
        # The key comes first: a copy of a request that was done must meet its own answer, not the reference it used.
        if not await rows.claim_key(connection, guard_of(who, keyed), who.caller, asked.id):
            return None
        return await moved_in(connection, account, asked)


async def moved_in(connection: Any, account: Account, asked: Move) -> Moved:
    """One move with its event, in the caller's transaction. Raises the Problem of what is refused."""
    found = (await rows.move(connection, [asked])).get(asked.name)
    if found is None:
        raise NotFound("no such account of stored value")
    if found.declined is not None:
        raise refusal(found, asked)
    if not found.fresh:
        raise ReferenceExists(
            "this reference was used before, under another key", param="reference", existing_id=found.id
        )
    found = structs.replace(found, reference=asked.reference, note=asked.note)
    await rows.announce(connection, account, found, EVENTS[asked.kind], told(account, found))
    return found


def told(a: Account, m: Moved) -> dict[str, Any]:
    """What an event tells: the move, and the balances after it."""

    def money(minor: int) -> dict[str, str]:
        return {"value": Money(minor, a.currency).value, "currency": a.currency}

    return {
        "account": a.id, "customer": a.customer, "purpose": a.purpose, "move": m.id, "kind": m.kind,
        "amount": money(m.minor), "available": money(m.available), "held": money(m.held), "reference": m.reference,
    }  # fmt: skip


def refusal(found: Moved, asked: Move) -> Problem:
    match found.declined:
        case "closed":
            return StoredValueClosed("the account is closed")
        case "expired":
            return StoredValueExpired("the account has expired")
        case "insufficient_funds":
            left = {"value": Money(found.available, asked.currency).value, "currency": asked.currency}
            return StoredValueTooLow("the adjustment takes more than is available", available=left)
        case "currency_differs":
            return CurrencyMismatch("the account is in another currency", param="amount.currency")
        case _:
            return NotFound("no such account of stored value")


async def close(s: Scrooge, who: Principal, account_id: str) -> Account:
    """Closed before, it changes nothing. Raises NotFound, StoredValueNotEmpty."""
    account = await visible(s, who, account_id)
    closed = await rows.close(s.db, account.id)
    if closed is not None:
        return closed
    account = await visible(s, who, account_id)
    left: dict[str, Any] = {name: {"value": Money(minor, account.currency).value, "currency": account.currency}
            for name, minor in (("available", account.available), ("held", account.held))}  # fmt: skip
    raise StoredValueNotEmpty("an account is closed when nothing is left on it", **left)
