"""PaymentIntents after authorization: captured, in parts if need be, or canceled."""

import time

from msgspec import structs

from .. import acquirer
from ..currencies import to_units
from ..records import Authorization
from ..world import World
from . import form as f
from .documents import Document, charge_document, intent_document
from .errors import Refused
from .events import announce
from .intents import find_intent, minor_of, must_be
from .records import Charge, Who


def capture(world: World, who: Who, form: f.Form, id_: str) -> Document:
    """POST /v1/payment_intents/{id}/capture; `final_capture=false` keeps the rest capturable."""
    intent = find_intent(world, who, id_)
    asked = f.whole(form, "amount_to_capture", 1)
    final = f.flag(form, "final_capture", default=True)
    own = f.metadata(form)
    must_be(world, intent, ("requires_capture",), "capture")
    auth = world.state.need(Authorization, intent.charge)
    left = acquirer.uncaptured(auth)
    minor = left if asked is None else minor_of(intent.currency, asked, "amount_to_capture")
    if minor > left:
        units = to_units("stripe", intent.currency, left)
        raise Refused(
            400,
            "invalid_request_error",
            f"The amount_to_capture ({asked}) is greater than the capturable amount ({units}).",
            code="amount_too_large",
            param="amount_to_capture",
            keep=True,
        )
    final = final or minor == left
    reference = own.get("capture_reference") or auth.reference
    acquirer.capture(world, auth, minor, final=final, reference=reference, psp_reference=intent.id)
    intent = structs.replace(
        intent,
        status="succeeded" if final else "requires_capture",
        metadata=intent.metadata | own,
    )
    world.state.put(intent)
    document = intent_document(world, intent)
    announce(world, who, "charge.captured", charge_document(world, world.state.need(Charge, intent.charge)))
    news = "succeeded" if final else "amount_capturable_updated"
    announce(world, who, f"payment_intent.{news}", document)
    return intent_document(world, intent, f.expansions(form))


def cancel(world: World, who: Who, form: f.Form, id_: str) -> Document:
    """POST /v1/payment_intents/{id}/cancel; what was captured before stays captured."""
    intent = find_intent(world, who, id_)
    reasons = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")
    reason = f.one_of(form, "cancellation_reason", reasons, None)
    must_be(
        world,
        intent,
        (
            "requires_payment_method",
            "requires_capture",
            "requires_confirmation",
            "requires_action",
        ),
        "cancel",
    )
    captured = False
    if intent.status == "requires_capture":
        auth = world.state.need(Authorization, intent.charge)
        captured = auth.captured_minor > 0
        acquirer.void(world, auth, reference=auth.reference, psp_reference=intent.id)
    intent = structs.replace(
        intent,
        status="succeeded" if captured else "canceled",
        canceled_at=int(time.time()),
        cancellation_reason=reason,
    )
    world.state.put(intent)
    type_ = "payment_intent.succeeded" if captured else "payment_intent.canceled"
    announce(world, who, type_, intent_document(world, intent))
    return intent_document(world, intent, f.expansions(form))
