"""Raised authorizations at Stripe: the intent has the new whole amount, and tells by metadata which increment made it.

https://docs.stripe.com/payments/incremental-authorization
"""

from scrooge.connectors.connector import Command, Headers, Json
from scrooge.connectors.kit import NOT_FOUND, UnreadableReply, moment
from scrooge.connectors.stripe_replies import MARK, increments, money, refused
from scrooge.domain.outcome import Approved, Outcome, Unknown


def read_increment(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    """A decline leaves the intent as it was, metadata too."""
    if status >= 400:
        return refused(status, document)
    outcome = increment(command, document)
    if isinstance(outcome, Unknown):
        raise UnreadableReply("accepted, but not done")
    return outcome


def increment(command: Command, intent: Json) -> Outcome:
    """Ours only if it has our mark: the same amount may be another's doing."""
    reference, state = intent["id"], intent["status"]
    if state in {"requires_capture", "succeeded", "canceled"} and increments(intent) == command.reference:
        charge = intent.get("latest_charge")
        card = (charge.get("payment_method_details") or {}).get("card") if isinstance(charge, dict) else None
        return Approved(reference, money(intent, "amount"), expires_at=moment((card or {}).get("capture_before")))
    return Unknown(f"{NOT_FOUND}: {reference} is {state} without this increment (no {MARK})", absent=True)
