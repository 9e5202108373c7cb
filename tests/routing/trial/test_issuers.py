"""The simulated issuers: the same luck for every policy, and frequencies that are the probabilities of the file."""

from itertools import islice

import pytest
from tests.routing.trial.small import Open, world

from scrooge.domain.declines import Decline
from scrooge.routing.trial.calendar import DAY, HOUR, MINUTE
from scrooge.routing.trial.issuers import Issuers, Payment
from scrooge.routing.trial.oracle import likely, still

FUNDS = (
    '[{ decline = "do_not_honor", share = 1.0, network_code = "05" }] -> '
    '[{ decline = "do_not_honor", share = 1.0, network_code = "05" }]\n'
    "paydays = [1, 15]\nrenewals = 1.0\n"
    'troubles = [{ decline = "insufficient_funds", share = 0.2, lasts = "payday", early = 0.5, again = 0.6 },\n'
    '{ decline = "stolen_card", share = 0.1, lasts = "forever" }]'
)


def stream(issuers: Issuers, count: int) -> list[Payment]:
    def all_():
        p = None
        while True:
            yield (p := issuers.after(p))

    return list(islice(all_(), count))


def outage(text: str) -> str:
    return f"margin_bps = 1000 -> margin_bps = 1000\noutages = [{text}]"


def test_the_same_seed_gives_the_same_payments_and_the_same_answers_in_any_order():
    one, two = Issuers(world(), 5, Open), Issuers(world(), 5, Open)
    payments = stream(one, 200)
    assert payments == stream(two, 200)
    forward = [(one.ask(p, 0, p.at, 0), one.ask(p, 1, p.at, 0)) for p in payments]
    backward = [(two.ask(p, 1, p.at, 0), two.ask(p, 0, p.at, 0))[::-1] for p in reversed(payments)][::-1]
    assert forward == backward
    assert payments != stream(Issuers(world(), 6, Open), 200)


def test_as_many_are_approved_as_the_file_says():
    issuers = Issuers(world(), 1, Open)
    payments = stream(issuers, 8000)
    for account, approval in ((0, 0.8), (1, 0.5)):
        rate = sum(issuers.ask(p, account, p.at, 0).outcome == "approved" for p in payments) / len(payments)
        assert rate == pytest.approx(approval, abs=0.02)  # four standard deviations


def test_an_issuer_that_agrees_with_itself_says_the_same_everywhere():
    """Of those that the better account declines, the worse one approves none; without agreement its usual half."""
    for agree, expected in ((0.0, 0.5), (1.0, 0.0)):
        issuers = Issuers(world(agree=f"agree = 0.0 -> agree = {agree}"), 1, Open)
        declined = [p for p in stream(issuers, 8000) if issuers.ask(p, 0, p.at, 0).outcome == "declined"]
        rate = sum(issuers.ask(p, 1, p.at, 0).outcome == "approved" for p in declined) / len(declined)
        assert rate == pytest.approx(expected, abs=0.05)


def test_payments_come_as_fast_as_the_file_says():
    payments = stream(Issuers(world(), 1, Open), 5000)
    assert (payments[-1].at - payments[0].at) / 1e6 == pytest.approx(100, rel=0.06)


def test_a_stolen_card_is_stolen_everywhere_and_for_ever():
    issuers = Issuers(world(trouble=FUNDS), 1, Open)
    stolen = [
        p for p in stream(issuers, 2000) if issuers.ask(p, 0, p.at, 0).decline is Decline.STOLEN_CARD
    ]  # fmt: skip
    assert stolen
    for p in stolen:
        assert issuers.ask(p, 1, p.at + 100 * DAY, 3).decline in {Decline.STOLEN_CARD, Decline.INSUFFICIENT_FUNDS}


@pytest.mark.parametrize(("since", "until"), [(3, 5), (3, 13), (3, 14), (10, 20), (12, 31)])
def test_cards_lack_funds_as_likely_as_the_oracle_believes(since, until):
    """`likely` and `still` are closed forms; counting cards is not."""
    issuers = Issuers(world(trouble=FUNDS), 3, Open)
    kind = issuers.kinds[0]
    condition = kind.conditions[0]
    before, after = issuers.start + since * DAY, issuers.start + until * DAY
    cards = [Payment(n, n, before, 0, n, 10000, True) for n in range(8000)]
    lacking = [p for p in cards if issuers.in_trouble(p, 0, condition, kind, before)]
    again = [p for p in lacking if issuers.in_trouble(p, 0, condition, kind, after)]
    assert len(lacking) / len(cards) == pytest.approx(likely(condition, kind, before), abs=0.02)
    assert len(again) / len(lacking) == pytest.approx(still(condition, kind, before, after), abs=0.06)


@pytest.mark.parametrize(("kind", "outcome"), [("refused", "technical"), ("errors", "late"), ("silent", "late")])
def test_an_outage_touches_its_account_while_it_lasts(kind, outcome):
    text = f'{{ kind = "{kind}", since = "1m", until = "2m", account = "one", seconds = 20.0 }}'
    issuers = Issuers(world(outage=outage(text)), 1, Open)
    p = issuers.after(None)
    during, after = issuers.start + MINUTE, issuers.start + 2 * MINUTE
    assert issuers.ask(p, 0, during, 0).outcome == outcome
    assert (issuers.ask(p, 0, during, 0).seconds == 20.0) is (kind == "silent")
    assert issuers.ask(p, 1, during, 0).outcome in {"approved", "declined"}
    assert issuers.ask(p, 0, after, 0).outcome in {"approved", "declined"}


def test_an_issuer_that_fails_declines_at_every_account():
    text = '{ kind = "declines", since = "0s", until = "2m", segments = ["all"] }'
    issuers = Issuers(world(outage=outage(text)), 1, Open)
    p = issuers.after(None)
    assert {issuers.ask(p, a, p.at, 0).decline for a in (0, 1)} == {Decline.ISSUER_UNAVAILABLE}


def test_approval_drifts_along_its_line_and_by_the_hour():
    drifts = (
        "margin_bps = 1000 -> margin_bps = 1000\n"
        'drifts = [{ kind = "line", points = -10.0, since = "1h", until = "3h", accounts = ["one"] },\n'
        '{ kind = "daily", points = 4.0, peak = "12:00", accounts = ["two"] }]'
    )
    issuers = Issuers(world(drifts=drifts), 1, Open)
    line = [issuers.approval(0, issuers.start + h * HOUR)[0] for h in (0, 1, 2, 3, 9)]
    assert line == pytest.approx([0.8, 0.8, 0.75, 0.7, 0.7])
    day = [issuers.approval(0, issuers.start + h * HOUR)[1] for h in (0, 6, 12, 18)]
    assert day == pytest.approx([0.46, 0.5, 0.54, 0.5])


def test_a_renewal_costs_the_same_every_time():
    issuers = Issuers(
        world(trouble=FUNDS, spread="spread = 0.0 -> spread = 0.8", cards="weight = 1 -> weight = 1\ncards = 5"),
        1,
        Open,
    )
    amounts = {(p.card, p.minor) for p in stream(issuers, 200)}
    assert len(amounts) == 5
