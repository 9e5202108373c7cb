"""The token service provider as the edge sees it: routes, errors, keys. Its wire format is ours: docs/sandbox.md."""

import hashlib
import secrets
from urllib.parse import parse_qs

import msgspec

from ..wire import Call, Dialect, Reply
from ..world import World, token
from . import tokens
from .records import Receiver
from .tokens import Json, Refused


def answer(world: World, call: Call) -> Reply:
    try:
        return served(world, call, _who(call))
    except Refused as refused:
        document = {"error": {"code": refused.code, "message": refused.message}}
        return Reply(refused.status, msgspec.json.encode(document), keep=False)


def served(world: World, call: Call, who: str) -> Reply:
    """Raises Refused."""
    match call.method, call.path.strip("/").split("/"):
        case "POST", ["v1", "network_tokens"]:
            status, made = tokens.provision(world, who, _json(call))
            return _ok(made, status)
        case "GET", ["v1", "network_tokens"]:
            reference = parse_qs(call.query.decode()).get("reference", [""])[0]
            known = tokens.by_reference(world, who, reference)
            return _ok(tokens.shown(tokens.find(world, who, known.id if known else "")))
        case "GET", ["v1", "network_tokens", id_]:
            return _ok(tokens.shown(tokens.find(world, who, id_)))
        case "DELETE", ["v1", "network_tokens", id_]:
            tokens.end(world, who, id_)
            return Reply(204, b"")
        case "POST", ["v1", "network_tokens", id_, "cryptograms"]:
            return _ok(tokens.cryptogram(world, who, id_, _json(call)), 201)
        case "POST", ["v1", "webhooks"]:
            receiver = Receiver(
                id=f"wh_{token()}", account=who, url=str(_json(call).get("url", "")), secret=secrets.token_hex(24)
            )
            world.state.put(receiver)
            return _ok({"id": receiver.id, "url": receiver.url, "secret": receiver.secret}, 201)
        case _:
            raise Refused(404, "not_found", f"not found: {call.method} {call.path}")


def _ok(document: Json, status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(document))


def _json(call: Call) -> Json:
    try:
        return msgspec.json.decode(call.body, type=Json)
    except msgspec.DecodeError:
        raise Refused(400, "request_invalid", "the body is not a JSON object") from None


def account(call: Call) -> str:
    return call.headers.get("authorization", "").removeprefix("Bearer ")


def _who(call: Call) -> str:
    key = account(call)
    if not key.startswith("tsp_test_"):
        raise Refused(401, "unauthorized", "an API key begins with tsp_test_")
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def fingerprint(call: Call) -> bytes:
    return hashlib.blake2b(call.path.encode() + b"\n" + call.body, digest_size=16).digest()


def refuse_changed(_call: Call) -> Reply:
    return Reply(422, b'{"error":{"code":"key_reused","message":"the key was used for another request"}}', keep=False)


def refuse_concurrent(_call: Call) -> Reply:
    return Reply(409, b'{"error":{"code":"key_in_use","message":"the first request still runs"}}', keep=False)


def broken() -> Reply:
    return Reply(500, b'{"error":{"code":"internal","message":"an internal error"}}', keep=False)


TSP = Dialect(
    name="tsp",
    answer=answer,
    account=account,
    fingerprint=fingerprint,
    moves_money=lambda _: False,
    registers=lambda call: call.path.startswith("/v1/webhooks"),
    refuse_changed=refuse_changed,
    refuse_concurrent=refuse_concurrent,
    broken=broken,
    with_wrong_amount=lambda body: body,
    replayed=lambda _: {"idempotent-replayed": "true"},
    headers=lambda _call, request_id: {"request-id": request_id},
)
