"""Our verification agrees with the PSPs' own libraries, and is stricter where they are too lenient."""

import time
from typing import Any

import msgspec
import pytest
import stripe
from Adyen.util import generate_notification_sig, is_valid_hmac_notification

from scrooge.connectors.adyen import ADYEN
from scrooge.connectors.stripe import STRIPE

from .cases.adyen_news import AUTHORIZED, CAPTURED, batch
from .cases.adyen_news import signed as adyen_signed
from .cases.adyen_words import CREDENTIALS as ADYEN_CREDENTIALS
from .cases.adyen_words import HMAC_KEY
from .cases.stripe_news import FORGERIES as STRIPE_FORGERIES
from .cases.stripe_news import NOTICES, SECRET, mac
from .cases.stripe_news import signed as stripe_signed
from .cases.stripe_words import CREDENTIALS as STRIPE_CREDENTIALS


def stripe_library(raw: bytes, headers: dict[str, str]) -> bool:
    header = headers.get("stripe-signature", "")
    try:
        stripe.Webhook.construct_event(raw.decode(), header, SECRET)
    except stripe.SignatureVerificationError:
        return False
    return True


def stripe_ours(raw: bytes, headers: dict[str, str], now: int | None = None) -> bool:
    at = int(time.time()) if now is None else now
    return STRIPE.verify(raw, headers, STRIPE_CREDENTIALS, at)


@pytest.mark.parametrize("row", NOTICES, ids=lambda row: row.claim)
def test_what_stripes_library_accepts_is_accepted(row: Any) -> None:
    raw, headers = stripe_signed(row.document, int(time.time()))
    assert stripe_library(raw, headers)
    assert stripe_ours(raw, headers)


# The library ends in a TypeError there; ours refuses, as the contract suite shows.
BEYOND_THE_LIBRARY = {"letters beyond ASCII"}


@pytest.mark.parametrize("claim", sorted(STRIPE_FORGERIES.keys() - BEYOND_THE_LIBRARY))
def test_what_stripes_library_refuses_is_refused(claim: str) -> None:
    raw, headers, _ = STRIPE_FORGERIES[claim]
    assert not stripe_library(raw, headers)
    assert not stripe_ours(raw, headers)


def test_a_time_in_the_future_is_refused_though_stripes_library_accepts_it() -> None:
    raw, headers = stripe_signed(NOTICES[0].document, int(time.time()) + 86_400)
    assert stripe_library(raw, headers)
    assert not stripe_ours(raw, headers)


def test_while_a_stripe_secret_is_rotated_one_signature_of_several_is_enough() -> None:
    now = int(time.time())
    raw = msgspec.json.encode(NOTICES[0].document)
    old, new = mac(raw, now, "whsec_old"), mac(raw, now)
    for header in (f"t={now},v1={old},v1={new}", f"t={now},v1={new},v1={old},v0=x"):
        assert stripe_library(raw, {"stripe-signature": header})
        assert stripe_ours(raw, {"stripe-signature": header})


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_five_minutes_to_both_sides_are_tolerated(seconds: int) -> None:
    raw, headers = stripe_signed(NOTICES[0].document, 1_790_000_000)
    assert stripe_ours(raw, headers, 1_790_000_000 + seconds)


def adyen_ours(raw: bytes, **more: Any) -> bool:
    return ADYEN.verify(raw, more.get("headers", {}), {**ADYEN_CREDENTIALS, **more}, 0)


def test_what_adyens_library_signs_is_accepted() -> None:
    for about in (AUTHORIZED, CAPTURED):
        given = generate_notification_sig(about, HMAC_KEY).decode()
        raw = msgspec.json.encode(batch({**about, "additionalData": {"hmacSignature": given}}))
        assert is_valid_hmac_notification(msgspec.json.decode(raw), HMAC_KEY)
        assert adyen_ours(raw)


def test_adyens_published_example_is_accepted() -> None:
    """The key and the signature that Adyen's libraries are tested with."""
    about = {
        "pspReference": "7914073381342284",
        "merchantAccountCode": "TestMerchant",
        "merchantReference": "TestPayment-1407325143704",
        "amount": {"value": 1130, "currency": "EUR"},
        "eventCode": "AUTHORISATION",
        "success": "true",
        "additionalData": {"hmacSignature": "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="},
    }
    assert adyen_ours(msgspec.json.encode(batch(about)))


def test_what_adyens_library_refuses_is_refused() -> None:
    raw, _ = adyen_signed(batch(AUTHORIZED), 0)
    for old, new in ((b"1299", b"1"), (b"AUTH1", b"AUTH2"), (b"true", b"false"), (b"pay_1", b"pay_2")):
        forged = raw.replace(old, new)
        assert not is_valid_hmac_notification(msgspec.json.decode(forged), HMAC_KEY)
        assert not adyen_ours(forged)


def test_a_forged_second_item_is_refused_though_adyens_library_accepts_it() -> None:
    raw, _ = adyen_signed(batch(AUTHORIZED, CAPTURED), 0)
    assert adyen_ours(raw)
    forged = raw.replace(b'"value":1000', b'"value":9999')
    assert is_valid_hmac_notification(msgspec.json.decode(forged), HMAC_KEY)
    assert not adyen_ours(forged)


def test_where_a_user_is_configured_the_signature_alone_is_not_enough() -> None:
    raw, _ = adyen_signed(batch(AUTHORIZED), 0)
    user = {"notification_user": "adyen", "notification_password": "pass:word"}
    credentials = {**ADYEN_CREDENTIALS, **user}
    good = {"authorization": "Basic YWR5ZW46cGFzczp3b3Jk"}
    assert ADYEN.verify(raw, good, credentials, 0)
    for bad in ({}, {"authorization": "Basic YWR5ZW46"}, {"authorization": "Bearer x"}):
        assert not ADYEN.verify(raw, bad, credentials, 0)
    assert not ADYEN.verify(raw.replace(b"1299", b"1"), good, credentials, 0)
