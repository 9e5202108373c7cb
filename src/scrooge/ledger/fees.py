"""Expected fees in the books: an expense by component, owed to the PSP until its settlement says what they were.

Never mixed with the receivable: what the PSP owes us is what was captured, whatever it keeps of it later.
"""

from scrooge.domain.fees import Fees
from scrooge.domain.payment import Payment
from scrooge.ledger.postings import Account, Journal, Posting

NOTHING = Fees()


def fee_journal(before: Payment, after: Payment, attempt_id: str, names: dict[str, str]) -> Journal | None:
    """What a change of an attempt's fees does to the books, or None. `names` gives the connector account's."""
    old = next((a.fees for a in before.attempts if a.id == attempt_id), None) or NOTHING
    new = after.attempt(attempt_id).fees or NOTHING
    components = sorted({*old.minor, *new.minor})
    moved = {c: new.minor.get(c, 0) - old.minor.get(c, 0) for c in components}
    lines = [(Account.PSP_FEES.format(component=c, **names), minor) for c, minor in moved.items()]
    lines.append((Account.FEE_ACCRUAL.format(**names), -sum(moved.values())))
    postings = tuple(Posting(account, minor, after.currency) for account, minor in lines if minor)
    if not postings:
        return None
    effect = "fees_accrued" if sum(moved.values()) >= 0 else "fees_reversed"
    return Journal(attempt_id, effect, postings, new.journals, new.tariffs)
