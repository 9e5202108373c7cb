"""Stripe as the edge sees it: routes, keys, and its habits with idempotency keys."""

import base64
import binascii
import hashlib
from collections.abc import Callable

import msgspec

from ..wire import Call, Dialect, Reply
from ..world import World
from . import captures, increments, intents, lookups, methods, refunds, setups
from . import form as f
from .documents import API_VERSION, Document
from .errors import Refused
from .records import Who

Act = Callable[[World, Who, f.Form, str], Document]


class Route(msgspec.Struct, frozen=True):
    """What a call does and the names of its parameters."""

    act: Act
    names: frozenset[str]


def _route(act: Act, names: str = "") -> Route:
    return Route(act, frozenset(names.split()) | {"expand"})


_CONFIRM = (
    "capture_method error_on_requires_action mandate mandate_data off_session payment_method"
    " payment_method_data payment_method_options payment_method_types radar_options receipt_email"
    " return_url setup_future_usage shipping use_stripe_sdk client_secret payment_details"
)
_CREATE = (
    " amount currency confirm confirmation_method customer description metadata"
    " statement_descriptor statement_descriptor_suffix automatic_payment_methods"
    " application_fee_amount on_behalf_of transfer_data transfer_group"
)
_PAGE = " limit starting_after ending_before created"

ROUTES: dict[tuple[str, ...], Route] = {
    ("POST", "payment_intents"): _route(intents.create, _CONFIRM + _CREATE),
    ("GET", "payment_intents"): _route(lookups.list_intents, "customer" + _PAGE),
    ("GET", "payment_intents", "search"): _route(lookups.search_intents, "query limit page"),
    ("GET", "payment_intents", "*"): _route(lookups.read_intent, "client_secret"),
    ("POST", "payment_intents", "*", "confirm"): _route(intents.confirm, _CONFIRM),
    ("POST", "payment_intents", "*", "capture"): _route(
        captures.capture,
        "amount_to_capture final_capture metadata statement_descriptor statement_descriptor_suffix"
        " application_fee_amount transfer_data",
    ),
    ("POST", "payment_intents", "*", "cancel"): _route(captures.cancel, "cancellation_reason"),
    ("POST", "payment_intents", "*", "increment_authorization"): _route(
        increments.increment, "amount metadata description statement_descriptor application_fee_amount transfer_data"
    ),
    ("POST", "setup_intents"): _route(
        setups.create,
        "automatic_payment_methods confirm customer metadata payment_method return_url usage payment_method_options"
        " payment_method_data"
        " payment_method_types mandate_data description",
    ),
    ("GET", "setup_intents"): _route(setups.listed, "customer payment_method" + _PAGE),
    ("GET", "setup_intents", "*"): _route(setups.read, "client_secret"),
    ("POST", "setup_intents", "*", "cancel"): _route(setups.cancel, "cancellation_reason"),
    ("POST", "refunds"): _route(
        refunds.create,
        "amount charge payment_intent reason metadata refund_application_fee reverse_transfer instructions_email",
    ),
    ("GET", "refunds"): _route(lookups.list_refunds, "charge payment_intent" + _PAGE),
    ("GET", "refunds", "*"): _route(refunds.read),
    ("GET", "charges", "*"): _route(lookups.read_charge),
    ("POST", "payment_methods"): _route(
        methods.create_method, "type card billing_details metadata allow_redisplay radar_options"
    ),
    ("GET", "payment_methods", "*"): _route(methods.read_method),
    ("POST", "payment_methods", "*", "attach"): _route(methods.attach_method, "customer"),
    ("POST", "payment_methods", "*", "detach"): _route(methods.detach_method),
    ("POST", "customers"): _route(methods.create_customer, "email name description metadata phone payment_method"),
    ("GET", "customers", "*"): _route(methods.read_customer),
    ("POST", "webhook_endpoints"): _route(
        methods.create_endpoint, "url enabled_events api_version connect description metadata"
    ),
    ("GET", "webhook_endpoints"): _route(methods.list_endpoints, _PAGE),
    ("DELETE", "webhook_endpoints", "*"): _route(methods.delete_endpoint),
    ("GET", "events"): _route(lookups.list_events, "type types delivery_success" + _PAGE),
    ("GET", "events", "*"): _route(lookups.read_event),
}


def answer(world: World, call: Call) -> Reply:
    """What Stripe would answer, and do."""
    try:
        who = _who(call)
        route, id_ = _find(call)
        form = f.read(call.query.decode()) | f.read(call.body.decode())
        f.check_names(form, route.names)
        return Reply(200, msgspec.json.encode(route.act(world, who, form, id_)))
    except Refused as refused:
        return refused.reply
    except UnicodeDecodeError:
        return Refused(400, "invalid_request_error", "Invalid UTF-8 in the request body.").reply


def _find(call: Call) -> tuple[Route, str]:
    """The route and the id in its path; raises Refused (404)."""
    version, *parts = call.path.strip("/").split("/")
    for shape in (parts, [*parts[:1], "*", *parts[2:]]):
        route = ROUTES.get((call.method, *shape)) if version == "v1" else None
        if route is not None:
            return route, parts[1] if len(parts) > 1 else ""
    message = f"Unrecognized request URL ({call.method}: {call.path})."
    raise Refused(404, "invalid_request_error", message)


def _key(call: Call) -> str:
    """The API key, from a Bearer or Basic header; empty if there is none."""
    scheme, _, credentials = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _who(call: Call) -> Who:
    key = _key(call)
    if not key:
        message = "You did not provide an API key. You need to provide it as a Bearer token."
        raise Refused(401, "invalid_request_error", message)
    if not key.startswith(("sk_test_", "rk_test_")):
        raise Refused(401, "invalid_request_error", f"Invalid API Key provided: {key[:8]}****")
    platform = "acct_" + hashlib.sha256(key.encode()).hexdigest()[:16]
    account = call.headers.get("stripe-account") or platform
    return Who(account, platform, call.origin, call.headers.get("idempotency-key"))


def account(call: Call) -> str:
    """Whose idempotency keys these are."""
    return call.headers.get("stripe-account") or _key(call)


def fingerprint(call: Call) -> bytes:
    """Of the path and the parameters, in any order."""
    parameters = b"&".join(sorted(call.body.split(b"&")))
    return hashlib.blake2b(call.path.encode() + b"\n" + parameters, digest_size=16).digest()


def moves_money(call: Call) -> bool:
    """Payment intents and refunds, by POST."""
    return call.method == "POST" and call.path.startswith(("/v1/payment_intents", "/v1/setup_intents", "/v1/refunds"))


def registers(call: Call) -> bool:
    """Setting up receivers is no part of any fault."""
    return call.path.startswith("/v1/webhook_endpoints")


def refuse_changed(call: Call) -> Reply:
    """The key has been used with other parameters."""
    key = call.headers["idempotency-key"]
    message = (
        "Keys for idempotent requests can only be used with the same parameters they were first "
        f"used with. Try using a key other than '{key}' if you meant to execute another request."
    )
    return Refused(400, "idempotency_error", message).reply


def refuse_concurrent(call: Call) -> Reply:
    """A request with this key is still being answered."""
    key = call.headers["idempotency-key"]
    message = (
        "There is currently another in-progress request using this Idempotent Key (that probably "
        "means you submitted twice, and the other request is still going through): "
        f"{key}. Please try again later."
    )
    return Refused(409, "invalid_request_error", message, code="idempotency_key_in_use").reply


def broken() -> Reply:
    """An internal error: Stripe stores it, and replays it, under the key."""
    return Refused(500, "api_error", "An unknown error occurred", keep=True).reply


def with_wrong_amount(body: bytes) -> bytes:
    """The answer with another amount than the one that moved."""
    document = msgspec.json.decode(body)
    for name in ("amount", "amount_received", "amount_capturable"):
        if document.get(name):
            document[name] += 100
    return msgspec.json.encode(document)


def headers(call: Call, request_id: str) -> dict[str, str]:
    """Headers of every answer."""
    own = {
        "request-id": f"req_{request_id}",
        "stripe-version": call.headers.get("stripe-version", API_VERSION),
    }
    if key := call.headers.get("idempotency-key"):
        own["idempotency-key"] = key
    return own


def replayed(request_id: str) -> dict[str, str]:
    """Headers of a stored answer."""
    return {"idempotent-replayed": "true", "original-request": f"req_{request_id}"}


STRIPE = Dialect(
    name="stripe",
    answer=answer,
    account=account,
    fingerprint=fingerprint,
    moves_money=moves_money,
    registers=registers,
    refuse_changed=refuse_changed,
    refuse_concurrent=refuse_concurrent,
    broken=broken,
    with_wrong_amount=with_wrong_amount,
    replayed=replayed,
    headers=headers,
)
