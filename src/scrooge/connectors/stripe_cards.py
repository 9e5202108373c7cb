"""What a payment at Stripe is made with, and where a card or a network token stands in it."""

from msgspec import structs

from scrooge.connectors.connector import CardTemplate, Command, TokenTemplate
from scrooge.connectors.kit import card_fields, fill_of, token_fields, token_fill_of, token_of

FORM = "application/x-www-form-urlencoded"
INTENTS = "/v1/payment_intents"
CARD = CardTemplate(
    method="POST",
    path=INTENTS,
    content_type=FORM,
    number="payment_method_data[card][number]",
    exp_month="payment_method_data[card][exp_month]",
    exp_year="payment_method_data[card][exp_year]",
    holder="payment_method_data[billing_details][name]",
    security_code="payment_method_data[card][cvc]",
    # Of an intent, and of one within an error. https://docs.stripe.com/api/errors
    kept=tuple(
        f"{where}{name}"
        for where in ("", "error.payment_intent.")
        for name in (
            "id",
            "payment_method",
            "customer",
            "metadata.reference",
            "metadata.payment",
            "latest_charge.id",
            "latest_charge.payment_method_details.card.network_transaction_id",
            "next_action.redirect_to_url.url",
        )
    ),
)
# A verification is an intent of its own kind, with the same fields. https://docs.stripe.com/api/setup_intents/create
SETUPS = "/v1/setup_intents"
VERIFIED_CARD = structs.replace(
    CARD,
    path=SETUPS,
    kept=tuple(
        f"{where}{name}"
        for where in ("", "error.setup_intent.")
        for name in (
            "id", "payment_method", "customer", "metadata.reference", "metadata.payment",
            "next_action.redirect_to_url.url",
        )
    ),
)  # fmt: skip
# Stripe opens these to accounts that bring network tokens of their own.
NETWORK_TOKEN = TokenTemplate(
    content_type=FORM,
    number="payment_method_data[card][network_token][number]",
    exp_month="payment_method_data[card][network_token][exp_month]",
    exp_year="payment_method_data[card][network_token][exp_year]",
    cryptogram="payment_method_options[card][network_token][cryptogram]",
    eci="payment_method_options[card][network_token][electronic_commerce_indicator]",
    kept=CARD.kept,
)


def instrument(command: Command) -> list[tuple[str, str]]:
    """What is paid with: Stripe's own token, a network token, or the card. Raises UnsupportedOperation."""
    fill, token = fill_of(command), token_fill_of(command)
    if fill is None and token is None:
        paid = [("payment_method", token_of(command))]
    else:
        paid = [("payment_method_data[type]", "card")]
        paid += card_fields(CARD, command) if token is None else token_fields(NETWORK_TOKEN, token)
        if command.initiator == "merchant" and command.network_transaction_id:
            # Stripe opens this to accounts that import cards; it shows the issuer where the payer agreed.
            exempt = "payment_method_options[card][mit_exemption][network_transaction_id]"
            paid.append((exempt, command.network_transaction_id))
    if command.save and command.initiator == "customer":
        paid.append(("setup_future_usage", "off_session"))
    return paid
