"""Which outcome may be tried at another PSP at once."""

import pytest

from scrooge.domain import outcome as oc
from scrooge.domain.declines import Advice, Decline
from scrooge.domain.retry import NEVER_AGAIN, TRIES_MAX, Elsewhere, Stop, next_step

ELSEWHERE = [d for d in Decline if d.advice is Advice.RETRY_ELSEWHERE]


@pytest.mark.parametrize("outcome", [oc.Rejected("not sent"), *(oc.Declined(d, "x") for d in ELSEWHERE)])
def test_what_is_known_not_to_have_moved_money_may_go_elsewhere(outcome: oc.Outcome):
    assert isinstance(next_step(outcome, 1, 1), Elsewhere)
    assert isinstance(next_step(outcome, 1, 0), Stop), "but there must be somewhere to go"
    assert isinstance(next_step(outcome, TRIES_MAX, 5), Stop), "and not for ever"


@pytest.mark.parametrize(
    "outcome",
    [
        oc.Unknown("timeout"),
        oc.Unknown("not found", absent=True),
        oc.Unknown("HTTP 500", stored=True),
        oc.Pending("psp"),
        oc.Approved("psp"),
        oc.Reversed("expired"),
        oc.ActionRequired(oc.NextAction("https://acs.example")),
    ],
)
def test_doubt_and_everything_that_may_have_moved_money_stays(outcome: oc.Outcome):
    assert isinstance(next_step(outcome, 1, 5), Stop)


@pytest.mark.parametrize("decline", [d for d in Decline if d not in ELSEWHERE])
def test_a_decline_goes_elsewhere_only_on_advice(decline: Decline):
    """Above all not one that nobody has mapped: it may mean that the card was stolen."""
    assert isinstance(next_step(oc.Declined(decline, "x"), 1, 5), Stop)


@pytest.mark.parametrize("code", sorted(NEVER_AGAIN))
def test_the_schemes_never_again_outweighs_the_decline(code: str):
    assert isinstance(next_step(oc.Declined(ELSEWHERE[0], "05", advice_code=code), 1, 5), Stop)
