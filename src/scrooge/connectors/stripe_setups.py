"""Cards verified at Stripe, for nothing: SetupIntents. https://docs.stripe.com/api/setup_intents"""

from scrooge.connectors.connector import Command, Endpoint, Headers, Json, Request
from scrooge.connectors.kit import (
    NOT_FOUND,
    UnreadableReply,
    card_fields,
    fill_of,
    form,
    optional,
    segment,
    token_of,
    web_address,
)
from scrooge.connectors.stripe_cards import FORM, SETUPS, VERIFIED_CARD
from scrooge.connectors.stripe_declines import declined
from scrooge.connectors.stripe_replies import LAPSED, asking, refused
from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import (
    ActionRequired,
    Approved,
    NextAction,
    Outcome,
    Pending,
    ReversalKind,
    Reversed,
    Unknown,
)

# --- requests -------------------------------------------------------------------------------


def verify(command: Command) -> Request:
    """By a token of Stripe's own, or by the card. Raises UnsupportedOperation."""
    fill = fill_of(command, "verify")
    paid = [("payment_method_data[type]", "card"), *card_fields(VERIFIED_CARD, command)]
    pairs = [
        *(paid if fill is not None else [("payment_method", token_of(command))]),
        ("automatic_payment_methods[enabled]", "true"),
        ("confirm", "true"),
        ("usage", "off_session" if command.save else "on_session"),
        ("metadata[reference]", command.reference),
        ("metadata[payment]", command.payment),
    ]
    if command.psp_customer:
        pairs.append(("customer", command.psp_customer))
    if command.return_url:
        pairs.append(("return_url", command.return_url))
    else:
        pairs.append(("automatic_payment_methods[allow_redirects]", "never"))
    return Request("POST", SETUPS, form(pairs), FORM, command.reference, fill)


def find(command: Command) -> Request:
    if command.psp_reference:
        return Request("GET", f"{SETUPS}/{segment(command.psp_reference)}")
    return Request("GET", f"{SETUPS}?limit=100")


def end(command: Command) -> Request:
    """Only of one that waits for its payer, which Stripe has named."""
    path = f"{SETUPS}/{segment(command.psp_reference or '')}/cancel"
    pairs = [("cancellation_reason", "abandoned")]
    return Request("POST", path, form(pairs), FORM, f"{command.reference}-abandon")


# --- replies --------------------------------------------------------------------------------


def read_verification(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    if status == 402 and isinstance(document["error"].get("setup_intent"), dict):
        return declined(document["error"], document["error"]["setup_intent"])
    return refused(status, document) if status >= 400 else verification(about(command, document))


def about(command: Command, setup: Json) -> Json:
    """The same document, if it can be about our attempt. Raises UnreadableReply."""
    if (setup.get("metadata") or {}).get("reference") not in {None, command.reference}:
        raise UnreadableReply("the answer is about another attempt")
    return setup


def verification(setup: Json) -> Outcome:
    """The payment method is the customer's afterwards, where there is one: only then can it be used again."""
    reference = setup["id"]
    match setup["status"]:
        case "succeeded":
            customer = optional(setup.get("customer"))
            return Approved(reference, psp_token=optional(setup.get("payment_method")), psp_customer=customer)
        case "processing":
            return Pending(reference)
        case "requires_action":
            step = setup["next_action"]
            if step["type"] != "redirect_to_url":
                raise UnreadableReply(f"next action {step['type']}")
            return ActionRequired(NextAction(web_address(step["redirect_to_url"]["url"])), reference)
        case "requires_payment_method":
            return declined(setup["last_setup_error"], setup)
        case "canceled":
            why = setup.get("cancellation_reason")
            kind = ReversalKind.EXPIRED if why in LAPSED else ReversalKind.CANCELED
            return Reversed(f"canceled at Stripe: {why or 'no reason given'}", kind, reference)
        case other:
            raise UnreadableReply(f"status {other}")


def found_verification(command: Command, document: Json) -> Outcome:
    """A retrieved setup, or the newest ones: Stripe has no search for them."""
    if document.get("object") != "list":
        return verification(about(command, document))
    for setup in document["data"]:
        if (setup.get("metadata") or {}).get("reference") == command.reference:
            return verification(setup)
    if document.get("has_more"):
        return Unknown("not among the newest setups, and there are more")
    return Unknown(f"{NOT_FOUND} among the setups", absent=True)


def read_ended(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    """A refusal to cancel is no refusal of the card: the setup inside tells how it ended."""
    setup = document if status < 400 else document["error"].get("setup_intent")
    if not isinstance(setup, dict):
        return Unknown(f"the cancellation was refused with HTTP {status}")
    return verification(about(command, setup))


VERIFIED = Endpoint(verify, read_verification)
FOUND = Endpoint(find, asking(found_verification))
ENDED = Endpoint(end, read_ended)


def either(of_payment: Endpoint, of_verification: Endpoint) -> Endpoint:
    """A payer authenticates for a payment or for a verification, and each is an object of its own."""

    def chosen(command: Command) -> Endpoint:
        return of_verification if command.operation is Operation.VERIFY else of_payment

    def read(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
        return chosen(command).read(command, status, headers, document)

    return Endpoint(lambda command: chosen(command).build(command), read)
