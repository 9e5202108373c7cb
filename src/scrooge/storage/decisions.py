"""What operators decide about attempts that nobody can be asked about: proposed by one key, decided by another."""

from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.domain.payment import Payment
from scrooge.ids import bucket_in, hex_of, new_id
from scrooge.money import Money
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import key_of, microseconds, public, uuid_of

Q = load(Path(__file__).with_suffix(".sql"))


class Said(Struct, frozen=True, kw_only=True):
    """What became of an attempt, as somebody knows. `amount` is what was approved, where less than was asked."""

    outcome: str
    evidence: str
    psp_reference: str | None = None
    amount: Money | None = None


class Decision(Said, frozen=True, kw_only=True):
    """`state` is proposed, expired, applied or rejected. Moments are Unix microseconds."""

    id: str
    payment: str
    attempt: str
    state: str
    proposed_by: str
    proposed_at: int
    expires_at: int
    decided_by: str | None
    decided_at: int | None
    note: str | None


def decision_of(row: Any) -> Decision:
    return Decision(
        id=public("dec", row["id"]) or "",
        payment=public("pay", row["payment_id"]) or "",
        attempt=public("att", row["attempt_id"]) or "",
        outcome=row["outcome"],
        psp_reference=row["psp_reference"],
        amount=None if row["minor"] is None else Money(row["minor"], row["currency"]),
        evidence=row["evidence"],
        state="expired" if row["state"] == "proposed" and row["expired"] else row["state"],
        proposed_by=public("key", row["proposed_by"]) or "",
        proposed_at=microseconds(row["proposed_at"]) or 0,
        expires_at=microseconds(row["expires_at"]) or 0,
        decided_by=public("key", row["decided_by"]),
        decided_at=microseconds(row["decided_at"]),
        note=row["note"],
    )


async def propose(connection: Any, p: Payment, attempt: str, said: Said, key: str, seconds: float) -> Decision | None:
    """None while another proposal about the attempt is open. The payment is locked by the caller."""
    bucket = bucket_in(p.id)
    row = await run(
        connection, Q["propose"], bucket, hex_of(new_id("dec", bucket)), hex_of(p.merchant), hex_of(p.id),
        hex_of(attempt), said.outcome, said.psp_reference, said.evidence, hex_of(key), seconds,
        said.amount.minor if said.amount else None, said.amount.currency if said.amount else None,
    )  # fmt: skip
    return None if row is None else decision_of(row)


async def read(db: Database, decision_id: str) -> Decision | None:
    row = await run(db, Q["one"], *key_of(decision_id))
    return None if row is None else decision_of(row)


async def hold(connection: Any, decision_id: str) -> Decision:
    """The same within a transaction, and nobody else can decide until it ends."""
    return decision_of(await run(connection, Q["hold"], *key_of(decision_id)))


async def decide(connection: Any, decision_id: str, state: str, key: str, words: str | None) -> Decision | None:
    """None when it had been decided before."""
    row = await run(connection, Q["decide"], *key_of(decision_id), state, hex_of(key), words)
    return None if row is None else decision_of(row)


async def of_payment(db: Database, payment_id: str) -> list[Decision]:
    return [decision_of(row) for row in await run(db, Q["of_payment"], *key_of(payment_id))]


async def page(
    db: Database, merchant: str, livemode: bool, state: str | None, before: str | None, limit: int
) -> list[Decision]:
    rows = await run(db, Q["page"], hex_of(merchant), livemode, state, uuid_of(before), limit)
    return [decision_of(row) for row in rows]
