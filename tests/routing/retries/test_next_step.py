"""What may follow a failed authorization at once: more than before where more is known, never what was forbidden."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from scrooge.domain import outcome as oc
from scrooge.domain.declines import Advice, Decline
from scrooge.domain.retry import NEVER_AGAIN, TRIES_MAX
from scrooge.routing.declines.catalogue import of
from scrooge.routing.retries import AsNumber, Elsewhere, Situation, StepUp, Stop, next_step
from scrooge.routing.schemes.allowed import Allowed
from scrooge.routing.schemes.rules import Refused

THERE = Situation(connector="adyen", brand="visa", can_authenticate=True)
CODES = st.sampled_from([None, "05", "51", "43", "1A", "65", "91"])
MACS = st.sampled_from([None, "01", "02", "03", "04", "21", "24", "40"])
DECLINED = st.builds(
    lambda d, n, a: oc.Declined(d, "x", network_code=n, advice_code=a), st.sampled_from(list(Decline)), CODES, MACS
)
ELSEWHERE = [d for d in Decline if d.advice is Advice.RETRY_ELSEWHERE]
DOUBT = [
    oc.Unknown("timeout"),
    oc.Unknown("not found", absent=True),
    oc.Unknown("HTTP 500", stored=True),
    oc.Pending("psp"),
    oc.Approved("psp"),
    oc.Reversed("expired"),
    oc.ActionRequired(oc.NextAction("https://acs.example")),
]
SITUATIONS = st.builds(
    lambda brand, *flags: Situation(
        brand=brand, can_authenticate=flags[0], authenticated=flags[1], network_token=flags[2], number_at_hand=flags[3]
    ),
    st.sampled_from(["", "visa", "mastercard", "amex"]),
    *[st.booleans()] * 4,
)


@given(DECLINED | st.just(oc.Rejected("x")) | st.sampled_from(DOUBT), st.integers(1, 4), st.integers(0, 3), SITUATIONS)
def test_whatever_is_known_beside_allows_nothing_that_the_outcome_forbids(
    outcome: oc.Outcome, tries: int, left: int, situation: Situation
):
    """Called with three arguments or with all that is known."""
    for step in (next_step(outcome, tries, left), next_step(outcome, tries, left, situation)):
        assert step.because
        if isinstance(step, Elsewhere):
            assert tries < TRIES_MAX and left > 0
            assert isinstance(outcome, oc.Rejected) or (
                outcome.decline.advice is Advice.RETRY_ELSEWHERE and outcome.advice_code not in NEVER_AGAIN
            )


@pytest.mark.parametrize("outcome", [oc.Rejected("not sent"), *(oc.Declined(d, "x") for d in ELSEWHERE)])
def test_what_is_known_not_to_have_moved_money_may_go_elsewhere(outcome: oc.Outcome):
    assert isinstance(next_step(outcome, 1, 1), Elsewhere)
    assert isinstance(next_step(outcome, 1, 0), Stop), "but there must be somewhere to go"
    assert isinstance(next_step(outcome, TRIES_MAX, 5), Stop), "and not for ever"


@pytest.mark.parametrize("outcome", DOUBT)
def test_doubt_and_everything_that_may_have_moved_money_stays(outcome: oc.Outcome):
    assert isinstance(next_step(outcome, 1, 5), Stop)
    for there in (THERE, structs.replace(THERE, brand="mastercard", network_token=True, number_at_hand=True)):
        assert isinstance(next_step(outcome, 1, 5, there), Stop)


@pytest.mark.parametrize("decline", [d for d in Decline if d not in ELSEWHERE])
def test_a_decline_goes_elsewhere_only_on_advice(decline: Decline):
    """Above all not one that nobody has mapped: it may mean that the card was stolen."""
    assert isinstance(next_step(oc.Declined(decline, "x"), 1, 5), Stop)


@pytest.mark.parametrize("code", sorted(NEVER_AGAIN))
def test_the_schemes_never_again_outweighs_the_decline(code: str):
    declined = oc.Declined(ELSEWHERE[0], "05", advice_code=code)
    assert isinstance(next_step(declined, 1, 5), Stop)
    assert isinstance(next_step(declined, 1, 5, known=of(())), Stop), "whatever the tables say"


@given(DECLINED | st.just(oc.Rejected("x")), SITUATIONS)
def test_what_the_schemes_refuse_is_not_tried(outcome: oc.Outcome, situation: Situation):
    refused = structs.replace(situation, allowed=Refused("visa-reattempts", None, "used up"))
    assert isinstance(next_step(outcome, 1, 5, refused), Stop)
    allowed = structs.replace(situation, allowed=Allowed(1))
    assert next_step(outcome, 1, 5, allowed) == next_step(outcome, 1, 5, situation)


@pytest.mark.parametrize(
    ("outcome", "brand"),
    [
        (oc.Declined(Decline.AUTHENTICATION_REQUIRED, "38"), ""),
        (oc.Declined(Decline.DO_NOT_HONOR, "2", network_code="1A"), "visa"),
        (oc.Declined(Decline.DO_NOT_HONOR, "2", network_code="65"), "mastercard"),
    ],
)
def test_a_soft_decline_asks_the_payer_to_authenticate(outcome: oc.Outcome, brand: str):
    """1A of Visa's, 65 of Mastercard's: the issuer wants strong customer authentication."""
    there = structs.replace(THERE, brand=brand)
    assert isinstance(next_step(outcome, 1, 0, there), StepUp), "at the same account, whether or not there is another"
    assert isinstance(next_step(outcome, 1, 5, structs.replace(there, can_authenticate=False)), Stop)
    assert isinstance(next_step(outcome, 2, 5, structs.replace(there, authenticated=True)), Stop), "once"


def test_visas_65_is_no_soft_decline():
    assert isinstance(next_step(oc.Declined(Decline.DO_NOT_HONOR, "2", network_code="65"), 1, 5, THERE), Stop)


def test_a_token_that_is_not_supported_is_followed_by_the_number():
    """Mastercard's advice 04, once, and only where the reason itself forbids nothing."""
    declined = oc.Declined(Decline.DO_NOT_HONOR, "2", network_code="05", advice_code="04")
    token = structs.replace(THERE, brand="mastercard", network_token=True, number_at_hand=True)
    assert isinstance(next_step(declined, 1, 0, token), AsNumber)
    assert isinstance(next_step(declined, 2, 1, structs.replace(token, network_token=False)), Elsewhere)
    stolen = structs.replace(declined, decline=Decline.STOLEN_CARD)
    assert isinstance(next_step(stolen, 1, 1, token), Stop)


def test_nothing_is_tried_for_ever():
    assert isinstance(next_step(oc.Rejected("x"), TRIES_MAX, 5, THERE), Stop)
    assert isinstance(next_step(oc.Rejected("x"), 3, 5, structs.replace(THERE, tries_max=4)), Elsewhere)


@pytest.mark.parametrize("advice", list(Advice))
def test_every_advice_has_a_step(advice: Advice):
    (decline, *_) = [d for d in Decline if d.advice is advice]
    expected = {Advice.RETRY_ELSEWHERE: Elsewhere, Advice.AUTHENTICATE: StepUp}.get(advice, Stop)
    assert isinstance(next_step(oc.Declined(decline, "x"), 1, 1, THERE), expected)
