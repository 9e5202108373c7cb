"""Payments as rows. No rules here: structs in, structs out; the statements are in payments.sql."""

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.connectors.connector import Request
from scrooge.domain.attempt import Attempt, Closed, Operation, State
from scrooge.domain.outcome import NextAction
from scrooge.domain.payment import Payment, Tally, status_of, tally
from scrooge.ids import bucket_in, new_id
from scrooge.ledger.postings import Journal
from scrooge.storage.database import Database, load, run
from scrooge.storage.rows import encoded, hex_of, iso, key_of, microseconds, moment, public, uuid_of

Q = load(Path(__file__).with_suffix(".sql"))


class Announcement(Struct, frozen=True):
    """An event to be written with the change that made it true."""

    attempt: str
    type: str
    content: dict[str, Any]


class Change(Struct, frozen=True):
    """What happens to one payment, whole or not at all."""

    before: Payment
    after: Payment
    journals: tuple[Journal, ...] = ()
    events: tuple[Announcement, ...] = ()
    requests: dict[str, Request] = {}  # by attempt: of attempts that are new or sent again
    ask_at: dict[str, int] = {}  # by attempt: Unix microseconds; open attempts not named keep theirs


class Guard(Struct, frozen=True):
    """The idempotency key that creating a payment uses up."""

    bucket: int
    key: str
    fingerprint: bytes


# --- writing --------------------------------------------------------------------------------


async def create(db: Any, made: list[tuple[Payment, Guard, Request, int]]) -> set[str]:
    """Records payments with their first attempts (and when to ask about each, Unix microseconds).

    Returns the ids that were made; the others met a taken key or reference.
    """
    payments, attempts = [], []
    for p, guard, request, ask_at in made:
        [attempt] = p.attempts
        payments.append(payment_row(p, guard))
        attempts.append(new_attempt_row(p, attempt, request, ask_at))
    rows = await run(db, Q["create"], encoded(payments), encoded(attempts))
    return {public("pay", row["id"]) or "" for row in rows}


async def save(db: Any, changes: list[Change]) -> set[str]:
    """Writes changes. Returns the ids written; one that is absent was changed by somebody else meanwhile."""
    payments, moved, added, journals, postings, events = [], [], [], [], [], []
    for c in changes:
        bucket, payment_id = key_of(c.after.id)
        payments.append(touched_row(c))
        known = {a.id: a for a in c.before.attempts}
        for a in c.after.attempts:
            if a.id not in known:
                added.append(new_attempt_row(c.after, a, c.requests[a.id], c.ask_at[a.id]))
            elif differs(c, known[a.id], a):
                moved.append(moved_row(c, a))
        for journal in c.journals:
            journal_id = hex_of(new_id("jrn", bucket))
            place = {"bucket": bucket, "payment_id": payment_id}
            journals.append(
                {
                    **place,
                    "id": journal_id,
                    "attempt_id": hex_of(journal.attempt),
                    "effect": journal.effect,
                }
            )
            for line, p in enumerate(journal.postings, start=1):
                postings.append(
                    {
                        **place,
                        "journal_id": journal_id,
                        "line": line,
                        "account": p.account,
                        "minor": p.minor,
                        "currency": p.currency,
                    }
                )
        for e in c.events:
            events.append(
                {
                    "bucket": bucket,
                    "payment_id": payment_id,
                    "id": hex_of(new_id("evt", bucket)),
                    "attempt_id": hex_of(e.attempt),
                    "type": e.type,
                    "content": e.content,
                }
            )
    arguments = [encoded(rows) for rows in (payments, moved, added, journals, postings, events)]
    rows = await run(db, Q["save"], *arguments)
    return {public("pay", row["id"]) or "" for row in rows}


def differs(c: Change, old: Attempt, new: Attempt) -> bool:
    return (
        old != new
        or new.id in c.ask_at
        or (new.operation is Operation.AUTHORIZE and tally(c.before, old) != tally(c.after, new))
    )


def payment_row(p: Payment, guard: Guard) -> dict[str, Any]:
    bucket, payment_id = key_of(p.id)
    return {
        "bucket": bucket, "id": payment_id, "merchant_id": uuid_of(p.merchant), "caller_id": uuid_of(p.caller),
        "reference": p.reference, "minor": p.minor, "currency": p.currency, "sale": p.sale,
        "livemode": p.livemode, "status": status_of(p), "deadline_at": iso(p.deadline_at),
        "accounts": [uuid_of(a) for a in p.accounts], "customer": p.customer,
        "instrument_id": uuid_of(p.instrument), "initiator": p.initiator, "purpose": p.purpose,
        "return_url": p.return_url, "statement_descriptor": p.statement_descriptor, "metadata": p.metadata,
        "created_at": iso(p.created_at), "key_bucket": guard.bucket, "key": guard.key,
        "fingerprint": guard.fingerprint.hex(),
    }  # fmt: skip


def touched_row(c: Change) -> dict[str, Any]:
    bucket, payment_id = key_of(c.after.id)
    return {
        "bucket": bucket, "id": payment_id, "status": status_of(c.after), "version": c.before.version,
        "answered": c.after.answered, "accounts": [uuid_of(a) for a in c.after.accounts],
        "deadline_at": iso(c.after.deadline_at),
    }  # fmt: skip


def new_attempt_row(p: Payment, a: Attempt, request: Request, ask_at: int) -> dict[str, Any]:
    bucket, payment_id = key_of(p.id)
    return {
        "bucket": bucket, "payment_id": payment_id, "id": hex_of(a.id), "number": a.number,
        "operation": a.operation, "parent_id": uuid_of(a.parent),
        "connector_account_id": uuid_of(a.connector_account), "minor": a.minor, "currency": p.currency,
        "sale": a.sale, "final": a.final, "state": a.state, "reference": a.reference,
        "caller_reference": a.caller_reference, "return_token": a.return_token,
        "request": request_row(request), "sent_at": iso(a.sent_at), "ask_at": iso(ask_at),
    }  # fmt: skip


def moved_row(c: Change, a: Attempt) -> dict[str, Any]:
    bucket, payment_id = key_of(c.after.id)
    t = tally(c.after, a) if a.operation is Operation.AUTHORIZE else Tally()
    return {
        "bucket": bucket, "payment_id": payment_id, "id": hex_of(a.id), "state": a.state, "closed": a.closed,
        "closed_at": iso(a.concluded_at) if a.closed else None, "approved_minor": a.approved_minor,
        "authorized_minor": t.authorized, "captured_minor": t.captured, "voided_minor": t.voided,
        "refunded_minor": t.refunded, "held_minor": t.held, "held_refund_minor": t.held_refund,
        "psp_reference": a.psp_reference, "network_transaction_id": a.network_transaction_id,
        "psp_token": a.psp_token, "checks": a.checks, "decline": a.decline, "raw_code": a.raw_code,
        "raw_message": a.raw_message, "network_code": a.network_code, "advice_code": a.advice_code,
        "reason": a.reason, "action": a.action, "return_token": a.return_token,
        "expires_at": iso(a.expires_at * 1_000_000) if a.expires_at else None, "sent_at": iso(a.sent_at),
        "concluded_at": iso(a.concluded_at), "ask_at": iso(c.ask_at.get(a.id)), "same": a in c.before.attempts,
        "request": request_row(c.requests[a.id]) if a.id in c.requests else None,
    }  # fmt: skip


def request_row(request: Request) -> dict[str, Any]:
    return {
        "method": request.method, "path": request.path, "body": request.body.decode(),
        "content_type": request.content_type, "idempotency_key": request.idempotency_key,
    }  # fmt: skip


async def open_break(
    db: Any,
    kind: str,
    natural_key: str,
    detail: dict[str, Any],
    *,
    payment: Payment | None = None,
    attempt: str | None = None,
    connector_account: str | None = None,
) -> None:
    """Keeps a contradiction for an operator; the same one told twice is one break."""
    bucket = bucket_in(payment.id) if payment else 0
    await run(
        db,
        Q["open_break"],
        bucket,
        hex_of(new_id("brk", bucket)),
        kind,
        uuid_of(payment.merchant) if payment else None,
        uuid_of(payment.id) if payment else None,
        uuid_of(attempt),
        uuid_of(connector_account),
        encoded(detail),
        natural_key[:500],
    )


# --- reading --------------------------------------------------------------------------------


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
    approved_minor: int | None
    closed: Closed | None
    caller_reference: str | None
    psp_reference: str | None
    network_transaction_id: str | None
    psp_token: str | None
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


ROWS = msgspec.json.Decoder(list[AttemptRow])


async def read(db: Any, payment_id: str) -> Payment | None:
    """A payment with its attempts, whoever it belongs to."""
    row = await run(db, Q["payment"], *key_of(payment_id))
    return None if row is None else payment_of(row)


async def lock(connection: Any, payment_id: str) -> Payment | None:
    """The same, and nobody else can change it until the transaction ends."""
    if await run(connection, Q["lock"], *key_of(payment_id)) is None:
        return None
    return await read(connection, payment_id)


def payment_of(row: Any) -> Payment:
    """A row of `payment` (its attempts as JSON text in `tries`) as a struct."""
    attempts = tuple(attempt_of(a) for a in ROWS.decode(row["tries"])) if row["tries"] else ()
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
        created_at=microseconds(row["created_at"]) or 0,
        deadline_at=microseconds(row["deadline_at"]) or 0,
    )


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
        approved_minor=r.approved_minor,
        closed=r.closed,
        reference=r.reference,
        caller_reference=r.caller_reference,
        psp_reference=r.psp_reference,
        network_transaction_id=r.network_transaction_id,
        psp_token=r.psp_token,
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
    )


async def request_of(db: Any, payment_id: str, attempt_id: str) -> Request:
    """The bytes that were recorded for an attempt."""
    row = await run(db, Q["request_of"], *key_of(payment_id), hex_of(attempt_id))
    r = msgspec.json.decode(row["request"])
    return Request(r["method"], r["path"], r["body"].encode(), r["content_type"], r["idempotency_key"])


class KeyRow(Struct, frozen=True):
    fingerprint: bytes
    payment: str
    attempt: str | None
    deadline_at: int  # Unix microseconds


async def read_key(db: Any, bucket: int, caller: str, key: str) -> KeyRow | None:
    row = await run(db, Q["key"], bucket, hex_of(caller), key)
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
        guard.key,
        guard.fingerprint,
        hex_of(payment_id),
        hex_of(attempt_id),
        moment(deadline_at),
    )
    return row is not None


async def payment_of_reference(db: Any, bucket: int, merchant: str, caller: str, reference: str) -> str | None:
    row = await run(db, Q["payment_of_reference"], bucket, hex_of(merchant), hex_of(caller), reference)
    return None if row is None else public("pay", row["payment_id"])


async def attempt_of_caller_reference(db: Any, payment_id: str, operation: Operation, reference: str) -> str | None:
    row = await run(db, Q["attempt_of_caller_reference"], *key_of(payment_id), operation, reference)
    return None if row is None else public("att", row["id"])


async def attempts_at_psp(db: Database, account_id: str, psp_reference: str) -> list[tuple[str, str, str]]:
    """(payment, attempt, operation) of the attempts that carry a PSP's reference."""
    rows = await run(db, Q["attempts_at_psp"], hex_of(account_id), psp_reference)
    return [(public("pay", r["payment_id"]) or "", public("att", r["id"]) or "", r["operation"]) for r in rows]
