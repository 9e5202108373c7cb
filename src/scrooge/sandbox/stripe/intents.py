"""PaymentIntents: created and confirmed as docs.stripe.com/api describes."""

import time
from typing import Any

from msgspec import structs

from .. import acquirer
from ..cards import find_card, is_past
from ..currencies import NotRepresentable, is_currency, shown, to_minor
from ..issuer import Ask, Verdict, no
from ..records import Authorization, Challenge, Token
from ..world import World, token
from . import form as f
from .documents import Document, intent_document, method_document
from .errors import Refused, decline_error
from .events import announce
from .methods import find_method, method_from, usable_method
from .records import Charge, Intent, Who

_AMOUNT_MAX = 99_999_999
_LOW_VALUE_MAX = 30_00  # euros: Stripe asks for this exemption by itself
_LIFE_SECONDS = 7 * 24 * 3600  # an online authorization of a card not present (Visa, Stripe's page)
_FACTS = (
    "description",
    "customer",
    "receipt_email",
    "return_url",
    "setup_future_usage",
    "statement_descriptor",
    "statement_descriptor_suffix",
)


def create(world: World, who: Who, form: f.Form, _: str) -> Document:
    """POST /v1/payment_intents."""
    amount, currency = read_amount(form)
    method = _method(world, form)
    confirm = f.flag(form, "confirm")
    status = "requires_confirmation" if method else "requires_payment_method"
    id_ = f"pi_{token()}"
    intent = Intent(
        id=id_,
        account=who.account,
        platform=who.platform,
        origin=who.origin,
        created=int(time.time()),
        amount=amount,
        currency=currency,
        status=status,
        capture_method=f.one_of(form, "capture_method", ("automatic", "automatic_async", "manual"), "automatic")
        or "automatic",
        client_secret=f"{id_}_secret_{token()}",
        visible_at=world.visible_at("stripe"),
        metadata=f.metadata(form),
        facts={name: f.text(form, name) for name in _FACTS if name in form},
        payment_method=method.id if method else None,
        payment_method_types=list(f.mapping(form, "payment_method_types").values()) or ["card"],
    )
    if confirm:
        if method is None:
            raise Refused.invalid(
                "payment_method",
                "You cannot confirm this PaymentIntent because it's missing a payment method.",
                "payment_intent_unexpected_state",
            )
        intent = attempt(world, who, intent, form, method)
    else:
        world.state.put(intent)
    return intent_document(world, intent, f.expansions(form))


def confirm(world: World, who: Who, form: f.Form, id_: str) -> Document:
    """POST /v1/payment_intents/{id}/confirm."""
    intent = find_intent(world, who, id_)
    must_be(
        world,
        intent,
        ("requires_payment_method", "requires_confirmation", "requires_action"),
        "confirm",
    )
    method = _method(world, form)
    if method is None and intent.payment_method:
        method = usable_method(world, intent.payment_method)
    if method is None:
        raise Refused.invalid("payment_method", "There is no payment method to confirm with.")
    facts = intent.facts | {name: f.text(form, name) for name in _FACTS if name in form}
    intent = structs.replace(intent, facts=facts)
    return intent_document(world, attempt(world, who, intent, form, method), f.expansions(form))


def attempt(world: World, who: Who, intent: Intent, form: f.Form, method: Token) -> Intent:
    """Confirm with this card; raises Refused (402) on a decline, with the intent inside."""
    card_options = f.mapping(f.mapping(form, "payment_method_options"), "card")
    ask = Ask(
        merchant_initiated=form.get("off_session", "false") not in ("false", ""),
        wants_challenge=card_options.get("request_three_d_secure") in ("any", "challenge"),
        exemption="low_value" if (intent.currency, intent.amount <= _LOW_VALUE_MAX) == ("EUR", True) else "",
    )
    asked = card_options.get("request_incremental_authorization", "never")
    intent = structs.replace(intent, payment_method=method.id, error=None, incremental=asked == "if_available")
    intent, verdict = charge(world, who, intent, method, ask)
    if verdict.answer == "challenge":
        if f.flag(form, "error_on_requires_action"):
            return _declined(world, who, intent, no("authentication_required"), raising=True)
        challenge = Challenge(
            id=token(),
            connector="stripe",
            payment=intent.id,
            return_url=intent.facts.get("return_url") or "",
            merchant=intent.account,
            amount=shown(intent.currency, to_minor("stripe", intent.currency, intent.amount)),
            last4=method.number[-4:],
        )
        world.state.put(challenge)
        intent = structs.replace(intent, status="requires_action", challenge=challenge.id)
        world.state.put(intent)
        announce(world, who, "payment_intent.requires_action", intent_document(world, intent))
    return conclude(world, who, intent, verdict, raising=True)


def charge(world: World, who: Who, intent: Intent, method: Token, ask: Ask) -> tuple[Intent, Verdict]:
    """One try at the issuer; a Charge exists unless the answer is a challenge."""
    card = find_card(method.number)
    assert card is not None, "a payment method's number was checked when it was made"
    auth = _authorization(intent, method)
    if is_past(method.month, method.year):
        card = structs.replace(card, outcome="declined", decline="expired_card")
    verdict = acquirer.authorize(world, auth, card, ask)
    if verdict.answer == "challenge":
        return intent, verdict
    now = int(time.time())
    record = Charge(
        id=auth.id,
        account=who.account,
        intent=intent.id,
        created=now,
        payment_method=method.id,
        month=method.month,
        year=method.year,
        capture_before=now + _LIFE_SECONDS,
        decline=verdict.decline.name if verdict.decline else None,
        authenticated=ask.authenticated,
        code_check=method.code_check,
    )
    world.state.put(record)
    if card.outcome == "expires" and not auth.sale:
        world.later("stripe.expire", intent.id)
    return structs.replace(intent, charge=auth.id), verdict


def _authorization(intent: Intent, method: Token) -> Authorization:
    """A fresh one, for this intent on this card."""
    return Authorization(
        id=f"ch_{token()}",
        connector="stripe",
        merchant_account=intent.account,
        reference=intent.metadata.get("reference", ""),
        psp_reference=intent.id,
        currency=intent.currency,
        minor=to_minor("stripe", intent.currency, intent.amount),
        sale=intent.capture_method != "manual",
        number=method.number,
    )


def fail_authentication(world: World, intent: Intent, method: Token) -> None:
    """The payer did not pass the challenge: declined before any issuer was asked."""
    acquirer.refuse_authentication(world, _authorization(intent, method))


def conclude(world: World, who: Who, intent: Intent, verdict: Verdict, *, raising: bool = False) -> Intent:
    """The intent after the issuer's answer, announced; with `raising` a decline is raised."""
    if verdict.answer == "declined":
        return _declined(world, who, intent, verdict, raising=raising)
    if verdict.answer == "pending":
        intent = structs.replace(intent, status="processing")
        world.later("stripe.conclude", intent.id)
    elif verdict.answer == "approved":
        keep_method(world, intent)
        manual = intent.capture_method == "manual"
        intent = structs.replace(intent, status="requires_capture" if manual else "succeeded")
    world.state.put(intent)
    types = {
        "processing": "payment_intent.processing",
        "requires_capture": "payment_intent.amount_capturable_updated",
        "succeeded": "payment_intent.succeeded",
    }
    if type_ := types.get(intent.status):
        announce(world, who, type_, intent_document(world, intent))
    return intent


def keep_method(world: World, intent: Intent) -> None:
    """A payment method that is to be used again belongs to the customer from now on, where one was named."""
    customer = intent.facts.get("customer")
    method = world.state.get(Token, intent.payment_method or "")
    if customer and method is not None and intent.facts.get("setup_future_usage"):
        world.state.put(structs.replace(method, owner=customer))


def _declined(world: World, who: Who, intent: Intent, verdict: Verdict, *, raising: bool) -> Intent:
    assert verdict.decline is not None, "a declined verdict says why"
    error: dict[str, Any] = decline_error(verdict.decline)
    if intent.charge:
        error["charge"] = intent.charge
    if intent.payment_method:
        error["payment_method"] = method_document(find_method(world, intent.payment_method))
    intent = structs.replace(intent, status="requires_payment_method", error=error)
    world.state.put(intent)
    document = intent_document(world, intent)
    announce(world, who, "payment_intent.payment_failed", document)
    if raising:
        more = error | {"payment_intent": document}
        raise Refused(402, "card_error", error["message"], keep=True, more=more)
    return intent


def read_amount(form: f.Form) -> tuple[int, str]:
    """The amount in Stripe's units and the currency in capitals; raises Refused."""
    f.required(form, "amount")
    amount = f.whole(form, "amount", 1) or 0
    currency = str(f.required(form, "currency")).upper()
    if not is_currency(currency):
        raise Refused.invalid("currency", f"Invalid currency: {currency.lower()}")
    if amount > _AMOUNT_MAX:
        raise Refused.invalid("amount", f"Amount must be no more than {_AMOUNT_MAX}", "amount_too_large")
    minor_of(currency, amount, "amount")
    return amount, currency


def minor_of(currency: str, units: int, param: str) -> int:
    """ISO minor units of an amount in Stripe's; raises Refused naming the parameter."""
    try:
        return to_minor("stripe", currency, units)
    except NotRepresentable:
        message = f"Invalid amount for {currency.lower()}: its last digits must be zero."
        raise Refused.invalid(param, message) from None


def _method(world: World, form: f.Form) -> Token | None:
    """The card the form names or carries."""
    if "payment_method_data" in form:
        return method_from(world, f.mapping(form, "payment_method_data"), "payment_method_data", form)
    id_ = f.text(form, "payment_method")
    return usable_method(world, id_) if id_ else None


def find_intent(world: World, who: Who, id_: str) -> Intent:
    """The intent of this account; raises Refused (404)."""
    intent = world.state.get(Intent, id_)
    if intent is None or intent.account != who.account:
        raise Refused.missing("payment_intent", id_, "intent")
    return intent


def must_be(world: World, intent: Intent, statuses: tuple[str, ...], verb: str) -> None:
    """Raises Refused unless the intent has one of these statuses."""
    if intent.status not in statuses:
        raise Refused(
            400,
            "invalid_request_error",
            f"You cannot {verb} this PaymentIntent because it has a status of {intent.status}. "
            f"Only a PaymentIntent with one of the following statuses may be used: "
            f"{', '.join(statuses)}.",
            code="payment_intent_unexpected_state",
            keep=True,
            more={"payment_intent": intent_document(world, intent)},
        )
