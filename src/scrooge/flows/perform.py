"""The one road every operation travels: record; ask; apply. Nothing else calls a PSP, and all news
about an attempt, wherever it comes from, is applied here.
"""

from typing import Any

import asyncpg
import structlog
from msgspec import Raw, structs

from scrooge.connectors.connector import Endpoint, Request
from scrooge.connectors.limits import Slot
from scrooge.crash import reach
from scrooge.domain.attempt import Attempt, Operation, State
from scrooge.domain.late import Late, breaks_of
from scrooge.domain.news import hear
from scrooge.domain.outcome import ActionRequired, Outcome, Rejected, Unknown
from scrooge.domain.payment import Payment, tally
from scrooge.errors import ContradictoryOutcome, DatabaseUnavailable
from scrooge.flows import breaks
from scrooge.flows.announce import announcement, next_step
from scrooge.flows.ask import SECOND, account_of, ask
from scrooge.flows.fees import with_fees
from scrooge.flows.learning import spared
from scrooge.flows.recovery import recovering
from scrooge.flows.scrooge import Scrooge, now
from scrooge.ledger.fees import fee_journal
from scrooge.ledger.postings import Journal, journal
from scrooge.postgres.database import redone
from scrooge.storage import changes, payments, work
from scrooge.storage.changes import Announcement, Change

log = structlog.get_logger()
GRACE = 2 * SECOND  # between the PSP's deadline and the handler's
# What keeping news may meet; the record stays, and the resolver asks.
NOT_KEPT = (DatabaseUnavailable, asyncpg.PostgresError, OSError, TimeoutError)
EXPIRY_MARGIN = 3600 * SECOND


# --- 3. apply -------------------------------------------------------------------------------


async def apply(
    s: Scrooge,
    known: Payment,
    attempt_id: str,
    outcome: Outcome,
    *,
    answered: bool = False,
    first: bool = False,
    epoch: int | None = None,
) -> Payment:
    """The one door for news: state, postings and event in one commit. Repetition changes nothing.

    Tries with the payment as `known`; when somebody else changed it meanwhile, decides again under its lock.
    `answered` marks the request that made the payment as done; `first`: the news is the answer to the first send,
    which says "not processed" only if nobody else has asked since; `epoch`: it was found under this lease, and says
    so only while that is the latest. Raises ContradictoryOutcome, having opened a break, and DatabaseUnavailable.
    """
    alone = isinstance(outcome, Rejected) and (first or epoch is not None)
    if isinstance(outcome, Unknown) and outcome.differs:
        await breaks.difference(s, known, attempt_id, outcome)
    try:
        if not alone:
            after = heard(s, known, attempt_id, outcome, answered)
            if after == known:
                return known
            reach("apply.before")
            # What opens a break is written with it, under the lock.
            if not breaks_of(known, after) and await s.writer.save(await change_of(s, known, after)):
                reach("apply.after")
                taught(s, known, after, attempt_id, outcome)
                return structs.replace(after, version=known.version + 1)
        return await apply_locked(s, known.id, known.attempt(attempt_id), outcome, answered, alone, epoch)
    except ContradictoryOutcome as error:
        await breaks.contradiction(s, known, attempt_id, outcome, error)
        raise


@redone
async def apply_locked(
    s: Scrooge,
    payment_id: str,
    asked: Attempt,
    outcome: Outcome,
    answered: bool,
    alone: bool,
    epoch: int | None,
) -> Payment:
    async with s.turn(payment_id), s.db.transaction() as connection:
        current = await payments.lock(connection, payment_id)
        assert current is not None, payment_id
        attempt = current.attempt(asked.id)
        if isinstance(outcome, ActionRequired) and attempt.sent_at != asked.sent_at:
            return current  # The payer has been there since, and what was sent then may have moved money.
        if alone and not await nobody_else_asked(connection, current, attempt, epoch):
            outcome, answered = Unknown("not processed as we asked, but it was asked again"), True
        after = heard(s, current, attempt.id, outcome, answered)
        if after == current:
            return current
        reach("apply.before")
        kept = await keep(s, connection, current, after)
    reach("apply.after")
    taught(s, current, kept, attempt.id, outcome)
    return kept


def taught(s: Scrooge, before: Payment, after: Payment, attempt_id: str, outcome: Outcome) -> None:
    """It is committed, by us and so by nobody else: whoever learns from it hears it, and can do it no harm."""
    s.risk.taught(before, after)
    if s.directory.is_ledger(after.attempt(attempt_id).connector_account):
        return
    s.learning.taught(before, after)
    with spared(after.id):
        s.learning.fingerprints.hear(attempt_id, outcome)


async def keep(
    s: Scrooge, connection: Any, current: Payment, after: Payment, requests: dict[str, Request] | None = None
) -> Payment:
    """Writes what was decided under the payment's lock, with the breaks it opens, in the caller's transaction."""
    after = recovering(s, after)
    known = {a.id for a in current.attempts} | set(requests or {})
    told = [a for a in after.attempts if a.id not in known]  # Second successes: by the bytes of the first.
    bytes_of = {a.id: (await payments.request_of(connection, current.id, a.parent or ""))[0] for a in told}
    change = await change_of(s, current, after, {**(requests or {}), **bytes_of})
    written = await changes.save(connection, [change])
    assert current.id in written, "the payment row was locked, so nobody else can have changed it"
    for kind, a in breaks_of(current, after):
        await breaks.unwanted(connection, kind, after, a)
    return structs.replace(after, version=current.version + 1)


async def saved(s: Scrooge, p: Payment, after: Payment, requests: dict[str, Request] | None = None) -> bool:
    """Writes what was decided on this very version of the payment; False when somebody has changed it since.

    The writer leaves alone what somebody only holds; then it is our turn after theirs.
    """
    change = await change_of(s, p, recovering(s, after), requests)
    return await s.writer.save(change) or await saved_locked(s, change)


@redone
async def saved_locked(s: Scrooge, change: Change) -> bool:
    async with s.turn(change.after.id), s.db.transaction() as connection:
        await payments.lock(connection, change.after.id)
        return bool(await changes.save(connection, [change]))


async def nobody_else_asked(connection: Any, p: Payment, a: Attempt, epoch: int | None) -> bool:
    """Of the first send: nobody claimed it since. Of a resolver: its lease is the latest, and still runs."""
    if epoch is None:
        return a.state is State.SENT and a.asks == 0
    return await work.lease_held(connection, p.id, a.id, epoch)


def heard(s: Scrooge, p: Payment, attempt_id: str, outcome: Outcome, answered: bool) -> Payment:
    after = with_fees(s, p, hear(p, attempt_id, outcome, now(), Late(s.settings.late_success)))
    after = structs.replace(after, answered=True) if answered and not after.answered else after
    return after if after is p else recovering(s, after)


async def ask_and_apply(
    s: Scrooge, p: Payment, attempt_id: str, endpoint: Endpoint, request: Request, slot: Slot, *, answered: bool
) -> Payment:
    """Steps 2 and 3 after a record. Whatever happens once the PSP was called, the caller gets a payment."""
    outcome = await ask(s, p, attempt_id, endpoint, request, first=True, slot=slot)
    return await apply_or_unknown(s, p, attempt_id, outcome, answered=answered, first=True)


async def apply_or_unknown(
    s: Scrooge, p: Payment, attempt_id: str, outcome: Outcome, *, answered: bool, first: bool
) -> Payment:
    """When the news cannot be kept now, the record stays `sent`, the resolver asks again, and we say unknown."""
    try:
        return await apply(s, p, attempt_id, outcome, answered=answered, first=first)
    except ContradictoryOutcome:
        return await latest(s, p)
    except Exception as error:  # Even a bug of ours, or an answer that no row takes: a PSP was called.
        bug = not isinstance(error, NOT_KEPT)
        log.error("outcome_not_kept", payment=p.id, attempt=attempt_id, error=type(error).__name__, exc_info=bug)
        return hear(p, attempt_id, Unknown("the outcome could not be kept yet"), now())


async def latest(s: Scrooge, p: Payment) -> Payment:
    """The payment as it is kept, or as we know it when a PSP was called and the database cannot answer now."""
    try:
        return await payments.read(s.db, p.id) or p
    except NOT_KEPT as error:
        log.error("payment_not_read", payment=p.id, error=type(error).__name__)
        return p


# --- what a change brings with it -----------------------------------------------------------


async def change_of(
    s: Scrooge,
    before: Payment,
    after: Payment,
    requests: dict[str, Request] | None = None,
    routed: dict[str, Raw] | None = None,
) -> Change:
    """A change with its journals, its events and the times to ask about what is still open."""
    journals: list[Journal] = []
    events: list[Announcement] = []
    ask_at: dict[str, int] = {}
    known = {a.id: a for a in before.attempts}
    for a in after.attempts:
        old = known.get(a.id)
        if a == old and not reopened(before, after, a):
            continue
        names = {
            "psp": (await account_of(s, a)).name,
            "caller": await s.directory.caller_name(after.caller),
        }
        if not s.directory.is_ledger(a.connector_account):  # There the move is in the books.
            posted = journal(before, after, a.id, names), fee_journal(before, after, a.id, names)
            journals += [one for one in posted if one is not None]
        event = announcement(after, old, a, names["psp"])
        if event is not None:
            events.append(event)
        when = await time_to_ask(s, after, a)
        if when is not None:
            ask_at[a.id] = when
    if after.retry is not None and after.retry != before.retry:
        a = next(a for a in after.attempts if a.number == after.retry.number)
        events += next_step(after, a, (await account_of(s, a)).name)
    return Change(before, after, tuple(journals), tuple(events), requests or {}, ask_at, routed or {})


def reopened(before: Payment, after: Payment, a: Attempt) -> bool:
    """A capture of the whole has failed: there is something again that may lapse, and nobody asks about it."""
    if a.operation is not Operation.AUTHORIZE or a.state is not State.APPROVED:
        return False
    return tally(before, a).uncaptured == 0 < tally(after, a).uncaptured


async def time_to_ask(s: Scrooge, p: Payment, a: Attempt) -> int | None:
    """When to ask the PSP about an attempt by ourselves, in Unix microseconds; None: never."""
    recovery = s.connectors[(await account_of(s, a)).connector].recovery
    match a.state:
        case State.SENT:
            return a.sent_at + s.settings.psp_timeout_seconds * SECOND + GRACE
        case State.UNKNOWN:
            return now() + recovery.ask_after * SECOND
        case State.PENDING:
            return now() + recovery.pending_after * SECOND
        case State.REVERSING:
            return now()
        case State.ACTION_REQUIRED:
            return now() + s.settings.challenge_seconds * SECOND
        case State.APPROVED if a.operation is Operation.AUTHORIZE and not a.sale and a.closed is None:
            return a.expires_at * SECOND + EXPIRY_MARGIN if a.expires_at else None
        case _:
            return None
