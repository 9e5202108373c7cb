"""The test cards: one row per card, the same number at every PSP.

Numbers and `pm_card_...` tokens that Stripe publishes (docs.stripe.com/testing) mean here what
they mean there; `pm_card_sandbox_...` and their numbers are ours, for what Stripe has no card for.
"""

from datetime import UTC, datetime

import msgspec


class Decline(msgspec.Struct, frozen=True):
    """An issuer's no: its name here, the raw network code and the scheme's advice code, if any."""

    name: str
    network_code: str
    advice_code: str
    text: str


class Card(msgspec.Struct, frozen=True):
    """A card and how its issuer behaves; `decline` says why where the behavior refuses."""

    number: str
    brand: str
    outcome: str
    decline: str | None = None


class TestCard(msgspec.Struct, frozen=True):
    """A row of the public list: a card at one PSP and what a payment with it does."""

    __test__ = False  # Not a test, whatever pytest thinks of the name.

    connector: str
    token: str
    number: str
    outcome: str


DECLINES = {
    row.name: row
    for row in (
        Decline("insufficient_funds", "51", "", "Insufficient funds/over credit limit"),
        Decline("do_not_honor", "05", "", "Do not honor"),
        Decline("lost_card", "41", "03", "Lost card"),
        Decline("stolen_card", "43", "03", "Stolen card"),
        Decline("expired_card", "54", "01", "Expired card"),
        Decline("incorrect_cvc", "N7", "01", "CVV2 mismatch"),
        Decline("issuer_unavailable", "91", "", "Issuer unavailable"),
        Decline("processing_error", "96", "", "System malfunction"),
        Decline("limit_exceeded", "61", "", "Exceeds withdrawal amount limit"),
        Decline("restricted_card", "62", "03", "Restricted card"),
        Decline("suspected_fraud", "59", "03", "Suspected fraud"),
        Decline("authentication_required", "1A", "", "Additional customer authentication required"),
        Decline("authentication_failed", "", "", "3-D Secure authentication failed"),
        Decline("revoked", "R1", "", "Revocation of authorization order"),
        Decline("unmapped", "ZZ", "", "A reason nobody has documented yet"),
    )
}

# number, brand, outcome for a payer who is present, token at Stripe less `pm_card_`, and the name
# in the token at Adyen where it is not the outcome's own
_ROWS = """
4242424242424242 visa       approved                         visa              visa
5555555555554444 mastercard approved                         mastercard        mastercard
378282246310005  amex       approved                         amex              amex
4000056655665556 visa       approved                         visa_debit        visa_debit
5200828282828210 mastercard approved                         mastercard_debit  mastercard_debit
5105105105105100 mastercard approved                         mastercard_prepaid mastercard_prepaid
6011111111111117 discover   approved                         discover          discover
3566002020360505 jcb        approved                         jcb               jcb
4000000000000002 visa       declined:do_not_honor            visa_chargeDeclined
4000000000009995 visa       declined:insufficient_funds      visa_chargeDeclinedInsufficientFunds
4000000000009987 visa       declined:lost_card               visa_chargeDeclinedLostCard
4000000000009979 visa       declined:stolen_card             visa_chargeDeclinedStolenCard
4000000000000069 visa       declined:expired_card            chargeDeclinedExpiredCard
4000000000000127 visa       declined:incorrect_cvc           chargeDeclinedIncorrectCvc
4000000000000101 visa       approved                         cvcCheckFail      cvcCheckFail
4000000000000119 visa       declined:processing_error        chargeDeclinedProcessingError
4000000000006975 visa       declined:limit_exceeded visa_chargeDeclinedVelocityLimitExceeded
4100000000000019 visa       declined:suspected_fraud         radarBlock
4000009900000012 visa       declined:issuer_unavailable      sandbox_issuerUnavailable
4000009900000020 visa       declined:restricted_card         sandbox_restrictedCard
4000009900000038 visa       declined:unmapped                sandbox_unmapped
4000009900000046 visa       declined:authentication_required sandbox_softDecline
4000009900000111 visa       sca                              sandbox_sca           sca
4000009900000103 visa       sca_strict                       sandbox_scaStrict     sca_strict
4000002760003184 visa       challenge                        authenticationRequired challenge_always
4000000000003220 visa       challenge                        threeDSecure2Required
4000008400001629 visa       challenge_declined               threeDSecureRequiredChargeDeclined
4000000000005126 visa       refund_fails                     refundFail
4000000000007726 visa       refund_pending                   pendingRefund
4000009900000053 visa       capture_fails                    sandbox_captureFails
4000009900000061 visa       pending                          sandbox_pending
4000009900000079 visa       pending_declined                 sandbox_pendingDeclined
4000009900000087 visa       expires                          sandbox_expires
4000009900000129 visa       increment_declined               sandbox_incrementDeclined
4000009900000095 visa       declined_at_first:insufficient_funds sandbox_fundsLater funds_later
4000009900000137 visa       withdrawn:revoked                sandbox_revoked   revoked
"""

_CODE_FAILS = "4000000000000101"
POOR_AT_FIRST = "4000009900000095"  # its issuer remembers what it was asked

# Other public names Stripe has for the same cards.
_STRIPE_ALIASES = {
    "pm_card_us": "4242424242424242",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_chargeDeclinedFraudulent": "4100000000000019",
    "pm_card_threeDSecureRequired": "4000000000003220",
}

# Why a card says no when its moment comes; `declined:` rows name their own reason.
_LATE_DECLINES = {
    "challenge": "authentication_required",
    "challenge_declined": "do_not_honor",
    "pending_declined": "do_not_honor",
}


def _card(number: str, brand: str, outcome: str) -> Card:
    _, _, reason = outcome.partition(":")
    return Card(number, brand, outcome, reason or _LATE_DECLINES.get(outcome))


_ROW_FIELDS: list[list[str]] = [[*line.split()] for line in _ROWS.strip().splitlines()]
_BY_NUMBER = {row[0]: _card(*row[:3]) for row in _ROW_FIELDS}


def _tokens(row: list[str]) -> dict[str, str]:
    """This card's token at each connector."""
    _, _, outcome, at_stripe, *named = row
    name = named[0] if named else outcome.rpartition(":")[2]
    return {"stripe": f"pm_card_{at_stripe}", "adyen": f"stored_{name}"}


TEST_CARDS: tuple[TestCard, ...] = tuple(
    TestCard(connector, _tokens(row)[connector], row[0], row[2])
    for connector in ("stripe", "adyen")
    for row in _ROW_FIELDS
)

# Numbers that begin so, whatever follows: as many cards of one kind as somebody needs.
FAMILIES = {
    "4000009801": "approved",
    "4000009802": "declined:insufficient_funds",
    "4000009803": "declined:issuer_unavailable",
    "4000009804": "challenge",
    "4000009805": "refund_fails",
}

# Connector -> token -> number: the tokens everybody finds here without creating them.
PUBLIC_TOKENS: dict[str, dict[str, str]] = {
    connector: {card.token: card.number for card in TEST_CARDS if card.connector == connector}
    for connector in ("stripe", "adyen")
}
PUBLIC_TOKENS["stripe"] |= _STRIPE_ALIASES


def luhn(number: str) -> bool:
    """The check digit of ISO/IEC 7812-1 annex B."""
    digits = [int(digit) for digit in reversed(number)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def brand_of(number: str) -> str:
    """The scheme by leading digits, coarse on purpose: test numbers only."""
    if number.startswith("4"):
        return "visa"
    if number[:2] in {"34", "37"}:
        return "amex"
    if number[:2] in {"51", "52", "53", "54", "55"} or "2221" <= number[:4] <= "2720":
        return "mastercard"
    return "jcb" if number[:2] == "35" else "discover"


def find_card(number: str) -> Card | None:
    """The card behind a number: a test card, or an approving one for any other valid number."""
    if card := _BY_NUMBER.get(number):
        return card
    if not (number.isdigit() and 12 <= len(number) <= 19 and luhn(number)):
        return None
    return _card(number, brand_of(number), FAMILIES.get(number[:10], "approved"))


def check_code(number: str, code: str) -> str:
    """What the issuer says about a security code: "pass", "fail", or nothing where none was given.

    Any code is right but for two cards. https://docs.stripe.com/testing
    """
    if not code:
        return ""
    card = find_card(number)
    wrong = number == _CODE_FAILS or (card is not None and card.decline == "incorrect_cvc")
    return "fail" if wrong else "pass"


def is_code(number: str, code: str) -> bool:
    """Has a security code the form it has with this brand?"""
    return code.isascii() and code.isdigit() and len(code) == (4 if brand_of(number) == "amex" else 3)


def is_past(month: int, year: int) -> bool:
    """Has a card with this expiry run out? It is good through the last day of its month."""
    now = datetime.now(UTC)
    return (year, month) < (now.year, now.month)
