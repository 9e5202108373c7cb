"""Stored value as rows: accounts, and the moves that change them, gathered by a lane. No rules here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.crash import reach
from scrooge.ids import bucket_in, hex_of, new_id
from scrooge.ledger.stored_value import legs
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.lane import Lane
from scrooge.postgres.rows import at_moment, encoded, key_of, microseconds, public, uuid_of
from scrooge.storage.changes import Guard

Q = load(Path(__file__).with_suffix(".sql"))
LAST = "f" * 32


class Account(Struct, frozen=True, kw_only=True):
    """An account of stored value. Minor units of `currency`; moments are Unix microseconds."""

    id: str
    merchant: str
    caller: str
    livemode: bool
    reference: str | None
    customer: str
    currency: str
    purpose: str
    instrument: str
    expires_at: int | None = None
    closed_at: int | None = None
    replaced_by: str | None = None
    available: int = 0
    held: int = 0
    created_at: int = 0


class Move(Struct, frozen=True, kw_only=True):
    """One change that is asked of an account: by an attempt, or by a reference. `minor` of `currency`."""

    id: str = ""  # none: a new one
    account: str
    kind: str
    minor: int
    currency: str
    merchant: str
    livemode: bool
    caller: str  # the name of whose order it is
    payment: str | None = None
    attempt: str | None = None
    authorization: str | None = None  # the attempt that held or took it
    final: bool = False  # of a capture: the rest of the hold is released
    reference: str | None = None
    author: str | None = None
    note: str | None = None

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.attempt or f'{self.account}:{self.reference}'}"


class Moved(Struct, frozen=True, kw_only=True):
    """A move as it was decided, in minor units; `declined` says why it was not done.

    `number` is its line in the statement; None: it left no trace. `fresh`: this very request did it.
    """

    id: str
    account: str
    number: int | None
    kind: str
    minor: int
    available: int
    held: int
    declined: str | None = None
    fresh: bool = True
    created_at: int = 0
    reference: str | None = None
    payment: str | None = None
    attempt: str | None = None
    note: str | None = None


def mover(db: Database) -> Lane[Move, Moved]:
    """The lane that gathers the moves of a process."""
    return Lane("stored_value", db, several, lambda move: move.name)


async def several(connection: Any, moves: list[Move]) -> dict[str, Moved]:
    reach("stored.before")
    found = await move(connection, moves)
    reach("stored.after")
    return found


async def move(connection: Any, moves: Sequence[Move]) -> dict[str, Moved]:
    """Decides and does them in one statement, by name. What names no account has no answer."""
    rows = await run(connection, Q["move"], encoded([row_of(m) for m in moves]))
    return {row["name"]: moved_of(row, row["declined"], row["fresh"]) for row in rows}


def row_of(m: Move) -> dict[str, Any]:
    bucket = bucket_in(m.account)
    row: dict[str, Any] = {
        "name": m.name, "bucket": bucket, "account_id": hex_of(m.account), "id": hex_of(m.id or new_id("svm", bucket)),
        "kind": m.kind, "minor": m.minor, "currency": m.currency, "merchant_id": hex_of(m.merchant),
        "livemode": m.livemode, "payment_id": uuid_of(m.payment), "attempt_id": uuid_of(m.attempt),
        "authorization_id": uuid_of(m.authorization), "reference": m.reference, "author": m.author, "note": m.note,
    }  # fmt: skip
    posted = legs(m.kind, m.caller)
    row |= {"debit": posted.debit, "credit": posted.credit}
    if m.final:
        rest = legs("release", m.caller)
        row |= {"rest_id": hex_of(new_id("svm", bucket)), "rest_debit": rest.debit, "rest_credit": rest.credit}
    if m.kind == "refund":
        instead = new_id("sva", bucket)
        row |= {"new_account_id": hex_of(instead), "new_token": instead,
                "new_instrument_id": hex_of(new_id("ins", bucket))}  # fmt: skip
    return row


def moved_of(row: Any, declined: str | None, fresh: bool) -> Moved:
    known = dict(row)
    return Moved(
        id=public("svm", row["id"]) or "", account=public("sva", row["account_id"]) or "", number=row["number"],
        kind=row["kind"], minor=row["minor"], available=row["available_minor"], held=row["held_minor"],
        declined=declined, fresh=fresh, created_at=microseconds(row["created_at"]) or 0,
        reference=known.get("reference"), payment=public("pay", known.get("payment_id")),
        attempt=public("att", known.get("attempt_id")), note=known.get("note"),
    )  # fmt: skip


def account_of(row: Any) -> Account:
    return Account(
        id=public("sva", row["id"]) or "", merchant=public("mer", row["merchant_id"]) or "",
        caller=public("clr", row["caller_id"]) or "", livemode=row["livemode"], reference=row["reference"],
        customer=row["customer"], currency=row["currency"], purpose=row["purpose"],
        instrument=public("ins", row["instrument_id"]) or "", expires_at=microseconds(row["expires_at"]),
        closed_at=microseconds(row["closed_at"]), replaced_by=public("sva", row["replaced_by"]),
        available=row["available_minor"], held=row["held_minor"], created_at=microseconds(row["created_at"]) or 0,
    )  # fmt: skip


async def open_account(db: Any, a: Account, connector_account: str, guard: Guard) -> Account | None:
    """Keeps an account with its instrument; None when the key or the reference is taken."""
    row = await run(
        db, Q["open"], *key_of(a.id), hex_of(a.merchant), hex_of(a.caller), a.livemode, a.reference, a.customer,
        a.currency, a.purpose, hex_of(a.instrument), at_moment(a.expires_at), hex_of(connector_account), a.id,
        guard.bucket, guard.key, guard.fingerprint,
    )  # fmt: skip
    return None if row is None else account_of(row)


async def claim_key(connection: Any, guard: Guard, caller: str, made: str) -> bool:
    """Uses up a key within the caller's transaction; False when it exists already."""
    row = await run(
        connection, Q["claim_key"], guard.bucket, hex_of(caller), guard.livemode, guard.key, guard.fingerprint,
        hex_of(made),
    )  # fmt: skip
    return row is not None


async def key(db: Any, guard: Guard, caller: str, prefix: str) -> tuple[bytes, str] | None:
    """The fingerprint that was used with a key, and the id of what that made."""
    row = await run(db, Q["key"], guard.bucket, hex_of(caller), guard.livemode, guard.key)
    return None if row is None else (row["fingerprint"], public(prefix, row["payment_id"]) or "")


async def read(db: Any, account_id: str) -> Account | None:
    row = await run(db, Q["one"], *key_of(account_id))
    return None if row is None else account_of(row)


async def of_reference(db: Any, bucket: int, merchant: str, caller: str, livemode: bool, reference: str) -> str | None:
    row = await run(db, Q["of_reference"], bucket, hex_of(merchant), hex_of(caller), livemode, reference)
    return None if row is None else public("sva", row["id"])


async def of_customer(
    db: Any, merchant: str, customer: str, livemode: bool, before: str | None, limit: int
) -> tuple[list[Account], str | None]:
    """Newest first, those before an id; and the id to go on before, when there are more."""
    last = hex_of(before) if before else LAST
    rows = await run(db, Q["of_customer"], hex_of(merchant), customer, livemode, last, limit + 1)
    found = [account_of(row) for row in rows[:limit]]
    return found, found[-1].id if len(rows) > limit else None


async def close(db: Any, account_id: str) -> Account | None:
    """None while there is anything on it."""
    row = await run(db, Q["close"], *key_of(account_id))
    return None if row is None else account_of(row)


async def statement(db: Any, account_id: str, before: int, limit: int) -> tuple[list[Moved], int | None]:
    """Newest first, those before a number; and the number to go on before, when there are more."""
    rows = await run(db, Q["statement"], *key_of(account_id), before, limit + 1)
    found = [moved_of(row, row["declined"], False) for row in rows[:limit]]
    return found, found[-1].number if len(rows) > limit else None


async def move_of_id(db: Any, account_id: str, move_id: str) -> Moved | None:
    row = await run(db, Q["move_of_id"], *key_of(account_id), hex_of(move_id))
    return None if row is None else moved_of(row, row["declined"], False)


async def move_of_reference(db: Any, account_id: str, reference: str) -> Moved | None:
    row = await run(db, Q["move_of_reference"], *key_of(account_id), reference)
    return None if row is None else moved_of(row, row["declined"], False)


async def announce(connection: Any, a: Account, m: Moved, kind: str, content: dict[str, Any]) -> None:
    """The event of a move, in the transaction of it."""
    await run(
        connection, Q["announce"], *key_of(a.id), hex_of(new_id("evt", bucket_in(a.id))), hex_of(a.merchant),
        a.livemode, kind, m.number, encoded(content),
    )  # fmt: skip


async def expired(db: Any, limit: int) -> list[Account]:
    """Those that have expired with something on them, longest ago first."""
    return [account_of(row) for row in await run(db, Q["expired"], limit)]
