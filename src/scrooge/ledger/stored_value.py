"""What each move of stored value does to the books. Debit first, credit second; the amount is the move's."""

from msgspec import Struct

from scrooge.ledger.postings import Account

A = Account
# kind          debit                   credit
MOVES: dict[str, tuple[Account, Account]] = {
    "load":        (A.ORDER_CLEARING,    A.STORED_VALUE),  # paid for by an order of the caller's
    "adjust_up":   (A.ADJUSTMENTS,       A.STORED_VALUE),  # given by the company, for no order
    "adjust_down": (A.STORED_VALUE,      A.ADJUSTMENTS),
    "hold":        (A.STORED_VALUE,      A.STORED_VALUE_HELD),
    "sale":        (A.STORED_VALUE,      A.ORDER_CLEARING),  # authorized and captured in one
    "capture":     (A.STORED_VALUE_HELD, A.ORDER_CLEARING),
    "release":     (A.STORED_VALUE_HELD, A.STORED_VALUE),
    "refund":      (A.ORDER_CLEARING,    A.STORED_VALUE),
    "expire":      (A.STORED_VALUE,      A.BREAKAGE),
}  # fmt: skip


class Legs(Struct, frozen=True):
    """The ledger accounts of a move."""

    debit: str
    credit: str


def legs(kind: str, caller: str) -> Legs:
    """`caller` is the name of whose order it is."""
    debit, credit = MOVES[kind]
    return Legs(debit.format(caller=caller), credit.format(caller=caller))
