"""What Stripe's PaymentIntents, refunds and errors mean. https://docs.stripe.com/api/payment_intents"""

from collections.abc import Callable

from scrooge.connectors.connector import Command, Headers, Json
from scrooge.connectors.kit import (
    NOT_FOUND,
    KeyConflict,
    StillRunning,
    UnreadableReply,
    card_fingerprint,
    moment,
    money_of,
    optional,
    web_address,
    words,
)
from scrooge.connectors.stripe_declines import declined
from scrooge.domain.outcome import (
    ActionRequired,
    Approved,
    NextAction,
    Outcome,
    Pending,
    Rejected,
    ReversalKind,
    Reversed,
    Unknown,
)
from scrooge.money import Money

# Where Stripe's decimals are not ISO 4217's, and the zero-decimal list for the record.
# https://docs.stripe.com/currencies
ZERO_DECIMAL = [
    "BIF",
    "CLP",
    "DJF",
    "GNF",
    "JPY",
    "KMF",
    "KRW",
    "MGA",
    "PYG",
    "RWF",
    "VND",
    "VUV",
    "XAF",
    "XOF",
    "XPF",
]
EXPONENTS = dict.fromkeys(ZERO_DECIMAL, 0) | {"ISK": 2, "UGX": 2}

# Stripe's own reasons to cancel, and "abandoned", which we give when the payer never came back.
LAPSED = frozenset({"abandoned", "automatic", "expired"})
EXPLAINED = frozenset({400, 401, 403, 404, 429})

MARK = "increment_reference"  # metadata: which increment the amount of an intent is of

Reader = Callable[[Command, int, Headers, Json], Outcome]


# --- the intent -----------------------------------------------------------------------------


def authorization(intent: Json) -> Outcome:
    """What an intent says about the request that made it. Of one that was raised since, its amount says nothing."""
    reference = intent["id"]
    match intent["status"]:
        case "requires_capture" | "succeeded" if increments(intent):
            return approved(intent, None)
        case "requires_capture":
            return approved(intent, money(intent, "amount_capturable"))
        case "succeeded":
            # A capture by hand may have taken less than what had been authorized.
            counted = "amount" if by_hand(intent) else "amount_received"
            return approved(intent, money(intent, counted))
        case "processing":
            return Pending(reference)
        case "requires_action":
            step = intent["next_action"]
            if step["type"] != "redirect_to_url":
                raise UnreadableReply(f"next action {step['type']}")
            return ActionRequired(NextAction(web_address(step["redirect_to_url"]["url"])), reference)
        case "requires_payment_method":
            return declined(intent["last_payment_error"], intent)
        case "canceled":
            return canceled(intent)
        case other:
            raise UnreadableReply(f"status {other}")


def by_hand(intent: Json) -> bool:
    return intent.get("capture_method") == "manual"


def increments(intent: Json) -> str | None:
    """Our reference of the last increment that was approved."""
    return optional((intent.get("metadata") or {}).get(MARK))


def money(found: Json, name: str) -> Money:
    return money_of(found[name], found["currency"], EXPONENTS)


def approved(intent: Json, amount: Money | None) -> Approved:
    """`latest_charge` is an object only where we asked for it to be expanded."""
    charge = intent.get("latest_charge")
    card = (charge.get("payment_method_details") or {}).get("card") if isinstance(charge, dict) else None
    card = card or {}
    return Approved(
        intent["id"],
        amount,
        network_transaction_id=optional(card.get("network_transaction_id")),
        psp_token=optional(intent.get("payment_method")),
        psp_customer=optional(intent.get("customer")) if intent.get("setup_future_usage") else None,
        checks=checks(card),
        expires_at=moment(card.get("capture_before")) if by_hand(intent) else None,
        card_fingerprint=card_fingerprint(card.get("fingerprint")),
    )


def checks(card: Json) -> dict[str, str]:
    given = card.get("checks") or {}
    secure = card.get("three_d_secure") or {}
    found = {
        "cvc": given.get("cvc_check"),
        "avs_line": given.get("address_line1_check"),
        "avs_postal_code": given.get("address_postal_code_check"),
        "three_d_secure": secure.get("result"),
    }
    return {name: value for name, value in found.items() if isinstance(value, str)}


def canceled(intent: Json) -> Reversed:
    why = intent.get("cancellation_reason")
    kind = ReversalKind.EXPIRED if why in LAPSED else ReversalKind.CANCELED
    return Reversed(f"canceled at Stripe: {why or 'no reason given'}", kind, intent["id"])


def capture(command: Command, intent: Json) -> Outcome:
    """Ours only if it has our reference: an earlier capture must not be mistaken for this one."""
    reference = intent["id"]
    state = intent["status"]
    ours = (intent.get("metadata") or {}).get("capture_reference") == command.reference
    if state == "processing" and ours:
        return Pending(reference)
    if state == "succeeded" and ours:
        return Approved(reference, money(intent, "amount_received"))
    return Unknown(f"{NOT_FOUND}: {reference} is {state} without this capture", absent=True)


def void(command: Command, intent: Json) -> Outcome:
    reference, state = intent["id"], intent["status"]
    if state == "canceled":
        return Approved(reference)
    return Unknown(f"{NOT_FOUND}: {reference} is {state}, not canceled", absent=True)


def refund(found: Json) -> Outcome:
    reference = found["id"]
    match found["status"]:
        case "succeeded":
            return Approved(reference, money(found, "amount"))
        case "pending" | "requires_action":
            return Pending(reference)
        case "failed":
            why = found.get("failure_reason") or "no reason given"
            return Reversed(f"refund failed: {why}", ReversalKind.FAILED, reference)
        case "canceled":
            return Reversed("refund canceled at Stripe", ReversalKind.CANCELED, reference)
        case other:
            raise UnreadableReply(f"status {other}")


def about(command: Command, found: Json) -> Json:
    """The same document, if it can be about our attempt. Raises UnreadableReply."""
    theirs = (found.get("metadata") or {}).get("reference")
    if theirs is not None and theirs != command.reference:
        raise UnreadableReply("the answer is about another attempt")
    taken = found["status"] in {"requires_capture", "succeeded"}
    if taken and found["object"] == "payment_intent" and by_hand(found) is command.sale:
        raise UnreadableReply("captured in another way than asked")
    return found


# --- replies to requests that move money ----------------------------------------------------


def read_authorization(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    if status >= 400:
        return refused(status, document)
    return authorization(about(command, document))


def read_capture(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    return modification(capture, command, status, document)


def read_void(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    return modification(void, command, status, document)


def modification(news: Callable[[Command, Json], Outcome], command: Command, status: int, document: Json) -> Outcome:
    """Asking twice is no refusal: the error has the intent, which shows our work already done."""
    if status < 400:
        outcome = news(command, document)
        if isinstance(outcome, Unknown):
            raise UnreadableReply("accepted, but not done")
        return outcome
    intent = document["error"].get("payment_intent")
    done = news(command, intent) if status == 400 and isinstance(intent, dict) else None
    return refused(status, document) if done is None or isinstance(done, Unknown) else done


def read_refund(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    return refused(status, document) if status >= 400 else refund(about(command, document))


def refused(status: int, document: Json) -> Outcome:
    """Errors that Stripe explains. https://docs.stripe.com/api/errors"""
    error = document["error"]
    kind, code = error["type"], error.get("code")
    if status == 409 or code == "idempotency_key_in_use":
        raise StillRunning
    if kind == "idempotency_error":
        raise KeyConflict
    intent = error.get("payment_intent")
    if status == 402 and kind == "card_error":
        return declined(error, intent)
    if status not in EXPLAINED:
        raise UnreadableReply(f"{status} {kind}")
    # The words of a 401 may repeat the key.
    why = "the API key was refused" if status == 401 else words(error.get("message"))
    already = code == "charge_already_refunded"
    return Rejected(f"{status} {code or kind}: {why}", (intent or {}).get("id"), already)


# --- replies to questions -------------------------------------------------------------------


def read_abandoned(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    """A refusal to cancel is no refusal of the payment: the intent inside tells how it ended."""
    if status < 400:
        intent = document
    else:
        found = document["error"].get("payment_intent")
        if not isinstance(found, dict):
            return Unknown(f"the cancellation was refused with HTTP {status}")
        intent = found
    if intent["status"] == "canceled":
        why = "the payer did not authenticate in time"
        return Reversed(why, ReversalKind.EXPIRED, intent["id"])
    return authorization(about(command, intent))


def asking(read: Callable[[Command, Json], Outcome]) -> Reader:
    """A question that is refused says nothing about the attempt: never `Rejected`."""

    def answer(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
        if status == 404:
            return Unknown(f"{NOT_FOUND}: Stripe has no such object", absent=True)
        if status >= 400:
            return Unknown(f"the inquiry was refused with HTTP {status}")
        return read(command, document)

    return answer


def found_authorization(command: Command, document: Json) -> Outcome:
    """A retrieved intent, or the result of a search by our reference."""
    if document.get("object") != "search_result":
        return authorization(about(command, document))
    found = [about(command, intent) for intent in document["data"]]
    if len(found) > 1:
        raise UnreadableReply("two payments have the same reference")
    return authorization(found[0]) if found else Unknown(f"{NOT_FOUND} by reference", absent=True)


def found_refund(command: Command, document: Json) -> Outcome:
    """A retrieved refund, or the refunds of the intent, of which one may be ours."""
    if document.get("object") != "list":
        return refund(about(command, document))
    for found in document["data"]:
        if (found.get("metadata") or {}).get("reference") == command.reference:
            return refund(found)
    if document.get("has_more"):
        return Unknown(f"not among the first refunds of {command.parent_psp_reference}, and there are more")
    return Unknown(f"{NOT_FOUND} among the refunds of {command.parent_psp_reference}", absent=True)
