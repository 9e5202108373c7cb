"""A world file: the shipped ones are valid, and a wrong one is refused with the place and the rule."""

from importlib.resources import files
from pathlib import Path

import pytest
from tests.routing.trial.small import SMALL, world

from scrooge.routing.trial.calendar import DAY, days, duration, moment, paydays
from scrooge.routing.trial.checks import WorldRefused, read

SHIPPED = sorted(files("scrooge.routing.trial").joinpath("worlds").iterdir(), key=lambda f: f.name)
TROUBLE = (
    '[{ decline = "do_not_honor", share = 1.0, network_code = "05" }] -> '
    '[{ decline = "do_not_honor", share = 1.0, network_code = "05" }]\ntroubles = '
)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda f: f.name)
def test_a_shipped_world_is_valid_and_says_that_it_is_simulated(file):
    text = file.read_text()
    assert read(text).name == file.name.removesuffix(".toml")
    assert "SIMULATED" in text


def test_four_worlds_are_shipped_and_lie_at_the_root_too():
    assert {"steady.toml", "drifting.toml", "outage.toml", "thin.toml"} <= {f.name for f in SHIPPED}
    root = Path(__file__).parents[3] / "worlds"
    assert {f.name for f in root.glob("*.toml")} == {f.name for f in SHIPPED}


def test_the_outage_world_has_fifty_payments_a_second_or_more():
    assert read(next(f for f in SHIPPED if f.name == "outage.toml").read_text()).rate >= 50


@pytest.mark.parametrize(
    ("change", "place", "rule"),
    [
        ('"EUR" -> "EURO"', "currency", "no currency"),
        ("rate = 50.0 -> rate = 0", "rate", "takes 0.001 to 10000"),
        ("rate = 50.0 -> rate = nan", "rate", "takes 0.001"),
        ("2026-03-02T -> 2026-13-02T", "start", "no moment"),
        ("one = 0.8 -> one = 1.2", "segments.all.approval.one", "takes 0 to 1"),
        ("one = 0.8 -> three = 0.8", "segments.all.approval", 'says nothing of account "one"'),
        ('"usual"\nweight -> "odd"\nweight', "segments.all.behavior", 'no behavior "odd"'),
        ('"40000001" -> "50000001"', "segments.all.iins", "no visa number"),
        ('"40000001" -> "4000"', "segments.all.iins", "6 or 8 digits"),
        ("share = 1.0 -> share = 0.9", "behaviors.usual.declines", "add up to 1"),
        ('"do_not_honor" -> "no_idea"', "behaviors.usual.declines[0].decline", "no_idea"),
        ('name = "two" -> name = "one"', "accounts", '"one" is there twice'),
        ('attempt_minor = "10" -> attempt_minor = "ten"', "accounts[0].cost.attempt_minor", "no decimal number"),
        ("agree = 0.0 -> agree = 0.0\nagre = 1", "behaviors[...]", "unknown field `agre`"),
        ("version = 1 -> version = 2", "version", "Invalid enum value 2"),
        (TROUBLE + '[{ decline = "insufficient_funds", share = 0.5, lasts = "payday", again = 0.1 }]',
         "behaviors.usual.troubles[0].again", "less than share"),
        (TROUBLE + '[{ decline = "do_not_honor", share = 0.1, lasts = "day", again = 0.5 }]',
         "behaviors.usual.troubles[0]", "reason of declines too"),
        ("margin_bps = 1000 -> margin_bps = 1000\noutages = [{ kind = \"silent\", since = \"1m\", until = \"1m\", account = \"one\" }]",
         "outages[0].until", "after since"),
        ("margin_bps = 1000 -> margin_bps = 1000\noutages = [{ kind = \"errors\", since = \"1m\", until = \"2m\" }]",
         "outages[0].kind", "issuers decline"),
        ("margin_bps = 1000 -> margin_bps = 1000\ndrifts = [{ kind = \"daily\", points = 1.0, accounts = [\"x\"] }]",
         "drifts[0].accounts", 'no account "x"'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(change, place, rule):
    with pytest.raises(WorldRefused) as refused:
        world(change=change)
    assert any(where == place and rule in why for where, why in refused.value.places), refused.value


def test_a_file_that_is_no_toml_is_refused_with_the_line():
    with pytest.raises(WorldRefused, match="line 1"):
        read("version = = 1")


def test_every_fault_is_told_at_once():
    with pytest.raises(WorldRefused) as refused:
        world(SMALL, a="rate = 50.0 -> rate = 0", b="one = 0.8 -> one = 8.0")
    assert {"rate", "segments.all.approval.one"} <= {place for place, _ in refused.value.places}


def test_days_and_durations_are_those_of_the_calendar():
    assert days(1970, 1, 1) == 0
    assert days(2026, 3, 2) == 20_514  # date.toordinal() of both days, subtracted
    assert days(2000, 2, 29) + 1 == days(2000, 3, 1)
    assert moment("2026-03-02T00:00:01Z") == 20_514 * DAY + 1_000_000
    assert duration("1.5h") == 5_400_000_000


def test_paydays_are_midnights_in_the_zone():
    noon = moment("2026-03-10T12:00:00Z")
    found = paydays(noon, noon + 30 * DAY, (1, 15), 3_600_000_000)
    assert found[:3] == [moment(f"2026-{m}T23:00:00Z") for m in ("02-28", "03-14", "03-31")]
