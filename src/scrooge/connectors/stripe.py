"""Stripe by PaymentIntents. https://docs.stripe.com/api/payment_intents

One request authorizes: it creates the intent and confirms it.
"""

import re
from collections.abc import Mapping

from scrooge.connectors.connector import (
    Command,
    Connector,
    Endpoint,
    Fill,
    Headers,
    Recovery,
    Request,
    TokenFill,
)
from scrooge.connectors.kit import (
    fill_of,
    form,
    parent_of,
    segment,
    token_fill_of,
    units,
    unusable,
    without_version,
)
from scrooge.connectors.stripe_cards import CARD, FORM, INTENTS, NETWORK_TOKEN, VERIFIED_CARD, instrument
from scrooge.connectors.stripe_increments import increment, read_increment
from scrooge.connectors.stripe_notifications import notifications, verify
from scrooge.connectors.stripe_replies import (
    EXPONENTS,
    asking,
    capture,
    found_authorization,
    found_refund,
    read_abandoned,
    read_authorization,
    read_capture,
    read_refund,
    read_void,
    void,
)
from scrooge.connectors.stripe_setups import ENDED, FOUND, VERIFIED, either
from scrooge.connectors.stripe_tokens import ADOPT, FORGET, LOOK
from scrooge.domain.attempt import Operation
from scrooge.domain.mandate import Use
from scrooge.errors import AmountNotRepresentable, UnsupportedOperation
from scrooge.money import Money

VERSION = "2026-10-28.endive"
HOUR, DAY = 3600, 86_400
REFUNDS = "/v1/refunds"
CREDENTIALS = {"api_key": True, "webhook_secret": False}
# https://docs.stripe.com/get-started/account/statement-descriptors
SUFFIX_MAX = 22
# What the payer agreed to, where that is known: payments at fixed times, or whenever one is due.
OFF_SESSION = {None: "true", Use.RECURRING: "recurring", Use.INSTALMENT: "recurring", Use.UNSCHEDULED: "one_off"}
NOT_IN_SUFFIX = re.compile(r"[^ -~]|[<>\\'\"*]")


def amount(money: Money) -> int:
    """Raises AmountNotRepresentable, also where Stripe wants a last digit of zero."""
    count = units(money, EXPONENTS)
    if money.exponent == 3 and count % 10:
        raise AmountNotRepresentable(f"Stripe takes {money.currency} in steps of 0.010; got {money}")
    return count


# --- credentials ----------------------------------------------------------------------------


def check_credentials(credentials: Mapping[str, str], live: bool) -> str | None:
    wrong = unusable(credentials, CREDENTIALS)
    if wrong is not None:
        return wrong
    mode = "live" if live else "test"
    if not credentials["api_key"].startswith((f"sk_{mode}_", f"rk_{mode}_")):
        return f"api_key is not a {mode} key (sk_{mode}_... or rk_{mode}_...)"
    return None


def headers(credentials: Mapping[str, str], request: Request) -> dict[str, str]:
    found = {"Authorization": f"Bearer {credentials['api_key']}", "Stripe-Version": VERSION}
    if request.idempotency_key is not None:
        found["Idempotency-Key"] = request.idempotency_key
    return found


def replayed(given: Headers) -> bool:
    return given.get("idempotent-replayed") == "true"


# --- requests -------------------------------------------------------------------------------


def post(
    path: str, pairs: list[tuple[str, str]], key: str, fill: Fill | None = None, token: TokenFill | None = None
) -> Request:
    return Request("POST", path, form(pairs), FORM, key, fill, token)


def get(path: str, *pairs: tuple[str, str]) -> Request:
    return Request("GET", f"{path}?{form(pairs).decode()}" if pairs else path)


def authorize(command: Command) -> Request:
    pairs = [
        ("amount", str(amount(command.amount))),
        ("currency", command.amount.currency.lower()),
        *instrument(command),
        ("automatic_payment_methods[enabled]", "true"),
        ("capture_method", "automatic" if command.sale else "manual"),
        ("confirm", "true"),
        ("metadata[reference]", command.reference),
        ("metadata[payment]", command.payment),
        ("expand[]", "latest_charge"),
    ]
    if command.psp_customer:
        pairs.append(("customer", command.psp_customer))
    if command.initiator == "merchant":
        pairs.append(("off_session", OFF_SESSION[command.use]))
    if command.initiator != "merchant" and command.return_url:
        pairs.append(("return_url", command.return_url))
    else:
        pairs.append(("automatic_payment_methods[allow_redirects]", "never"))
    if command.initiator != "merchant" and not command.return_url:
        # With nowhere to return to, an authentication could never end: a decline is clearer.
        pairs.append(("error_on_requires_action", "true"))
    if command.incremental:  # https://docs.stripe.com/payments/incremental-authorization
        pairs.append(("payment_method_options[card][request_incremental_authorization]", "if_available"))
    if command.authenticate:  # https://docs.stripe.com/payments/3d-secure/authentication-flow
        pairs.append(("payment_method_options[card][request_three_d_secure]", "any"))
    suffix = statement_suffix(command.statement_descriptor or "")
    if suffix:
        pairs.append(("statement_descriptor_suffix", suffix))
    return post(INTENTS, pairs, command.reference, fill_of(command), token_fill_of(command))


def statement_suffix(descriptor: str) -> str:
    """Stripe puts the account's prefix and a star in front: only what is behind a star is ours."""
    text = NOT_IN_SUFFIX.sub("", descriptor.rpartition("*")[2]).strip()[:SUFFIX_MAX].strip()
    return text if any(character.isalpha() for character in text) else ""


def take(command: Command) -> Request:
    pairs = [
        ("amount_to_capture", str(amount(command.amount))),
        ("metadata[capture_reference]", command.reference),
        ("expand[]", "latest_charge"),
    ]
    return post(f"{INTENTS}/{segment(parent_of(command))}/capture", pairs, command.reference)


def add(command: Command) -> Request:
    """The reference in the metadata is how an inquiry knows the increment: the intent has no list of them."""
    pairs = [
        ("amount", str(amount(command.amount))),
        ("metadata[increment_reference]", command.reference),
        ("expand[]", "latest_charge"),
    ]
    return post(f"{INTENTS}/{segment(parent_of(command))}/increment_authorization", pairs, command.reference)


def release(command: Command) -> Request:
    pairs = [("cancellation_reason", "requested_by_customer")]
    return post(f"{INTENTS}/{segment(parent_of(command))}/cancel", pairs, command.reference)


def give_back(command: Command) -> Request:
    pairs = [
        ("payment_intent", parent_of(command)),
        ("amount", str(amount(command.amount))),
        ("metadata[reference]", command.reference),
        ("metadata[payment]", command.payment),
    ]
    return post(REFUNDS, pairs, command.reference)


def end(command: Command) -> Request:
    """ "abandoned" is how a notification of this cancellation is told from one of a void."""
    path = f"{INTENTS}/{segment(known(command))}/cancel"
    return post(path, [("cancellation_reason", "abandoned")], f"{command.reference}-abandon")


def known(command: Command) -> str:
    """Raises UnsupportedOperation where Stripe has not named the intent yet."""
    if not command.psp_reference:
        raise UnsupportedOperation("Stripe has not named the payment yet")
    return command.psp_reference


# --- questions ------------------------------------------------------------------------------


def retrieve(command: Command) -> Request:
    return get(f"{INTENTS}/{segment(known(command))}", ("expand[]", "latest_charge"))


def find_authorization(command: Command) -> Request:
    if command.psp_reference:
        return retrieve(command)
    query = f"metadata['reference']:'{quoted(command.reference)}'"
    return get(f"{INTENTS}/search", ("query", query), ("expand[]", "data.latest_charge"))


def quoted(text: str) -> str:
    """For Stripe's search language. https://docs.stripe.com/search"""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def read_parent(command: Command) -> Request:
    return get(f"{INTENTS}/{segment(parent_of(command))}")


def find_refund(command: Command) -> Request:
    if command.psp_reference:
        return get(f"{REFUNDS}/{segment(command.psp_reference)}")
    return get(REFUNDS, ("payment_intent", parent_of(command)), ("limit", "100"))


STRIPE = Connector(
    name="stripe",
    test_url="https://api.stripe.com",
    live_url="https://api.stripe.com",
    credentials=CREDENTIALS,
    check_credentials=check_credentials,
    base_url=without_version,
    headers=headers,
    endpoints={
        Operation.AUTHORIZE: Endpoint(authorize, read_authorization),
        Operation.CAPTURE: Endpoint(take, read_capture),
        Operation.VOID: Endpoint(release, read_void),
        Operation.REFUND: Endpoint(give_back, read_refund),
        Operation.INCREMENT: Endpoint(add, read_increment),
        Operation.VERIFY: VERIFIED,
    },
    continuation=either(Endpoint(retrieve, asking(found_authorization)), FOUND),
    inquiries={
        Operation.AUTHORIZE: Endpoint(find_authorization, asking(found_authorization)),
        Operation.CAPTURE: Endpoint(read_parent, asking(capture)),
        Operation.VOID: Endpoint(read_parent, asking(void)),
        Operation.REFUND: Endpoint(find_refund, asking(found_refund)),
        Operation.INCREMENT: Endpoint(read_parent, asking(increment)),
        Operation.VERIFY: FOUND,
    },
    abandon=either(Endpoint(end, read_abandoned), ENDED),
    adopt=ADOPT,
    look=LOOK,
    forget=FORGET,
    increments_max=10,
    authenticates=True,
    # https://docs.stripe.com/payments/3d-secure/strong-customer-authentication-exemptions
    exempts_by_itself=True,
    names_consent=True,
    replayed=replayed,
    verify=verify,
    notifications=notifications,
    accepted=(200, ""),
    cards={"authorize": CARD, "verify": VERIFIED_CARD},
    amount=amount,
    network_token=NETWORK_TOKEN,
    recovery=Recovery(
        replay_for=23 * HOUR,  # Keys are pruned after 24 hours. https://docs.stripe.com/api/idempotent_requests
        horizon=60,  # "Data is searchable in less than a minute." https://docs.stripe.com/search#data-freshness
        # A card's intent is "processing" for seconds, seldom for longer; captures and cancellations answer at once.
        # A refund is pending until the bank took it, or until the balance covers it: days, and it may fail after
        # that. https://docs.stripe.com/refunds
        expected={
            Operation.AUTHORIZE: HOUR,
            Operation.CAPTURE: HOUR,
            Operation.VOID: HOUR,
            Operation.REFUND: 10 * DAY,
            Operation.INCREMENT: HOUR,
            Operation.VERIFY: HOUR,
        },
    ),
)
