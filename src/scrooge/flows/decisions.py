"""What an operator knows about an attempt and the PSP cannot be asked. It counts when another API key has approved it.

It comes through the one door for news, so the grid still rules, and the books are posted as for any other news.
"""

import structlog

from scrooge.domain.attempt import Attempt, Operation, State
from scrooge.domain.declines import Decline
from scrooge.domain.late import waits_to_go_back
from scrooge.domain.news import hear
from scrooge.domain.outcome import Approved, Declined, Outcome, Rejected, ReversalKind, Reversed
from scrooge.domain.payment import Payment
from scrooge.errors import (
    AttemptBusy,
    AttemptNotInDoubt,
    ContradictoryOutcome,
    DecisionClosed,
    DecisionOpen,
    InvalidField,
    MissingField,
    NotFound,
    SecondApproverRequired,
)
from scrooge.flows import breaks
from scrooge.flows.authorize import visible
from scrooge.flows.fees import with_fees
from scrooge.flows.perform import keep
from scrooge.flows.scrooge import Scrooge, now
from scrooge.ids import number_of
from scrooge.metrics import DECISIONS
from scrooge.postgres.database import redone
from scrooge.storage import decisions, payments, work
from scrooge.storage.decisions import Decision, Said
from scrooge.storage.directory import Principal, note

log = structlog.get_logger()
EXPIRES_SECONDS = 24 * 3600.0
IN_DOUBT = frozenset({State.SENT, State.UNKNOWN, State.PENDING})
LEASE_SECONDS = 10.0
BUSY_SECONDS = 5


@redone
async def propose(s: Scrooge, who: Principal, payment_id: str, attempt_id: str, said: Said) -> Decision:
    """Raises NotFound, AttemptNotInDoubt, DecisionOpen, MissingField, InvalidField, ContradictoryOutcome."""
    await visible(s, who, payment_id)
    async with s.db.transaction() as connection:
        p = await payments.lock(connection, payment_id)
        assert p is not None
        attempt = in_doubt(p, attempt_id, said.outcome)
        if s.directory.is_ledger(attempt.connector_account):
            raise AttemptNotInDoubt("our own ledger knows what became of it: sync the payment")
        check_reference(attempt, said)
        check_amount(p, attempt, said)
        hear(p, attempt.id, news(said, "?"), now())  # What the grid refuses is refused at once.
        made = await decisions.propose(connection, p, attempt.id, said, who.key_id, EXPIRES_SECONDS)
        if made is None:
            raise DecisionOpen("a decision about this attempt is open already")
        amount = str(said.amount) if said.amount else None
        detail = {"payment": p.id, "attempt": attempt.id, "outcome": said.outcome, "amount": amount,
                  "psp_reference": said.psp_reference, "evidence": said.evidence}  # fmt: skip
        await note(connection, actor(who), "decision_proposed", made.id, detail)
    DECISIONS.labels("proposed", said.outcome).inc()
    return made


@redone
async def approve(s: Scrooge, who: Principal, decision_id: str) -> Decision:
    """Applies it, in one commit with its own state. Said twice by the same key, it is the same answer.

    Raises NotFound, SecondApproverRequired, DecisionClosed, AttemptNotInDoubt, AttemptBusy, ContradictoryOutcome.
    """
    d = await seen(s, who, decision_id)
    try:
        async with s.turn(d.payment), s.db.transaction() as connection:
            p = await payments.lock(connection, d.payment)
            assert p is not None
            d = await decisions.hold(connection, decision_id)
            if d.state == "applied" and d.decided_by == who.key_id:
                return d
            if d.proposed_by == who.key_id:
                raise SecondApproverRequired("approve with another API key than the one that proposed it")
            refuse_closed(d)
            attempt = in_doubt(p, d.attempt, d.outcome)
            if d.psp_reference and attempt.psp_reference not in {None, d.psp_reference}:
                raise ContradictoryOutcome("the PSP has named it otherwise since")
            # Nobody's question is out: what the PSP is about to answer is not decided away.
            if await work.claim_attempt(connection, p.id, attempt.id, LEASE_SECONDS) is None:
                raise AttemptBusy("the PSP is being asked about it right now", retry_after=BUSY_SECONDS)
            await keep(s, connection, p, with_fees(s, p, hear(p, attempt.id, news(d, d.id), now())))
            applied = await decisions.decide(connection, d.id, "applied", who.key_id, None)
            assert applied is not None, "its row is held"
            detail = {"payment": p.id, "attempt": attempt.id, "outcome": d.outcome, "proposed_by": d.proposed_by}
            await note(connection, actor(who), "decision_applied", d.id, detail)
    except ContradictoryOutcome as error:
        found = await payments.read(s.db, d.payment)
        assert found is not None
        await breaks.contradiction(s, found, d.attempt, news(d, d.id), error)
        raise
    DECISIONS.labels("applied", d.outcome).inc()
    log.warning("decision_applied", decision=d.id, payment=d.payment, attempt=d.attempt, outcome=d.outcome)
    return applied


@redone
async def reject(s: Scrooge, who: Principal, decision_id: str, words: str | None) -> Decision:
    """By anybody, its proposer too. Raises NotFound, DecisionClosed."""
    await seen(s, who, decision_id)
    async with s.db.transaction() as connection:
        d = await decisions.hold(connection, decision_id)
        if d.state == "rejected" and d.decided_by == who.key_id:
            return d
        refuse_closed(d)
        rejected = await decisions.decide(connection, d.id, "rejected", who.key_id, words)
        assert rejected is not None, "its row is held"
        await note(connection, actor(who), "decision_rejected", d.id, {"payment": d.payment, "note": words})
    DECISIONS.labels("rejected", d.outcome).inc()
    return rejected


async def seen(s: Scrooge, who: Principal, decision_id: str) -> Decision:
    """Raises NotFound, for another merchant's and one of the other mode as well."""
    number_of(decision_id, "dec")
    found = await decisions.read(s.db, decision_id)
    if found is None:
        raise NotFound("no such decision")
    try:
        await visible(s, who, found.payment)
    except NotFound:
        raise NotFound("no such decision") from None
    return found


def in_doubt(p: Payment, attempt_id: str, outcome: str) -> Attempt:
    """Of money that goes back only "reversed" may be said: a PSP that cannot undo it would be asked for ever."""
    attempt = next((a for a in p.attempts if a.id == attempt_id), None)
    if attempt is None:
        raise NotFound("the payment has no such attempt", param="attempt")
    goes_back = outcome == "reversed" and waits_to_go_back(p, attempt)
    if attempt.state not in IN_DOUBT and not goes_back:
        raise AttemptNotInDoubt(f"the attempt is {attempt.state}")
    return attempt


def check_reference(attempt: Attempt, said: Said) -> None:
    """The PSP's name is what later captures and refunds are made by."""
    if said.outcome == "approved" and not (said.psp_reference or attempt.psp_reference):
        raise MissingField("name what the PSP calls it", param="psp_reference")
    if said.psp_reference and attempt.psp_reference and said.psp_reference != attempt.psp_reference:
        raise InvalidField("the PSP has named it otherwise", param="psp_reference")


def check_amount(p: Payment, attempt: Attempt, said: Said) -> None:
    """An authorization or a capture may be approved for less than was asked; nothing is for more."""
    if said.amount is None:
        return
    if said.outcome != "approved" or attempt.operation not in {Operation.AUTHORIZE, Operation.CAPTURE}:
        raise InvalidField("only an approved authorization or capture has an amount of its own", param="amount")
    if said.amount.currency != p.currency:
        raise InvalidField("the payment is in another currency", param="amount.currency")
    if said.amount.minor > attempt.minor:
        raise InvalidField("more than was asked for", param="amount.value")


def refuse_closed(d: Decision) -> None:
    if d.state != "proposed":
        raise DecisionClosed(f"the decision is {d.state}")


def news(said: Said, decision_id: str) -> Outcome:
    words, psp_reference = f"decided by operators: {decision_id}", said.psp_reference
    match said.outcome:
        case "approved":
            return Approved(psp_reference, said.amount)
        case "declined":
            return Declined(Decline.UNMAPPED, raw_message=words, psp_reference=psp_reference)
        case "not_processed":
            return Rejected(words, psp_reference=psp_reference)
        case _:
            return Reversed(words, ReversalKind.CANCELED, psp_reference=psp_reference)


def actor(who: Principal) -> str:
    return f"key:{who.key_id}"
