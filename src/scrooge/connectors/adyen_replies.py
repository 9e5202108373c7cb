"""What Adyen's results, refusals and errors mean.

https://docs.adyen.com/online-payments/payment-result-codes
"""

import re

from scrooge.connectors.connector import Command, Headers, Json
from scrooge.connectors.kit import (
    KeyConflict,
    StillRunning,
    UnreadableReply,
    card_fingerprint,
    money_of,
    optional,
    web_address,
    words,
)
from scrooge.domain.declines import Decline
from scrooge.domain.outcome import (
    ActionRequired,
    Approved,
    Declined,
    NextAction,
    Outcome,
    Pending,
    Rejected,
    ReversalKind,
    Reversed,
    Unknown,
)
from scrooge.money import Money

# Where Adyen's decimals are not ISO 4217's.
# https://docs.adyen.com/development-resources/currency-codes
EXPONENTS = {"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2}

# refusalReasonCode, refusalReason, our catalogue. Notifications name the reason only in words.
# https://docs.adyen.com/development-resources/refusal-reasons
REFUSALS = (
    ("2", "Refused", Decline.DO_NOT_HONOR),
    ("3", "Referral", Decline.DO_NOT_HONOR),
    ("4", "Acquirer Error", Decline.PROCESSING_ERROR),
    ("5", "Blocked Card", Decline.RESTRICTED_CARD),
    ("6", "Expired Card", Decline.EXPIRED_CARD),
    ("7", "Invalid Amount", Decline.INVALID_AMOUNT),
    ("8", "Invalid Card Number", Decline.INCORRECT_NUMBER),
    ("9", "Issuer Unavailable", Decline.ISSUER_UNAVAILABLE),
    ("10", "Not supported", Decline.NOT_SUPPORTED),
    ("11", "3D Not Authenticated", Decline.AUTHENTICATION_FAILED),
    ("12", "Not enough balance", Decline.INSUFFICIENT_FUNDS),
    ("14", "Acquirer Fraud", Decline.SUSPECTED_FRAUD),
    ("15", "Cancelled", Decline.CANCELED_BY_PAYER),
    ("16", "Shopper Cancelled", Decline.CANCELED_BY_PAYER),
    ("17", "Invalid Pin", Decline.INCORRECT_PIN),
    ("18", "Pin tries exceeded", Decline.INCORRECT_PIN),
    ("19", "Pin validation not possible", Decline.INCORRECT_PIN),
    ("20", "FRAUD", Decline.SUSPECTED_FRAUD),
    ("21", "Not Submitted", Decline.PROCESSING_ERROR),
    ("22", "FRAUD-CANCELLED", Decline.SUSPECTED_FRAUD),
    ("23", "Transaction Not Permitted", Decline.NOT_SUPPORTED),
    ("24", "CVC Declined", Decline.INCORRECT_CVC),
    ("25", "Restricted Card", Decline.RESTRICTED_CARD),
    ("26", "Revocation Of Auth", Decline.REVOKED),
    ("27", "Declined Non Generic", Decline.DO_NOT_HONOR),
    ("28", "Withdrawal amount exceeded", Decline.LIMIT_EXCEEDED),
    ("29", "Withdrawal count exceeded", Decline.LIMIT_EXCEEDED),
    ("31", "Issuer Suspected Fraud", Decline.SUSPECTED_FRAUD),
    ("32", "AVS Declined", Decline.INCORRECT_ADDRESS),
    ("33", "Card requires online pin", Decline.INCORRECT_PIN),
    ("34", "No checking account available on Card", Decline.NOT_SUPPORTED),
    ("35", "No savings account available on Card", Decline.NOT_SUPPORTED),
    ("36", "Mobile pin required", Decline.INCORRECT_PIN),
    ("37", "Contactless fallback", Decline.NOT_SUPPORTED),
    ("38", "Authentication required", Decline.AUTHENTICATION_REQUIRED),
    ("39", "RReq not received from DS", Decline.AUTHENTICATION_FAILED),
    ("40", "Current AID is in Penalty Box", Decline.NOT_SUPPORTED),
    ("41", "CVM Required Restart Payment", Decline.INCORRECT_PIN),
    ("42", "3DS Authentication Error", Decline.AUTHENTICATION_FAILED),
    ("43", "Online PIN required", Decline.INCORRECT_PIN),
    ("44", "Try another interface", Decline.NOT_SUPPORTED),
    ("45", "Chip downgrade mode", Decline.NOT_SUPPORTED),
    (
        "46",
        "Transaction blocked by Adyen to prevent excessive retry fees",
        Decline.BLOCKED_BY_PSP,
    ),
)
# Adyen has one reason for cards that must not be used; the issuer's code tells more.
BLOCKED = {"41": Decline.LOST_CARD, "43": Decline.STOLEN_CARD}
DECLINES = {code: decline for code, _, decline in REFUSALS}
CODES = {text.lower(): code for code, text, _ in REFUSALS}

STORED = (
    ("tokenization.storedPaymentMethodId", "tokenization.shopperReference"),
    ("recurring.recurringDetailReference", "recurring.shopperReference"),
)

CODE_PART = re.compile(r"\s*([0-9A-Z]{2})\s*(:|$)")
BUSY = frozenset({"703", "704"})  # a resource is not available; the same key is in progress
NOTHING_THERE = "167"  # "Original pspReference required for this operation"
EXPLAINED = frozenset({400, 401, 403, 404, 422, 429})


# --- results --------------------------------------------------------------------------------


def read_payment(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    if status >= 400:
        return refused(status, headers, document)
    return result(command, document)


def read_details(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    """Refused details are no refused payment: whoever sent them, the payer may still come.

    Unless they are being worked on, or have been.
    """
    if status >= 400 and str(document.get("errorCode")) in BUSY:
        raise StillRunning
    if status >= 400:
        return Unknown(f"the details were refused with HTTP {status}", refused=True)
    return result(command, document)


def result(command: Command, reply: Json) -> Outcome:
    if reply.get("merchantReference") not in {None, command.reference}:
        raise UnreadableReply("the answer is about another attempt")
    match reply["resultCode"]:
        case "Authorised":
            return approved(reply, partial=False)
        case "PartiallyAuthorised":
            return approved(reply, partial=True)
        case "Received" | "Pending" | "PresentToShopper":
            return Pending(optional(reply.get("pspReference")))
        case "RedirectShopper" | "IdentifyShopper" | "ChallengeShopper":
            return ActionRequired(next_action(reply["action"]), optional(reply.get("pspReference")))
        case "Refused" | "Cancelled" | "Error" as code:
            return declined(reply, str(reply.get("refusalReason") or code))
        case other:
            raise UnreadableReply(f"result code {other}")


def approved(reply: Json, partial: bool) -> Approved:
    extra = reply.get("additionalData") or {}
    found = {
        "cvc": extra.get("cvcResult"),
        "avs": extra.get("avsResult"),
        "three_d_secure": extra.get("threeDAuthenticated"),
    }
    token, shopper = stored(extra)
    return Approved(
        reply["pspReference"],
        money(reply.get("amount")) if reply.get("amount") else None,
        partial,
        optional(extra.get("networkTxReference")),
        token,
        shopper,
        {name: value for name, value in found.items() if isinstance(value, str)},
        card_fingerprint=card_alias(extra),
    )


def card_alias(extra: Json) -> str | None:
    """Adyen's name for the card number, where the merchant account says that replies shall have it."""
    return card_fingerprint(extra.get("alias")) if extra.get("aliasType") in {None, "Default"} else None


def stored(extra: Json) -> tuple[str | None, str | None]:
    """The token that Adyen keeps the card under, and whose it is; as Checkout names them, or as was usual before."""
    for token, shopper in STORED:
        if optional(extra.get(token)):
            return optional(extra[token]), optional(extra.get(shopper))
    return None, None


def money(amount: Json) -> Money:
    return money_of(amount["value"], amount["currency"], EXPONENTS)


def next_action(action: Json) -> NextAction:
    """Only redirects: a native 3-D Secure component is never asked for, so it never comes."""
    if action["type"] != "redirect":
        raise UnreadableReply(f"action {action['type']}")
    method = action.get("method", "GET")
    if method not in {"GET", "POST"}:
        raise UnreadableReply(f"redirect by {method}")
    fields = action.get("data") or {}
    return NextAction(web_address(action["url"]), method, {str(k): str(v) for k, v in fields.items()})


def declined(found: Json, reason: str) -> Declined:
    """`found` is a reply or an item of a notification; the latter has words, but no code."""
    extra = found.get("additionalData") or {}
    code = str(found.get("refusalReasonCode") or CODES.get(reason.strip().lower(), ""))
    issuer = code_part(extra.get("refusalReasonRaw"))
    decline = DECLINES.get(code, Decline.UNMAPPED)
    if decline is Decline.RESTRICTED_CARD:
        decline = BLOCKED.get(issuer or "", decline)
    return Declined(
        decline,
        code or words(reason),
        words(reason),
        issuer,
        code_part(extra.get("merchantAdviceCode")),
        optional(found.get("pspReference")),
        card_alias(extra),
    )


def code_part(text: object) -> str | None:
    """The code in front of a colon: "05 : Do not honor" is "05"."""
    found = CODE_PART.match(text) if isinstance(text, str) else None
    return found[1] if found else None


# --- modifications and errors ---------------------------------------------------------------


def read_modification(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    """Adyen only ever accepts; a notification tells how it ended."""
    if status >= 400:
        return refused(status, headers, document)
    if document["status"] != "received":
        raise UnreadableReply(f"status {document['status']}")
    if document.get("reference") not in {None, command.reference}:
        raise UnreadableReply("the answer is about another attempt")
    return Pending(document["pspReference"])


def read_reversal(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    """What it names is the cancellation, not the payment; whether there was one to cancel, a notification tells.

    Unless Adyen has named the payment to us, and has nothing under that name that was ever authorized.
    """
    if command.psp_reference and status == 422 and str(document.get("errorCode")) == NOTHING_THERE:
        never = f"it never was authorized at Adyen: {words(document.get('message'))}"
        return Reversed(never, ReversalKind.EXPIRED, command.psp_reference)
    asked = "was asked for" if status < 400 else f"was refused with HTTP {status}"
    return Unknown(f"a reversal {asked}")


def refused(status: int, headers: Headers, document: Json) -> Outcome:
    """Errors that Adyen explains. https://docs.adyen.com/development-resources/api-idempotency"""
    if status in {401, 403} and "errorCode" not in document:
        return Rejected(f"{status}: the credentials were refused")
    code, why = str(document["errorCode"]), words(document.get("message"))
    if code in BUSY or headers.get("transient-error") == "true":
        raise StillRunning
    if "idempoten" in why.lower():
        raise KeyConflict
    if status not in EXPLAINED:
        raise UnreadableReply(f"{status} {code}")
    # The words of a 401 may repeat the key.
    shown = "the API key was refused" if status == 401 else why
    return Rejected(f"{status} {code}: {shown}")  # Its pspReference names the error, and no payment.
