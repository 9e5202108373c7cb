"""SetupIntents: created and confirmed at once; the issuer is asked, and no money moves."""

import time
from typing import Any

from msgspec import structs

from ..cards import find_card, is_past
from ..issuer import Ask, Verdict, decide, no
from ..records import Challenge, Token
from ..world import World, token
from . import form as f
from .documents import Document, list_document
from .errors import Refused, decline_error
from .events import announce
from .methods import find_method, method_from, usable_method
from .records import Setup, Who


def create(world: World, who: Who, form: f.Form, _: str) -> Document:
    """POST /v1/setup_intents, with `confirm`: nothing else is needed here."""
    if not f.flag(form, "confirm"):
        raise Refused.invalid("confirm", "Here a SetupIntent is confirmed when it is created.")
    if "payment_method_data" in form:
        method = method_from(world, f.mapping(form, "payment_method_data"), "payment_method_data", form)
    else:
        method = usable_method(world, str(f.required(form, "payment_method")))
    setup = Setup(
        id=f"seti_{token()}",
        account=who.account,
        platform=who.platform,
        origin=who.origin,
        created=int(time.time()),
        status="requires_confirmation",
        usage=f.one_of(form, "usage", ("off_session", "on_session"), "off_session") or "off_session",
        payment_method=method.id,
        customer=f.text(form, "customer") or None,
        return_url=f.text(form, "return_url") or None,
        metadata=f.metadata(form),
    )
    return setup_document(world, asked(world, who, setup, method, Ask(), raising=True))


def asked(world: World, who: Who, setup: Setup, method: Token, ask: Ask, *, raising: bool = False) -> Setup:
    """What the issuer says of the card; with `raising` a decline is raised."""
    card = find_card(method.number)
    assert card is not None, "a payment method's number was checked when it was made"
    if is_past(method.month, method.year):
        card = structs.replace(card, outcome="declined", decline="expired_card")
    verdict = decide(card, structs.replace(ask, concluding=True))
    return concluded(world, who, setup, verdict, raising=raising)


def concluded(world: World, who: Who, setup: Setup, verdict: Verdict, *, raising: bool = False) -> Setup:
    if verdict.answer == "challenge":
        challenge = Challenge(
            id=token(), connector="stripe", payment=setup.id, return_url=setup.return_url or "", merchant=setup.account
        )
        world.state.put(challenge)
        setup = structs.replace(setup, status="requires_action", challenge=challenge.id)
    elif verdict.decline:
        error: dict[str, Any] = decline_error(verdict.decline)
        setup = structs.replace(setup, status="requires_payment_method", error=error)
    else:
        setup = structs.replace(setup, status="succeeded")
        method = world.state.get(Token, setup.payment_method)
        if method is not None and setup.customer:
            world.state.put(structs.replace(method, owner=setup.customer))
    world.state.put(setup)
    document = setup_document(world, setup)
    types = {"requires_payment_method": "setup_failed", "requires_action": "requires_action"}
    announce(world, who, f"setup_intent.{types.get(setup.status, setup.status)}", document)
    if raising and setup.error:
        raise Refused(
            402, "card_error", setup.error["message"], keep=True, more=setup.error | {"setup_intent": document}
        )
    return setup


def challenged(world: World, challenge: Challenge) -> str:
    """The payer has answered; where the browser goes next."""
    setup = world.state.need(Setup, challenge.payment)
    who = Who(setup.account, setup.platform, setup.origin)
    if challenge.answer and setup.status == "requires_action" and setup.challenge == challenge.id:
        method = find_method(world, setup.payment_method)
        if challenge.answer == "success":
            setup = asked(world, who, setup, method, Ask(authenticated=True))
        else:
            setup = concluded(world, who, setup, no("authentication_failed"))
    joint = "&" if "?" in challenge.return_url else "?"
    return f"{challenge.return_url}{joint}setup_intent={setup.id}" if challenge.return_url else ""


def read(world: World, who: Who, _: f.Form, id_: str) -> Document:
    """GET /v1/setup_intents/{id}."""
    return setup_document(world, find(world, who, id_))


def listed(world: World, who: Who, form: f.Form, _: str) -> Document:
    """GET /v1/setup_intents, newest first."""
    most = f.whole(form, "limit", 1) or 10
    ids = world.state.index.get(("setups", who.account), [])[::-1]
    rows = [setup_document(world, world.state.need(Setup, id_)) for id_ in ids[:most]]
    return list_document("/v1/setup_intents", rows, len(ids) > most)


def cancel(world: World, who: Who, form: f.Form, id_: str) -> Document:
    """POST /v1/setup_intents/{id}/cancel."""
    setup = find(world, who, id_)
    reason = f.one_of(form, "cancellation_reason", ("abandoned", "duplicate", "requested_by_customer"), None)
    if setup.status not in ("requires_action", "requires_payment_method"):
        message = f"You cannot cancel this SetupIntent because it has a status of {setup.status}."
        more = {"setup_intent": setup_document(world, setup)}
        raise Refused(400, "invalid_request_error", message, code="setup_intent_unexpected_state", keep=True, more=more)
    setup = structs.replace(setup, status="canceled", cancellation_reason=reason)
    world.state.put(setup)
    announce(world, who, "setup_intent.canceled", setup_document(world, setup))
    return setup_document(world, setup)


def find(world: World, who: Who, id_: str) -> Setup:
    """The setup of this account; raises Refused (404)."""
    setup = world.state.get(Setup, id_)
    if setup is None or setup.account != who.account:
        raise Refused.missing("setup_intent", id_, "intent")
    return setup


def setup_document(world: World, setup: Setup) -> Document:
    """A SetupIntent."""
    challenge = world.state.get(Challenge, setup.challenge or "")
    step = None
    if challenge is not None and setup.status == "requires_action":
        url = f"{setup.origin}/acs/{challenge.id}"
        step = {"type": "redirect_to_url", "redirect_to_url": {"return_url": challenge.return_url, "url": url}}
    return {
        "id": setup.id,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": setup.cancellation_reason,
        "client_secret": f"{setup.id}_secret",
        "created": setup.created,
        "customer": setup.customer,
        "description": None,
        "flow_directions": None,
        "last_setup_error": setup.error,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": setup.metadata,
        "next_action": step,
        "on_behalf_of": None,
        "payment_method": setup.payment_method,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": setup.status,
        "usage": setup.usage,
    }
