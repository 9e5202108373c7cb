"""Whose attempts are held to the schemes' limits."""

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from scrooge.domain.payment import Payment
from scrooge.flows.attempts import counted
from scrooge.storage.instruments import Instrument

TEST = Payment(id="pay", merchant="mer", caller="clr", reference="r", minor=500, currency="EUR")
CARD = Instrument(id="ins", merchant="mer", livemode=True, customer="c", brand="visa", fingerprint="f")
STRIPE: Any = SimpleNamespace(connector="stripe")


@pytest.mark.parametrize(("livemode", "setting", "is_counted"), [
    (True, "live", True), (True, "all", True), (False, "live", False), (False, "all", True),
])  # fmt: skip
def test_no_setting_lets_real_money_out_and_one_holds_test_mode_too(livemode: bool, setting: str, is_counted: bool):
    s: Any = SimpleNamespace(settings=SimpleNamespace(scheme_limits=setting))
    found = counted(s, structs.replace(TEST, livemode=livemode), CARD, STRIPE, 1)
    assert (found is not None) is is_counted
