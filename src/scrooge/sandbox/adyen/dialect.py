"""Adyen as the edge sees it: paths, keys, and its habits with idempotency keys."""

import hashlib
import re
from collections.abc import Callable

import msgspec

from ..wire import Call, Dialect, Reply
from ..world import World
from . import fields as f
from . import increments, management, modifications, payments, tokens
from .errors import Refused

_CHECKOUT = re.compile(r"/v\d+/(payments|payments/details|cancels|payments/(\w+)/(\w+))")
_STORED = re.compile(r"/v\d+/storedPaymentMethods(?:/([^/]+))?")
_MANAGEMENT = re.compile(r"/management/v\d+/merchants/([^/]+)/webhooks(?:/([^/]+)(/generateHmac)?)?")
_CHANGES: dict[str, Callable[[World, f.Json, str], f.Json]] = {
    "amountUpdates": increments.update,
    "captures": modifications.capture,
    "cancels": modifications.cancel,
    "refunds": modifications.refund,
    "reversals": modifications.reverse,
}


def answer(world: World, call: Call) -> Reply:
    """What Adyen would answer, and do."""
    try:
        if not _key(call):
            raise Refused(401, "000", "HTTP Status Response - Unauthorized", "security")
        document = _json(call)
        if match := _MANAGEMENT.fullmatch(call.path):
            return _managed(world, call, document, *match.groups())
        if match := _STORED.fullmatch(call.path):
            return _stored(world, call, match[1])
        match = _CHECKOUT.fullmatch(call.path) if call.method == "POST" else None
        if match is None:
            raise Refused(404, "000", f"Not found: {call.method} {call.path}", "validation")
        return _checked_out(world, call, document, *match.groups())
    except Refused as refused:
        return refused.reply


def _checked_out(world: World, call: Call, document: f.Json, path: str, id_: str | None, verb: str | None) -> Reply:
    if path == "payments":
        return _ok(payments.pay(world, document, call.origin))
    if path == "payments/details":
        return _ok(payments.details(world, document, call.origin))
    if path == "cancels":
        return _ok(modifications.cancel_by_reference(world, document), 201)
    act = _CHANGES.get(verb or "")
    if act is None or id_ is None:
        raise Refused(404, "000", f"Not found: {call.path}", "validation")
    return _ok(act(world, document, id_), 201)


def _stored(world: World, call: Call, id_: str | None) -> Reply:
    if call.method == "GET" and id_ is None:
        return _ok(tokens.listed(world, call))
    if call.method == "DELETE" and id_ is not None:
        tokens.remove(world, call, id_)
        return Reply(204, b"")
    raise Refused(404, "000", f"Not found: {call.method} {call.path}", "validation")


def _managed(world: World, call: Call, document: f.Json, account: str, id_: str | None, hmac: str | None) -> Reply:
    match call.method, id_, hmac:
        case "POST", None, None:
            return _ok(management.create(world, account, document))
        case "GET", None, None:
            return _ok(management.listed(world, account))
        case "POST", str(), str():
            return _ok(management.generate_hmac(world, account, id_))
        case "GET", str(), None:
            return _ok(management.read(world, account, id_))
        case "PATCH", str(), None:
            return _ok(management.change(world, account, id_, document))
        case "DELETE", str(), None:
            management.remove(world, account, id_)
            return Reply(204, b"")
        case _:
            raise Refused(404, "000", f"Not found: {call.method} {call.path}", "validation")


def _ok(document: f.Json, status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(document))


def _json(call: Call) -> f.Json:
    """The body; raises Refused unless it is a JSON object or empty."""
    if not call.body:
        return {}
    try:
        return msgspec.json.decode(call.body, type=f.Json)
    except msgspec.DecodeError:
        raise Refused(400, "702", "Unexpected input, expected: a JSON object") from None


def _key(call: Call) -> str:
    """The API key, or the user of Basic authentication, which Adyen also takes."""
    return call.headers.get("x-api-key", "") or call.headers.get("authorization", "")


def account(call: Call) -> str:
    """Keys are scoped to the company account: here, to the API key."""
    return _key(call)


def fingerprint(call: Call) -> bytes:
    """Of the path and the body as sent."""
    return hashlib.blake2b(call.path.encode() + b"\n" + call.body, digest_size=16).digest()


def moves_money(call: Call) -> bool:
    """Every call of the Checkout API that exists here."""
    return call.method == "POST"


def registers(call: Call) -> bool:
    """Setting up receivers is no part of any fault."""
    return call.path.startswith("/management")


def refuse_changed(_call: Call) -> Reply:
    """The key has been used for another request."""
    message = "request already processed or in progress"
    return Refused(422, "704", message, transient_error="false").reply


def refuse_concurrent(_call: Call) -> Reply:
    """A request with this key is still being answered; the same one may be sent again."""
    message = "request already processed or in progress"
    return Refused(422, "704", message, transient_error="true").reply


def broken() -> Reply:
    """An internal error; nothing is stored, so the same request finds out what happened."""
    return Refused(500, "905", "Internal error", "internal").reply


def with_wrong_amount(body: bytes) -> bytes:
    """The answer with another amount than the one that moved."""
    document = msgspec.json.decode(body)
    if "amount" in document:
        document["amount"]["value"] += 100
    return msgspec.json.encode(document)


def headers(call: Call, request_id: str) -> dict[str, str]:
    """Headers of every answer."""
    own = {"pspreference": request_id.upper()}
    if key := call.headers.get("idempotency-key"):
        own["idempotency-key"] = key
    return own


def replayed(_request_id: str) -> dict[str, str]:
    """Adyen says nothing more than the key it echoes."""
    return {}


ADYEN = Dialect(
    name="adyen",
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
