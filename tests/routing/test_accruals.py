"""What attempts cost, figure by figure; and whatever happens, the books say what the attempts say."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from scrooge.domain import outcome as oc
from scrooge.domain.attempt import Operation
from scrooge.domain.declines import Decline
from scrooge.domain.fees import Fees
from scrooge.domain.late import Late, giving_back
from scrooge.domain.news import hear
from scrooge.domain.payment import Payment, decide
from scrooge.errors import Problem
from scrooge.flows.fees import with_fees
from scrooge.ledger.fees import fee_journal
from scrooge.money import Money
from scrooge.routing.accruals import MOST, half_even, priced, rounded
from scrooge.routing.costs import NANO, Costs
from scrooge.routing.tariff import Fee, Prices, Tariff, days, faults
from scrooge.routing.when import When
from scrooge.storage.audit_fees import wrong_fees

A, C, R = Operation.AUTHORIZE, Operation.CAPTURE, Operation.REFUND
AT = days("2026-06-01") * 86_400 * 1_000_000
# Of 100.00 EUR: interchange 0.20, scheme fee 0.0195, markup 0.25 and 0.05 by the piece; 0.02 for every attempt.
FEES = (
    Fee(component="interchange", name="debit", when=When(funding=("debit",)), rate="0.2", refunded=True),
    Fee(component="interchange", name="other", rate="1.5", refunded=True),
    Fee(component="scheme", name="assessment", rate="0.0195"),
    Fee(component="markup", name="acquirer", rate="0.25", fixed={"EUR": "0.05", "JPY": "5", "KWD": "0.015"}),
    Fee(component="scheme", name="every attempt", fixed={"EUR": "0.02", "JPY": "2", "KWD": "0.006"}, on="attempt"),
)
NEW = (Fee(component="blended", name="all in", rate="1", fixed={"EUR": "0.10"}),)
PRICES = Prices(
    tariffs=(
        Tariff(account="con_1", valid_from="2026-01-01", valid_until="2026-06-30", fees=FEES),
        Tariff(account="con_1", valid_from="2026-07-01", fees=NEW),
    )
)
VERSION = "tar_00000000000000000000000001"
COSTS = Costs(PRICES, VERSION)
OTHER, NONE_HERE = "tar_00000000000000000000000002", "tar_00000000000000000000000003"
DEARER = (
    Fee(component="interchange", name="all", rate="3", refunded=True),
    Fee(component="markup", name="acquirer", rate="1", fixed={"EUR": "0.10"}, refunded=True),
    Fee(component="scheme", name="every attempt", fixed={"EUR": "0.05"}, on="attempt"),
)
VERSIONS = {
    VERSION: COSTS,
    OTHER: Costs(Prices(tariffs=(Tariff(account="con_1", valid_from="2026-01-01", fees=DEARER),)), OTHER),
    NONE_HERE: Costs(Prices(tariffs=(Tariff(account="con_9", valid_from="2026-01-01", fees=NEW),)), NONE_HERE),
}
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


def a_payment(minor: int = 10_000, currency: str = "EUR") -> Payment:
    return Payment(id="pay_1", merchant="mer_1", caller="clr_1", reference="r", minor=minor, currency=currency)


def asked(p: Payment, operation: Operation, minor: int | None = None, *, sale: bool = False, known: bool = True):
    facts = Fees(facts={"funding": "debit"}) if operation is A and known else None
    n = len(p.attempts) + 1
    return decide(p, operation, minor, id=f"att_{n}", number=n, connector_account="con_1", sale=sale, fees=facts)


def told(p: Payment, n: int, outcome, costs: Costs = COSTS, at: int = AT, late: Late = Late.REFUND) -> Payment:
    return priced(p, hear(p, f"att_{n}", outcome, at, late), costs, at)


def minor(p: Payment, n: int) -> dict[str, int]:
    fees = p.attempt(f"att_{n}").fees
    return {} if fees is None else fees.minor


SALE = {"interchange": 20, "scheme": 4, "markup": 25, "fixed": 5}  # 53.95 in all


def sold(**more) -> Payment:
    return told(asked(a_payment(), A, sale=True), 1, oc.Approved("psp"), **more)


def test_a_sale_costs_what_the_tariff_of_the_day_says_by_component():
    p = sold()
    assert minor(p, 1) == SALE
    fees = p.attempt("att_1").fees
    assert fees.nano == {"interchange": 20 * NANO, "scheme": 3_950_000_000, "markup": 25 * NANO, "fixed": 5 * NANO}
    assert (fees.tariffs, fees.at) == (VERSION, AT)


def test_a_declined_authorization_costs_the_attempt_and_a_rejected_one_nothing():
    p = asked(a_payment(), A, sale=True)
    assert minor(told(p, 1, DECLINED), 1) == {"scheme": 2}
    assert minor(told(p, 1, oc.Rejected("")), 1) == {}
    assert minor(told(p, 1, oc.Reversed("the payer never came", oc.ReversalKind.EXPIRED)), 1) == {}


def test_what_is_not_known_yet_costs_nothing_yet():
    p = asked(a_payment(), A, sale=True)
    for outcome in (oc.Unknown(""), oc.Pending("psp")):
        p = told(p, 1, outcome)
        assert minor(p, 1) == {}
    assert minor(told(p, 1, oc.Approved("psp")), 1) == SALE


def test_each_capture_costs_by_its_own_amount_and_the_attempt_costs_once():
    p = told(asked(a_payment(), A), 1, oc.Approved("psp"))
    assert minor(p, 1) == {"scheme": 2}
    p = told(asked(p, C, 4_000), 2, oc.Approved("psp"))
    assert minor(p, 2) == {"interchange": 8, "scheme": 1, "markup": 10, "fixed": 5}
    p = told(asked(p, C, 6_000), 3, oc.Approved("psp"))
    assert minor(p, 3) == {"interchange": 12, "scheme": 1, "markup": 15, "fixed": 5}
    assert minor(p, 1) == {"scheme": 2}


def test_the_prices_of_the_day_of_the_capture_count_not_those_of_the_authorization():
    p = told(asked(a_payment(), A), 1, oc.Approved("psp"))
    later = days("2026-07-01") * 86_400 * 1_000_000
    p = told(asked(p, C), 2, oc.Approved("psp"), at=later)
    assert minor(p, 2) == {"blended": 100, "fixed": 10}
    newer = Costs(Prices(tariffs=(Tariff(account="con_1", valid_from="2026-01-01", fees=NEW),)), "tar_newer")
    assert sold(costs=newer).attempt("att_1").fees.tariffs == "tar_newer"


def test_a_partial_approval_costs_by_what_was_approved():
    p = told(asked(a_payment(), A, sale=True), 1, oc.Approved("psp", Money(5_000, "EUR")))
    assert minor(p, 1) == {"interchange": 10, "scheme": 3, "markup": 12, "fixed": 5}  # 10, 2.975, 12.5, 5: 30.475
    assert p.attempt("att_1").fees.nano["interchange"] == 10 * NANO


@pytest.mark.parametrize(
    ("currency", "amount", "expected"),
    [
        ("JPY", 5_000, {"interchange": 10, "scheme": 3, "markup": 12, "fixed": 5}),  # 10, 2.975, 12.5, 5: 30.475
        ("KWD", 10_000, {"interchange": 20, "scheme": 8, "markup": 25, "fixed": 15}),  # three decimals: 6 and 15 fils
        ("USD", 10_000, {"interchange": 20, "scheme": 2, "markup": 25}),  # no sums in dollars are known
    ],
)
def test_currencies_have_their_own_minor_units(currency: str, amount: int, expected: dict[str, int]):
    p = told(asked(a_payment(amount, currency), A, sale=True), 1, oc.Approved("psp"))
    total = sum(p.attempt("att_1").fees.nano.values())
    assert sum(minor(p, 1).values()) == half_even(total)
    assert minor(p, 1) == expected
    assert bool(p.attempt("att_1").fees.missing) is (currency == "USD")


def test_a_capture_that_failed_after_all_costs_the_attempt_only():
    p = told(sold(), 1, oc.Reversed("failed"))
    assert minor(p, 1) == {"scheme": 2}
    assert p.attempt("att_1").fees.journals == 2


def test_a_refund_brings_back_what_the_tariff_says_and_the_rest_stays():
    p = told(asked(sold(), R), 2, oc.Approved("psp"))
    assert minor(p, 2) == {"interchange": -20}
    assert minor(p, 1) == SALE
    p = told(p, 2, oc.Reversed("the bank sent it back"))
    assert minor(p, 2) == {}


def test_refunds_in_parts_bring_back_as_much_as_one():
    p, brought = sold(), []
    for n, part in enumerate((3_333, 3_333, 3_334), start=2):
        p = told(asked(p, R, part), n, oc.Approved(f"psp_{n}"))
        brought.append(minor(p, n)["interchange"])
    assert brought == [-6, -7, -7]  # of 20: 6.67 and 13.33 rounded down, then all


def test_nothing_comes_back_unless_the_tariff_says_so():
    kept = Costs(Prices(tariffs=(Tariff(account="con_1", valid_from="2026-01-01", fees=NEW),)), VERSION)
    p = told(asked(sold(costs=kept), R), 2, oc.Approved("psp"), costs=kept)
    assert p.attempt("att_2").fees is None
    [fault] = faults(Prices(tariffs=(Tariff(account="a", valid_from="2026-01-01", fees=(
        Fee(component="scheme", name="x", fixed={"EUR": "0.02"}, on="attempt", refunded=True),)),)))  # fmt: skip
    assert "does not come back" in fault


def test_a_sale_that_nobody_wanted_any_more_costs_as_one_that_was_refunded():
    p = told(asked(a_payment(), A, sale=True), 1, DECLINED)
    assert minor(p, 1) == {"scheme": 2}
    p = told(p, 1, oc.Approved("psp"))
    assert (p.attempt("att_1").state, minor(p, 1)) == ("reversing", SALE)
    back = giving_back(p, p.attempt("att_1"), AT, id="att_2")
    assert back is not None
    p = told(back, 2, oc.Approved("psp_2"))
    assert (p.attempt("att_1").state, minor(p, 1), minor(p, 2)) == ("reversed", SALE, {"interchange": -20})
    p = told(p, 2, oc.Reversed("the bank sent it back"))
    assert (p.attempt("att_1").state, minor(p, 1), minor(p, 2)) == ("reversing", SALE, {})


def test_without_tariffs_nothing_is_told_and_an_account_without_one_is_named():
    p = told(asked(a_payment(), A, sale=True, known=False), 1, oc.Approved("psp"))
    assert p.attempt("att_1").fees is None
    p = told(asked(a_payment(), A, sale=True), 1, oc.Approved("psp"), costs=Costs())
    assert (p.attempt("att_1").fees.missing, minor(p, 1)) == (("no tariff",), {})
    assert fee_journal(a_payment(), p, "att_1", {"psp": "x"}) is None


def test_a_fee_that_no_ledger_takes_is_not_posted():
    fee = Fee(component="markup", name="mistake", rate="999")
    costs = Costs(Prices(tariffs=(Tariff(account="con_1", valid_from="2026-01-01", fees=(fee,)),)), VERSION)
    p = told(asked(a_payment(MOST), A, sale=True), 1, oc.Approved("psp"), costs=costs)
    assert (p.attempt("att_1").fees.missing, minor(p, 1)) == (("more than the books take",), {})


def test_a_price_that_cannot_be_told_keeps_no_outcome_from_being_kept():
    def broken(*_):
        raise ZeroDivisionError

    s: Any = SimpleNamespace(routing=SimpleNamespace(costs=broken))
    after = hear(asked(a_payment(), A, sale=True), "att_1", oc.Approved("psp"), AT)
    assert with_fees(s, a_payment(), after) is after


nanos = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(1, 10**14), min_size=1)


@given(nanos)
def test_components_add_up_to_the_rounded_sum_and_none_is_off_by_a_unit(nano: dict[str, int]):
    found = rounded(nano)
    assert sum(found.values()) == half_even(sum(nano.values()))
    for component, exact in nano.items():
        assert abs(found.get(component, 0) * NANO - exact) < NANO


def test_halves_go_to_the_even_side():
    assert [half_even(n * NANO // 2) for n in (1, 2, 3, 4, 5)] == [0, 1, 2, 2, 2]


moves = st.lists(
    st.tuples(st.sampled_from(["authorize", "sale", "capture", "refund", "void", "return", *WORDS]),
              st.integers(1, 9_000), st.one_of(st.just(0), st.integers(1, 6)), st.sampled_from([*VERSIONS])),
    max_size=25,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([["authorize"], ["sale", "approved"], ["authorize", "approved", "capture", "approved"]]),
    moves,
    st.sampled_from(Late),
)
def test_whatever_happens_the_books_hold_what_the_attempts_owe(begun: list[str], steps, late: Late):
    """Each journal balances and is there once; expenses are owed; nothing comes back that was not paid; and the audit,
    which tells all again by the recorded version, agrees, however often the prices change."""
    p, books, journals = a_payment(9_999), {}, set()
    for word, amount, which, version in [*((word, 5_000, 0, VERSION) for word in begun), *steps]:
        n = (which or len(p.attempts)) if word in WORDS else len(p.attempts) + 1
        try:
            after = moved(p, word, amount, n, late, VERSIONS[version])
        except (Problem, ValueError):
            continue
        for a in after.attempts:
            posted = fee_journal(p, after, a.id, {"psp": "adyen"})
            if posted is not None:
                assert (posted.attempt, posted.seq) not in journals
                journals.add((posted.attempt, posted.seq))
                assert sum(x.minor for x in posted.postings) == 0
                for x in posted.postings:
                    books[x.account] = books.get(x.account, 0) + x.minor
        p = after
        owed: dict[str, int] = {}
        for a in p.attempts:
            for component, count in (a.fees.minor if a.fees else {}).items():
                name = f"expenses.psp_fees.{component}.adyen"
                owed[name] = owed.get(name, 0) + count
        assert {k: v for k, v in books.items() if v and k.startswith("expenses")} == {
            k: v for k, v in owed.items() if v
        }
        assert all(v >= 0 for v in owed.values())
        assert books.get("liabilities.fee_accrual.adyen", 0) == -sum(owed.values())
        assert wrong_fees(p, VERSIONS) is None
        assert priced(p, p, COSTS, AT + 1) == p


def moved(p: Payment, word: str, amount: int, n: int, late: Late, costs: Costs) -> Payment:
    if word in WORDS:
        return told(p, n, WORDS[word], costs, late=late)
    if word == "return":
        waiting = next((a for a in p.attempts if a.state == "reversing"), None)
        found = giving_back(p, waiting, 10**15, id=f"att_{n}") if waiting is not None else None
        return found or p
    operation = A if word == "sale" else Operation(word)
    return asked(p, operation, None if operation is A else amount, sale=word == "sale")


def test_a_success_after_a_refusal_that_nobody_can_price_any_more_is_no_finding():
    p = told(asked(a_payment(), A, sale=True), 1, DECLINED)
    p = told(p, 1, WORDS["approved"], VERSIONS[NONE_HERE], late=Late.KEEP)
    assert (minor(p, 1), p.attempts[0].fees and p.attempts[0].fees.missing) == ({"scheme": 2}, ("no tariff",))
    assert wrong_fees(p, VERSIONS) is None


def test_the_audit_tells_a_fee_that_is_not_what_its_version_says():
    p = sold()
    assert wrong_fees(p, {VERSION: COSTS}) is None
    assert "cannot be read" in (wrong_fees(p, {VERSION: None}) or "")
    fees = p.attempt("att_1").fees
    wrong = structs.replace(p.attempt("att_1"), fees=structs.replace(fees, minor={**fees.minor, "markup": 26}))
    assert "markup 26" in (wrong_fees(p.replacing(wrong), {VERSION: COSTS}) or "")
