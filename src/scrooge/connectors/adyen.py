"""Adyen Checkout. https://docs.adyen.com/api-explorer/Checkout/72/overview

There is no way to ask for a payment's state: answers, notifications and reports are all there is.
"""

import hashlib
import re
from collections.abc import Mapping

from scrooge.connectors.adyen_cards import CARD, NETWORK_TOKEN, PAYMENTS, instrument
from scrooge.connectors.adyen_notifications import notifications, verify
from scrooge.connectors.adyen_replies import (
    EXPONENTS,
    read_details,
    read_modification,
    read_payment,
    read_reversal,
)
from scrooge.connectors.adyen_tokens import FORGET, LOOK
from scrooge.connectors.connector import (
    Command,
    Connector,
    Endpoint,
    Headers,
    Json,
    Recovery,
    Request,
)
from scrooge.connectors.kit import (
    fill_of,
    json_request,
    parent_of,
    segment,
    token_fill_of,
    units,
    unusable,
    without_version,
)
from scrooge.domain.attempt import Operation
from scrooge.errors import InvalidField
from scrooge.money import Money

HOUR, DAY = 3600, 86_400
CREDENTIALS = {
    "api_key": True,
    "hmac_key": False,
    "token_hmac_key": False,  # of the webhook of token life cycle events, where that has another
    "live_prefix": False,
    "notification_user": False,
    "notification_password": False,
}
PREFIX = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
HEX = re.compile(r"([0-9A-Fa-f]{2})+")

SHOPPER_MIN = 3  # characters
STATEMENT_MAX = 22
NOT_IN_STATEMENT = re.compile(r"[^A-Za-z0-9 .,'_?+*/-]")
# A merchant's own request has no payer to send back, but Adyen's schema wants an address.
NO_RETURN = "https://scrooge.invalid/no-return"
# AdditionalData3DSecure.scaExemption. https://docs.adyen.com/online-payments/psd2-sca-compliance-and-implementation-guide
EXEMPTIONS = {
    "low_value": "lowValue",
    "risk_analysis": "transactionRiskAnalysis",
    "secure_corporate": "secureCorporate",
}
# What a payer may bring back; anything else in the address is not Adyen's.
DETAILS = ("redirectResult", "payload", "threeDSResult")


def amount(money: Money) -> Json:
    """Raises AmountNotRepresentable."""
    return {"value": units(money, EXPONENTS), "currency": money.currency}


# --- credentials ----------------------------------------------------------------------------


def check_credentials(credentials: Mapping[str, str], live: bool) -> str | None:
    wrong = unusable(credentials, CREDENTIALS)
    if wrong is not None:
        return wrong
    for name in ("hmac_key", "token_hmac_key"):
        if credentials.get(name) and not HEX.fullmatch(credentials[name]):
            return f"{name} is not hexadecimal; copy it from the webhook's settings"
    prefix = credentials.get("live_prefix", "")
    if live and not prefix:
        return "live_prefix is missing; it is part of the address of a live account"
    if prefix and not PREFIX.fullmatch(prefix):
        return "live_prefix may only have letters, digits and dashes, like 1797a841fbb37ca7-Example"
    if credentials.get("notification_password") and not credentials.get("notification_user"):
        return "notification_user is missing beside notification_password"
    return None


def headers(credentials: Mapping[str, str], request: Request) -> dict[str, str]:
    found = {"X-API-Key": credentials["api_key"]}
    if request.idempotency_key is not None:
        found["Idempotency-Key"] = request.idempotency_key
    return found


def answered_once(given: Headers) -> bool:
    """Is this the only answer there is for the key?

    By its specification Adyen names the key in 200 and 422, which it keeps, and not in 400,
    401 and 403, which it gives before it looks.
    """
    return "idempotency-key" in given


# --- requests -------------------------------------------------------------------------------


def authorize(command: Command) -> Request:
    document: Json = {
        "merchantAccount": command.merchant_account,
        "reference": command.reference,
        "merchantOrderReference": command.payment,
        "amount": amount(command.amount),
        **instrument(command),
        "returnUrl": command.return_url or NO_RETURN,
    }
    if command.authenticate:  # https://docs.adyen.com/online-payments/3d-secure/
        document["authenticationData"] = {"attemptAuthentication": "always"}
    elif command.exemption:  # An issuer that wants more declines softly.
        document["authenticationData"] = {"attemptAuthentication": "never"}
    shopper = command.psp_customer or command.customer
    if shopper:
        if len(shopper) < SHOPPER_MIN:
            raise InvalidField(f"Adyen wants {SHOPPER_MIN} characters or more", param="customer")
        document["shopperReference"] = shopper
    statement = NOT_IN_STATEMENT.sub(" ", command.statement_descriptor or "").strip()
    if statement:
        document["shopperStatement"] = statement[:STATEMENT_MAX].strip()
    more = {} if command.sale else {"manualCapture": "true"}
    if command.sale:
        document["captureDelayHours"] = 0
    if command.exemption and not command.authenticate:
        more["scaExemption"] = EXEMPTIONS[command.exemption]
    own = fill_of(command) or token_fill_of(command)
    if own and command.initiator == "merchant" and command.network_transaction_id:
        more["networkTxReference"] = command.network_transaction_id
    if command.incremental:  # https://docs.adyen.com/online-payments/adjust-authorisation
        more["authorisationType"] = "PreAuth"
    if more:
        document["additionalData"] = more
    return json_request(PAYMENTS, document, command.reference, fill_of(command), token_fill_of(command))


def take(command: Command) -> Request:
    return modification(command, "captures", {"amount": amount(command.amount)})


def add(command: Command) -> Request:
    """Adyen wants the whole amount. https://docs.adyen.com/online-payments/adjust-authorisation"""
    return modification(command, "amountUpdates", {"amount": amount(command.amount)})


def release(command: Command) -> Request:
    return modification(command, "cancels", {})


def give_back(command: Command) -> Request:
    return modification(command, "refunds", {"amount": amount(command.amount)})


def take_back(command: Command) -> Request:
    """An authorization of which nobody knows what became. Each way under one key: asked again, it is not done again.

    By our reference Adyen cancels what was not captured. Of what it cannot cancel it tells the name: under that it
    reverses the payment whatever has become of it. The notifications carry one of the two references, so they are the
    same. https://docs.adyen.com/online-payments/cancel https://docs.adyen.com/online-payments/reversal
    """
    if command.psp_reference:
        document = {"merchantAccount": command.merchant_account, "reference": command.reference}
        path = f"{PAYMENTS}/{segment(command.psp_reference)}/reversals"
        return json_request(path, document, f"{command.reference}-reversal-named")
    document = {
        "merchantAccount": command.merchant_account,
        "paymentReference": command.reference,
        "reference": command.reference,
    }
    return json_request("/v72/cancels", document, f"{command.reference}-reversal")


def modification(command: Command, what: str, more: Json) -> Request:
    document = {
        "merchantAccount": command.merchant_account,
        "reference": command.reference,
        **more,
    }
    path = f"{PAYMENTS}/{segment(parent_of(command))}/{what}"
    return json_request(path, document, command.reference)


def proceed(command: Command) -> Request:
    """The key names the details too: a payer back with others must not get the first answer.

    Raises InvalidField.
    """
    details = {name: command.details[name] for name in DETAILS if command.details.get(name)}
    if not details:
        raise InvalidField(f"expected one of {', '.join(DETAILS)}", param="details")
    document = {"details": details}
    text = "\0".join(f"{name}={value}" for name, value in details.items())
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return json_request(f"{PAYMENTS}/details", document, f"{command.reference}-continue-{digest}")


ADYEN = Connector(
    name="adyen",
    test_url="https://checkout-test.adyen.com",
    live_url="https://{live_prefix}-checkout-live.adyenpayments.com/checkout",
    credentials=CREDENTIALS,
    check_credentials=check_credentials,
    base_url=without_version,
    headers=headers,
    endpoints={
        Operation.AUTHORIZE: Endpoint(authorize, read_payment),
        Operation.CAPTURE: Endpoint(take, read_modification),
        Operation.VOID: Endpoint(release, read_modification),
        Operation.REFUND: Endpoint(give_back, read_modification),
        Operation.INCREMENT: Endpoint(add, read_modification),
        # A zero-value authorization. https://docs.adyen.com/online-payments/tokenization
        Operation.VERIFY: Endpoint(authorize, read_payment),
    },
    continuation=Endpoint(proceed, read_details),
    inquiries={},
    abandon=None,
    reversal=Endpoint(take_back, read_reversal),
    look=LOOK,
    forget=FORGET,
    authenticates=True,
    exemptions=EXEMPTIONS,
    names_consent=True,
    replayed=answered_once,
    verify=verify,
    notifications=notifications,
    accepted=(202, ""),
    cards={"authorize": CARD},
    amount=amount,
    network_token=NETWORK_TOKEN,
    final_releases=False,  # With several partial captures the rest is held until it is canceled or lapses.
    recovery=Recovery(
        # Keys are kept for at least seven days. https://docs.adyen.com/development-resources/api-idempotency
        replay_for=7 * DAY - HOUR,
        horizon=0,  # Nothing can be asked, so nothing can be asked too early.
        # Its notifications come within a minute or two, and are repeated when they were not accepted. Not before the
        # minutes of a security code are over, with which the request could still be repeated.
        reverse_after=900,
        pending_after=HOUR,  # Only a notification ends it: a turn is for being counted.
        expected={
            Operation.AUTHORIZE: HOUR,
            Operation.CAPTURE: DAY,
            Operation.VOID: DAY,
            Operation.REFUND: 3 * DAY,
            Operation.INCREMENT: HOUR,
            Operation.VERIFY: HOUR,
        },
    ),
    multi_capture=True,
)
