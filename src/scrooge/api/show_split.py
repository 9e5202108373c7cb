"""A payment of parts as callers see it: the same document as of any payment, summed up over its parts."""

from typing import Any

from msgspec import UNSET, UnsetType, structs

from scrooge.api import answers, show
from scrooge.api import modification_answers as ma
from scrooge.api.show import Facts
from scrooge.domain.attempt import Operation, State
from scrooge.domain.payment import authorization_of, certain, standing, status_of
from scrooge.domain.split import Order, Split, attempts_for, ended, share_ended, status_of_split, total
from scrooge.ids import retyped
from scrooge.postgres.rows import instant


def payment(split: Split, facts: Facts) -> answers.Payment:
    whole, t, status = split.whole, total(split), status_of_split(split)
    money = whole.currency
    culprit = split.parts[split.closing.tender] if split.closing and split.closing.tender is not None else None
    waits = next((p for p in split.there if status_of(p) == "requires_action"), None)
    unsure = next((p for p in split.there if not certain(p)), None)
    declined = authorization_of(culprit) if culprit is not None and status == "declined" else None
    return structs.replace(
        show.payment(whole, facts),
        status=status,
        outcome_certainty="certain" if settled(split) else "unknown",
        amount_authorized=show.amount(t.authorized, money),
        amount_captured=show.amount(t.captured, money),
        amount_refunded=show.amount(t.refunded, money),
        amount_voided=show.amount(t.voided, money),
        decline=show.decline(declined, facts) if declined and declined.state is State.DECLINED else None,
        attempt_count=sum(len(p.attempts) for p in split.there),
        failure=failure(split, status),
        unknown=show.unknown(unsure) if unsure is not None else UNSET,
        next_action=show.next_action(authorization_of(waits), facts) if waits is not None else UNSET,
        tenders=[tender(split, place, facts) for place in range(len(split.tenders))],
    )


def settled(split: Split) -> bool:
    """No part is out whose outcome we cannot tell, and nothing waits for us."""
    return split.whole.answered and all(certain(p) for p in split.there)


def failure(split: Split, status: str) -> answers.Failure | UnsetType:
    if split.closing is None or status != split.closing.status or status == "voided":
        return UNSET
    culprit = split.parts[split.closing.tender] if split.closing.tender is not None else None
    reasons = culprit.failure.reasons if culprit is not None and culprit.failure is not None else {}
    return answers.Failure(code=split.closing.code, detail=split.closing.detail, reasons=reasons)


def tender(split: Split, place: int, facts: Facts) -> answers.Tender:
    asked, part = split.tenders[place], split.parts[place]
    t = standing(part) if part is not None else None
    money = split.whole.currency
    nothing_left = split.closing is not None and part is None
    return answers.Tender(
        instrument=facts.cards.get(asked.instrument),
        amount=show.amount(asked.minor, money),
        payment=asked.payment if part is not None else None,
        status=status_of(part) if part is not None else "voided" if nothing_left else "processing",
        amount_captured=show.amount(t.captured if t else 0, money),
        amount_refunded=show.amount(t.refunded if t else 0, money),
        amount_voided=show.amount(t.voided if t else 0, money),
    )


STATUSES = {"succeeded": "succeeded", "declined": "declined", "failed": "failed"}
KINDS: dict[Operation, Any] = {
    Operation.CAPTURE: ma.Capture, Operation.VOID: ma.Void, Operation.REFUND: ma.Refund,
}  # fmt: skip


def modification(split: Split, order: Order) -> Any:
    """A capture, void or refund of the whole."""
    money = split.whole.currency
    state = ma.PaymentState(id=split.whole.id, status=status_of_split(split))
    how = ended(split, order)
    asked = [attempts_for(split.parts[share.tender], order, share) for share in order.shares]
    attempts = [found[-1] for found in asked if found]
    lost = how is None and (any(a.state in show.LOST for a in attempts) or not all(asked[:1]))
    reason = next((a.reason for a in attempts if a.reason), None) or next(iter(order.refused.values()), None)
    return KINDS[order.operation](
        id=order.name,
        object=str(order.operation),
        status=STATUSES[how] if how is not None else "processing" if lost else "pending",
        outcome_certainty="unknown" if lost else "certain",
        amount=show.amount(order.minor, money),
        reference=order.reference,
        attempt=None,
        connector_account=None,
        psp_reference=None,
        decline=None,
        reason=reason,
        created_at=instant(order.created_at),
        shares=[share(split, order, place) for place in range(len(order.shares))],
        payment=split.whole.id if order.operation is Operation.REFUND else state,
        **({"final": order.final} if order.operation is Operation.CAPTURE else {}),
    )


def share(split: Split, order: Order, place: int) -> ma.Share:
    asked = order.shares[place]
    found = attempts_for(split.parts[asked.tender], order, asked)
    how = share_ended(split, order, place)
    status = how or (show.MODIFIED[found[-1].state] if found else "processing")
    return ma.Share(
        payment=split.tenders[asked.tender].payment,
        id=retyped(found[-1].id, {"capture": "cap", "void": "voi", "refund": "ref"}[asked.operation])
        if found
        else None,
        operation=str(asked.operation),  # type: ignore[arg-type]
        amount=show.amount(asked.minor, split.whole.currency),
        status=status,
    )
