"""The steps of flows/perform.py as generators over the store and the wire of the simulation: ask, apply.

`yield seconds` is where other tasks may come in between; everything between two of them is one commit.
"""

from collections.abc import Callable
from typing import Any

from msgspec import structs

from scrooge.connectors.connector import Command, Endpoint, Request
from scrooge.connectors.send import read
from scrooge.crash import ON_ITS_WAY
from scrooge.domain.attempt import Attempt, Operation, State
from scrooge.domain.late import breaks_of
from scrooge.domain.news import hear
from scrooge.domain.outcome import ActionRequired, Outcome, Rejected, Unknown
from scrooge.domain.payment import Payment
from scrooge.errors import ContradictoryOutcome
from scrooge.flows.announce import announcement
from scrooge.flows.perform import EXPIRY_MARGIN, GRACE
from scrooge.ledger.postings import journal
from tests.simulation.clock import SECOND, Steps
from tests.simulation.store import Change, Lease

TIMEOUT = 5  # psp_timeout_seconds
CHALLENGE_SECONDS = 600


def account_of(w: Any, a: Attempt) -> Any:
    return w.accounts[a.connector_account]


def command_of(w: Any, p: Payment, a: Attempt, **more: object) -> Command:
    parent = p.attempt(a.parent) if a.parent else None
    command = Command(
        operation=a.operation, amount=p.money(a.total or a.minor), reference=a.reference, payment=p.id,
        merchant_account=account_of(w, a).merchant_account, sale=a.sale, final=a.final, psp_reference=a.psp_reference,
        parent_psp_reference=parent.psp_reference if parent else None, customer=p.customer, initiator=p.initiator,
        increase=p.money(a.minor) if a.total else None, incremental=p.incremental,
    )  # fmt: skip
    return structs.replace(command, **more) if more else command


# --- ask ---


def ask(w: Any, p: Payment, attempt_id: str, endpoint: Endpoint, request: Request, first: bool) -> Steps:
    a = p.attempt(attempt_id)
    yield w.pause()
    left = float(TIMEOUT)
    if first:
        left -= (w.now - a.sent_at) / SECOND
        if left <= 0:
            return Unknown("it was too late to send")
    w.reach("send.before")
    w.reach("send.written", ON_ITS_WAY)
    outcome = yield from send(w, p, a, endpoint, request, first, left)
    w.reach("send.after")
    if isinstance(outcome, Unknown) and outcome.refused and a.action is not None:
        return ActionRequired(a.action)
    return outcome


def send(w: Any, p: Payment, a: Attempt, endpoint: Endpoint, request: Request, first: bool, left: float) -> Steps:
    """connectors/send.py: transport doubt is concluded here, replies are read by the real connectors."""
    account = account_of(w, a)
    kind, reply = yield from w.wire(account.psp, request, left)
    if kind == "not sent":
        return Rejected("not sent: could not connect") if first else Unknown("not sent: could not connect")
    if kind == "lost":
        return Unknown("no answer in time")
    return read(
        account.psp.connector, endpoint, command_of(w, p, a), reply.status, reply.headers, reply.body, first
    )[0]  # fmt: skip


# --- apply ---


def apply(
    w: Any, known: Payment, attempt_id: str, outcome: Outcome, answered: bool = False, first: bool = False,
    lease: Lease | None = None,
) -> Steps:  # fmt: skip
    alone = isinstance(outcome, Rejected) and (first or lease is not None)
    if isinstance(outcome, Unknown) and outcome.differs:
        w.store.open_break("amount_differs", f"amount_differs:{attempt_id}", attempt_id, outcome.reason)
    try:
        if not alone:
            after = heard(w, known, attempt_id, outcome, answered)
            if after == known:
                return known
            yield w.pause()
            w.reach("apply.before")
            # What opens a break is written with it, under the lock.
            if not breaks_of(known, after) and (yield from grouped(w, lambda: w.save(known, after))):
                w.reach("apply.after")
                return structs.replace(after, version=known.version + 1)
        yield w.pause()
        return apply_locked(w, known.id, attempt_id, outcome, answered, alone, lease)
    except ContradictoryOutcome as error:
        kind = type(outcome).__name__.lower()
        yield w.pause()
        w.store.open_break(
            "contradictory_outcome", f"{attempt_id}:{kind}:{outcome.psp_reference}", attempt_id, error.detail
        )
        raise


def grouped(w: Any, commit: Callable[[], bool]) -> Steps:
    """storage/writer.py: the commit is another task's, and whoever waits for it hears of it later."""
    yield w.pause()
    w.reach("commit.before")
    written = commit()
    w.reach("commit.after")
    yield w.pause()
    return written


def apply_locked(
    w: Any, payment_id: str, attempt_id: str, outcome: Outcome, answered: bool, alone: bool, lease: Lease | None
) -> Payment:
    current = w.store.read(payment_id)
    attempt = current.attempt(attempt_id)
    never_claimed = attempt.state is State.SENT and attempt.asks == 0
    if alone and not (never_claimed if lease is None else w.store.lease_held(lease, w.now)):
        outcome, answered = Unknown("not processed as we asked, but it was asked again"), True
    after = heard(w, current, attempt_id, outcome, answered)
    if after == current:
        return current
    w.reach("apply.before")
    kept = keep(w, current, after)
    w.reach("apply.after")
    return kept


def keep(w: Any, current: Payment, after: Payment, requests: dict[str, Request] | None = None) -> Payment:
    """Under the lock: a second success comes with the bytes of the first, and the breaks with what opens them."""
    known = {a.id for a in current.attempts} | set(requests or {})
    twins = {a.id: w.store.rows[a.parent].request for a in after.attempts if a.id not in known}
    w.must_save(current, after, {**(requests or {}), **twins})
    for kind, a in breaks_of(current, after):
        w.count(kind)
        w.store.open_break(kind, f"{kind}:{a.id}:{a.psp_reference}", a.id, a.reason or "")
    return structs.replace(after, version=current.version + 1)


def heard(w: Any, p: Payment, attempt_id: str, outcome: Outcome, answered: bool) -> Payment:
    after = hear(p, attempt_id, outcome, w.now, w.policy)
    return structs.replace(after, answered=True) if answered and not after.answered else after


def apply_or_unknown(w: Any, p: Payment, attempt_id: str, outcome: Outcome, answered: bool, first: bool) -> Steps:
    try:
        return (yield from apply(w, p, attempt_id, outcome, answered, first))
    except ContradictoryOutcome:
        return w.store.read(p.id)


# --- what a change brings with it ---


def change_of(w: Any, before: Payment, after: Payment, requests: dict[str, Request] | None = None) -> Change:
    journals, events, ask_at = [], [], {}
    known = {a.id: a for a in before.attempts}
    for a in after.attempts:
        old = known.get(a.id)
        if a == old:
            continue
        posted = journal(before, after, a.id, {"psp": account_of(w, a).name, "caller": "checkout"})
        if posted is not None:
            journals.append(posted)
        event = announcement(after, old, a, account_of(w, a).name)
        if event is not None:
            events.append(event)
        when = time_to_ask(w, a)
        if when is not None:
            ask_at[a.id] = when
    return Change(before, after, journals, events, requests or {}, ask_at)


def time_to_ask(w: Any, a: Attempt) -> int | None:
    recovery = account_of(w, a).psp.connector.recovery
    match a.state:
        case State.SENT:
            return a.sent_at + TIMEOUT * SECOND + GRACE
        case State.UNKNOWN:
            return int(w.now + recovery.ask_after * SECOND)
        case State.PENDING:
            return int(w.now + recovery.pending_after * SECOND)
        case State.REVERSING:
            return int(w.now)
        case State.ACTION_REQUIRED:
            return int(w.now + CHALLENGE_SECONDS * SECOND)
        case State.APPROVED if a.operation is Operation.AUTHORIZE and not a.sale and a.closed is None:
            return a.expires_at * SECOND + EXPIRY_MARGIN if a.expires_at else None
        case _:
            return None
