"""Policies side by side: the same luck, what they hear and when, outages, and rules that hold for all of them."""

from importlib.resources import files

import pytest
from tests.routing.trial.small import Always, Open, policies, world
from tests.routing.trial.test_issuers import FUNDS, outage

from scrooge.routing.trial.calendar import HOUR
from scrooge.routing.trial.checks import read
from scrooge.routing.trial.enforced import Enforced
from scrooge.routing.trial.run import POLICIES, Trial
from scrooge.routing.trial.scrooge import Scrooge
from scrooge.routing.trial.strategy import PATIENCE, Choice

BASELINES = [p for p in POLICIES if p != "scrooge"]


def run(w, count, names, seed=1, gate=Open, **strategies):
    return Trial(w, count, seed, strategies, gate, names).run()


def test_the_same_arguments_give_the_same_figures():
    w = world(trouble=FUNDS)
    assert run(w, 150, BASELINES) == run(w, 150, BASELINES)
    assert run(w, 150, BASELINES) != run(w, 150, BASELINES, seed=2)


def test_two_of_the_same_policy_have_the_same_luck_whoever_else_is_there():
    made = {"a": lambda: Always("one"), "b": lambda: Always("one")}
    together = policies(run(world(), 500, ["a", "window", "b", "random"], **made))
    alone = policies(run(world(), 500, ["a"], **made))
    assert together["a"] == together["b"] == alone["a"]


def test_every_figure_of_the_contract_is_there():
    found = run(world(), 200, BASELINES)
    assert set(policies(found)) == set(BASELINES)
    wanted = {"auth_rate", "first_try", "cost_bps", "net_value", "regret", "retries", "scheme_violations"}
    assert all(wanted <= set(policy) for policy in policies(found).values())
    assert found["simulated"] is True
    assert policies(found)["best_single"]["account"] == "one"


def test_cost_is_what_the_accounts_take_of_what_was_approved():
    """100 basis points, and 0.10 for each of about 1.25 attempts on 100.00."""
    found = policies(run(world(), 4000, ["a"], a=lambda: Always("one")))["a"]
    assert abs(found["cost_bps"] - (100 + 10 / 0.8)) < 0.5
    assert found["auth_rate"] == found["first_try"]


def test_answers_are_heard_when_they_come_and_not_before():
    watched = Always("one")
    run(world(), 50, ["a"], a=lambda: watched)
    moments = [at for _, _, at in watched.heard]
    assert moments == sorted(moments)
    assert all(heard.seconds > 0 for _, heard, _ in watched.heard)


def test_silence_is_told_after_a_while_and_its_end_later():
    watched = Always("one")
    silent = outage('{ kind = "silent", since = "0s", until = "1m", account = "one", seconds = 10.0 }')
    run(world(outage=silent), 20, ["a"], a=lambda: watched)
    told = [(heard.outcome, heard.seconds) for _, heard, _ in watched.heard]
    assert told.count(("waiting", PATIENCE)) == told.count(("late", 10.0)) == 20
    assert told.index(("waiting", PATIENCE)) < told.index(("late", 10.0))


def test_whoever_knows_an_account_better_hears_of_silence_sooner():
    class Hasty(Always):
        def patience(self, account):
            return 0.7

    watched = Hasty("one")
    silent = outage('{ kind = "silent", since = "0s", until = "1m", account = "one", seconds = 10.0 }')
    run(world(outage=silent), 20, ["a"], a=lambda: watched)
    told = [(heard.outcome, heard.seconds, heard.waited) for _, heard, _ in watched.heard]
    assert told.count(("waiting", 0.7, False)) == told.count(("late", 10.0, True)) == 20


def test_an_outage_is_counted_with_its_reaction_and_what_it_cost():
    errors = outage('{ kind = "errors", since = "10s", until = "80s", account = "one" }')
    names = {"stays": lambda: Always("one"), "away": lambda: Always("two")}
    found = policies(run(world(outage=errors), 5000, [*names], **names))
    stays, away = found["stays"]["outages"][0], found["away"]["outages"][0]
    assert stays["reaction_seconds"] is None
    assert stays["lost_share_first_minute"] == 1.0
    assert away["reaction_seconds"] == 0.0
    assert away["lost_first_minute"] == 0
    assert stays["payments_first_minute"] == away["payments_first_minute"]
    assert abs(stays["payments_first_minute"] - 3000) < 300


def test_what_is_not_processed_is_not_lost_when_another_account_takes_it():
    refused = outage('{ kind = "refused", since = "0s", until = "60s", account = "one" }')
    text = world(outage=refused, two="two = 0.5 -> two = 1.0")
    found = policies(run(text, 1000, ["window"]))["window"]
    assert found["outages"][0]["met_first_minute"] > 0
    assert found["outages"][0]["lost_first_minute"] == 0


def test_a_policy_that_breaks_a_rule_is_counted_and_the_gate_keeps_it_from_that():
    """The issuer asks for a day; who comes back after two hours is counted, unless what enforces the rules is there."""
    w = world(
        brand='"visa" -> "mastercard"', iin='"40000001" -> "52000001"', kind="agree = 0.0 -> agree = 0.0\nrenewals = 1.0",
        code='network_code = "05" -> network_code = "05", advice_code = "25"',
    )  # fmt: skip
    reckless = {"a": lambda: Always("one", wait=2 * HOUR)}
    assert policies(run(w, 600, ["a"], **reckless))["a"]["scheme_violations"] > 50
    assert policies(run(w, 600, ["a"], gate=Enforced, **reckless))["a"]["scheme_violations"] == 0


@pytest.mark.parametrize("name", ["steady", "outage"])
def test_scrooge_breaks_no_rule_and_is_better_than_chance(name):
    w = read(files("scrooge.routing.trial").joinpath("worlds", f"{name}.toml").read_text())
    found = policies(run(w, 800, ["scrooge", "random", "oracle"], gate=Enforced, scrooge=lambda: Scrooge(w)))
    assert found["scrooge"]["scheme_violations"] == 0
    assert found["scrooge"]["regret"] < found["random"]["regret"]


def test_a_payer_who_waits_is_not_asked_to_come_again_later():
    class Later:
        def decide(self, facts, accounts, at, tried, chance):
            return Choice(accounts[0]) if not tried else Choice(later=at + 24 * HOUR)

        def learn(self, facts, account, heard, at): ...

        def patience(self, account):
            return PATIENCE

    found = policies(run(world(), 300, ["a"], a=Later))["a"]
    assert found["attempts"] == 300
