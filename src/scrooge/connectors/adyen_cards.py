"""What a payment at Adyen is made with, and where a card or a network token stands in it."""

from scrooge.connectors.connector import CardTemplate, Command, Json, TokenFill, TokenTemplate
from scrooge.connectors.kit import card_fields, fill_of, token_fields, token_fill_of, token_of
from scrooge.domain.mandate import USES, Use
from scrooge.errors import InvalidField

PAYMENTS = "/v72/payments"
CARD = CardTemplate(
    method="POST",
    path=PAYMENTS,
    content_type="application/json",
    number="paymentMethod.number",
    exp_month="paymentMethod.expiryMonth",
    exp_year="paymentMethod.expiryYear",
    holder="paymentMethod.holderName",
    security_code="paymentMethod.cvc",
    kept=(
        "pspReference",
        "merchantReference",
        "additionalData.networkTxReference",
        "additionalData.tokenization.storedPaymentMethodId",
        "additionalData.tokenization.shopperReference",
        "additionalData.recurring.recurringDetailReference",
        "additionalData.recurring.shopperReference",
        "action.url",
        "action.data.MD",
        "action.data.PaReq",
        "action.data.TermUrl",
    ),
)
# https://docs.adyen.com/online-payments/tokenization: the merchant's own network tokens
NETWORK_TOKEN = TokenTemplate(
    content_type="application/json",
    number="paymentMethod.number",
    exp_month="paymentMethod.expiryMonth",
    exp_year="paymentMethod.expiryYear",
    cryptogram="mpiData.tokenAuthenticationVerificationValue",
    eci="mpiData.eci",
    kept=CARD.kept,
)
BRANDS = {"mastercard": "mc"}
# https://docs.adyen.com/online-payments/tokenization: parts of one purchase follow a schedule, as a subscription does
MODELS = {
    None: "Subscription",
    Use.RECURRING: "Subscription",
    Use.INSTALMENT: "Subscription",
    Use.UNSCHEDULED: "UnscheduledCardOnFile",
}


def instrument(command: Command) -> Json:
    """What is paid with, and whether the payer is there. Raises UnsupportedOperation.

    https://docs.adyen.com/online-payments/tokenization/create-tokens
    """
    method: Json = {"type": "scheme"}
    there = command.initiator == "customer"
    token = token_fill_of(command)
    if token is not None:
        return by_network_token(command, token)
    if fill_of(command) is None:
        method["storedPaymentMethodId"] = token_of(command)
    else:
        method |= {place.removeprefix("paymentMethod."): put for place, put in card_fields(CARD, command)}
        if there:
            return {"paymentMethod": method, "shopperInteraction": "Ecommerce", **saving(command)}
    model = "CardOnFile" if there else MODELS[command.use]
    return {"paymentMethod": method, "shopperInteraction": "ContAuth", "recurringProcessingModel": model}


def by_network_token(command: Command, token: TokenFill) -> Json:
    """The cryptogram stands beside the payment method; a payment without its payer has none."""
    assert command.network_token is not None
    brand = command.network_token.brand or ""
    found: Json = {"paymentMethod": {"type": "networkToken", "brand": BRANDS.get(brand, brand)}}
    for place, put in token_fields(NETWORK_TOKEN, token):
        outer, _, name = place.partition(".")
        found.setdefault(outer, {})[name] = put
    if token.cryptogram:
        model = {} if command.save else {"recurringProcessingModel": "CardOnFile"}
        return {**found, "shopperInteraction": "Ecommerce", **model, **saving(command)}
    return {**found, "shopperInteraction": "ContAuth", "recurringProcessingModel": MODELS[command.use]}


def saving(command: Command) -> Json:
    """Adyen keeps a card only for a shopper. Raises InvalidField."""
    if not command.save:
        return {}
    if not (command.psp_customer or command.customer):
        raise InvalidField("Adyen saves a card only for a customer", param="customer")
    return {"storePaymentMethod": True, "recurringProcessingModel": MODELS[USES[command.save]]}
