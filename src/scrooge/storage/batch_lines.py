"""The lines of batches: kept by the thousand, read in order, found wrong."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.domain.payment import Payment
from scrooge.ids import hex_of
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import instant, key_of, public
from scrooge.storage.batches import Batch
from scrooge.storage.payments import payment_of

Q = load(Path(__file__).with_suffix(".sql"))
COLUMNS = (
    "bucket", "batch_id", "line", "state", "reference", "custom_id", "minor", "currency", "mandate_id", "retry_until",
    "metadata", "error", "found_id",
)  # fmt: skip
SLICE = 200_000  # lines at which one statement looks for a reference that stands twice
# What validation finds by the mandate, in words.
MANDATES = {
    "unknown_mandate": "no such mandate for this merchant",
    "mandate_revoked": "the mandate was revoked",
    "mandate_currency": "the mandate's maximum is in another currency",
    "mandate_maximum": "the amount is over the mandate's maximum",
}
AT_ONCE = 20_000  # of those, in memory
A_STATEMENT = 1000  # lines that are refused by one


class Line(Struct, frozen=True, gc=False):
    """What a payment is made of. `mandate` is the number of its id; `retry_until` is in Unix microseconds."""

    reference: str
    custom_id: str
    minor: int
    currency: str
    mandate: int
    retry_until: int | None = None
    metadata: dict[str, str] | None = None


class Wrong(Struct, frozen=True, gc=False):
    """Why a line can be no payment, and what of it could be read."""

    rule: str
    detail: str
    param: str | None = None
    reference: str | None = None
    custom_id: str | None = None


class Piece(Struct, frozen=True):
    """Whole lines as they stand in the input, with the SHA-256 of their bytes."""

    first_byte: int
    first_line: int
    bytes: int
    lines: int
    digest: bytes


class Named(Struct, frozen=True):
    """References of lines, each with its bucket and the place of its line's row."""

    places: list[int] = []
    buckets: list[int] = []
    references: list[str] = []


class Found(Struct, frozen=True):
    """A line as it stands. `error` is its JSON."""

    line: int
    custom_id: str | None
    reference: str | None
    state: str
    error: msgspec.Raw | None
    minor: int = 0
    currency: str = ""
    existing: bool | None = None
    payment: str | None = None


def text_of(where: str, number: int, found: Line | Wrong) -> str:
    r"""A row for COPY, in PostgreSQL's text format; `where` is "bucket\tbatch"."""
    if isinstance(found, Line):
        if found.retry_until is None and found.metadata is None:
            names = f"{found.reference}\t{found.custom_id}"
            if "\\" not in names:  # The one of nearly all.
                return (
                    f"{where}\t{number}\tqueued\t{names}\t{found.minor}\t{found.currency}\t{found.mandate:032x}"
                    "\t\\N\t\\N\t\\N\t\\N\n"
                )
        until = "\\N" if found.retry_until is None else instant(found.retry_until)
        more = "\\N" if found.metadata is None else escaped(msgspec.json.encode(found.metadata).decode())
        return (
            f"{where}\t{number}\tqueued\t{escaped(found.reference)}\t{escaped(found.custom_id)}\t{found.minor}"
            f"\t{found.currency}\t{found.mandate:032x}\t{until}\t{more}\t\\N\t\\N\n"
        )
    param = None if found.param is None else found.param.replace("\0", "")  # jsonb has no such character.
    error = {"rule": found.rule, "detail": found.detail.replace("\0", ""), "param": param}
    reference = "\\N" if found.reference is None else escaped(found.reference)
    custom_id = "\\N" if found.custom_id is None else escaped(found.custom_id)
    return (
        f"{where}\t{number}\trejected\t{reference}\t{custom_id}\t\\N\t\\N\t\\N\t\\N\t\\N"
        f"\t{escaped(msgspec.json.encode(error).decode())}\t\\N\n"
    )


def escaped(text: str) -> str:
    """No text of a line has control characters, so the backslash alone means something to COPY."""
    return text.replace("\\", "\\\\") if "\\" in text else text


async def mark_used(db: Database, batch: Batch, rows: list[str], named: Named) -> int:
    """Notes in the rows which references were used before, and by which payments; how many."""
    whose = hex_of(batch.merchant), hex_of(batch.caller), batch.livemode
    used = await run(db, Q["used"], *whose, named.places, named.buckets, named.references)
    for r in used:
        rows[r["place"]] = f"{rows[r['place']][:-3]}{r['payment_id'].hex}\n"  # instead of the null at its end
    return len(used)


async def keep(db: Database, batch: Batch, piece: Piece, rejected: int, rows: list[str], named: Named) -> bool:
    """One piece with its lines, of which `rejected` are wrong by themselves; others may be by their mandates.

    False, and nothing is kept, when the batch's input no longer ends where the piece begins, or is closed.
    """
    bucket, batch_id = key = key_of(batch.id)
    used = await mark_used(db, batch, rows, named)
    async with db.transaction() as connection:
        end = piece.first_byte + piece.bytes
        if await run(connection, Q["room"], *key, piece.first_byte, end, piece.lines, rejected, used) is None:
            return False
        # Closed, as what is left of a COPY is a ring that nobody looks for until a million lines are in it.
        with io.BytesIO("".join(rows).encode()) as source:
            await connection.copy_to_table("batch_lines", source=source, columns=COLUMNS, format="text")
        await run(
            connection, Q["note"], bucket, batch_id, piece.first_byte, piece.first_line, piece.bytes, piece.lines,
            piece.digest, used,
        )  # fmt: skip
        last = piece.first_line + piece.lines
        whose = hex_of(batch.merchant), batch.livemode
        found = await run(connection, Q["by_mandates"], *key, piece.first_line, last, *whose)
        await refuse(connection, batch.id, [(r["line"], error_of(r["rule"])) for r in found])
    return True


def error_of(rule: str) -> dict[str, str]:
    param = "amount" if rule in {"mandate_currency", "mandate_maximum"} else "mandate"
    return {"rule": rule, "detail": MANDATES[rule], "param": param}


async def refuse(db: Any, batch_id: str, wrong: Sequence[tuple[int, dict[str, str]]]) -> None:
    for start in range(0, len(wrong), A_STATEMENT):
        part = wrong[start : start + A_STATEMENT]
        errors = [msgspec.json.encode(error).decode() for _, error in part]
        await run(db, Q["refuse"], *key_of(batch_id), [line for line, _ in part], errors)


async def pieces(db: Database, batch_id: str, from_byte: int, limit: int) -> list[Piece]:
    rows = await run(db, Q["pieces"], *key_of(batch_id), from_byte, limit)
    return [Piece(r["first_byte"], r["first_line"], r["bytes"], r["lines"], r["digest"]) for r in rows]


async def refuse_repeated(db: Database, batch: Batch) -> None:
    """Of lines with one reference only the first stays. Done twice, or by two at once, it does the same."""
    slices = 1 << max(0, (batch.lines - 1) // SLICE).bit_length()
    number = 0
    while number < slices:
        found = await run(db, Q["repeated"], *key_of(batch.id), slices - 1, number, AT_ONCE)
        await refuse(db, batch.id, [
            (r["line"], {"rule": "duplicate_reference", "detail": f"line {r['first']} has this reference",
                         "param": "reference"})
            for r in found
        ])  # fmt: skip
        number += len(found) < AT_ONCE


async def wrong(db: Database, batch_id: str, after: int, limit: int) -> Sequence[Found]:
    """Those that validation or sending refused, in order."""
    return [
        Found(r["line"], r["custom_id"], r["reference"], r["state"], msgspec.Raw(r["error"].encode()))
        for r in await run(db, Q["wrong"], *key_of(batch_id), after, limit)
    ]


async def taken(db: Database, batch_id: str, after: int, limit: int) -> Sequence[Found]:
    """Those that validation let through, in order."""
    return [found_of(r) for r in await run(db, Q["taken"], *key_of(batch_id), after, limit)]


async def found(db: Database, batch_id: str, after: int, limit: int) -> Sequence[Found]:
    """Those whose references a payment had when they came in, in order."""
    return [found_of(r) for r in await run(db, Q["found"], *key_of(batch_id), after, limit)]


async def payments_of(db: Database, lines: Sequence[Found]) -> dict[str, Payment]:
    """By id, as they are now."""
    keys = [key_of(found.payment) for found in lines if found.payment]
    rows = await run(db, Q["payments"], [k[0] for k in keys], [k[1] for k in keys]) if keys else []
    return {p.id: p for p in map(payment_of, rows)}


def found_of(r: Any) -> Found:
    return Found(
        r["line"], r["custom_id"], r["reference"], r["state"],
        None if r["error"] is None else msgspec.Raw(r["error"].encode()),
        r["minor"], r["currency"], r["existing"], public("pay", r["payment_id"]),
    )  # fmt: skip


async def forget(db: Database, most: int) -> int:
    """Of batches that ended 90 days ago. How many pieces."""
    return int((await run(db, Q["forget"], most))["gone"])
