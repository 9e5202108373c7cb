"""Payments read from rows, and the guards of idempotency. No rules here; the SQL is in payments.sql."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.connectors.connector import Fill, Request, TokenFill
from scrooge.domain.attempt import Attempt, Authentication, Closed, Counted, Operation, State
from scrooge.domain.fees import Fees
from scrooge.domain.mandate import Terms, Use
from scrooge.domain.outcome import NextAction
from scrooge.domain.payment import Failure, Payment
from scrooge.domain.recovery import Retry
from scrooge.postgres.database import load, run
from scrooge.postgres.rows import hex_of, key_of, microseconds, moment, public
from scrooge.storage.changes import Guard
from scrooge.storage.retries import step_of

Q = load(Path(__file__).with_suffix(".sql"))


class AttemptRow(Struct, frozen=True):
    """An attempt as PostgreSQL writes it in JSON; columns we do not name are ignored."""

    id: str
    number: int
    operation: Operation
    minor: int
    connector_account_id: str
    state: State
    reference: str
    sent_at: datetime
    parent_id: str | None
    sale: bool
    final: bool
    total_minor: int | None
    approved_minor: int | None
    closed: Closed | None
    caller_reference: str | None
    psp_reference: str | None
    network_transaction_id: str | None
    psp_token: str | None
    psp_customer: str | None
    checks: dict[str, str]
    decline: str | None
    raw_code: str | None
    raw_message: str | None
    network_code: str | None
    advice_code: str | None
    reason: str | None
    action: NextAction | None
    return_token: str | None
    expires_at: datetime | None
    concluded_at: datetime | None
    asks: int
    teaches: str | None
    counted: Counted | None
    authentication: Authentication | None
    followed: str | None
    fees: Fees | None


ROWS = msgspec.json.Decoder(list[AttemptRow])


async def read(db: Any, payment_id: str) -> Payment | None:
    """A payment with its attempts, whoever it belongs to."""
    row = await run(db, Q["payment"], *key_of(payment_id))
    return None if row is None else payment_of(row)


async def lock(connection: Any, payment_id: str) -> Payment | None:
    """The same, and nobody else can change it until the transaction ends."""
    await run(connection, Q["lock"], *key_of(payment_id))
    return await read(connection, payment_id)


def payment_of(row: Any) -> Payment:
    """A row of `payment` (its attempts as JSON text in `tries`) as a struct."""
    attempts = tuple(attempt_of(a) for a in ROWS.decode(row["tries"])) if row["tries"] else ()
    retry = step_of(row.get("retry"))
    return Payment(
        id=public("pay", row["id"]) or "",
        merchant=public("mer", row["merchant_id"]) or "",
        caller=public("clr", row["caller_id"]) or "",
        reference=row["reference"],
        minor=row["minor"],
        currency=row["currency"],
        version=row["version"],
        attempts=attempts,
        livemode=row["livemode"],
        sale=row["sale"],
        answered=row["answered"],
        accounts=tuple(public("con", a) or "" for a in row["accounts"]),
        customer=row["customer"],
        instrument=public("ins", row["instrument_id"]),
        initiator=row["initiator"],
        purpose=row["purpose"],
        return_url=row["return_url"],
        statement_descriptor=row["statement_descriptor"],
        metadata=msgspec.json.decode(row["metadata"]),
        save_for=row["save_for"],
        incremental=row["incremental"],
        save_terms=msgspec.json.decode(row["save_terms"], type=Terms) if row["save_terms"] else None,
        mandate=other_mandate(retry, attempts) or public("man", row["mandate_id"]),
        own_mandate=public("man", row["mandate_id"]),
        mandate_use=Use(row["mandate_use"]) if row["mandate_use"] else None,
        failure=msgspec.json.decode(row["failure"], type=Failure) if row["failure"] else None,
        created_at=microseconds(row["created_at"]) or 0,
        deadline_at=microseconds(row["deadline_at"]) or 0,
        retry_until=microseconds(row["retry_until"]),
        pinned=public("con", row["pinned_account_id"]),
        retry=retry,
        part_of=public("pay", row["part_of"]),
        tenders=row["tenders"] or 0,
    )


def other_mandate(retry: Retry | None, attempts: Sequence[Attempt]) -> str | None:
    """Under which a retry pays, or has paid. What its caller asks for after that is under the payment's own."""
    if retry is None or (retry.ended and any(a.parent is None and a.number > retry.number for a in attempts)):
        return None
    return retry.mandate


def attempt_of(r: AttemptRow) -> Attempt:
    expires_at = microseconds(r.expires_at)
    return Attempt(
        id=public("att", r.id) or "",
        number=r.number,
        operation=r.operation,
        minor=r.minor,
        connector_account=public("con", r.connector_account_id) or "",
        state=r.state,
        parent=public("att", r.parent_id),
        sale=r.sale,
        final=r.final,
        total=r.total_minor if r.operation is Operation.INCREMENT else None,
        approved_minor=r.approved_minor,
        closed=r.closed,
        reference=r.reference,
        caller_reference=r.caller_reference,
        psp_reference=r.psp_reference,
        network_transaction_id=r.network_transaction_id,
        psp_token=r.psp_token,
        psp_customer=r.psp_customer,
        checks=r.checks,
        decline=r.decline,
        raw_code=r.raw_code,
        raw_message=r.raw_message,
        network_code=r.network_code,
        advice_code=r.advice_code,
        reason=r.reason,
        action=r.action,
        return_token=r.return_token,
        expires_at=expires_at // 1_000_000 if expires_at else None,
        sent_at=microseconds(r.sent_at) or 0,
        concluded_at=microseconds(r.concluded_at),
        asks=r.asks,
        teaches=public("ins", r.teaches),
        counted=r.counted,
        authentication=r.authentication,
        followed=r.followed,
        fees=r.fees,
    )


async def request_of(db: Any, payment_id: str, attempt_id: str) -> tuple[Request, float]:
    """The bytes that were recorded for an attempt, and how many seconds ago."""
    row = await run(db, Q["request_of"], *key_of(payment_id), hex_of(attempt_id))
    r = msgspec.json.decode(row["request"])
    fill = Fill(**r["fill"]) if r.get("fill") else None
    token = TokenFill(**r["token"]) if r.get("token") else None
    request = Request(r["method"], r["path"], r["body"].encode(), r["content_type"], r["idempotency_key"], fill, token)
    return request, row["age"]


class KeyRow(Struct, frozen=True):
    fingerprint: bytes
    payment: str
    attempt: str | None
    deadline_at: int  # Unix microseconds


async def read_key(db: Any, guard: Guard, caller: str) -> KeyRow | None:
    row = await run(db, Q["key"], guard.bucket, hex_of(caller), guard.livemode, guard.key)
    if row is None:
        return None
    return KeyRow(
        row["fingerprint"],
        public("pay", row["payment_id"]) or "",
        public("att", row["attempt_id"]),
        microseconds(row["deadline_at"]) or 0,
    )


async def claim_key(
    connection: Any, guard: Guard, caller: str, payment_id: str, attempt_id: str, deadline_at: int
) -> bool:
    """Uses up a key within the caller's transaction; False when it exists already."""
    row = await run(
        connection,
        Q["claim_key"],
        guard.bucket,
        hex_of(caller),
        guard.livemode,
        guard.key,
        guard.fingerprint,
        hex_of(payment_id),
        hex_of(attempt_id),
        moment(deadline_at),
    )
    return row is not None


async def payment_of_reference(
    db: Any, bucket: int, merchant: str, caller: str, livemode: bool, reference: str
) -> str | None:
    row = await run(db, Q["payment_of_reference"], bucket, hex_of(merchant), hex_of(caller), livemode, reference)
    return None if row is None else public("pay", row["payment_id"])


async def attempt_of_caller_reference(db: Any, payment_id: str, operation: Operation, reference: str) -> str | None:
    row = await run(db, Q["attempt_of_caller_reference"], *key_of(payment_id), operation, reference)
    return None if row is None else public("att", row["id"])


async def attempts_at_psp(db: Any, account_id: str, psp_reference: str) -> list[tuple[str, str, str]]:
    """(payment, attempt, operation) of the attempts that carry a PSP's reference."""
    rows = await run(db, Q["attempts_at_psp"], hex_of(account_id), psp_reference)
    return [(public("pay", r["payment_id"]) or "", public("att", r["id"]) or "", r["operation"]) for r in rows]
