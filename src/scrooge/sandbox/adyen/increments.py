"""Authorized amounts that are raised: received at once, concluded by notification."""

from msgspec import structs

from .. import acquirer
from ..world import World
from . import fields as f
from .errors import refusal
from .modifications import begin, mismatch, received, told


def update(world: World, document: f.Json, id_: str) -> f.Json:
    """POST /payments/{id}/amountUpdates: to the whole amount named. Here amounts only rise."""
    f.check_names(document, "PaymentAmountUpdateRequest")
    payment, auth, change, currency = begin(world, document, id_)
    reason = mismatch(payment, currency)
    if not reason and not payment.preauthorized:
        reason = "The authorisation is not a PreAuth"
    if not reason:
        try:
            _, verdict = acquirer.increment(
                world, auth, change.minor, reference=change.reference, psp_reference=change.id
            )
            reason = refusal(verdict.decline)[0] if verdict.decline else ""
        except acquirer.NoRoom as error:
            reason = f"Insufficient balance on payment: {error.room}" if auth.captured_minor else "Invalid Amount"
    if not reason:
        payment = structs.replace(payment, value=change.value)
        world.state.put(payment)
    told(world, payment, change, "AUTHORISATION_ADJUSTMENT", reason, "increment")
    return received(document, payment, change, document["amount"])
