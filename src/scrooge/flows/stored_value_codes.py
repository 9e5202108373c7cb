"""Codes that load stored value: made and told once, brought back once. Guesses are counted before they are looked at.

Whatever is wrong with a code, the answer is the same, and takes the same time: one look-up, and then the rest of a
pause that is longer than any look-up.
"""

import asyncio
import secrets
import time
from typing import Any

import structlog

from scrooge.errors import (
    CodeNotAccepted,
    CodesLocked,
    IdempotencyKeyReused,
    NotFound,
    ReferenceExists,
    RequestInProgress,
    StoredValueClosed,
    StoredValueExpired,
)
from scrooge.flows.keys import Keyed, guard_of
from scrooge.flows.scrooge import Scrooge, now
from scrooge.flows.stored_value import key_made, moved_in, visible
from scrooge.ids import ALPHABET, bucket_in, bucket_of, new_id, number_of
from scrooge.money import Money
from scrooge.postgres.database import redone
from scrooge.storage import stored_value as rows
from scrooge.storage import stored_value_codes as kept
from scrooge.storage.directory import Principal, note
from scrooge.storage.stored_value import Account, Move, Moved
from scrooge.storage.stored_value_codes import Guesser, Issue

log = structlog.get_logger()
GUESSES_MAX = 10
LOCKED_SECONDS = 3600
PAUSE_SECONDS = 0.15  # of every answer that a code is not accepted
BITS = 128
LETTERS = 26  # 5 bits each, two of them to spare


def fresh_code() -> str:
    """128 random bits, in groups that people can read out."""
    number = secrets.randbits(BITS)
    letters = "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(LETTERS)))
    return "-".join(letters[at : at + 5] for at in range(0, LETTERS, 5))


def plain(code: str) -> str:
    """As it is digested, and nothing else is: what people take for one another is one."""
    return "code of stored value:" + code.upper().replace("-", "").replace(" ", "").translate(
        str.maketrans("OIL", "011")
    )


async def make(
    s: Scrooge, who: Principal, amount: Money, codes: int, reference: str, expires_at: int | None, keyed: Keyed
) -> tuple[Issue, list[str], bool]:
    """(issue, codes, whether an earlier request made it: then the codes are told no more).

    Raises IdempotencyKeyReused, ReferenceExists, RequestInProgress.
    """
    bucket = bucket_of(who.merchant, who.caller, reference)
    wanted = Issue(
        id=new_id("svc", bucket), merchant=who.merchant, caller=who.caller, livemode=who.livemode, reference=reference,
        minor=amount.minor, currency=amount.currency, codes=codes, expires_at=expires_at, created_at=now(),
    )  # fmt: skip
    told = [fresh_code() for _ in range(codes)]
    digests = [s.directory.sealer.digests(plain(code))[0] for code in told]
    made = await recorded(s, who, wanted, digests, keyed)
    if made is not None:
        return made, told, False
    used = await key_made(s, who, keyed, "svc")
    before = await kept.read(s.db, used) if used is not None else None
    if before is None:
        raise RequestInProgress("the first request with this key is still running", retry_after=1)
    return before, [], True


@redone
async def recorded(s: Scrooge, who: Principal, wanted: Issue, digests: list[bytes], keyed: Keyed) -> Issue | None:
    async with s.db.transaction() as connection:
        if not await rows.claim_key(connection, guard_of(who, keyed), who.caller, wanted.id):
            return None
        made = await kept.issue(connection, wanted, digests, who.caller_name)
        if made is None:
            other = await kept.of_reference(
                connection, bucket_in(wanted.id), who.merchant, who.caller, who.livemode, wanted.reference
            )
            raise ReferenceExists(
                "this reference was used before, under another key", param="reference", existing_id=other
            )
        detail = {"codes": wanted.codes, "amount": str(Money(wanted.minor, wanted.currency))}
        await note(connection, f"key:{who.key_id}", "stored_value_codes_made", wanted.id, detail)
    return made


async def seen(s: Scrooge, who: Principal, issue_id: str) -> Issue:
    """Raises NotFound, for another merchant's and one of the other mode as well."""
    number_of(issue_id, "svc")
    found = await kept.read(s.db, issue_id)
    if found is None or (found.merchant, found.livemode) != (who.merchant, who.livemode):
        raise NotFound("no such codes")
    return found


async def cancel(s: Scrooge, who: Principal, issue_id: str) -> Issue:
    """Those that are not used yet are never accepted any more. Raises NotFound."""
    found = await seen(s, who, issue_id)
    async with s.db.transaction() as connection:
        await kept.cancel(connection, found.id)
        await note(connection, f"key:{who.key_id}", "stored_value_codes_canceled", found.id, {})
    return await seen(s, who, issue_id)


async def redeem(
    s: Scrooge, who: Principal, account_id: str, code: str, reference: str, keyed: Keyed
) -> tuple[Account, Moved, bool]:
    """(account, move, whether an earlier request did it). Raises NotFound, CodeNotAccepted, CodesLocked,
    StoredValueClosed, StoredValueExpired, IdempotencyKeyReused, ReferenceExists."""
    began = time.monotonic()
    account = await visible(s, who, account_id)
    before = await done_before(s, who, account, keyed)
    if before is not None:
        return account, before, True
    check(account)
    await check_reference(s.db, account, reference)
    guesser = Guesser(who.merchant, who.caller, who.livemode, account.customer)
    guesses = await kept.guess(s.db, guesser, LOCKED_SECONDS)
    if guesses > GUESSES_MAX:
        if guesses == GUESSES_MAX + 1:
            await noted(s, who, account, "stored_value_codes_locked")
        raise CodesLocked("too many codes were not accepted for this customer", retry_after=LOCKED_SECONDS)
    try:
        found = await loaded(s, who, account, guesser, code, reference, keyed)
    except CodeNotAccepted:
        await noted(s, who, account, "stored_value_code_refused")
        await asyncio.sleep(max(0.0, PAUSE_SECONDS - (time.monotonic() - began)))
        raise
    if found is None:  # A copy of this request was faster.
        before = await done_before(s, who, account, keyed)
        if before is None:
            raise RequestInProgress("the first request with this key is still running", retry_after=1)
        await kept.forgive(s.db, guesser)
        return await visible(s, who, account_id), before, True
    return await visible(s, who, account_id), found, False


async def noted(s: Scrooge, who: Principal, account: Account, what: str) -> None:
    async with s.db.transaction() as connection:
        detail = {"account": account.id, "customer": account.customer}
        await note(connection, f"key:{who.key_id}", what, account.id, detail)


def check(account: Account) -> None:
    """Before the code is looked at, so that the answer says nothing about it. Raises StoredValueClosed,
    StoredValueExpired."""
    if account.closed_at is not None:
        raise StoredValueClosed("the account is closed")
    if account.expires_at is not None and account.expires_at <= now():
        raise StoredValueExpired("the account has expired")


async def check_reference(db: Any, account: Account, reference: str) -> None:
    """The same of what was loaded under this reference: its code is used up. Raises ReferenceExists."""
    before = await rows.move_of_reference(db, account.id, reference)
    if before is not None:
        raise ReferenceExists(
            "this reference was used before, under another key", param="reference", existing_id=before.id
        )


async def done_before(s: Scrooge, who: Principal, account: Account, keyed: Keyed) -> Moved | None:
    """Raises IdempotencyKeyReused."""
    used = await key_made(s, who, keyed, "svm")
    if used is None:
        return None
    found = await rows.move_of_id(s.db, account.id, used)
    if found is None:
        raise IdempotencyKeyReused("this key was used with another method, path or body")
    return found


@redone
async def loaded(
    s: Scrooge, who: Principal, account: Account, guesser: Guesser, code: str, reference: str, keyed: Keyed
) -> Moved | None:
    """The code is used up, the value is on the account, and the guess was none: all of it, or nothing."""
    move_id = new_id("svm", bucket_in(account.id))
    async with s.db.transaction() as connection:
        if not await rows.claim_key(connection, guard_of(who, keyed), who.caller, move_id):
            return None
        digests = s.directory.sealer.digests(plain(code))
        worth = await kept.take(connection, digests, account.merchant, account.livemode, account.currency, account.id)
        if worth is None:
            await check_reference(connection, account, reference)
            raise CodeNotAccepted("this code is not accepted", param="code")
        minor, seller = worth
        asked = Move(
            id=move_id, account=account.id, kind="load", minor=minor, currency=account.currency,
            merchant=account.merchant, livemode=account.livemode, caller=seller, reference=reference,
            author=f"key:{who.key_id}", note="code",
        )  # fmt: skip
        found = await moved_in(connection, account, asked)
        await kept.forgive(connection, guesser)
    return found
