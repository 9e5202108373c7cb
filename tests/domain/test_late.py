"""Successes nobody waits for: given back or kept, never a second time the payer's money, and right in the books."""

import pytest
from msgspec import structs

from scrooge.domain import outcome as oc
from scrooge.domain.attempt import LIVE, Attempt, Closed, Operation, State
from scrooge.domain.declines import Decline
from scrooge.domain.late import Late, breaks_of, giving_back, waits_to_go_back
from scrooge.domain.news import hear
from scrooge.domain.payment import ROOM, Payment, decide, standing, status_of
from scrooge.errors import AttemptNotInDoubt, AuthorizationLive, ContradictoryOutcome
from scrooge.flows.decisions import in_doubt, news
from scrooge.ids import bucket_in, new_id
from scrooge.ledger.postings import journal
from scrooge.money import Money
from scrooge.storage.decisions import Said

DAY = 86_400_000_000
NAMES = {"psp": "stripe", "caller": "checkout"}
A = Operation.AUTHORIZE
EURO = Money(1000, "EUR")
ENDS = (
    oc.Declined(Decline.DO_NOT_HONOR, "05"),
    oc.Rejected("not sent"),
    oc.Reversed("the payer never came back", oc.ReversalKind.EXPIRED),
    oc.Reversed("canceled", oc.ReversalKind.CANCELED),
)
FIRST, AGAIN = oc.Approved("pi_1", EURO), oc.Approved("pi_2", EURO)


class Books:
    """A payment told one thing after another; every journal is kept, and each must balance."""

    def __init__(self, sale: bool = True) -> None:
        self.p = Payment(id=new_id("pay", 7), merchant="m", caller="c", reference="r", minor=1000, currency="EUR")
        self.sale = sale
        self.balances: dict[str, int] = {}
        self.posted: set[tuple[str, str]] = set()

    def authorize(self) -> Attempt:
        return self.move(decide(self.p, A, None, **self.facts("con_1"), sale=self.sale)).attempts[-1]

    def facts(self, account: str) -> dict[str, object]:
        number = len(self.p.attempts) + 1
        return {"id": new_id("att", bucket_in(self.p.id)), "number": number, "connector_account": account,
                "reference": f"{self.p.id}-{number}"}  # fmt: skip

    def give_back(self, a: Attempt) -> Attempt:
        at = len(self.p.attempts) * DAY
        after = giving_back(self.p, self.p.attempt(a.id), at, id=new_id("att", bucket_in(self.p.id)))
        assert after is not None
        return self.move(after).attempts[-1]

    def tell(self, a: Attempt, *news: oc.Outcome, policy: Late = Late.REFUND) -> Attempt:
        for outcome in news:
            self.move(hear(self.p, a.id, outcome, 1, policy))
        return self.p.attempt(a.id)

    def move(self, after: Payment) -> Payment:
        for a in after.attempts:
            if a not in self.p.attempts:
                found = journal(self.p, after, a.id, NAMES)
                if found is not None:
                    assert (a.id, found.effect) not in self.posted, "an attempt has each effect once"
                    self.posted.add((a.id, found.effect))
                for line in found.postings if found else ():
                    self.balances[line.account] = self.balances.get(line.account, 0) + line.minor
        self.p = after
        return after

    @property
    def open_balances(self) -> dict[str, int]:
        return {account.split(".")[1]: minor for account, minor in self.balances.items() if minor}


@pytest.mark.parametrize("end", ENDS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("sale", [True, False])
def test_a_success_after_the_end_is_given_back_by_default(end: oc.Outcome, sale: bool):
    b = Books(sale)
    a = b.tell(b.authorize(), end)
    before = b.p
    a = b.tell(a, FIRST)
    assert (a.state, status_of(b.p)) == (State.REVERSING, "voided")
    assert [kind for kind, _ in breaks_of(before, b.p)] == ["late_success"]
    assert b.open_balances == ({"psp_receivable": 1000, "refunds_pending": -1000} if sale else {})
    with pytest.raises(AuthorizationLive):
        b.authorize()
    back = b.give_back(a)
    assert (back.operation, back.minor) == (Operation.REFUND if sale else Operation.VOID, 1000)
    assert giving_back(b.p, b.p.attempt(a.id), 100 * DAY, id="att_x") is None, "one at a time"
    b.tell(back, oc.Unknown("timeout"), oc.Approved("re_1"))
    assert (b.p.attempt(a.id).state, b.p.attempt(a.id).closed) == (State.REVERSED, a.closed or Closed.VOIDED)
    assert b.open_balances == {}
    assert ROOM[A](b.p) == 1000, "definitively undone: the payer may pay"


@pytest.mark.parametrize("end", ENDS, ids=lambda e: type(e).__name__)
def test_a_success_after_the_end_is_kept_where_policy_says_so(end: oc.Outcome):
    b = Books()
    a = b.tell(b.authorize(), end)
    before = b.p
    a = b.tell(a, FIRST, policy=Late.KEEP)
    assert (a.state, status_of(b.p), a.decline) == (State.APPROVED, "captured", None)
    assert [kind for kind, _ in breaks_of(before, b.p)] == ["late_success"]
    assert b.open_balances == {"psp_receivable": 1000, "order_clearing": -1000}


def test_a_return_that_the_psp_goes_on_refusing_is_tried_ever_more_rarely_for_ever():
    b = Books()
    a = b.tell(b.authorize(), ENDS[0], FIRST)
    at, waited = DAY, []
    for _ in range(20):
        after = giving_back(b.p, b.p.attempt(a.id), at, id=new_id("att", bucket_in(b.p.id)))
        assert after is not None
        back = b.move(after).attempts[-1]
        b.tell(back, oc.Rejected("not now"))
        early = at
        while giving_back(b.p, b.p.attempt(a.id), at, id="att_x") is None:
            at += 10_000_000
        waited.append((at - early) // 1_000_000)
    assert waited[:4] == [20, 40, 80, 160]
    assert waited[-1] == 6 * 3600, "four a day, whatever happens"


def test_of_two_ended_authorizations_that_succeed_only_the_last_is_kept():
    """The payment tells of its last authorization; an earlier one that was kept would be seen by nobody."""
    for order in ((0, 1), (1, 0)):
        b = Books()
        asked = [b.tell(b.authorize(), ENDS[0]), b.tell(b.authorize(), ENDS[0])]
        for n in order:
            b.tell(asked[n], oc.Approved(f"pi_{n}", EURO), policy=Late.KEEP)
        first, last = b.p.attempts
        assert first.state is State.REVERSING
        assert last.state is (State.REVERSING if order == (0, 1) else State.APPROVED)
        in_the_way = [a for a in b.p.attempts if a.state in LIVE and a.closed is None]
        assert len(in_the_way) == 1, "by constraint"


@pytest.mark.parametrize("policy", Late)
def test_a_success_is_never_kept_beside_another(policy: Late):
    b = Books()
    first = b.tell(b.authorize(), ENDS[0])
    second = b.tell(b.authorize(), AGAIN)
    first = b.tell(first, FIRST, policy=policy)
    assert (first.state, first.closed, second.state) == (State.REVERSING, Closed.VOIDED, State.APPROVED)
    assert (status_of(b.p), standing(b.p).captured) == ("captured", 1000)
    b.tell(b.give_back(first), oc.Approved("re_1"))
    assert b.open_balances == {"psp_receivable": 1000, "order_clearing": -1000}


@pytest.mark.parametrize("policy", Late)
@pytest.mark.parametrize("sale", [True, False])
def test_a_second_success_of_one_attempt_is_given_back_whatever_the_policy(policy: Late, sale: bool):
    b = Books(sale)
    a = b.tell(b.authorize(), FIRST)
    before, balances = b.p, b.open_balances
    b.tell(a, AGAIN, AGAIN, policy=policy)
    [_, twin] = b.p.attempts
    assert (twin.state, twin.parent, twin.psp_reference, twin.money) == (State.REVERSING, a.id, "pi_2", 1000)
    assert [kind for kind, _ in breaks_of(before, b.p)] == ["second_success"]
    assert b.p.attempt(a.id) == a, "what the payer wanted stands"
    assert status_of(b.p) == ("captured" if sale else "authorized")
    b.tell(b.give_back(twin), oc.Approved("x"))
    assert (b.p.attempt(twin.id).state, b.open_balances) == (State.REVERSED, balances)
    b.tell(a, AGAIN)
    assert len(b.p.attempts) == 3, "told again, it is the same second success"


def test_a_return_that_was_refused_leaves_the_work_to_be_done():
    b = Books()
    a = b.tell(b.tell(b.authorize(), ENDS[0]), FIRST)
    b.tell(b.give_back(a), oc.Rejected("no balance"))
    assert b.p.attempt(a.id).state is State.REVERSING
    b.tell(b.give_back(a), oc.Approved("re_2"))
    assert (b.p.attempt(a.id).state, b.open_balances) == (State.REVERSED, {})


def test_a_return_may_be_refused_also_where_another_authorization_was_tried_in_between():
    """Its refusal is news like any other: taken for a contradiction it would stay out, and no other return follow it."""
    b = Books()
    first = b.tell(b.authorize(), ENDS[0])
    b.tell(b.authorize(), ENDS[0])
    b.tell(first, FIRST)
    assert b.tell(b.give_back(first), oc.Rejected("no balance")).state is State.REJECTED
    b.tell(b.give_back(first), oc.Approved("re_2"))
    assert (b.p.attempt(first.id).state, b.open_balances) == (State.REVERSED, {})


def test_what_was_given_back_already_is_given_back():
    b = Books()
    a = b.tell(b.tell(b.authorize(), ENDS[0]), FIRST)
    b.tell(b.give_back(a), oc.Rejected("charge_already_refunded", already=True))
    assert (b.p.attempt(a.id).state, b.open_balances) == (State.REVERSED, {})


def test_operators_may_say_that_it_went_back_only_while_no_return_is_out():
    b = Books()
    a = b.tell(b.authorize(), ENDS[0])
    assert not waits_to_go_back(b.p, a)
    a = b.tell(a, FIRST)
    assert waits_to_go_back(b.p, a)
    back = b.give_back(a)
    assert not waits_to_go_back(b.p, a)
    b.tell(back, oc.Rejected("no such charge"))
    assert waits_to_go_back(b.p, a)
    for said in ("approved", "declined", "not_processed"):
        with pytest.raises(AttemptNotInDoubt):
            in_doubt(b.p, a.id, said)
    decided = news(Said(outcome="reversed", evidence="case 1"), "dec_1")
    assert b.tell(in_doubt(b.p, a.id, "reversed"), decided).state is State.REVERSED
    assert b.open_balances == {}
    assert ROOM[A](b.p) == 1000, "the payer may pay now"


def test_a_return_that_fails_later_is_work_again():
    b = Books()
    a = b.tell(b.tell(b.authorize(), ENDS[2]), FIRST)
    back = b.tell(b.give_back(a), oc.Approved("re_1"))
    before = b.p
    b.tell(back, oc.Reversed("refund failed"))
    assert b.p.attempt(a.id).state is State.REVERSING
    assert [kind for kind, _ in breaks_of(before, b.p)] == ["return_failed"]
    assert b.open_balances == {"psp_receivable": 1000, "refunds_pending": -1000}
    b.tell(b.give_back(a), oc.Approved("re_2"))
    assert (b.p.attempt(a.id).state, b.open_balances) == (State.REVERSED, {})


def test_a_psp_that_takes_it_back_by_itself_ends_it():
    b = Books()
    a = b.tell(b.tell(b.authorize(), ENDS[0]), FIRST)
    assert b.tell(a, oc.Reversed("capture failed")).state is State.REVERSED
    assert b.open_balances == {}


def test_after_it_was_undone_another_late_approval_is_undone_again():
    """The reversal overtook the original, which then came to be executed after all."""
    b = Books(sale=False)
    a = b.tell(b.tell(b.authorize(), ENDS[3]), FIRST)
    b.tell(b.give_back(a), oc.Approved("v"))
    before = b.p
    b.tell(a, AGAIN)
    assert [kind for kind, _ in breaks_of(before, b.p)] == ["second_success"]
    assert b.p.attempts[-1].state is State.REVERSING


def test_old_news_changes_nothing_of_what_is_given_back():
    b = Books()
    a = b.tell(b.tell(b.authorize(), ENDS[0]), FIRST)
    before = b.p
    b.tell(a, ENDS[0], FIRST, oc.Pending("pi_1"), oc.Unknown("late"))
    assert b.p == before
    assert structs.replace(before, attempts=()) != before


def test_a_refund_done_twice_under_two_names_is_refused_and_told():
    b = Books()
    b.tell(b.authorize(), FIRST)
    refund = b.move(decide(b.p, Operation.REFUND, 400, **b.facts("con_1"))).attempts[-1]
    b.tell(refund, oc.Approved("re_1"))
    with pytest.raises(ContradictoryOutcome):
        b.tell(refund, oc.Approved("re_2"))


@pytest.mark.parametrize("said", [ENDS[0], ENDS[1]], ids=["declined", "rejected"])
def test_a_refund_that_was_called_refused_and_was_done_counts_and_an_operator_is_told(said: oc.Outcome):
    b = Books()
    b.tell(b.authorize(), FIRST)
    refund = b.move(decide(b.p, Operation.REFUND, None, **b.facts("con_1"))).attempts[-1]
    before = b.tell(refund, said) and b.p
    assert b.tell(refund, oc.Approved("re_1")).state is State.APPROVED
    assert [kind for kind, _ in breaks_of(before, b.p)] == ["late_success"]
    assert (status_of(b.p), b.open_balances) == ("refunded", {})
    assert b.tell(refund, oc.Reversed("the bank would not have it")).state is State.REVERSED
    assert b.open_balances == {"psp_receivable": 1000, "order_clearing": -1000}


def test_a_refund_done_after_all_is_a_contradiction_where_another_stands_in_its_place():
    b = Books()
    b.tell(b.authorize(), FIRST)
    first = b.move(decide(b.p, Operation.REFUND, None, **b.facts("con_1"))).attempts[-1]
    b.tell(first, oc.Rejected("insufficient balance"))
    b.move(decide(b.p, Operation.REFUND, None, **b.facts("con_1")))
    with pytest.raises(ContradictoryOutcome):
        b.tell(first, oc.Approved("re_1"))
