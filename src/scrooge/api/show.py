"""From domain values to answers. Pure: what names need the database, `facts.py` has fetched."""

from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import UNSET, Struct, UnsetType

from scrooge.api import answers
from scrooge.api import modification_answers as ma
from scrooge.api.retry_answers import Recovery, Retry
from scrooge.domain.attempt import Attempt, Operation, State
from scrooge.domain.declines import Decline
from scrooge.domain.mandate import Terms, mandate_of
from scrooge.domain.means import need_of
from scrooge.domain.payment import Payment, authorization_of, certain, standing, status_of
from scrooge.domain.recovery import BECOMES, Phase
from scrooge.domain.recovery import Recovery as States
from scrooge.flows.announce import update_links
from scrooge.ids import retyped
from scrooge.money import decimal, exponent_of
from scrooge.postgres.rows import instant
from scrooge.storage.directory import ConnectorAccount

LOST = frozenset({State.SENT, State.UNKNOWN})
MODIFIED = {
    State.SENT: "processing",
    State.UNKNOWN: "processing",
    State.PENDING: "pending",
    State.ACTION_REQUIRED: "pending",
    State.APPROVED: "succeeded",
    State.DECLINED: "declined",
    State.REJECTED: "failed",
    State.REVERSED: "reversed",
}


class Facts(Struct, frozen=True):
    """The names behind ids. `caller` by id; accounts by id; `cards` by instrument id."""

    merchant: str
    callers: Mapping[str, str]
    accounts: Mapping[str, ConnectorAccount]
    cards: Mapping[str, answers.PaymentInstrument]
    challenge_seconds: int


def instant_if(microseconds: int | None) -> str | None:
    return None if microseconds is None else instant(microseconds)


def moment_of(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def amount(minor: int, currency: str) -> answers.Amount:
    return answers.Amount(value=decimal(minor, exponent_of(currency)), currency=currency)


def payment(p: Payment, facts: Facts) -> answers.Payment:
    t = standing(p)
    status = status_of(p)
    authorization = authorization_of(p)
    last = p.attempts[-1] if p.attempts else None
    declined = authorization if authorization and authorization.state is State.DECLINED else None
    return answers.Payment(
        id=p.id,
        object="payment",
        version=p.version,
        livemode=p.livemode,
        reference=p.reference,
        caller=facts.callers[p.caller],
        merchant=facts.merchant,
        status=status,
        outcome_certainty="certain" if certain(p) else "unknown",
        amount=amount(p.minor, p.currency),
        amount_authorized=amount(t.authorized, p.currency),
        amount_captured=amount(t.captured, p.currency),
        amount_refunded=amount(t.refunded, p.currency),
        amount_voided=amount(t.voided, p.currency),
        instrument=facts.cards.get(p.instrument) if p.instrument else None,
        customer=p.customer,
        initiator="merchant" if p.initiator == "merchant" else "customer",
        purpose=p.purpose,
        capture="automatic" if p.sale else "manual",
        decline=decline(declined, facts) if declined and status == "declined" else None,
        connector_account=facts.accounts[last.connector_account].name if last else None,
        latest_attempt=last.id if last else None,
        attempt_count=len(p.attempts),
        return_url=p.return_url,
        statement_descriptor=p.statement_descriptor,
        save_for=saved_for(p),
        mandate=mandate(p),
        incremental=p.incremental or UNSET,
        metadata=p.metadata,
        created_at=instant(p.created_at),
        failure=failure(p),
        unknown=unknown(p),
        retry=retry(p),
        recovery=recovery(p),
        next_action=next_action(authorization, facts),
        part_of=p.part_of or UNSET,
    )


def saved_for(p: Payment) -> answers.SavedFor | UnsetType:
    if p.save_for is None:
        return UNSET
    t = p.save_terms or Terms()
    return answers.SavedFor(
        use=p.save_for,
        max=UNSET if t.max_minor is None or t.currency is None else amount(t.max_minor, t.currency),
        interval=t.period or UNSET,
        description=t.description or UNSET,
        fallback=t.fallback or UNSET,
    )


def mandate(p: Payment) -> str | UnsetType:
    """Under which it is made; or to which the payer agrees with it, while it is not declined."""
    if p.mandate is not None:
        return p.mandate
    a = authorization_of(p)
    ended_badly = a is None or a.state in {State.DECLINED, State.REJECTED}
    return UNSET if p.save_for is None or p.initiator != "customer" or ended_badly else mandate_of(p.id)


def failure(p: Payment) -> answers.Failure | UnsetType:
    if p.failure is None or p.attempts:
        return UNSET
    return answers.Failure(code=p.failure.code, detail=p.failure.detail, reasons=p.failure.reasons)


def unknown(p: Payment) -> answers.Unknown | UnsetType:
    lost = [a for a in p.attempts if a.state in LOST]
    if not lost:
        return UNSET
    first = lost[0]
    return answers.Unknown(
        since=instant(first.sent_at), attempt=first.id, operation=first.operation, reason=first.reason
    )


def retry(p: Payment) -> Retry | UnsetType:
    if p.retry_until is None:
        return UNSET
    r = p.retry if p.retry is not None and p.retry.phase not in {Phase.OPEN, Phase.LOOKING} else None
    return Retry(
        until=instant(p.retry_until),
        status=r.phase if r else None,
        at=instant_if(r.at) if r else None,
        because=r.because if r else None,
        retries=p.retry.round if p.retry else 0,
    )


def recovery(p: Payment) -> Recovery | UnsetType:
    """Nothing of one that was not declined, or is being asked about elsewhere at once for the first time."""
    r, a = p.retry, authorization_of(p)
    if r is None or (r.phase is Phase.OPEN and not r.round) or (r.phase is Phase.CANCELED and r.decline is None):
        return UNSET
    return Recovery(
        state=(BECOMES[r.phase] or States.OPEN).value,
        means=r.means,
        reason=r.decline,
        why=r.why,
        need=need_of(r.decline, a.advice_code if a else None) if r.phase is Phase.CUSTOMER else None,
        update_links=update_links(p) if r.phase is Phase.CUSTOMER else None,
        next_at=instant_if(r.at),
        control=bool(r.control),
    )


def next_action(a: Attempt | None, facts: Facts) -> answers.NextAction | UnsetType:
    if a is None or a.state is not State.ACTION_REQUIRED or a.action is None:
        return UNSET
    return answers.NextAction(
        type="redirect",
        url=a.action.url,
        method=a.action.method,
        fields=a.action.fields,
        expires_at=instant(a.sent_at + facts.challenge_seconds * 1_000_000),
    )


def decline(a: Attempt, facts: Facts) -> answers.Decline | None:
    if a.decline is None:
        return None
    reason = Decline(a.decline)
    return answers.Decline(
        category=reason,
        hard=reason.hard,
        retry_advice=answers.RetryAdvice(action=reason.advice.value),
        network=answers.NetworkCodes(code=a.network_code, advice_code=a.advice_code),
        psp=answers.PspCodes(
            connector=facts.accounts[a.connector_account].connector, code=a.raw_code, message=a.raw_message
        ),
        customer_message_key=f"decline.{reason}",
    )


def attempt(a: Attempt, currency: str, facts: Facts) -> answers.Attempt:
    return answers.Attempt(
        id=a.id,
        object="attempt",
        number=a.number,
        operation=a.operation.value,
        connector_account=facts.accounts[a.connector_account].name,
        status=a.state.value,
        amount=amount(a.money, currency),
        sale=a.sale,
        final=a.final,
        closed=a.closed.value if a.closed else None,
        parent=a.parent,
        reference=a.reference,
        caller_reference=a.caller_reference,
        psp_reference=a.psp_reference,
        network_transaction_id=a.network_transaction_id,
        checks=a.checks,
        decline=decline(a, facts),
        reason=a.reason,
        expires_at=instant(a.expires_at * 1_000_000) if a.expires_at else None,
        sent_at=instant(a.sent_at),
        concluded_at=instant(a.concluded_at) if a.concluded_at else None,
        latency_ms=(a.concluded_at - a.sent_at) / 1000 if a.concluded_at else None,
    )


def modification(p: Payment, a: Attempt, facts: Facts) -> ma.Capture | ma.Void | ma.Refund | ma.Increment:
    """A capture, a void, a refund or an increment: an attempt under its own name."""
    shared = {
        "status": MODIFIED[a.state],
        "outcome_certainty": "unknown" if a.state in LOST else "certain",
        "amount": amount(a.money, p.currency),
        "reference": a.caller_reference,
        "attempt": a.id,
        "connector_account": facts.accounts[a.connector_account].name,
        "psp_reference": a.psp_reference,
        "decline": decline(a, facts),
        "reason": a.reason,
        "created_at": instant(a.sent_at),
    }
    state = ma.PaymentState(id=p.id, status=status_of(p))
    match a.operation:
        case Operation.CAPTURE:
            return ma.Capture(id=retyped(a.id, "cap"), object="capture", final=a.final, payment=state, **shared)
        case Operation.VOID:
            return ma.Void(id=retyped(a.id, "voi"), object="void", payment=state, **shared)
        case Operation.INCREMENT:
            total = amount(a.total or a.minor, p.currency)
            return ma.Increment(id=retyped(a.id, "inc"), object="increment", total=total, payment=state, **shared)
        case _:
            return ma.Refund(id=retyped(a.id, "ref"), object="refund", payment=p.id, **shared)
