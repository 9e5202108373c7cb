"""What storage promises, and no more: compare-and-set by version, unique keys, references and live authorizations,
room, journals written once. A promise that is asked to be broken is a violation: the domain must refuse first.
"""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct, structs

from scrooge.connectors.connector import Notification, Request
from scrooge.domain.attempt import LIVE, OPEN, Attempt, Operation, State
from scrooge.domain.payment import Payment, tally
from scrooge.ledger.postings import Journal
from scrooge.storage.changes import Announcement


class Violation(AssertionError):
    """A promise was broken."""


class Row(Struct):
    """What is kept with an attempt and is not the domain's."""

    request: Request
    recorded_at: int
    ask_at: int | None
    leased_until: int = 0
    stored_at: int = 0


class Lease(Struct, frozen=True):
    payment: str
    attempt: str
    epoch: int


class KeyRow(Struct):
    fingerprint: str
    payment: str
    attempt: str | None
    deadline_at: int


class Unread(Struct):
    account: str
    notification: Notification
    tries: int = 0
    due_at: int = 0
    state: str = "unread"
    note: str | None = None


class Event(Struct):
    payment: str
    attempt: str
    type: str
    version: int
    content: dict[str, Any]


class Change(Struct):
    before: Payment
    after: Payment
    journals: list[Journal]
    events: list[Announcement]
    requests: dict[str, Request]
    ask_at: dict[str, int]


class Store:
    def __init__(self) -> None:
        self.payments: dict[str, Payment] = {}
        self.rows: dict[str, Row] = {}
        self.keys: dict[str, KeyRow] = {}
        self.references: dict[str, str] = {}
        self.inbox: dict[tuple[str, str], Unread] = {}
        self.journals: dict[tuple[str, str], Journal] = {}
        self.events: list[Event] = []
        self.breaks: dict[str, dict[str, Any]] = {}

    # --- statements: each is one commit ---

    def read(self, payment_id: str) -> Payment:
        return self.payments[payment_id]

    def create(self, p: Payment, key: str, fingerprint: str, request: Request, ask_at: int) -> bool:
        """False: the key or the reference is taken."""
        if p.reference in self.references or key in self.keys:
            return False
        self.keys[key] = KeyRow(fingerprint, p.id, None, p.deadline_at)
        self.references[p.reference] = p.id
        self.payments[p.id] = p
        [attempt] = p.attempts
        self.rows[attempt.id] = Row(request, attempt.sent_at, ask_at)
        return True

    def claim_key(self, key: str, fingerprint: str, payment: str, attempt: str, deadline_at: int) -> bool:
        if key in self.keys:
            return False
        self.keys[key] = KeyRow(fingerprint, payment, attempt, deadline_at)
        return True

    def save(self, change: Change, now: int) -> bool:
        """Everything of a change or nothing: the version it was decided on must be the current one."""
        before, after = change.before, change.after
        current = self.payments[after.id]
        if current.version != before.version:
            return False
        known = {a.id: a for a in current.attempts}
        attempts = tuple(structs.replace(a, asks=known[a.id].asks) if a.id in known else a for a in after.attempts)
        after = structs.replace(after, version=current.version + 1, attempts=attempts)
        for a in attempts:
            self.keep_row(change, known.get(a.id), a, now)
        check_constraints(after, self.rows)
        for journal in change.journals:
            self.post(journal)
        for e in change.events:
            self.events.append(Event(after.id, e.attempt, e.type, after.version, e.content))
        self.payments[after.id] = after
        return True

    def keep_row(self, change: Change, old: Attempt | None, a: Attempt, now: int) -> None:
        request = change.requests.get(a.id)
        if old is None:
            if request is None or a.id not in change.ask_at:
                raise Violation(f"{a.reference} was recorded without its request or its time to ask")
            self.rows[a.id] = Row(request, now, change.ask_at[a.id])
            return
        row = self.rows[a.id]
        if request is not None:
            row.request, row.recorded_at = request, now
        decided = next(b for b in change.before.attempts if b.id == a.id)
        if structs.replace(decided, asks=a.asks) != a:
            row.ask_at = change.ask_at.get(a.id)

    def post(self, journal: Journal) -> None:
        totals: dict[str, int] = {}
        for p in journal.postings:
            totals[p.currency] = totals.get(p.currency, 0) + p.minor
        if any(totals.values()) or not journal.postings:
            raise Violation(f"journal {journal.effect} of {journal.attempt} does not balance: {totals}")
        if (journal.attempt, journal.effect) in self.journals:
            raise Violation(f"journal {journal.effect} of {journal.attempt} twice")
        self.journals[journal.attempt, journal.effect] = journal

    def open_break(self, kind: str, natural_key: str, attempt: str | None, why: str) -> None:
        self.breaks.setdefault(natural_key, {"kind": kind, "attempt": attempt, "why": why})

    # --- work ---

    def claim_attempts(self, now: int, lease: int, spacing: Callable[[Attempt], tuple[float, float]]) -> list[Lease]:
        """Attempts whose time has come; the next question moves out before this one leaves."""
        found = []
        for p in list(self.payments.values()):
            for a in p.attempts:
                row = self.rows[a.id]
                if row.ask_at is not None and row.ask_at <= now and row.leased_until <= now:
                    first, most = spacing(a)
                    row.ask_at = now + int(min(first * 2 ** min(a.asks, 20), most) * 1_000_000)
                    row.leased_until = now + lease
                    current = self.payments[p.id]
                    self.payments[p.id] = current.replacing(structs.replace(a, asks=a.asks + 1))
                    found.append(Lease(p.id, a.id, a.asks + 1))
        return found

    def lease_held(self, lease: Lease, now: int) -> bool:
        asks = self.payments[lease.payment].attempt(lease.attempt).asks
        return asks == lease.epoch and self.rows[lease.attempt].leased_until > now

    def renew_lease(self, lease: Lease, now: int, seconds: int) -> bool:
        held = self.lease_held(lease, now)
        if held:
            self.rows[lease.attempt].leased_until = now + seconds
        return held

    def end_lease(self, lease: Lease) -> None:
        if self.payments[lease.payment].attempt(lease.attempt).asks == lease.epoch:
            self.rows[lease.attempt].leased_until = 0

    def keep(self, account: str, items: Iterable[Notification], now: int) -> None:
        """Stored once each; kinds we do not handle are kept as such."""
        for n in items:
            state = "unread" if n.outcome is not None else "unhandled"
            self.inbox.setdefault((account, n.event_id), Unread(account, n, 0, now, state))

    def claim_inbox(self, now: int) -> list[Unread]:
        found = [row for row in self.inbox.values() if row.state == "unread" and row.due_at <= now]
        for row in found:
            row.tries += 1
            row.due_at = now + min(2 ** min(row.tries, 12), 3600) * 1_000_000
        return found

    def due(self) -> int | None:
        """When the worker has something to do next."""
        times = [max(row.ask_at, row.leased_until) for row in self.rows.values() if row.ask_at is not None]
        times += [row.due_at for row in self.inbox.values() if row.state == "unread"]
        return min(times, default=None)


def check_constraints(p: Payment, rows: dict[str, Row]) -> None:
    """The CHECKs and unique indexes of 0001_core.sql."""
    alive = [a for a in p.attempts if a.operation is Operation.AUTHORIZE and a.state in LIVE and a.closed is None]
    if len(alive) > 1:
        raise Violation(f"{p.id} has two live authorizations")
    numbers = [a.number for a in p.attempts]
    names = [(a.operation, a.caller_reference) for a in p.attempts if a.caller_reference]
    if len(set(numbers)) < len(numbers) or len(set(names)) < len(names):
        raise Violation(f"{p.id}: an attempt number or a caller's reference is used twice")
    for a in p.attempts:
        if (a.state in OPEN or a.state is State.REVERSING) and rows[a.id].ask_at is None:
            raise Violation(f"{a.reference} is {a.state}, and nobody will ask about it")
        if a.approved_minor is not None and not 0 <= a.approved_minor <= a.minor:
            raise Violation(f"{a.reference} was approved for more than was asked")
        if a.operation is Operation.AUTHORIZE:
            t = tally(p, a)
            if min(t.authorized, t.captured, t.voided, t.refunded, t.held, t.held_refund) < 0:
                raise Violation(f"{a.reference}: an amount below zero: {t}")
            if t.captured + t.voided + t.held > t.authorized or t.refunded + t.held_refund > t.captured:
                raise Violation(f"{a.reference}: more than there is to move: {t}")
