"""What Adyen does by itself: late news about payments, captures and refunds."""

from urllib.parse import urlencode

from .. import acquirer
from ..records import Authorization, Challenge
from ..world import World, short_reference
from .notifications import News, announce
from .payments import conclude_pending
from .records import Modification, Payment


def challenged(_world: World, challenge: Challenge) -> str:
    """Where the browser goes next; the merchant brings the result to /payments/details."""
    joint = "&" if "?" in challenge.return_url else "?"
    return f"{challenge.return_url}{joint}{urlencode({'redirectResult': challenge.id})}"


def _parties(world: World, id_: str) -> tuple[Modification, Payment, Authorization]:
    change = world.state.need(Modification, id_)
    payment = world.state.need(Payment, change.payment)
    return change, payment, world.state.need(Authorization, payment.id)


def _news(code: str, change: Modification, payment: Payment, reason: str = "") -> News:
    return News(
        code=code,
        psp_reference=change.id,
        merchant_reference=change.reference or payment.reference,
        value=change.value,
        original=payment.id,
        reason=reason,
    )


def fail_capture(world: World, id_: str) -> None:
    """The scheme rejects a capture that Adyen had accepted."""
    change, payment, auth = _parties(world, id_)
    acquirer.undo_capture(world, auth, change.minor, reference=change.reference, psp_reference=change.id)
    announce(world, payment, _news("CAPTURE_FAILED", change, payment, "Capture Failed"))


def fail_sale(world: World, id_: str) -> None:
    """The same for a capture that Adyen had made by itself."""
    payment = world.state.need(Payment, id_)
    auth = world.state.need(Authorization, id_)
    change = Modification(
        id=short_reference(),
        payment=id_,
        reference=payment.reference,
        value=payment.value,
        minor=auth.minor,
    )
    world.state.put(change)
    acquirer.undo_capture(world, auth, auth.captured_minor, reference=payment.reference, psp_reference=payment.id)
    announce(world, payment, _news("CAPTURE_FAILED", change, payment, "Capture Failed"))


def succeed_refund(world: World, id_: str) -> None:
    """A refund that took its time goes through."""
    change, payment, auth = _parties(world, id_)
    acquirer.conclude_refund(world, auth, change.minor, reference=change.reference, psp_reference=change.id)
    announce(world, payment, _news("REFUND", change, payment))


def fail_refund(world: World, id_: str) -> None:
    """A refund that had gone through comes back."""
    change, payment, auth = _parties(world, id_)
    acquirer.undo_refund(world, auth, change.minor, reference=change.reference, psp_reference=change.id)
    announce(world, payment, _news("REFUND_FAILED", change, payment, "Refund Failed"))


def expire(world: World, id_: str) -> None:
    """The authorization was not captured in time."""
    payment = world.state.need(Payment, id_)
    if acquirer.expire(world, world.state.need(Authorization, id_)) is None:
        return
    news = News(
        code="EXPIRE",
        psp_reference=short_reference(),
        merchant_reference=payment.reference,
        value=payment.value,
        original=payment.id,
    )
    announce(world, payment, news)


DEEDS = {
    "adyen.conclude": conclude_pending,
    "adyen.capture_fails": fail_capture,
    "adyen.sale_fails": fail_sale,
    "adyen.refund_succeeds": succeed_refund,
    "adyen.refund_fails": fail_refund,
    "adyen.expire": expire,
}
