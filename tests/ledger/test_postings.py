"""The books as an accountant reads them, and as a machine proves them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrooge.domain import outcome as oc
from scrooge.domain.attempt import Operation, State
from scrooge.domain.declines import Decline
from scrooge.domain.news import hear
from scrooge.domain.payment import Payment, decide, standing
from scrooge.errors import Problem
from scrooge.ledger.postings import RULES, journal

NAMES = {"psp": "adyen", "caller": "checkout"}
SHORT = {
    "assets.psp_receivable.adyen": "receivable",
    "liabilities.order_clearing.checkout": "clearing",
    "liabilities.refunds_pending": "pending",
    "memo.authorized": "held",
    "memo.contra": "contra",
}
A, C, V, R = Operation.AUTHORIZE, Operation.CAPTURE, Operation.VOID, Operation.REFUND
DECLINED = oc.Declined(Decline.DO_NOT_HONOR, "05")
WORDS = {
    "approved": oc.Approved("psp"),
    "declined": DECLINED,
    "rejected": oc.Rejected(""),
    "failed": oc.Reversed("failed"),
    "expired": oc.Reversed("lapsed", oc.ReversalKind.EXPIRED),
    "unknown": oc.Unknown(""),
    "pending": oc.Pending("psp"),
}

# One line per change: attempt, what we asked or heard, then the postings; debits positive.
MANUAL = """
    1 authorize 1299  -
    1 unknown         -
    1 approved        held=+1299       contra=-1299
    2 capture 800     -
    2 approved        receivable=+800  clearing=-800   held=-800   contra=+800
    3 refund 300      clearing=+300    pending=-300
    3 approved        pending=+300     receivable=-300
    4 refund 200      clearing=+200    pending=-200
    4 declined        pending=+200     clearing=-200
    5 refund 100      clearing=+100    pending=-100
    5 approved        pending=+100     receivable=-100
    5 failed          receivable=+100  clearing=-100
    6 void            -
    6 approved        held=-499        contra=+499
"""
FINAL = """
    1 authorize 1299  -
    1 approved        held=+1299       contra=-1299
    2 final 800       -
    2 approved        receivable=+800  clearing=-800   held=-1299  contra=+1299
    2 failed          clearing=+800    receivable=-800 held=+1299  contra=-1299
"""
LAPSED = """
    1 authorize 1299  -
    1 approved        held=+1299       contra=-1299
    2 capture 800     -
    2 approved        receivable=+800  clearing=-800   held=-800   contra=+800
    1 expired         held=-499        contra=+499
"""
SALE = """
    1 sale 1299       -
    1 declined        -
    2 sale 1299       -
    2 approved        receivable=+1299 clearing=-1299
    3 refund 1299     clearing=+1299   pending=-1299
    3 pending         -
    3 failed          pending=+1299    clearing=-1299
"""
DONE_AFTER_ALL = """
    1 sale 1299       -
    1 approved        receivable=+1299 clearing=-1299
    2 refund 1299     clearing=+1299   pending=-1299
    2 rejected        pending=+1299    clearing=-1299
    2 approved        clearing=+1299   receivable=-1299
"""
FAILED_SALE = """
    1 sale 1299       -
    1 approved        receivable=+1299 clearing=-1299
    1 failed          clearing=+1299   receivable=-1299
"""
CANCELED_SALE = """
    1 sale 1299       -
    1 approved        receivable=+1299 clearing=-1299
    1 expired         clearing=+1299   receivable=-1299
"""


def step(p: Payment, number: int, word: str, minor: int | None) -> Payment:
    if word in WORDS:
        return hear(p, f"att_{number}", WORDS[word], 1)
    operation = {"sale": A, "final": C}.get(word) or Operation(word)
    return decide(
        p, operation, None if operation is A else minor, id=f"att_{number}", number=number,
        connector_account="con_1", sale=word == "sale", final=word == "final",
    )  # fmt: skip


def test_the_life_of_a_payment_in_the_books():
    for story in (MANUAL, FINAL, LAPSED, SALE, DONE_AFTER_ALL, FAILED_SALE, CANCELED_SALE):
        p = a_payment(1299)
        for line in story.strip().splitlines():
            number, word, *rest = line.split()
            minor = int(rest.pop(0)) if rest[0].isdigit() else None
            after = step(p, int(number), word, minor)
            posted = journal(p, after, f"att_{number}", NAMES)
            expected = {k: int(v) for k, v in (cell.split("=") for cell in rest if cell != "-")}
            actual: dict[str, int] = {}
            for posting in posted.postings if posted else ():
                actual[SHORT[posting.account]] = actual.get(SHORT[posting.account], 0) + posting.minor
            assert actual == expected, line
            p = after


@pytest.mark.parametrize("known", ["unknown", "pending"])
def test_a_sale_that_is_taken_back_before_it_was_approved_undoes_nothing(known: str):
    p = decide(a_payment(1299), A, None, id="att_1", number=1, connector_account="con", sale=True, reference="p-1")
    p = hear(p, "att_1", WORDS[known], 1)
    after = hear(p, "att_1", WORDS["failed"], 2)
    assert after.attempt("att_1").state == "reversed"
    assert journal(p, after, "att_1", NAMES) is None


def a_payment(minor: int) -> Payment:
    return Payment(id="pay_1", merchant="mer_1", caller="clr_1", reference="r", minor=minor, currency="EUR")


def test_every_rule_names_two_different_accounts():
    assert all(rule is not None and rule[0] is not rule[1] for rule in RULES.values())


moves = st.lists(
    st.tuples(st.sampled_from(["authorize", "sale", "capture", "final", "void", "refund", *WORDS]),
              st.integers(1, 1300), st.integers(1, 6)),
    max_size=25,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(moves)
def test_the_books_always_equal_what_the_attempts_say(steps):
    """Whatever happens: receivable is captured less refunded, pending is refunds in flight, held is the hold; and what
    nobody wanted is owed to the payer until it is back."""
    p, books = a_payment(1299), dict.fromkeys(SHORT.values(), 0)
    for word, minor, which in steps:
        number = which if word in WORDS else len(p.attempts) + 1
        try:
            after = step(p, number, word, minor)
        except (Problem, ValueError):
            continue
        posted = journal(p, after, f"att_{number}", NAMES)
        for posting in posted.postings if posted else ():
            books[SHORT[posting.account]] += posting.minor
        p = after
        t = standing(p)
        assert sum(books.values()) == 0
        owed = sum(a.money for a in p.attempts if a.state is State.REVERSING and a.sale)
        assert books["receivable"] == t.captured - t.refunded + owed
        assert books["pending"] == -t.held_refund - owed
        assert books["held"] == -books["contra"] == t.uncaptured
