"""Captures, cancels, refunds and reversals: received at once, concluded by notification."""

import time

from .. import acquirer
from ..cards import find_card
from ..records import Authorization, Operation
from ..world import World, short_reference
from . import fields as f
from .errors import Refused
from .notifications import News, announce
from .records import Modification, Payment


def capture(world: World, document: f.Json, id_: str) -> f.Json:
    """POST /payments/{id}/captures: in parts, each its own, as with multiple partial captures."""
    f.check_names(document, "PaymentCaptureRequest")
    payment, auth, change, currency = begin(world, document, id_)
    reason = mismatch(payment, currency)
    if not reason:
        try:
            acquirer.capture(
                world,
                auth,
                change.minor,
                final=False,
                reference=change.reference,
                psp_reference=change.id,
            )
        except acquirer.NoRoom as error:
            reason = _no_room(auth, error)
    told(world, payment, change, "CAPTURE", reason, "capture")
    if not reason and _outcome(auth) == "capture_fails":
        world.later("adyen.capture_fails", change.id)
    return received(document, payment, change, document["amount"])


def refund(world: World, document: f.Json, id_: str) -> f.Json:
    """POST /payments/{id}/refunds."""
    f.check_names(document, "PaymentRefundRequest")
    payment, auth, change, currency = begin(world, document, id_)
    reason = mismatch(payment, currency)
    pending = _outcome(auth) == "refund_pending"
    if not reason:
        try:
            if pending:
                acquirer.hold_refund(world, auth, change.minor)
            else:
                acquirer.refund(world, auth, change.minor, reference=change.reference, psp_reference=change.id)
        except acquirer.NoRoom as error:
            reason = _no_refund(auth, error)
    if pending and not reason:
        world.later("adyen.refund_succeeds", change.id)
    else:
        told(world, payment, change, "REFUND", reason, "refund")
    if not reason and _outcome(auth) == "refund_fails":
        world.later("adyen.refund_fails", change.id)
    return received(document, payment, change, document["amount"])


def cancel(world: World, document: f.Json, id_: str) -> f.Json:
    """POST /payments/{id}/cancels: of everything not yet captured."""
    f.check_names(document, "PaymentCancelRequest")
    payment, auth = find(world, f.merchant(document), id_)
    change = _whole(world, payment, auth, f.optional(document, "reference") or "")
    _void(world, payment, auth, change, "CANCELLATION")
    return received(document, payment, change)


def reverse(world: World, document: f.Json, id_: str) -> f.Json:
    """POST /payments/{id}/reversals: a cancel if nothing is captured yet, else a full refund."""
    f.check_names(document, "PaymentReversalRequest")
    payment, auth = find(world, f.merchant(document), id_)
    change = _whole(world, payment, auth, f.optional(document, "reference") or "")
    if not auth.captured_minor:
        _void(world, payment, auth, change, "CANCEL_OR_REFUND", {"modification.action": "cancel"})
        return received(document, payment, change)
    minor, reason = acquirer.unrefunded(auth), ""
    try:
        acquirer.refund(world, auth, minor, reference=change.reference, psp_reference=change.id)
    except acquirer.NoRoom as error:
        reason = _no_refund(auth, error)
    action = {"modification.action": "refund"}
    told(world, payment, change, "CANCEL_OR_REFUND", reason, "refund", action)
    return received(document, payment, change)


def cancel_by_reference(world: World, document: f.Json) -> f.Json:
    """POST /cancels: when the answer was lost and only our reference is known."""
    f.check_names(document, "StandalonePaymentCancelRequest")
    account = f.merchant(document)
    reference = f.text(document, "paymentReference", 80)
    own = f.optional(document, "reference")
    ids = world.state.index.get(("payments", account, reference), [])
    known = [world.state.need(Payment, id_) for id_ in ids]
    found = [payment for payment in known if payment.visible_at <= time.time()]
    change_id = short_reference()
    for payment in found:
        auth = world.state.get(Authorization, payment.id)
        if auth is not None and acquirer.uncaptured(auth):
            change = _whole(world, payment, auth, own or reference, change_id)
            _void(world, payment, auth, change, "TECHNICAL_CANCEL")
            break
    else:
        _nothing_to_cancel(world, found, change_id, account, reference)
    answer = {
        "merchantAccount": account,
        "paymentReference": reference,
        "pspReference": change_id,
        "status": "received",
    }
    return answer | ({"reference": own} if own is not None else {})


def _nothing_to_cancel(world: World, found: list[Payment], change_id: str, account: str, reference: str) -> None:
    """Say so: about the payment there is, or about one that never reached us."""
    payment = found[-1] if found else _nobody(account, reference)
    reason = "Nothing left to cancel" if found else "Original payment not found"
    news = News(
        code="TECHNICAL_CANCEL",
        psp_reference=change_id,
        merchant_reference=reference,
        value=payment.value,
        success=False,
        original=payment.id,
        reason=reason,
    )
    announce(world, payment, news)


def _nobody(account: str, reference: str) -> Payment:
    """The payment that is not there, for the notification that says so."""
    return Payment(
        id="",
        merchant_account=account,
        reference=reference,
        value=0,
        currency="EUR",
        sale=False,
        number="4242424242424242",
        month=1,
        year=2034,
        return_url="",
        visible_at=0.0,
    )


def find(world: World, account: str, id_: str) -> tuple[Payment, Authorization]:
    """The payment and its money; raises Refused if this merchant has no such payment."""
    payment = world.state.get(Payment, id_)
    auth = world.state.get(Authorization, id_)
    if payment is None or auth is None or payment.merchant_account != account:
        raise Refused(422, "167", "Original pspReference required for this operation")
    return payment, auth


def begin(world: World, document: f.Json, id_: str) -> tuple[Payment, Authorization, Modification, str]:
    account = f.merchant(document)
    value, currency, minor = f.amount(document)
    payment, auth = find(world, account, id_)
    change = Modification(
        id=short_reference(),
        payment=payment.id,
        reference=f.optional(document, "reference") or "",
        value=value,
        minor=minor,
    )
    world.state.put(change)
    return payment, auth, change, currency


def _whole(world: World, payment: Payment, auth: Authorization, reference: str, id_: str | None = None) -> Modification:
    """A modification without an amount of its own."""
    change = Modification(
        id=id_ or short_reference(),
        payment=payment.id,
        reference=reference,
        value=payment.value,
        minor=auth.minor,
    )
    world.state.put(change)
    return change


def _void(
    world: World,
    payment: Payment,
    auth: Authorization,
    change: Modification,
    code: str,
    more: dict[str, str] | None = None,
) -> None:
    reason = ""
    try:
        acquirer.void(world, auth, reference=change.reference, psp_reference=change.id)
    except acquirer.NoRoom:
        done = "captured" if auth.captured_minor else "cancelled or refused"
        reason = f"Transaction has already been {done}"
    told(world, payment, change, code, reason, "void", more)


def told(
    world: World,
    payment: Payment,
    change: Modification,
    code: str,
    reason: str,
    operation: Operation,
    more: dict[str, str] | None = None,
) -> None:
    """Announce how a modification ended; a failed one also becomes truth."""
    if reason:
        auth = world.state.need(Authorization, payment.id)
        acquirer.refuse(
            world,
            auth,
            operation,
            change.minor,
            reference=change.reference,
            psp_reference=change.id,
        )
    news = News(
        code=code,
        psp_reference=change.id,
        merchant_reference=change.reference or payment.reference,
        value=change.value,
        success=not reason,
        original=payment.id,
        reason=reason,
        more=more or {},
    )
    announce(world, payment, news)


def received(document: f.Json, payment: Payment, change: Modification, amount: f.Json | None = None) -> f.Json:
    answer: f.Json = {
        "merchantAccount": payment.merchant_account,
        "paymentPspReference": payment.id,
        "pspReference": change.id,
        "status": "received",
    }
    if amount is not None:
        answer["amount"] = amount
    for name in ("reference", "merchantRefundReason", "capturePspReference"):
        if name in document:
            answer[name] = document[name]
    return answer


def _outcome(auth: Authorization) -> str:
    card = find_card(auth.number)
    return card.outcome if card else ""


def mismatch(payment: Payment, currency: str) -> str:
    same = currency == payment.currency
    return "" if same else "Modification currency differs from the payment's"


def _no_room(auth: Authorization, error: acquirer.NoRoom) -> str:
    if auth.released_minor or auth.state != "approved":
        return "Transaction has been cancelled or refused"
    return f"Insufficient balance on payment: {error.room}"


def _no_refund(auth: Authorization, error: acquirer.NoRoom) -> str:
    if not auth.captured_minor:
        return "Transaction hasn't been captured, refund not possible"
    return f"Insufficient balance on payment: {error.room}"
