"""Which fields Adyen's requests have: anything else is refused, as Adyen refuses it."""

from typing import Any

from ..currencies import NotRepresentable, is_currency, to_minor
from .errors import Refused, missing

Json = dict[str, Any]

_NAMES = {
    "Amount": "currency value",
    "PaymentRequest": """
        accountInfo additionalAmount additionalData amount applicationInfo authenticationData
        bankAccount billingAddress browserInfo captureDelayHours channel checkoutAttemptId company
        countryCode dateOfBirth dccQuote deliverAt deliveryAddress deliveryDate deviceFingerprint
        enableOneClick enablePayOut enableRecurring enhancedSchemeData entityType fraudOffset
        fundOrigin fundRecipient industryUsage installments lineItems localizedShopperStatement
        mandate mcc merchantAccount merchantOrderReference merchantRiskIndicator metadata mpiData
        order orderReference origin paymentMethod paymentValidations platformChargebackLogic
        recurringExpiry recurringFrequency recurringProcessingModel redirectFromIssuerMethod
        redirectToIssuerMethod reference returnUrl riskData sessionValidity shopperConversionId
        shopperEmail shopperIP shopperInteraction shopperLocale shopperName shopperReference
        shopperStatement shopperTaxInfo socialSecurityNumber splits store storePaymentMethod
        subMerchants surcharge telephoneNumber threeDS2RequestData threeDSAuthenticationOnly
        trustedShopper""",
    "CardDetails": """
        billingSequenceNumber brand checkoutAttemptId cvc encryptedCard encryptedCardNumber
        encryptedExpiryMonth encryptedExpiryYear encryptedSecurityCode expiryMonth expiryYear
        fundingSource holderName networkPaymentReference number recurringDetailReference sdkData
        shopperNotificationReference storedPaymentMethodId threeDS2SdkVersion type""",
    "PaymentDetailsRequest": "authenticationData details paymentData threeDSAuthenticationOnly",
    "PaymentCaptureRequest": """
        amount applicationInfo enhancedSchemeData lineItems merchantAccount
        platformChargebackLogic reference splits subMerchants""",
    "PaymentAmountUpdateRequest": """
        adjustAuthType adjustAuthorisationData amount applicationInfo industryUsage lineItems
        merchantAccount mpiData reference splits""",
    "PaymentCancelRequest": "applicationInfo merchantAccount reference",
    "StandalonePaymentCancelRequest": "applicationInfo merchantAccount paymentReference reference",
    "PaymentReversalRequest": "applicationInfo merchantAccount reference",
    "PaymentRefundRequest": """
        amount applicationInfo capturePspReference enhancedSchemeData lineItems merchantAccount
        merchantRefundReason reference splits store""",
    "CreateMerchantWebhookRequest": """
        acceptsExpiredCertificate acceptsSelfSignedCertificate acceptsUntrustedRootCertificate
        active additionalSettings communicationFormat description encryptionProtocol
        filterMerchantAccountType filterMerchantAccounts networkType password
        populateSoapActionHeader type url username""",
}
FIELDS = {name: frozenset(names.split()) for name, names in _NAMES.items()}


def check_names(document: Json, structure: str) -> None:
    """Raises Refused for fields this structure does not have."""
    if unknown := sorted(set(document) - FIELDS[structure]):
        names = ", ".join(unknown)
        raise Refused(400, "702", f"Structure of {structure} contains the following unknown fields: [{names}]")


def text(document: Json, name: str, length_max: int = 256) -> str:
    """A string that has to be there; raises Refused."""
    value = document.get(name)
    if value is None or value == "":
        raise missing(name)
    return checked(value, name, length_max)


def optional(document: Json, name: str, length_max: int = 256) -> str | None:
    """A string that may be absent; raises Refused if it is something else."""
    value = document.get(name)
    return None if value is None else checked(value, name, length_max)


def checked(value: object, name: str, length_max: int) -> str:
    """The value if it is a string short enough; raises Refused."""
    if not isinstance(value, str) or len(value) > length_max:
        message = f"Field '{name}' must be a string of at most {length_max} characters."
        raise Refused(422, "702", message)
    return value


def mapping(document: Json, name: str) -> Json:
    """A nested object; empty where absent."""
    value = document.get(name)
    if value is not None and not isinstance(value, dict):
        raise Refused(400, "702", f"Unexpected input for '{name}', expected: an object")
    return value or {}


def merchant(document: Json) -> str:
    """The merchant account: any will do here, none will not."""
    value = document.get("merchantAccount")
    if not isinstance(value, str) or not value:
        raise Refused(403, "901", "Invalid Merchant Account", "security")
    return value


def amount(document: Json, least: int = 1) -> tuple[int, str, int]:
    """Value in Adyen's units, currency, and ISO minor units; raises Refused."""
    given = mapping(document, "amount")
    if not given:
        raise missing("amount")
    check_names(given, "Amount")
    value, currency = given.get("value"), given.get("currency")
    if not isinstance(currency, str) or not is_currency(currency):
        raise Refused(422, "138", "Unsupported currency specified")
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise Refused(422, "137", "Invalid amount specified")
    try:
        return value, currency, to_minor("adyen", currency, value)
    except NotRepresentable:
        raise Refused(422, "137", "Invalid amount specified") from None
