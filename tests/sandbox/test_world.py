"""The parts under the dialects: cards, issuer, currencies, and the money of an authorization."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrooge.sandbox import acquirer
from scrooge.sandbox.adyen.notifications import sign
from scrooge.sandbox.cards import DECLINES, PUBLIC_TOKENS, TEST_CARDS, find_card, luhn
from scrooge.sandbox.config import SandboxConfig
from scrooge.sandbox.currencies import NotRepresentable, to_minor, to_units
from scrooge.sandbox.issuer import Ask, decide
from scrooge.sandbox.records import Authorization
from scrooge.sandbox.world import World


def test_every_card_has_a_valid_number_and_a_token_at_every_psp():
    numbers = {card.number for card in TEST_CARDS}
    assert all(luhn(number) for number in numbers)
    assert all(len([c for c in TEST_CARDS if c.number == n]) == 2 for n in numbers)
    assert all(PUBLIC_TOKENS[c.connector][c.token] == c.number for c in TEST_CARDS)
    assert len({(c.connector, c.token) for c in TEST_CARDS}) == len(TEST_CARDS)


def test_every_decline_has_a_card():
    named = {c.outcome.partition(":")[2] for c in TEST_CARDS} - {""}
    assert named == set(DECLINES) - {"authentication_failed"}


def test_a_valid_number_nobody_listed_is_approved():
    card = find_card("4111111111111111")
    assert card is not None
    assert decide(card, Ask()).answer == "approved"
    assert find_card("4111111111111112") is None


@given(
    st.sampled_from(["stripe", "adyen"]),
    st.sampled_from(["EUR", "JPY", "KWD", "ISK", "CLP", "IDR", "CVE", "MGA", "UGX", "HUF"]),
    st.integers(0, 10**8),
)
def test_units_and_minor_units_are_each_others_inverse(connector, currency, minor):
    """Wherever the PSP's units can say the amount at all."""
    units = to_units(connector, currency, minor)
    try:
        back = to_minor(connector, currency, units)
    except NotRepresentable:
        assert connector == "stripe"
        assert currency == "KWD"
    else:
        assert back == minor or (units * 100 == minor - minor % 100 == back)


def test_the_signature_is_the_one_adyen_publishes():
    """The worked example of Adyen's page on verifying HMAC signatures."""
    item = {
        "pspReference": "7914073381342284",
        "originalReference": "",
        "merchantAccountCode": "TestMerchant",
        "merchantReference": "TestPayment-1407325143704",
        "amount": {"value": 1130, "currency": "EUR"},
        "eventCode": "AUTHORISATION",
        "success": "true",
    }
    key = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
    assert sign(item, key) == "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["capture", "final", "void", "refund", "hold"]),
        st.integers(-5, 120),
    ),
    max_size=12,
)


@given(OPERATIONS)
def test_money_is_never_moved_twice(operations):
    world = World(SandboxConfig(latency_ms=0), [])
    names = {"reference": "r", "psp_reference": "p"}
    auth = Authorization(
        id="a",
        connector="stripe",
        merchant_account="m",
        reference="r",
        psp_reference="p",
        currency="EUR",
        minor=100,
        sale=False,
        number="4242424242424242",
    )
    card = find_card(auth.number)
    assert card is not None
    acquirer.authorize(world, auth, card, Ask())
    for operation, minor in operations:
        auth = world.state.need(Authorization, "a")
        with contextlib.suppress(acquirer.NoRoom):
            match operation:
                case "capture" | "final":
                    acquirer.capture(world, auth, minor, final=operation == "final", **names)
                case "void":
                    acquirer.void(world, auth, **names)
                case "refund":
                    acquirer.refund(world, auth, minor, **names)
                case "hold":
                    acquirer.hold_refund(world, auth, minor)
        after = world.state.need(Authorization, "a")
        assert 0 <= after.captured_minor + after.released_minor <= after.minor
        assert 0 <= after.refunded_minor <= after.captured_minor


@pytest.mark.parametrize("median", [0.0, 20.0])
def test_latency_is_the_same_for_the_same_seed(median: float):
    def draw() -> list[float]:
        world = World(SandboxConfig(latency_ms=median, seed=3), [])
        return [world.latency_seconds() for _ in range(200)]

    drawn = draw()
    assert drawn == draw()
    assert sorted(drawn)[100] == pytest.approx(median / 1000, rel=0.15)
