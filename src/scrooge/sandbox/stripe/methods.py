"""Payment methods, customers and webhook endpoints: what exists before a payment does."""

import time

from msgspec import structs

from ..cards import PUBLIC_TOKENS, check_code, find_card, is_code, is_past
from ..records import Token
from ..tsp.tokens import card_behind
from ..world import World, token
from . import form as f
from .documents import (
    API_VERSION,
    Document,
    customer_document,
    endpoint_document,
    list_document,
    method_document,
)
from .errors import Refused
from .records import Customer, Endpoint, Who

_CARD_FIELDS = frozenset({"number", "exp_month", "exp_year", "cvc", "network_token", "networks", "token"})
_TOKEN_FIELDS = frozenset({"number", "exp_month", "exp_year"})
_DATA_FIELDS = frozenset({"type", "card", "billing_details", "metadata", "allow_redisplay", "radar_options"})


def find_method(world: World, id_: str, status: int = 400) -> Token:
    """A stored payment method or one of Stripe's public test ones; raises Refused."""
    if method := world.state.get(Token, id_):
        if method.connector == "stripe":
            return method
    elif number := PUBLIC_TOKENS["stripe"].get(id_):
        check = check_code(number, "123")
        return Token(id=id_, connector="stripe", number=number, month=12, year=2034, code_check=check)
    raise Refused.missing("PaymentMethod", id_, "payment_method", status=status)


def usable_method(world: World, id_: str) -> Token:
    """One that may be paid with; raises Refused."""
    method = find_method(world, id_)
    if method.gone:
        message = (
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared "
            "with a connected account without Customer attachment, or was detached from a Customer. It may not be used "
            "again. To use a PaymentMethod multiple times, you must attach it to a Customer first."
        )
        raise Refused(400, "invalid_request_error", message)
    return method


def method_from(world: World, form: f.Form, where: str, options: f.Form | None = None) -> Token:
    """Store the card in the form as a new payment method; raises Refused.

    `options` has what belongs to the payment: whether the payer is there, the cryptogram of a network token.
    """
    f.check_names(form, _DATA_FIELDS)
    f.required(form, "type")
    f.one_of(form, "type", ("card",), "card")
    card = f.mapping(form, "card")
    f.check_names(card, _CARD_FIELDS)
    if "network_token" in card:
        return _by_network_token(world, f.mapping(card, "network_token"), options or {})
    number = str(f.required(card, "number")).replace(" ", "")
    if find_card(number) is None:
        raise _card_error("incorrect_number", "Your card number is incorrect.", "number")
    f.required(card, "exp_month")
    f.required(card, "exp_year")
    month, year = f.whole(card, "exp_month", 1) or 0, f.whole(card, "exp_year", 0) or 0
    if month > 12 or is_past(12, year):
        name = "exp_month" if month > 12 else "exp_year"
        words = f"Your card's expiration {name[4:]} is invalid."
        raise _card_error(f"invalid_expiry_{name[4:]}", words, f"{where}[card][{name}]")
    code = str(card.get("cvc") or "")
    if code and not is_code(number, code):
        raise _card_error("invalid_cvc", "Your card's security code is invalid.", "cvc")
    method = Token(
        id=f"pm_{token()}",
        connector="stripe",
        number=number,
        month=month,
        year=year,
        created=int(time.time()),
        code_check=check_code(number, code),
    )
    world.state.put(method)
    return method


def _by_network_token(world: World, given: f.Form, options: f.Form) -> Token:
    """A token of a provider, with a cryptogram unless the payer is away. Raises Refused."""
    f.check_names(given, _TOKEN_FIELDS)
    for name in _TOKEN_FIELDS:
        f.required(given, name)
    beside = f.mapping(f.mapping(options, "payment_method_options"), "card")
    asked = {**given, "cryptogram": f.mapping(beside, "network_token").get("cryptogram")}
    present = options.get("off_session", "false") in ("false", "")
    found = card_behind(world, "stripe", asked, present=present)
    if found == "unknown":
        raise _card_error("incorrect_number", "Your card number is incorrect.", "number")
    if isinstance(found, str):
        raise _card_error("card_declined", "Your card was declined.", "payment_method_data[card][network_token]")
    method = structs.replace(found, id=f"pm_{token()}", created=int(time.time()))
    world.state.put(method)
    return method


def _card_error(code: str, words: str, param: str) -> Refused:
    return Refused(402, "card_error", words, code=code, param=param, keep=True)


def create_method(world: World, _who: Who, form: f.Form, _: str) -> Document:
    """POST /v1/payment_methods."""
    own = {name: value for name, value in form.items() if name != "expand"}
    return method_document(method_from(world, own, "payment_method"))


def read_method(world: World, _who: Who, _form: f.Form, id_: str) -> Document:
    """GET /v1/payment_methods/{id}."""
    return method_document(find_method(world, id_, 404))


def attach_method(world: World, who: Who, form: f.Form, id_: str) -> Document:
    """POST /v1/payment_methods/{id}/attach; a public test method becomes a new one."""
    method = find_method(world, id_)
    customer = find_customer(world, who, str(f.required(form, "customer")), "customer", 400)
    if id_ in PUBLIC_TOKENS["stripe"]:
        method = structs.replace(method, id=f"pm_{token()}", created=int(time.time()))
    method = structs.replace(method, owner=customer.id)
    world.state.put(method)
    return method_document(method)


def detach_method(world: World, _who: Who, _form: f.Form, id_: str) -> Document:
    """POST /v1/payment_methods/{id}/detach: nobody can pay with it any more. It stays readable, without a customer."""
    method = find_method(world, id_, 404)
    if method.owner is None:
        message = "The payment method you provided is not attached to a customer so detachment is impossible."
        raise Refused(400, "invalid_request_error", message)
    method = structs.replace(method, owner=None, gone=True)
    world.state.put(method)
    return method_document(method)


def find_customer(world: World, who: Who, id_: str, param: str, status: int) -> Customer:
    """The customer of this account; raises Refused."""
    customer = world.state.get(Customer, id_)
    if customer is None or customer.account != who.account:
        raise Refused.missing("customer", id_, param, status)
    return customer


def create_customer(world: World, who: Who, form: f.Form, _: str) -> Document:
    """POST /v1/customers."""
    customer = Customer(
        id=f"cus_{token(14)}",
        account=who.account,
        created=int(time.time()),
        email=f.text(form, "email"),
        name=f.text(form, "name"),
        description=f.text(form, "description"),
        metadata=f.metadata(form),
    )
    world.state.put(customer)
    return customer_document(customer)


def read_customer(world: World, who: Who, _form: f.Form, id_: str) -> Document:
    """GET /v1/customers/{id}."""
    return customer_document(find_customer(world, who, id_, "customer", 404))


def create_endpoint(world: World, who: Who, form: f.Form, _: str) -> Document:
    """POST /v1/webhook_endpoints: the only answer that shows the secret."""
    url = str(f.required(form, "url"))
    if not url.startswith(("http://", "https://")):
        raise Refused.invalid("url", "Invalid URL: An explicit scheme must be provided.")
    f.required(form, "enabled_events")
    endpoint = Endpoint(
        id=f"we_{token()}",
        account=who.account,
        created=int(time.time()),
        url=url,
        secret=f"whsec_{token(32)}",
        enabled_events=list(f.mapping(form, "enabled_events").values()),
        connect=f.flag(form, "connect"),
        api_version=f.text(form, "api_version") or API_VERSION,
        description=f.text(form, "description"),
        metadata=f.metadata(form),
    )
    world.state.put(endpoint)
    return endpoint_document(endpoint) | {"secret": endpoint.secret}


def list_endpoints(world: World, who: Who, _form: f.Form, _: str) -> Document:
    """GET /v1/webhook_endpoints."""
    mine = [e for e in world.state.all(Endpoint) if e.account == who.account]
    return list_document("/v1/webhook_endpoints", [endpoint_document(e) for e in reversed(mine)], False)


def delete_endpoint(world: World, who: Who, _form: f.Form, id_: str) -> Document:
    """DELETE /v1/webhook_endpoints/{id}."""
    endpoint = world.state.get(Endpoint, id_)
    if endpoint is None or endpoint.account != who.account:
        raise Refused.missing("webhook endpoint", id_, "webhook_endpoint")
    world.state.put(structs.replace(endpoint, done=True))
    return {"id": id_, "object": "webhook_endpoint", "deleted": True}
