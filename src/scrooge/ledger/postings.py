"""What each event does to the books. Debit first, credit second, as accountants write it.

The chart follows the clearing-account practice of finance teams: Scrooge books no revenue of orders, it
credits `order_clearing`, which the company's own billing clears. Moves of stored value are in ledger/stored_value.py.
"""

from enum import StrEnum

from msgspec import Struct

from scrooge.domain.attempt import Attempt
from scrooge.domain.news import event_of
from scrooge.domain.payment import Payment, standing


class Account(StrEnum):
    """`{psp}` is the connector account's name, `{caller}` the caller's."""

    PSP_RECEIVABLE = "assets.psp_receivable.{psp}"  # captured, not yet reported by the PSP
    ORDER_CLEARING = "liabilities.order_clearing.{caller}"  # what the caller's billing clears
    REFUNDS_PENDING = "liabilities.refunds_pending"  # promised to payers, not yet approved
    PSP_FEES = "expenses.psp_fees.{component}.{psp}"  # as the account's tariff says, until settlement says better
    FEE_ACCRUAL = "liabilities.fee_accrual.{psp}"  # what the PSP is expected to keep
    STORED_VALUE = "liabilities.stored_value"  # what customers may spend
    STORED_VALUE_HELD = "liabilities.stored_value_held"  # authorized from it, neither captured nor released
    ADJUSTMENTS = "expenses.stored_value_adjustments"  # given or taken back by the company, for no order
    BREAKAGE = "revenue.stored_value_breakage"  # expired before anybody spent it
    MEMO_AUTHORIZED = "memo.authorized"  # held on cards, not captured: nobody owes it yet
    MEMO_CONTRA = "memo.contra"


class Posting(Struct, frozen=True):
    account: str
    minor: int  # debit positive, credit negative
    currency: str


class Journal(Struct, frozen=True):
    """A balanced set of postings, never changed. `effect` and `seq` are unique per attempt."""

    attempt: str
    effect: str
    postings: tuple[Posting, ...]
    seq: int = 1
    tariffs: str = ""  # the version of the prices that fees were told by


A = Account
# event               debit               credit
RULES: dict[str, tuple[Account, Account] | None] = {
    "sale_approved":    (A.PSP_RECEIVABLE,  A.ORDER_CLEARING),
    "sale_reversed":    (A.ORDER_CLEARING,  A.PSP_RECEIVABLE),
    "capture_approved": (A.PSP_RECEIVABLE,  A.ORDER_CLEARING),
    "capture_reversed": (A.ORDER_CLEARING,  A.PSP_RECEIVABLE),
    "refund_sent":      (A.ORDER_CLEARING,  A.REFUNDS_PENDING),
    "refund_approved":  (A.REFUNDS_PENDING, A.PSP_RECEIVABLE),
    "refund_declined":  (A.REFUNDS_PENDING, A.ORDER_CLEARING),
    "refund_rejected":  (A.REFUNDS_PENDING, A.ORDER_CLEARING),
    "refund_withdrawn": (A.REFUNDS_PENDING, A.ORDER_CLEARING),  # reversed before it was approved
    "refund_late":      (A.ORDER_CLEARING,  A.PSP_RECEIVABLE),  # approved after it had been refused
    "refund_reversed":  (A.PSP_RECEIVABLE,  A.ORDER_CLEARING),
    # Taken when nobody wanted it any more: the payer's, not the order's, until it is back.
    "sale_reversing":   (A.PSP_RECEIVABLE,  A.REFUNDS_PENDING),
    "sale_returned":    (A.REFUNDS_PENDING, A.PSP_RECEIVABLE),
    "return_failed":    (A.PSP_RECEIVABLE,  A.REFUNDS_PENDING),
}  # fmt: skip


def journal(before: Payment, after: Payment, attempt_id: str, names: dict[str, str]) -> Journal | None:
    """The journal of one change, or None when the change moves nothing.

    `names` gives the connector account's and the caller's name for the accounts that carry one.
    What is held on cards follows the tally, so the memo accounts always equal the open authorizations.
    """
    old = next((a for a in before.attempts if a.id == attempt_id), None)
    new = after.attempt(attempt_id)
    effect = unwanted_effect(before, after, new) if of_unwanted(before, after, new) else effect_of(old, new)
    if effect is None:
        return None
    lines: list[tuple[Account, Account, int]] = []
    rule = RULES.get(effect)
    if rule is not None and not (effect == "sale_reversed" and old is not None and old.state != "approved"):
        lines.append((*rule, new.money))
    held = hold(after) - hold(before)
    if held:
        up, down = A.MEMO_AUTHORIZED, A.MEMO_CONTRA
        lines.append((up, down, held) if held > 0 else (down, up, -held))
    postings = tuple(
        Posting(account.format_map(names), sign * minor, after.currency)
        for debit, credit, minor in lines
        for account, sign in ((debit, 1), (credit, -1))
    )
    assert sum(p.minor for p in postings) == 0
    return Journal(attempt_id, effect, postings) if postings else None


def effect_of(old: Attempt | None, new: Attempt) -> str | None:
    """The name of what happened to the books, one step finer than the event."""
    if old is None:
        return f"{new.operation}_{new.state}" if new.operation == "refund" else None
    event = event_of(old, new)
    if event is not None and new.state == "reversed" and old.state != "approved":
        if new.operation == "refund":
            return "refund_withdrawn"
        if new.operation == "capture":
            return "capture_withdrawn"
    if event == "refund_approved" and old.state in {"declined", "rejected"}:
        return "refund_late"
    return event


def of_unwanted(before: Payment, after: Payment, a: Attempt) -> bool:
    """Is it about money that is, or was, given back because nobody wanted it?"""
    top = after.attempt(a.parent) if a.parent and a.operation != "authorize" else a
    was = next((x.state for x in before.attempts if x.id == top.id), None)
    return "reversing" in {top.state, was} or (top is not a and top.state == "reversed")


def unwanted_effect(before: Payment, after: Payment, a: Attempt) -> str | None:
    """Taken once, by the authorization; returned by whatever ended it: its void or refund, else the PSP itself."""
    top = after.attempt(a.parent) if a.parent and a.operation != "authorize" else a
    old = next((x for x in before.attempts if x.id == top.id), None)
    by_child = any(
        x.parent == top.id and x not in before.attempts for x in after.attempts if x.operation != "authorize"
    )
    if not top.sale or (old is not None and old.state == top.state) or (top is a and by_child):
        return None
    if top.state == "reversing":
        return "sale_reversing" if top is a else "return_failed"
    return "sale_returned"


def hold(p: Payment) -> int:
    """Minor units authorized on cards and neither captured nor released."""
    return standing(p).uncaptured
