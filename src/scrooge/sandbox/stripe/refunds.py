"""Refunds: at once, pending, or taken back later, by the card's behavior."""

import time

from msgspec import structs

from .. import acquirer
from ..cards import find_card
from ..currencies import to_minor, to_units
from ..records import Authorization
from ..world import World, token
from . import form as f
from .documents import Document, charge_document, refund_document
from .errors import Refused
from .events import announce
from .intents import find_intent, minor_of
from .records import Charge, Refund, Who

_REASONS = ("duplicate", "fraudulent", "requested_by_customer")


def create(world: World, who: Who, form: f.Form, _: str) -> Document:
    """POST /v1/refunds, of a payment_intent or a charge; without an amount, of all that is left."""
    charge = _target(world, who, form)
    asked = f.whole(form, "amount", 1)
    reason = f.one_of(form, "reason", _REASONS, None)
    metadata = f.metadata(form)
    auth = world.state.need(Authorization, charge.id)
    left = acquirer.unrefunded(auth)
    minor = left if asked is None else minor_of(auth.currency, asked, "amount")
    _check_room(charge, auth, minor, left)
    card = find_card(auth.number)
    pending = card is not None and card.outcome == "refund_pending"
    refund = Refund(
        id=f"re_{token()}",
        account=who.account,
        charge=charge.id,
        intent=charge.intent,
        created=int(time.time()),
        amount=to_units("stripe", auth.currency, minor),
        currency=auth.currency,
        status="pending" if pending else "succeeded",
        reason=reason,
        metadata=metadata,
    )
    if pending:
        acquirer.hold_refund(world, auth, minor)
        world.later("stripe.refund_succeeds", refund.id)
    else:
        reference = metadata.get("reference", "")
        acquirer.refund(world, auth, minor, reference=reference, psp_reference=refund.id)
    if card is not None and card.outcome == "refund_fails":
        world.later("stripe.refund_fails", refund.id)
    world.state.put(refund)
    announce(world, who, "refund.created", refund_document(refund))
    announce(world, who, "charge.refunded", charge_document(world, charge))
    return refund_document(refund)


def read(world: World, who: Who, _form: f.Form, id_: str) -> Document:
    """GET /v1/refunds/{id}."""
    refund = world.state.get(Refund, id_)
    if refund is None or refund.account != who.account:
        raise Refused.missing("refund", id_, "id")
    return refund_document(refund)


def succeed(world: World, id_: str) -> None:
    """A pending refund goes through."""
    refund, auth, who = _parties(world, id_)
    acquirer.conclude_refund(
        world,
        auth,
        to_minor("stripe", refund.currency, refund.amount),
        reference=refund.metadata.get("reference", ""),
        psp_reference=refund.id,
    )
    refund = structs.replace(refund, status="succeeded")
    world.state.put(refund)
    announce(world, who, "refund.updated", refund_document(refund))


def fail(world: World, id_: str) -> None:
    """A refund that had succeeded comes back: the money is the merchant's again."""
    refund, auth, who = _parties(world, id_)
    acquirer.undo_refund(
        world,
        auth,
        to_minor("stripe", refund.currency, refund.amount),
        reference=refund.metadata.get("reference", ""),
        psp_reference=refund.id,
    )
    refund = structs.replace(refund, status="failed", failure_reason="expired_or_canceled_card")
    world.state.put(refund)
    announce(world, who, "refund.failed", refund_document(refund))


def _parties(world: World, id_: str) -> tuple[Refund, Authorization, Who]:
    refund = world.state.need(Refund, id_)
    auth = world.state.need(Authorization, refund.charge)
    return refund, auth, Who(refund.account, refund.account, "")


def _target(world: World, who: Who, form: f.Form) -> Charge:
    """The charge the form names, by itself or by its intent; raises Refused."""
    if intent_id := f.text(form, "payment_intent"):
        intent = find_intent(world, who, intent_id)
        charge = world.state.get(Charge, intent.charge or "")
        if charge is None:
            message = "This PaymentIntent does not have a successful charge to refund."
            raise Refused.invalid("payment_intent", message, "resource_missing")
        return charge
    id_ = str(f.required(form, "charge"))
    charge = world.state.get(Charge, id_)
    if charge is None or charge.account != who.account:
        raise Refused.missing("charge", id_, "charge")
    return charge


def _check_room(charge: Charge, auth: Authorization, minor: int, left: int) -> None:
    if left and 0 < minor <= left:
        return
    units = to_units("stripe", auth.currency, left)
    if left:
        message = f"Refund amount is greater than unrefunded amount on charge ({units})"
        raise Refused(400, "invalid_request_error", message, param="amount", keep=True)
    raise Refused(
        400,
        "invalid_request_error",
        f"Charge {charge.id} has nothing left to refund.",
        code="charge_already_refunded" if auth.captured_minor else "charge_not_captured",
        keep=True,
    )
