"""The catalogue says what the connectors say, more where the issuer does, and never allows what a code forbids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrooge.connectors.adyen_replies import REFUSALS
from scrooge.connectors.stripe_declines import DECLINES
from scrooge.domain.declines import Advice, Decline
from scrooge.domain.outcome import Declined
from scrooge.routing.declines.catalogue import (
    STRICTER,
    TABLES,
    Block,
    Table,
    Unmapped,
    at_least,
    catalogue,
    of,
    read,
    unmapped,
)
from scrooge.routing.shipped import shipped

KNOWN = catalogue()
RAW = {key[1:4:2]: m.decline for key, m in KNOWN.meanings.items() if key[0] == "raw"}


def test_it_maps_stripes_and_adyens_codes_as_the_connectors_do():
    """Both ways: a code that only one of them has is a gap."""
    assert {code: d for (connector, code), d in RAW.items() if connector == "stripe"} == DECLINES
    assert {code: d for (connector, code), d in RAW.items() if connector == "adyen"} == {c: d for c, _, d in REFUSALS}
    assert {(c, t): code for (c, t), code in KNOWN.words.items()} == {("adyen", t.lower()): c for c, t, _ in REFUSALS}


def test_every_block_has_a_source_and_the_day_it_was_read():
    for name in TABLES:
        for block in shipped(f"declines/{name}.toml", Table).block:
            assert block.source.startswith("https://")
            assert block.checked >= "2026-11-22"


def test_a_code_is_mapped_once():
    block = Block(says="raw", source="https://a", checked="2026-11-22", codes={"1": Decline.EXPIRED_CARD})
    with pytest.raises(ValueError, match="mapped twice"):
        of((block, block))


@pytest.mark.parametrize(
    ("declined", "brand", "decline", "advice"),
    [
        (Declined(Decline.DO_NOT_HONOR, "2", network_code="05"), "visa", Decline.DO_NOT_HONOR, Advice.RETRY_ELSEWHERE),
        (Declined(Decline.DO_NOT_HONOR, "2", network_code="51"), "visa", Decline.INSUFFICIENT_FUNDS, Advice.RETRY_LATER),
        (Declined(Decline.DO_NOT_HONOR, "2", network_code="1A"), "visa", Decline.AUTHENTICATION_REQUIRED, Advice.AUTHENTICATE),
        (Declined(Decline.DO_NOT_HONOR, "2", network_code="65"), "mastercard", Decline.AUTHENTICATION_REQUIRED, Advice.AUTHENTICATE),
        (Declined(Decline.DO_NOT_HONOR, "2", network_code="65"), "visa", Decline.LIMIT_EXCEEDED, Advice.RETRY_LATER),
        (Declined(Decline.RESTRICTED_CARD, "5", network_code="43"), "visa", Decline.STOLEN_CARD, Advice.STOP),
        (Declined(Decline.STOLEN_CARD, "stolen_card", network_code="05"), "visa", Decline.STOLEN_CARD, Advice.STOP),
        (Declined(Decline.DO_NOT_HONOR, "2", network_code="05", advice_code="03"), "mastercard", Decline.DO_NOT_HONOR, Advice.STOP),
        (Declined(Decline.DO_NOT_HONOR, "2", network_code="05", advice_code="02"), "mastercard", Decline.DO_NOT_HONOR, Advice.RETRY_LATER),
        (Declined(Decline.EXPIRED_CARD, "6", network_code="54", advice_code="01"), "mastercard", Decline.EXPIRED_CARD, Advice.NEW_DETAILS),
        (Declined(Decline.STOLEN_CARD, "5", network_code="43", advice_code="02"), "mastercard", Decline.STOLEN_CARD, Advice.STOP),
        (Declined(Decline.DO_NOT_HONOR, "2", advice_code="40"), "mastercard", Decline.DO_NOT_HONOR, Advice.RETRY_ELSEWHERE),
    ],
)  # fmt: skip
def test_what_the_codes_say_together(declined: Declined, brand: str, decline: Decline, advice: Advice):
    reading = read(KNOWN, declined, "adyen", brand)
    assert (reading.decline, reading.advice) == (decline, advice)
    assert reading.because


CODES = st.sampled_from([None, "", "05", "51", "43", "1A", "65", "91", "54", "zz"])
MACS = st.sampled_from([None, "", "01", "02", "03", "04", "21", "22", "24", "30", "40", "99"])


@given(st.sampled_from(list(Decline)), CODES, MACS, st.sampled_from(["", "visa", "mastercard", "amex"]))
def test_no_other_code_allows_what_the_psps_code_forbids(decline: Decline, network, advice, brand: str):
    reading = read(KNOWN, Declined(decline, "x", network_code=network, advice_code=advice), "adyen", brand)
    assert at_least(reading.advice, decline.advice)
    assert decline is not Decline.UNMAPPED or reading.advice is Advice.STOP, "above all not one that nobody mapped"
    assert set(STRICTER) == set(Advice)


def test_codes_that_nobody_mapped_are_named_with_what_the_others_suggest():
    heard = Declined(Decline.UNMAPPED, "brand_new_code", "No idea.", network_code="51", advice_code="99")
    assert list(unmapped(KNOWN, heard, "stripe", "mastercard")) == [
        Unmapped("raw", "stripe", "mastercard", "brand_new_code", "No idea.", Decline.INSUFFICIENT_FUNDS),
        Unmapped("advice", "", "mastercard", "99", "No idea."),
    ]
    assert not list(unmapped(KNOWN, Declined(Decline.DO_NOT_HONOR, "2", network_code="05"), "adyen", "visa"))
    assert [
        u.code for u in unmapped(KNOWN, Declined(Decline.EXPIRED_CARD, "6", network_code="Q7"), "adyen", "visa")
    ] == ["Q7"]
