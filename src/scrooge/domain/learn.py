"""What an outcome teaches about an attempt beside its state."""

from msgspec import structs

from scrooge.domain.attempt import Attempt, Closed, Operation, State
from scrooge.domain.outcome import (
    ActionRequired,
    Approved,
    Declined,
    Outcome,
    Rejected,
    ReversalKind,
    Reversed,
    Unknown,
)

FINAL = frozenset({State.APPROVED, State.DECLINED, State.REJECTED, State.REVERSED})


def learned(attempt: Attempt, outcome: Outcome, at: int) -> Attempt:
    """The facts that an outcome brings, beside the state."""
    facts: dict[str, object] = {"reason": None}  # What was doubtful is so no more.
    match outcome:
        case Approved():
            facts |= {
                "approved_minor": outcome.amount.minor if outcome.amount else attempt.minor,
                "network_transaction_id": outcome.network_transaction_id,
                "psp_token": outcome.psp_token,
                "psp_customer": outcome.psp_customer,
                "checks": outcome.checks,
                "expires_at": outcome.expires_at,
                "action": None,
            }
        case Declined():
            facts |= {
                "decline": str(outcome.decline),
                "raw_code": outcome.raw_code,
                "raw_message": outcome.raw_message,
                "network_code": outcome.network_code,
                "advice_code": outcome.advice_code,
                "action": None,
            }
        case ActionRequired():
            facts |= {"action": outcome.action}
        case Reversed():
            facts |= {"reason": outcome.reason, "action": None}
            # Money that was captured cannot lapse: a sale that is taken back has failed, whatever it is called.
            took_money = attempt.sale and attempt.approved_minor is not None
            if attempt.operation is Operation.AUTHORIZE and outcome.kind is not ReversalKind.FAILED and not took_money:
                expired = outcome.kind is ReversalKind.EXPIRED
                facts["closed"] = Closed.EXPIRED if expired else Closed.VOIDED
        case Rejected() | Unknown():
            facts |= {"reason": outcome.reason}
    if attempt.state in FINAL:
        facts["concluded_at"] = at
    if outcome.psp_reference:
        facts["psp_reference"] = outcome.psp_reference
    return structs.replace(attempt, **facts)
