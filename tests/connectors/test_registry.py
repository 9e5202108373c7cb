"""Third parties add connectors; none can take the place of another."""

from importlib.metadata import EntryPoint, EntryPoints

import pytest
from msgspec import structs

from scrooge.connectors import registry
from scrooge.connectors.stripe import STRIPE
from scrooge.errors import SettingsError

THEIRS = structs.replace(STRIPE, name="example")
HERE = __name__


def offering(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    points = EntryPoints(EntryPoint(f"p{i}", v, registry.GROUP) for i, v in enumerate(values))
    monkeypatch.setattr(registry, "entry_points", lambda group: points.select(group=group))


def test_ours_are_always_there() -> None:
    assert {"stripe", "adyen"} <= registry.connectors().keys()


def test_a_third_party_adds_one_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    offering(monkeypatch, f"{HERE}:THEIRS")
    assert registry.connectors()["example"] is THEIRS


@pytest.mark.parametrize("value", ["scrooge.connectors.stripe:STRIPE", f"{HERE}:HERE"])
def test_a_taken_name_or_another_thing_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    offering(monkeypatch, value)
    with pytest.raises(SettingsError, match="p0"):
        registry.connectors()


def test_two_third_parties_cannot_share_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    offering(monkeypatch, f"{HERE}:THEIRS", f"{HERE}:THEIRS")
    with pytest.raises(SettingsError, match="example"):
        registry.connectors()
