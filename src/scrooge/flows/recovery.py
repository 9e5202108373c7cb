"""What follows when an authorization that may be tried again has ended: decided in the commit that applies its outcome.

Nothing here asks anybody: the plan is made of what the payment itself knows. What the schemes allow is judged by its
own attempts; the transaction that records the retry counts those of all payments with the card, and has the last word.
"""

from typing import Any

import structlog
from msgspec import structs

from scrooge.domain.attempt import Attempt, Operation, State
from scrooge.domain.declines import Advice, Decline
from scrooge.domain.means import OF_THIS_CARD, in_control, means_left
from scrooge.domain.outcome import Declined
from scrooge.domain.payment import Payment, authorization_of
from scrooge.domain.recovery import DECIDED, Means, Phase, Why, over
from scrooge.domain.retry import Stop
from scrooge.domain.withdrawal import told
from scrooge.flows.scrooge import Scrooge, now
from scrooge.ids import number_of
from scrooge.routing.calendar import DAY, HOUR, SECOND
from scrooge.routing.declines.catalogue import catalogue, read
from scrooge.routing.later import Failed, Later, later, postponed, timetable
from scrooge.routing.schemes.allowed import Allowed, Past, allowed
from scrooge.routing.schemes.rules import Refused
from scrooge.storage.scheme_limits import judged, rules

log = structlog.get_logger()
SPREAD = 20 * 60 * SECOND  # What the calendar puts at the same hour does not come at the same second.
FINAL = frozenset({Why.WITHDRAWN, Why.REFUSED})  # No other means may follow.
LEAST = 5 * 60 * SECOND  # between a plan and the deadline: turns may be so far apart, and it would be over before one


def recovering(s: Scrooge, after: Payment) -> Payment:
    """`after`, with the step that follows from it; the same where none does.

    A plan that cannot be made keeps no outcome from being kept: a worker tries to make it, and is heard of.
    """
    a = authorization_of(after)
    if after.retry_until is None or a is None or over(after.retry):
        return after
    try:
        return following(s, after, a)
    except Exception:
        log.exception("retry_not_planned", payment=after.id)
        last = after.retry
        waits = last is not None and last.number == a.number and last.phase is Phase.OPEN
        return after if waits else after.stepping(Phase.OPEN, "no plan could be made yet", number=a.number)


def following(s: Scrooge, after: Payment, a: Attempt) -> Payment:
    last = after.retry
    match a.state:
        case State.APPROVED if last is not None and (last.round or last.phase in DECIDED):
            why = Why.CUSTOMER_UPDATED if last.means is Means.CUSTOMER and last.round else None
            return after.stepping(Phase.RECOVERED, "approved", number=a.number, why=why)
        case State.REVERSED if last is not None and last.phase is Phase.MADE:
            because = a.reason or "the PSP took it back"
            return after.stepping(Phase.LOST, because, number=a.number, why=Why.HARD_DECLINE)
        case State.DECLINED | State.REJECTED:
            return declined(s, after, a)
        case _:
            return after


def declined(s: Scrooge, after: Payment, a: Attempt) -> Payment:
    """While somebody may still ask elsewhere at once nothing is planned; but if they die, somebody has to come back."""
    last = after.retry
    mine = last is not None and last.number == a.number and last.phase is not Phase.MADE
    if not after.answered:
        return after if mine else after.stepping(Phase.OPEN, "another account may be asked at once", number=a.number)
    return after if mine and last is not None and last.phase is not Phase.OPEN else planned(s, after)


def planned(s: Scrooge, p: Payment, step: Later | Stop | None = None) -> Payment:
    """The last authorization has ended without an approval: by which means to go on, and when, or that it is lost.

    `step`: what the timetable, or the turn that could not be made, says of trying again.
    """
    a = authorization_of(p)
    assert a is not None
    failed = failed_of(s, p)
    last = p.retry
    control = last.control if last is not None else None
    control = in_control(p.id, s.settings.recovery_control_percent) if control is None else control
    facts: dict[str, Any] = {"number": a.number, "decline": str(failed.decline), "control": control}
    if isinstance(step, Later):
        kept = {"means": last.means or Means.WAIT, "mandate": last.mandate} if last else {"means": Means.WAIT}
        return scheduled(s, p, step, failed, **facts, **kept)
    spent, final = last.spent if last is not None else (), False
    if last is not None and last.means is Means.OTHER_MANDATE:  # What another card is told says nothing of its own.
        facts["decline"] = last.decline or facts["decline"]
        spent = spent if last.phase is Phase.LOOKING else tuple(dict.fromkeys((*spent, *OF_THIS_CARD)))
    elif (said := told(a)) is not None:
        final, step = True, Stop(f"{said}: never again", Why.WITHDRAWN if p.mandate else Why.HARD_DECLINE)
    elif isinstance(step, Stop):
        final = step.why in FINAL
    facts["spent"] = spent
    waiting = step or later(failed, lambda at: permitted(p, at))
    decline = Decline(facts["decline"])
    for means in () if final else means_left(decline, a.advice_code, spent, control=control):
        if means is Means.WAIT:
            if isinstance(waiting, Later):
                return scheduled(s, p, waiting, failed, **facts, means=means)
        elif now() < failed.deadline and not (means is Means.OTHER_MANDATE and p.mandate is None):
            phase = Phase.CUSTOMER if means is Means.CUSTOMER else Phase.LOOKING
            return p.stepping(phase, because_of(waiting, phase), **facts, means=means)
    stop = waiting if isinstance(waiting, Stop) else Stop("nothing is left to try", Why.EXHAUSTED)
    return p.stepping(Phase.LOST, stop.because, **facts, why=stop.why)


def because_of(waiting: Later | Stop, phase: Phase) -> str:
    said = waiting.because if isinstance(waiting, Stop) else "to wait would be too early"
    return f"{said}; the payer has to do something" if phase is Phase.CUSTOMER else f"{said}; something newer may"


def scheduled(s: Scrooge, p: Payment, step: Later, failed: Failed, **facts: Any) -> Payment:
    at = hastened(s, p, spread(p, step.at, failed.deadline), failed.last_at)
    return p.stepping(
        Phase.SCHEDULED, step.because, at=at, arm=step.arm, propensity=step.propensity,
        timetable=timetable().version, **facts,
    )  # fmt: skip


def hastened(s: Scrooge, p: Payment, at: int, since: int) -> int:
    """The timetable's days are shorter for test payments, where the setting says so."""
    if p.livemode or s.settings.test_day_seconds == DAY // SECOND or at <= since:
        return at
    return since + (at - since) * s.settings.test_day_seconds * SECOND // DAY


def failed_of(s: Scrooge, p: Payment) -> Failed:
    """What the timetable has to know of a payment whose last authorization was declined or not processed."""
    tried = [a for a in p.attempts if a.operation is Operation.AUTHORIZE and a.parent is None]
    a = tried[-1]
    decline, advice = reading_of(s, a)
    assert p.retry_until is not None
    return Failed(
        decline=decline, advice=advice, initiator=p.initiator, first_at=tried[0].concluded_at or tried[0].sent_at,
        last_at=a.concluded_at or a.sent_at, tries=1 + (p.retry.round if p.retry else 0),
        deadline=p.retry_until - LEAST,
    )  # fmt: skip


def reading_of(s: Scrooge, a: Attempt) -> tuple[Decline, Advice]:
    """As the catalogue reads it. What a PSP did not process failed on the way: no issuer has said anything."""
    if a.state is State.REJECTED:
        return Decline.PROCESSING_ERROR, Advice.RETRY_ELSEWHERE
    account = s.directory.by_id.get(a.connector_account)
    said = Declined(
        Decline(a.decline or Decline.UNMAPPED), raw_code=a.raw_code or "", network_code=a.network_code,
        advice_code=a.advice_code,
    )  # fmt: skip
    found = read(catalogue(), said, account.connector if account else "", a.counted.brand if a.counted else "")
    return found.decline, found.advice


def permitted(p: Payment, at: int) -> Allowed | Refused:
    """The schemes' verdict on an attempt at a moment, as far as this payment's own attempts tell."""
    counted = [a for a in p.attempts if a.counted is not None]
    if not counted:
        return Allowed(None)
    history = [past_of(p, a) for a in counted]
    return allowed(rules(), history, structs.replace(judged(p, counted[-1]), at=at))


def past_of(p: Payment, a: Attempt) -> Past:
    outcomes = {State.DECLINED: "declined", State.REJECTED: "rejected", State.APPROVED: "approved"}
    seen = judged(p, a)
    return Past(
        at=seen.at, minor=seen.minor, currency=seen.currency, initiator=seen.initiator,
        outcome=outcomes.get(a.state, "open"),  # type: ignore[arg-type]
        network_code=a.network_code, advice_code=a.advice_code, acquirer=seen.acquirer, answered=a.concluded_at,
    )  # fmt: skip


def spread(p: Payment, at: int, deadline: int) -> int:
    """The calendar's hours are the same for everybody; a payment's place within the first minutes is its own."""
    if at % (HOUR // 4):
        return at
    return min(at + number_of(p.id) % SPREAD, deadline)


def late(s: Scrooge, p: Payment) -> Later | Stop | None:
    """Its time has passed by: None, if now is as good; else the next good moment, or that there is none any more."""
    r = p.retry
    assert r is not None
    assert r.at is not None
    at = now()
    assert p.retry_until is not None
    if at > p.retry_until:
        return Stop("the time that was given is over", Why.DEADLINE)
    if at - r.at < HOUR or r.means is not Means.WAIT:
        return None
    step = put_off(s, p, at, "its time had passed by")
    return None if isinstance(step, Later) and step.at <= at else step


def put_off(s: Scrooge, p: Payment, at: int, because: str) -> Later | Stop:
    """The first good moment from `at` on; what does not wait for the timetable has no better one."""
    assert p.retry is not None
    if p.retry.means not in {None, Means.WAIT}:
        late = at > failed_of(s, p).deadline
        return Stop(f"{because} is past the deadline", Why.DEADLINE) if late else Later(at, because)
    return postponed(failed_of(s, p), lambda moment: permitted(p, moment), at, because)
