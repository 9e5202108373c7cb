"""Changes of payments as rows: one statement records, one saves. No rules here; the SQL is in payments.sql."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Raw, Struct, structs

from scrooge.connectors.connector import Request
from scrooge.domain.attempt import Attempt, Operation, State
from scrooge.domain.payment import Payment, Tally, raised, status_of, tally
from scrooge.ids import bucket_in, new_id, new_number
from scrooge.ledger.postings import Journal
from scrooge.postgres.database import load, run
from scrooge.postgres.rows import at_moment, encoded, hex_of, key_of, public, uuid_of
from scrooge.storage import low_value, mandates
from scrooge.storage.retries import count_steps, step_rows
from scrooge.storage.scheme_limits import Refused, end_rows, never_made, wanted_rows

Q = load(Path(__file__).with_name("payments.sql"))


class Announcement(Struct, frozen=True):
    """An event to be written with the change that made it true; of an attempt, or of the payment itself."""

    attempt: str | None
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
    routed: dict[str, Raw] = {}  # by attempt: why it goes where it goes, as JSON


class Guard(Struct, frozen=True):
    """The idempotency key that creating a payment uses up."""

    bucket: int
    key: str
    fingerprint: bytes
    livemode: bool = False


class Ended(NamedTuple):
    """A payment that ends before any PSP is asked, and where it could not go."""

    payment: Payment
    guard: Guard
    event: Announcement | None  # none: it is the whole of its parts, which tell theirs
    routed: Raw | None


# A payment, its key, its first request, when to ask about that (Unix microseconds), how it was routed, and an event.
Recorded = tuple[Payment, Guard, Request, int] | tuple[Payment, Guard, Request, int, Raw]
Made = Recorded | tuple[Payment, Guard, Request, int, Raw, Announcement | None] | Ended


async def create(db: Any, made: Sequence[Made]) -> set[str]:
    """Records payments with their first attempts, or with why they have none.

    Returns the ids that were made; the others met a taken key or reference. Raises ReattemptRefused, when any is.
    """
    return whole(await create_each(db, made))


async def create_each(db: Any, made: Sequence[Made]) -> dict[str, Refused | None]:
    """The same for payments that know nothing of each other: what became of each, of one that is absent nothing."""
    payments, attempts, decisions, wanted, unmade, events = [], [], [], [], [], []
    for one in made:
        if isinstance(one, Ended):
            p = one.payment
            payments.append(payment_row(p, one.guard))
            decisions += [decision_row(None, p.id, one.routed)] if one.routed is not None else []
            events += [event_row(p, one.event, p.version)] if one.event is not None else []
            continue
        p, guard, request, ask_at, *routed = one
        [attempt] = p.attempts
        payments.append(payment_row(p, guard))
        attempts.append(new_attempt_row(p, attempt, request, ask_at))
        for more in routed:
            if isinstance(more, Announcement):
                events.append(event_row(p, more, p.version))
            elif more is not None:
                decisions.append(decision_row(attempt.id, p.id, more))
        wanted += [*wanted_rows(p, attempt), *low_value.counted(p, attempt), *mandates.wanted_rows(p, attempt)]
        unmade += never_made(p, attempt)
    return told(await run(db, Q["create"], *map(encoded, (payments, attempts, decisions, wanted, unmade, events))))


def told(rows: Any) -> dict[str, Refused | None]:
    return {public("pay", r["id"]) or "": Refused(r["rule"], r["until"]) if r["rule"] else None for r in rows}


def whole(found: dict[str, Refused | None]) -> set[str]:
    for refused in found.values():
        if refused is not None:
            raise refused.problem()
    return set(found)


async def save(db: Any, changes: list[Change]) -> set[str]:
    """Writes changes. Returns the ids written; one that is absent was changed by somebody else meanwhile.

    Raises ReattemptRefused when the schemes refuse a new attempt; in the caller's transaction, which is to end.
    """
    return whole(await save_each(db, changes))


async def save_each(db: Any, changes: list[Change]) -> dict[str, Refused | None]:
    """The same for changes that know nothing of each other: what is refused leaves nothing, and the others are kept."""
    payments, moved, added, journals, postings, events, decisions, steps = [], [], [], [], [], [], [], []
    wanted: list[dict[str, Any]] = []
    ended: list[dict[str, Any]] = []
    revoked: list[dict[str, Any]] = []
    for c in changes:
        bucket, payment_id = key_of(c.after.id)
        payments.append(touched_row(c))
        known = {a.id: a for a in c.before.attempts}
        for a in c.after.attempts:
            if a.id not in known:
                added.append(added_row(c, a))
                wanted += [*wanted_rows(c.after, a), *low_value.counted(c.after, a), *mandates.wanted_rows(c.after, a)]
            elif differs(c, known[a.id], a):
                moved.append(moved_row(c, a))
                ended += [*end_rows(c.after, known[a.id], a), *low_value.authenticated(c.after, known[a.id], a)]
        decisions += [decision_row(attempt, c.after.id, decision) for attempt, decision in c.routed.items()]
        steps += step_rows(c.before, c.after)
        revoked += mandates.withdrawn_rows(c.before, c.after)
        place = {"bucket": bucket, "payment_id": payment_id}
        owned = {**place, "merchant_id": uuid_of(c.after.merchant), "livemode": c.after.livemode}
        for journal in c.journals:
            journal_id = f"{new_number(bucket):032x}"
            journals.append(
                {**place, "id": journal_id, "attempt_id": hex_of(journal.attempt), "effect": journal.effect,
                 "seq": journal.seq, "tariffs_id": uuid_of(journal.tariffs or None)}
            )  # fmt: skip
            for line, p in enumerate(journal.postings, start=1):
                postings.append(
                    {**owned, "journal_id": journal_id, "line": line, "account": p.account, "minor": p.minor,
                     "currency": p.currency}
                )  # fmt: skip
        events += in_order([event_row(c.after, e, c.before.version + 1) for e in c.events])
    arguments = (payments, moved, added, journals, postings, events, decisions, wanted, ended, steps, revoked)
    found = told(await run(db, Q["save"], *map(encoded, arguments)))
    count_steps(changes, found)
    return found


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events of one change are shown in the order of their ids, which are of one moment: so that of their list."""
    return [{**row, "id": number} for row, number in zip(rows, sorted(row["id"] for row in rows), strict=True)]


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
        "livemode": p.livemode, "status": status_of(p), "deadline_at": at_moment(p.deadline_at),
        "accounts": [uuid_of(a) for a in p.accounts], "customer": p.customer,
        "instrument_id": uuid_of(p.instrument), "initiator": p.initiator, "purpose": p.purpose,
        "return_url": p.return_url, "statement_descriptor": p.statement_descriptor, "metadata": p.metadata,
        "save_for": p.save_for, "created_at": at_moment(p.created_at), "key_bucket": guard.bucket, "key": guard.key,
        "fingerprint": guard.fingerprint.hex(), "answered": p.answered, "failure": p.failure,
        "retry_until": at_moment(p.retry_until), "pinned_account_id": uuid_of(p.pinned), "incremental": p.incremental,
        "save_terms": p.save_terms, "mandate_id": uuid_of(p.mandate), "mandate_use": p.mandate_use,
        "part_of": uuid_of(p.part_of), "tenders": p.tenders or None,
    }  # fmt: skip


def decision_row(attempt: str | None, payment: str, decision: Raw) -> dict[str, Any]:
    """Under the payment's own number, where no attempt came of it."""
    bucket, payment_id = key_of(payment)
    return {"bucket": bucket, "payment_id": payment_id, "attempt_id": hex_of(attempt or payment), "decision": decision}


def event_row(p: Payment, e: Announcement, version: int) -> dict[str, Any]:
    """Under the payment's own number, where it is of no attempt."""
    bucket, payment_id = key_of(p.id)
    return {
        "bucket": bucket, "payment_id": payment_id, "merchant_id": uuid_of(p.merchant), "livemode": p.livemode,
        "id": f"{new_number(bucket):032x}", "attempt_id": hex_of(e.attempt or p.id), "type": e.type,
        "object_version": version, "content": e.content,
    }  # fmt: skip


def touched_row(c: Change) -> dict[str, Any]:
    bucket, payment_id = key_of(c.after.id)
    return {
        "bucket": bucket, "id": payment_id, "status": status_of(c.after), "version": c.before.version,
        "answered": c.after.answered, "accounts": [uuid_of(a) for a in c.after.accounts],
        "deadline_at": at_moment(c.after.deadline_at), "instrument_id": uuid_of(c.after.instrument),
    }  # fmt: skip


def new_attempt_row(p: Payment, a: Attempt, request: Request, ask_at: int) -> dict[str, Any]:
    bucket, payment_id = key_of(p.id)
    return {
        "bucket": bucket, "payment_id": payment_id, "id": hex_of(a.id), "number": a.number,
        "operation": a.operation, "parent_id": uuid_of(a.parent),
        "connector_account_id": uuid_of(a.connector_account), "minor": a.minor, "currency": p.currency,
        "sale": a.sale, "final": a.final, "state": a.state, "reference": a.reference,
        "caller_reference": a.caller_reference, "return_token": a.return_token,
        "request": request_row(request), "sent_at": at_moment(a.sent_at), "teaches": uuid_of(a.teaches),
        "ask_in": seconds_until(ask_at), "counted": a.counted, "fees": a.fees, "followed": a.followed,
        "authentication": a.authentication, "total_minor": a.total,
    }  # fmt: skip


def added_row(c: Change, a: Attempt) -> dict[str, Any]:
    """Most have only been sent; a second success at the PSP comes with all that is known of it."""
    row = new_attempt_row(c.after, a, c.requests[a.id], c.ask_at[a.id])
    if a.state is State.SENT:
        return row
    return row | {
        "closed": a.closed, "approved_minor": a.approved_minor, "psp_reference": a.psp_reference, "reason": a.reason,
        "concluded_at": at_moment(a.concluded_at),
    }  # fmt: skip


def moved_row(c: Change, a: Attempt) -> dict[str, Any]:
    bucket, payment_id = key_of(c.after.id)
    t = tally(c.after, a) if a.operation is Operation.AUTHORIZE else Tally()
    return {
        "bucket": bucket, "payment_id": payment_id, "id": hex_of(a.id), "state": a.state, "closed": a.closed,
        "approved_minor": a.approved_minor, "total_minor": a.total or raised(c.after, a),
        "authorized_minor": t.authorized, "captured_minor": t.captured, "voided_minor": t.voided,
        "refunded_minor": t.refunded, "held_minor": t.held, "held_refund_minor": t.held_refund,
        "psp_reference": a.psp_reference, "network_transaction_id": a.network_transaction_id,
        "psp_token": a.psp_token, "psp_customer": a.psp_customer, "checks": a.checks,
        "decline": a.decline, "raw_code": a.raw_code,
        "raw_message": a.raw_message, "network_code": a.network_code, "advice_code": a.advice_code,
        "reason": a.reason, "action": a.action, "return_token": a.return_token,
        "expires_at": at_moment(a.expires_at * 1_000_000) if a.expires_at else None,
        "sent_at": at_moment(a.sent_at),
        "concluded_at": at_moment(a.concluded_at), "ask_in": seconds_until(c.ask_at.get(a.id)), "followed": a.followed,
        "fees": a.fees,
        "same": a in c.before.attempts and a.id not in c.ask_at,
        "request": request_row(c.requests[a.id]) if a.id in c.requests else None,
    }  # fmt: skip


def seconds_until(at: int | None) -> float | None:
    """For a moment of this process's clock: how long from now, to be counted by the database's."""
    return None if at is None else max(0.0, (at - time.time_ns() // 1000) / 1_000_000)


def request_row(request: Request) -> dict[str, Any]:
    row = {
        "method": request.method, "path": request.path, "body": request.body.decode(),
        "content_type": request.content_type, "idempotency_key": request.idempotency_key,
    }  # fmt: skip
    filled = {"fill": request.fill, "token": request.token}
    return row | {name: structs.asdict(what) for name, what in filled.items() if what is not None}


async def open_break(
    db: Any, kind: str, natural_key: str, detail: dict[str, Any], *, payment: Payment | None = None,
    attempt: str | None = None, connector_account: str | None = None, merchant: str | None = None,
    livemode: bool | None = None,
) -> None:  # fmt: skip
    """Keeps a contradiction for an operator; the same one told twice is one break.

    What is about a payment is its merchant's and of its mode; else they are said, or are the connector account's.
    """
    bucket = bucket_in(payment.id) if payment else 0
    await run(
        db, Q["open_break"], bucket, hex_of(new_id("brk", bucket)), kind,
        uuid_of(payment.merchant if payment else merchant), uuid_of(payment.id) if payment else None, uuid_of(attempt),
        uuid_of(connector_account), encoded(detail), natural_key[:500], payment.livemode if payment else livemode,
    )  # fmt: skip
