"""PaymentIntents whose authorization is raised: the whole amount is named, and the issuer is asked at once."""

from msgspec import structs

from .. import acquirer
from ..currencies import to_units
from ..records import Authorization
from ..world import World
from . import form as f
from .documents import Document, intent_document
from .errors import Refused, decline_error
from .events import announce
from .intents import find_intent, minor_of, must_be
from .records import Who


def increment(world: World, who: Who, form: f.Form, id_: str) -> Document:
    """POST /v1/payment_intents/{id}/increment_authorization; a decline changes nothing, metadata neither."""
    intent = find_intent(world, who, id_)
    f.required(form, "amount")
    asked = f.whole(form, "amount", 1) or 0
    own = f.metadata(form)
    must_be(world, intent, ("requires_capture",), "increment the authorization of")
    auth = world.state.need(Authorization, intent.charge)
    if not intent.incremental:
        raise Refused.invalid("intent", "This PaymentIntent is not eligible for incremental authorization.")
    total = minor_of(intent.currency, asked, "amount")
    try:
        reference = own.get("increment_reference") or auth.reference
        auth, verdict = acquirer.increment(world, auth, total, reference=reference, psp_reference=intent.id)
    except acquirer.NoRoom:
        raise Refused.invalid("amount", "The amount must be greater than the currently authorized amount.") from None
    if verdict.decline:
        error = decline_error(verdict.decline)
        more = error | {"charge": auth.id, "payment_intent": intent_document(world, intent)}
        raise Refused(402, "card_error", error["message"], keep=True, more=more)
    units = to_units("stripe", intent.currency, auth.minor)
    intent = structs.replace(intent, amount=units, metadata=intent.metadata | own)
    world.state.put(intent)
    announce(world, who, "payment_intent.amount_capturable_updated", intent_document(world, intent))
    return intent_document(world, intent, f.expansions(form))
