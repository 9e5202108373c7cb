"""What Stripe does by itself: challenges concluded, pending payments settled, holds that expire."""

import time
from urllib.parse import urlencode

from msgspec import structs

from .. import acquirer
from ..cards import find_card
from ..issuer import Ask, no
from ..records import Authorization, Challenge
from ..world import World
from . import intents, refunds, setups
from .documents import charge_document, intent_document
from .events import announce
from .methods import find_method
from .records import Charge, Intent, Who


def _who(intent: Intent) -> Who:
    return Who(intent.account, intent.platform, intent.origin)


def challenged(world: World, challenge: Challenge) -> str:
    """Once the payer has answered the payment goes on by itself; where the browser goes next."""
    if challenge.payment.startswith("seti_"):
        return setups.challenged(world, challenge)
    intent = world.state.need(Intent, challenge.payment)
    if challenge.answer and intent.status == "requires_action" and intent.challenge == challenge.id:
        intent = _authenticated(world, intent, challenge.answer == "success")
    words = {"requires_payment_method": "failed", "canceled": "failed", "requires_action": "pending"}
    query = {
        "payment_intent": intent.id,
        "payment_intent_client_secret": intent.client_secret,
        "redirect_status": words.get(intent.status, "succeeded"),
    }
    joint = "&" if "?" in challenge.return_url else "?"
    return f"{challenge.return_url}{joint}{urlencode(query)}" if challenge.return_url else ""


def _authenticated(world: World, intent: Intent, passed: bool) -> Intent:
    method = find_method(world, intent.payment_method or "")
    who = _who(intent)
    if passed:
        intent, verdict = intents.charge(world, who, intent, method, Ask(authenticated=True))
        return intents.conclude(world, who, intent, verdict)
    intents.fail_authentication(world, intent, method)
    return intents.conclude(world, who, intent, no("authentication_failed"))


def conclude(world: World, id_: str) -> None:
    """A payment in `processing` comes to its end."""
    intent = world.state.need(Intent, id_)
    auth = world.state.need(Authorization, intent.charge)
    card = find_card(auth.number)
    assert card is not None, "an authorization's card was checked when it was made"
    verdict = acquirer.authorize(world, auth, card, Ask(concluding=True))
    if verdict.decline:
        record = world.state.need(Charge, intent.charge)
        world.state.put(structs.replace(record, decline=verdict.decline.name))
    intents.conclude(world, _who(intent), intent, verdict)


def expire(world: World, id_: str) -> None:
    """The hold was not captured in time: Stripe cancels the payment."""
    intent = world.state.need(Intent, id_)
    auth = world.state.need(Authorization, intent.charge)
    if acquirer.expire(world, auth) is None:
        return
    intent = structs.replace(
        intent,
        status="canceled",
        cancellation_reason="automatic",
        canceled_at=int(time.time()),
    )
    world.state.put(intent)
    who = _who(intent)
    charge = world.state.need(Charge, intent.charge)
    announce(world, who, "charge.expired", charge_document(world, charge))
    announce(world, who, "payment_intent.canceled", intent_document(world, intent))


DEEDS = {
    "stripe.conclude": conclude,
    "stripe.expire": expire,
    "stripe.refund_succeeds": refunds.succeed,
    "stripe.refund_fails": refunds.fail,
}
