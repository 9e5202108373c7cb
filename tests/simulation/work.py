"""The flows of the worker and of the notifications' door, as generators: resolve, accept, apply what was kept."""

from typing import Any

from msgspec import structs

from scrooge.connectors.connector import Notification, render
from scrooge.domain.attempt import LIVE, Attempt, State
from scrooge.domain.late import giving_back
from scrooge.domain.outcome import Outcome, Rejected, Unknown
from scrooge.domain.payment import Payment, standing
from scrooge.errors import ContradictoryOutcome
from scrooge.flows.receive import PARK_TRIES, of_verification, pick, told
from scrooge.flows.resolve import LEASE_MARGIN, REPLAYS, TEST_HORIZON
from scrooge.workers.ask import TEST_MOST
from tests.simulation.clock import SECOND, Steps
from tests.simulation.perform import (
    CHALLENGE_SECONDS,
    TIMEOUT,
    account_of,
    apply,
    apply_or_unknown,
    ask,
    command_of,
    keep,
)
from tests.simulation.steps import abandon
from tests.simulation.store import Lease, Unread

LEASE = (TIMEOUT + LEASE_MARGIN) * SECOND


class LeaseLost(Exception):
    """Somebody else may ask by now."""


def turn(w: Any, worker: str) -> None:
    """One turn of a worker: claims what is due, and works on each by itself."""

    def spacing(a: Attempt) -> tuple[float, float]:
        recovery = account_of(w, a).psp.connector.recovery
        lost = a.state in {State.SENT, State.UNKNOWN, State.ACTION_REQUIRED}
        most = recovery.ask_most if lost else recovery.pending_most
        return recovery.ask_every, most if w.livemode else min(most, TEST_MOST)

    for lease in w.store.claim_attempts(w.now, LEASE, spacing):
        w.count("questions")
        w.spawn(worker, resolve(w, lease))
    for row in w.store.claim_inbox(w.now):
        w.spawn(worker, apply_one(w, row))


# --- resolve ---


def resolve(w: Any, lease: Lease) -> Steps:
    yield w.pause()
    w.reach("resolve.claimed")
    try:
        yield from resolved(w, lease)
    except LeaseLost:
        w.count("leases lost")
    yield w.pause()
    w.store.end_lease(lease)
    w.wake_worker()


def resolved(w: Any, lease: Lease) -> Steps:
    p, attempt_id = w.store.read(lease.payment), lease.attempt
    attempt = p.attempt(attempt_id)
    if attempt.state not in LIVE:
        return
    if attempt.state is State.APPROVED and (attempt.closed is not None or standing(p).uncaptured == 0):
        w.store.rows[attempt_id].ask_at = None
        return
    try:
        if attempt.state is State.ACTION_REQUIRED:
            if w.now > attempt.sent_at + CHALLENGE_SECONDS * SECOND:
                still_ours(w, lease)
                yield from abandon(w, p, attempt_id)
            return
        if attempt.state is State.REVERSING:
            yield from give_back(w, p, attempt, lease)
            return
        outcome = yield from question(w, p, attempt, lease)
        if outcome is not None:
            yield from apply(w, p, attempt_id, outcome, lease=lease)
            w.reach("resolve.applied")
    except ContradictoryOutcome:
        return


def give_back(w: Any, p: Payment, unwanted: Attempt, lease: Lease) -> Steps:
    """flows/reverse.py: an attempt of its own, recorded under the lock, asked and applied like any other."""
    attempt_id = w.new_id("att")
    yield w.pause()
    current = w.store.read(p.id)
    if not w.store.lease_held(lease, w.now):
        return
    after = giving_back(current, current.attempt(unwanted.id), w.now, id=attempt_id)
    if after is None:
        return
    back = after.attempts[-1]
    connector = account_of(w, back).psp.connector
    request = render(connector, command_of(w, after, back))
    w.reach("reverse.before")
    after = keep(w, current, after, {back.id: request})
    w.count("given back")
    w.reach("reverse.after")
    outcome = yield from ask(w, after, back.id, connector.endpoints[back.operation], request, True)
    yield from apply_or_unknown(w, after, back.id, outcome, False, True)


def still_ours(w: Any, lease: Lease) -> None:
    if not w.store.renew_lease(lease, w.now, LEASE):
        raise LeaseLost


def question(w: Any, p: Payment, attempt: Attempt, lease: Lease) -> Steps:
    connector = account_of(w, attempt).psp.connector
    row = w.store.rows[attempt.id]
    request, age = row.request, (w.now - row.recorded_at) / SECOND
    inquiry = connector.inquiries.get(attempt.operation)
    replayed: Outcome | None = None
    if attempt.state in {State.SENT, State.UNKNOWN} and age < connector.recovery.replay_for:
        endpoint = connector.continuation if attempt.action is not None else connector.endpoints[attempt.operation]
        w.count("replays")
        still_ours(w, lease)
        replayed = yield from ask(w, p, attempt.id, endpoint, request, False)
        if not isinstance(replayed, Unknown) or not (replayed.stored or attempt.asks >= REPLAYS):
            return replayed
    if inquiry is None:
        return replayed
    w.count("inquiries")
    still_ours(w, lease)
    built = inquiry.build(command_of(w, p, attempt))
    found = yield from ask(w, p, attempt.id, inquiry, built, False)
    burnt = isinstance(replayed, Unknown) and replayed.stored
    if isinstance(found, Unknown) and found.absent and burnt:
        row.stored_at = row.stored_at or w.now
        if (w.now - row.stored_at) / SECOND > horizon(p, connector):
            return Rejected("the PSP failed, and has no trace of it")
    return found if not isinstance(found, Unknown) or found.psp_reference else replayed


def horizon(p: Payment, connector: Any) -> float:
    seen_after: float = connector.recovery.horizon
    return seen_after if p.livemode else min(seen_after, TEST_HORIZON)


# --- notifications ---


def accept(w: Any, account: Any, raw: bytes, headers: dict[str, str]) -> Steps:
    """Verify, store, answer: the HTTP status."""
    connector = account.psp.connector
    if not connector.verify(raw, headers, account.credentials, w.now // SECOND):
        w.count("refused notifications")
        return 401
    items = [
        n if n.merchant_account in {None, account.merchant_account} else structs.replace(n, outcome=None)
        for n in connector.notifications(raw)
    ]
    yield w.pause()
    w.reach("inbox.before")
    w.store.keep(account.id, items, w.now)
    w.wake_worker()
    w.reach("inbox.after")
    return connector.accepted[0]


def apply_one(w: Any, row: Unread) -> Steps:
    yield w.pause()
    w.reach("receive.claimed")
    n = row.notification
    found = match(w, row.account, n)
    if found is None:
        if row.tries >= PARK_TRIES:
            w.store.open_break("orphan_notification", f"{row.account}:{n.event_id}", None, n.kind)
            row.state = "unhandled"
        return
    p, attempt, outcome = found
    state = "applied"
    if isinstance(outcome, Unknown):
        state = "contradicted"
        w.store.open_break("amount_differs", f"amount_differs:{attempt.id}", attempt.id, outcome.reason)
    elif outcome is not None:
        try:
            yield from apply(w, p, attempt.id, outcome)
        except ContradictoryOutcome:
            state = "contradicted"
    yield w.pause()
    w.reach("receive.applied")
    row.state = state
    w.count(f"notifications {state}")


def match(w: Any, account_id: str, n: Notification) -> tuple[Payment, Attempt, Outcome | None] | None:
    account = w.accounts[account_id]
    names = {n.psp_reference, n.parent_psp_reference} - {None}
    for p in list(w.store.payments.values()):
        if n.reference:
            meant = n.reference.startswith(f"{p.id}-")
        else:
            meant = any(a.psp_reference in names for a in p.attempts if a.connector_account == account_id)
        if not meant:
            continue
        attempts = [a for a in p.attempts if a.connector_account == account_id]
        news = of_verification(attempts, n)
        attempt = pick(attempts, news)
        if attempt is not None:
            return p, attempt, told(p, attempt, account, news)
    return None
