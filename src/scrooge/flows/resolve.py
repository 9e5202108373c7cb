"""Find out what happened to attempts whose answer was lost. Time makes us ask; time never concludes."""

from contextlib import suppress

import structlog

from scrooge.connectors.connector import Connector, Wire
from scrooge.crash import reach
from scrooge.domain.attempt import LIVE, OPEN, Attempt, Operation, State
from scrooge.domain.outcome import Outcome, Rejected, Unknown
from scrooge.domain.payment import Payment, authorization_of, standing
from scrooge.errors import ContradictoryOutcome, DatabaseUnavailable
from scrooge.flows.ask import SECOND, account_of, ask, command_of, provider_of
from scrooge.flows.authorize import visible
from scrooge.flows.challenge import abandon
from scrooge.flows.perform import apply
from scrooge.flows.reverse import give_back
from scrooge.flows.scrooge import Scrooge, now
from scrooge.metrics import RESOLVED
from scrooge.storage import payments, work
from scrooge.storage.directory import Principal
from scrooge.storage.work import Lease

log = structlog.get_logger()
LEASE_MARGIN = 10  # seconds beside a PSP's time to answer
REPLAYS = 3  # After so many that taught nothing, the PSP is asked in another way too.
TEST_HORIZON = 15  # seconds: in test mode everything that can be resolved is within a minute


class LeaseLost(Exception):
    """Somebody else may ask about the attempt by now: whoever finds this stops, concluding nothing."""


async def resolve(s: Scrooge, lease: Lease) -> Payment | None:
    """One turn at one attempt: asks what is to be asked, applies the answer. Contradictions are kept as breaks."""
    reach("resolve.claimed")
    try:
        return await resolved(s, lease)
    except LeaseLost:
        log.warning("lease_lost", payment=lease.payment, attempt=lease.attempt, epoch=lease.epoch)
        return await payments.read(s.db, lease.payment)
    finally:
        with suppress(DatabaseUnavailable):  # Then it runs out by itself.
            await work.end_lease(s.db, lease.payment, lease.attempt, lease.epoch)


async def resolved(s: Scrooge, lease: Lease) -> Payment | None:
    p = await payments.read(s.db, lease.payment)
    if p is None:
        return None
    await s.directory.refresh()
    attempt = p.attempt(lease.attempt)
    if attempt.state not in LIVE:
        return p  # Concluded since it was claimed.
    connector = s.connectors[(await account_of(s, attempt)).connector]
    if attempt.state is State.APPROVED and (attempt.closed is not None or standing(p).uncaptured == 0):
        await work.stop_asking(s.db, p.id, attempt.id)
        return p
    try:
        if attempt.state is State.ACTION_REQUIRED:
            if not overdue(s, attempt):
                return p
            await still_ours(s, lease)
            return await abandon(s, p, attempt, connector)
        if attempt.state is State.REVERSING:
            return await give_back(s, p, attempt, lease)
        outcome = await question(s, p, attempt, connector, lease)
        if outcome is None:
            return p
        after = await apply(s, p, attempt.id, outcome, epoch=lease.epoch)
        reach("resolve.applied")
    except ContradictoryOutcome:
        return await payments.read(s.db, p.id)
    moved = after.attempt(attempt.id)
    if moved.state is not attempt.state:
        RESOLVED.labels(connector.name, str(moved.state)).inc()
        log.info("attempt_resolved", payment=p.id, attempt=attempt.id, state=str(moved.state))
    return after


def lease_seconds(s: Scrooge) -> int:
    """Long enough for one question and its answer; each question renews it."""
    return s.settings.psp_timeout_seconds + LEASE_MARGIN


async def still_ours(s: Scrooge, lease: Lease) -> None:
    """By the database's clock, before each question. Raises LeaseLost."""
    if not await work.renew_lease(s.db, lease.payment, lease.attempt, lease.epoch, lease_seconds(s)):
        raise LeaseLost


def overdue(s: Scrooge, attempt: Attempt) -> bool:
    """Has the payer had the time that is given to authenticate?"""
    return now() > attempt.sent_at + s.settings.challenge_seconds * SECOND


async def question(s: Scrooge, p: Payment, attempt: Attempt, connector: Connector, lease: Lease) -> Outcome | None:
    """Replay, and inquire when a replay cannot tell; None: there is nothing to ask, only to wait.

    A PSP that cannot be asked is told to take an authorization, or a verification, back, which is definitive: past the
    key's retention, or when the request cannot be repeated and there was time for the PSP to tell by itself.
    """
    request, age = await payments.request_of(s.db, p.id, attempt.id)
    inquiry = connector.inquiries.get(attempt.operation)
    lost = attempt.state in {State.SENT, State.UNKNOWN}
    replayed: Outcome | None = None
    if lost and age < replay_for(connector, await provider_of(s, request)):
        continued = attempt.action is not None  # The payer came back: the question out is the second one.
        endpoint = connector.continuation if continued else connector.endpoints[attempt.operation]
        await still_ours(s, lease)
        replayed = await ask(s, p, attempt.id, endpoint, request, first=False, again=True)
        if not isinstance(replayed, Unknown) or not (never_again(replayed) or attempt.asks >= REPLAYS):
            return replayed
    unrepeatable = replayed is None or (isinstance(replayed, Unknown) and replayed.unrepeatable)
    waited = replayed is None or age > at_most(connector.recovery.reverse_after, p)
    whole = attempt.operation in {Operation.AUTHORIZE, Operation.VERIFY}
    if inquiry is None and lost and unrepeatable and waited and whole:
        return await taken_back(s, p, attempt, connector, lease)
    if inquiry is None:
        return replayed
    inquired = inquiry.build(command_of(p, attempt, await account_of(s, attempt)))
    await still_ours(s, lease)
    found = await ask(s, p, attempt.id, inquiry, inquired, first=False)
    burnt = isinstance(replayed, Unknown) and never_again(replayed)
    gone = isinstance(found, Unknown) and found.absent and burnt
    # Nothing can be executed under the key any more. What was executed, by the last replay at the latest, was over when
    # that was first seen; and the PSP had time since to know of it.
    if gone and await work.stored_for(s.db, p.id, attempt.id) > at_most(connector.recovery.horizon, p):
        return Rejected("the PSP has no trace of it, and it can never be done any more")
    return found if not isinstance(found, Unknown) or found.psp_reference else replayed


def never_again(replayed: Unknown) -> bool:
    """Nothing can be executed under the key: it answers with a stored failure, or nobody can send its request again."""
    return replayed.stored or replayed.unrepeatable


def replay_for(connector: Connector, provider: Wire | None) -> int:
    """Seconds in which the same bytes may be sent again: as long as a token provider has the same answer, too."""
    own = connector.recovery.replay_for
    tokens = provider.connector.tokens if provider is not None else None
    return own if tokens is None else min(own, tokens.repeats_for)


async def taken_back(s: Scrooge, p: Payment, attempt: Attempt, connector: Connector, lease: Lease) -> Outcome | None:
    """Asks for the reversal, as often as it is our turn; the notification of it concludes."""
    if connector.reversal is None:
        return None
    request = connector.reversal.build(command_of(p, attempt, await account_of(s, attempt)))
    await still_ours(s, lease)
    log.warning("reversal_asked", payment=p.id, attempt=attempt.id, connector=connector.name)
    return await ask(s, p, attempt.id, connector.reversal, request, first=False)


def at_most(seconds: int, p: Payment) -> int:
    """What we give a PSP; in test mode no more than a simulated one needs."""
    return seconds if p.livemode else min(seconds, TEST_HORIZON)


async def sync(s: Scrooge, principal: Principal, payment_id: str) -> Payment:
    """Ask the PSP now about everything that is open, or whether the authorization still stands."""
    p = await visible(s, principal, payment_id)
    if p.tenders:
        return p  # Its parts are asked about.
    open_attempts = [a for a in p.attempts if a.state in OPEN and a.state is not State.ACTION_REQUIRED]
    for a in open_attempts:
        epoch = await work.claim_attempt(s.db, p.id, a.id, lease_seconds(s))
        if epoch is not None:
            p = await resolve(s, Lease(p.id, a.id, a.connector_account, epoch)) or p
    last = authorization_of(p)
    waiting = last is not None and last.state in {State.ACTION_REQUIRED, State.APPROVED}
    if not open_attempts and last is not None and waiting and not last.sale:
        connector = s.connectors[(await account_of(s, last)).connector]
        inquiry = connector.inquiries.get(Operation.AUTHORIZE)
        if inquiry is not None and last.closed is None:
            request = inquiry.build(command_of(p, last, await account_of(s, last)))
            outcome = await ask(s, p, last.id, inquiry, request, first=False)
            try:
                p = await apply(s, p, last.id, outcome)
            except ContradictoryOutcome:
                p = await payments.read(s.db, p.id) or p
    return p
