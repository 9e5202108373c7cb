"""The oracle's values, by hand and against what really happens."""

import pytest
from tests.routing.trial.small import Always, Open, oracle, policies, world
from tests.routing.trial.test_issuers import FUNDS, outage

from scrooge.domain.declines import Decline
from scrooge.routing.trial.calendar import DAY, SECOND
from scrooge.routing.trial.run import Trial
from scrooge.routing.trial.stage import beginning, resumed, told, worths
from scrooge.routing.trial.strategy import Heard

NO = Heard("declined", 0.5, Decline.DO_NOT_HONOR, "05")
# Approved, 100.00 EUR are worth 10.00 less 1.00 at one and less 2.00 at two; every attempt at one costs 0.10.
ONE, TWO, FEE = 900.0, 800.0, 10.0


def test_without_agreement_the_second_account_is_worth_its_own_half():
    o = oracle(world())
    spot = o.spot(o.issuers.after(None), 0, 0)
    found = worths(o, spot, beginning(o, spot))
    assert found.accounts[0] == pytest.approx(0.8 * ONE - FEE + 0.2 * 0.5 * TWO)
    assert found.accounts[1] == pytest.approx(0.5 * TWO + 0.5 * (0.8 * ONE - FEE))
    assert found.best == found.accounts[0]


def test_with_agreement_a_worse_account_is_worth_nothing_after_a_better_one():
    o = oracle(world(agree="agree = 0.0 -> agree = 1.0"))
    spot = o.spot(o.issuers.after(None), 0, 0)
    found = worths(o, spot, beginning(o, spot))
    assert found.accounts[0] == pytest.approx(0.8 * ONE - FEE)
    assert found.accounts[1] == pytest.approx(0.5 * TWO + 0.3 * ONE - 0.5 * FEE)  # one approves 0.8 of all, so 0.3 more


def test_a_decline_is_evidence_of_a_card_that_nobody_approves():
    """One card in ten is declined everywhere with the same words: after a decline it is one in three."""
    troubled = (
        FUNDS.split("\npaydays")[0]
        + '\ntroubles = [{ decline = "do_not_honor", share = 0.1, network_code = "05", lasts = "forever" }]'
    )
    o = oracle(world(trouble=troubled))
    p = o.issuers.after(None)
    spot = o.spot(p, 0, 0)
    stage = told(beginning(o, spot), spot.kind, o.issuers.rules, False, 0, 0.8, NO, 0)
    left = 0.9 * 0.2 / (0.9 * 0.2 + 0.1)
    assert worths(o, spot, stage).accounts == {1: pytest.approx(left * 0.5 * TWO)}


def test_what_was_not_processed_says_nothing_and_may_go_elsewhere():
    text = '{ kind = "refused", since = "0s", until = "2m", account = "one" }'
    o = oracle(world(outage=outage(text)))
    p = o.issuers.after(None)
    spot = o.spot(p, p.at, 0)
    found = worths(o, spot, beginning(o, spot))
    assert found.accounts[0] == pytest.approx(0.5 * TWO)
    stage = told(beginning(o, spot), spot.kind, o.issuers.rules, False, 0, 0.8, Heard("technical", 0.1), p.at)
    assert worths(o, spot, stage).accounts == {1: pytest.approx(0.5 * TWO)}


def test_nobody_may_go_on_after_an_unknown_outcome():
    o = oracle(world())
    spot = o.spot(o.issuers.after(None), 0, 0)
    stage = told(beginning(o, spot), spot.kind, o.issuers.rules, True, 0, 0.8, Heard("late", 30.0), 0)
    assert stage.now == ()
    assert not stage.may_wait
    assert worths(o, spot, stage).best == 0


def test_the_oracle_waits_for_payday():
    """Nobody mends a lack of funds in between here, so the first moment after payday is the best one."""
    o = oracle(world(trouble=FUNDS.replace("early = 0.5", "early = 0.0")))
    p = o.issuers.after(None)
    spot = o.spot(p, o.issuers.start + 3 * DAY, 0)
    p.at = spot.at
    first = o.plan(spot, 0, spot.at, 1)[2]
    assert first == o.issuers.kinds[0].paydays[o.issuers.kinds[0].paydays.index(first)]
    assert (first - o.issuers.start) / DAY == 13  # the 15th
    assert o.wait(spot, 0, spot.at, 1) == pytest.approx(0.4 * (0.8 * ONE - FEE) - 0.6 * FEE)


def test_a_later_round_begins_with_what_was_heard():
    o = oracle(world(trouble=FUNDS))
    p = o.issuers.after(None)
    spot = o.spot(p, p.at, 0)
    lacking = Heard("declined", 0.5, Decline.INSUFFICIENT_FUNDS)
    stage = told(beginning(o, spot), spot.kind, o.issuers.rules, True, 0, 0.8, lacking, p.at)
    later = resumed(stage, o.spot(p, p.at + SECOND, 1))
    assert later.masses is not None
    assert later.masses.pays == pytest.approx(0, abs=1e-5)
    assert resumed(stage, o.spot(p, o.issuers.start + 13 * DAY, 1)).masses.pays == pytest.approx(0.4)


@pytest.mark.parametrize("trouble", ["agree = 0.0 -> agree = 0.4", FUNDS])
def test_expectation_is_what_comes_out_on_average(trouble):
    """The expected net value, which knows no luck, and the realized one, which has it: within four deviations."""
    found = policies(
        Trial(world(trouble=trouble), 4000, 3, {"one": lambda: Always("one")}, Open, ["one", "oracle"]).run()
    )
    for policy in found.values():
        assert policy["realized_value"] == pytest.approx(policy["net_value"], rel=0.035)


def test_nobody_is_better_than_the_oracle_and_the_oracle_has_no_regret():
    found = policies(Trial(world(trouble=FUNDS), 500, 3, {}, Open, ["window", "random", "best_single", "oracle"]).run())
    assert found["oracle"]["regret"] == pytest.approx(0, abs=1e-6)
    assert all(policy["regret"] >= 0 for policy in found.values())
    for policy in found.values():
        total = policy["net_value"] + policy["regret"]
        assert total == pytest.approx(found["oracle"]["net_value"], abs=0.02)
