"""The OpenAPI 3.1 document, made from the URL table and the very structs that decode and encode."""

from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import iso4217
import msgspec

from scrooge import errors as e
from scrooge.api import docs
from scrooge.api.bodies import Body
from scrooge.api.call import Answer, Call, Route
from scrooge.api.parsing import SECONDS
from scrooge.api.responses import HEADERS, REF, problem_schema, responses
from scrooge.money import MINOR_MAX, exponent_of

PARAMETERS = {
    "payment": ("^pay_[0-9A-HJKMNP-TV-Z]{26}$", "pay_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "instrument": ("^ins_[0-9A-HJKMNP-TV-Z]{26}$", "ins_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "customer": ("^[^/\\u0000-\\u001f\\u007f]{1,128}$", "user-8123"),
    "mandate": ("^man_[0-9A-HJKMNP-TV-Z]{26}$", "man_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "account": ("^[A-Za-z0-9_-]{1,64}$", "stripe_eu"),
    "webhook_endpoint": ("^whe_[0-9A-HJKMNP-TV-Z]{26}$", "whe_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "webhook_delivery": ("^whd_[0-9A-HJKMNP-TV-Z]{26}$", "whd_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "webhook_replay": ("^whr_[0-9A-HJKMNP-TV-Z]{26}$", "whr_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "break": ("^brk_[0-9A-HJKMNP-TV-Z]{26}$", "brk_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "decision": ("^dec_[0-9A-HJKMNP-TV-Z]{26}$", "dec_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "policy": ("^pol_[0-9A-HJKMNP-TV-Z]{26}$", "pol_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "verification": ("^ver_[0-9A-HJKMNP-TV-Z]{26}$", "ver_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "update_link": ("^ulk_[0-9A-HJKMNP-TV-Z]{26}$", "ulk_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "batch": ("^bat_[0-9A-HJKMNP-TV-Z]{26}$", "bat_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "risk_policy": ("^rsk_[0-9A-HJKMNP-TV-Z]{26}$", "rsk_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "stored_value_account": ("^sva_[0-9A-HJKMNP-TV-Z]{26}$", "sva_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "stored_value_adjustment": ("^adj_[0-9A-HJKMNP-TV-Z]{26}$", "adj_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "stored_value_codes": ("^svc_[0-9A-HJKMNP-TV-Z]{26}$", "svc_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "switch": ("^swi_[0-9A-HJKMNP-TV-Z]{26}$", "swi_01K9YH4V9GYB7T2D4Z8QW3M5N6"),
    "ledger_account": ("^[a-z0-9_.-]{1,200}:[A-Z]{3}$", "assets.psp_receivable.stripe_eu:EUR"),
    "token": ("^[A-Za-z0-9_.-]{1,200}$", "pay_01K9YH4V9GYB7T2D4Z8QW3M5N6.0123abcd"),
}
KEY_PARAMETER = {
    "name": "Idempotency-Key", "in": "header", "required": True,
    "description": "The same for every repetition of one request; kept for at least 30 days.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]{1,255}$"},
    "example": "5f1c7a0e-checkout-9912",
}  # fmt: skip
TIMEOUT_PARAMETER = {
    "name": "Request-Timeout", "in": "header", "required": False,
    "description": "Seconds that the caller waits. With too few left for a PSP nothing is recorded or sent (503).",
    "schema": {"type": "string", "pattern": SECONDS.pattern}, "example": "8",
}  # fmt: skip
ABOUT = """Payments through every PSP by one contract. Amounts are decimal strings with exactly the currency's
ISO 4217 scale. A declined payment is an answer (201), not an error; 202 with `outcome_certainty` "unknown" says that
we cannot tell yet and are asking. Refusals are RFC 9457 problem documents. API keys are made with the command
`scrooge keys create` only, and connector accounts' credentials can be written, never read."""


def document(routes: Sequence[Route]) -> dict[str, Any]:
    names = structs_of(routes)
    _, components = msgspec.json.schema_components(names, ref_template=REF)
    components["AmountAsked"] |= {"anyOf": amounts()}
    components["Problem"] = problem_schema()
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = operation(route, routes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Scrooge", "version": version("scrooge"), "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(tag(r) for r in routes)],
        "paths": dict(paths),
        "components": {
            "schemas": components,
            "headers": HEADERS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }  # fmt: skip


def structs_of(routes: Sequence[Route]) -> list[type]:
    found = [r.body for r in routes if r.body]
    found += [answer for r in routes for answer in r.answers.values() if answer is not None]
    return list(dict.fromkeys(found))


def operation(route: Route, routes: Sequence[Route]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [tag(route)],
        "parameters": parameters(route),
        "responses": responses(route),
        "security": [{"key": []}] if route.scope else [],
    }
    for status in {"201", "202"} & set(shown["responses"]):
        if found := links(route, routes):
            shown["responses"][status]["links"] = found
    if route.scope:
        shown["description"] = f"Needs the scope `{route.scope}`."
    if route.body is not None:
        required = any(f.required for f in msgspec.structs.fields(route.body))
        content = {"application/json": {"schema": {"$ref": REF.format(name=route.body.__name__)}}}
        shown["requestBody"] = {"required": required, "content": content}
    elif route.streamed or (route.raw and route.method == "POST"):
        shown["requestBody"] = {"required": False, "content": {"*/*": {"schema": {}}}}
    return shown


def links(route: Route, routes: Sequence[Route]) -> dict[str, Any]:
    """Where what was just made can be used: the operations below its path take its id."""
    found = {}
    for other in routes:
        rest = other.path.removeprefix(f"{route.path}/{{")
        if other.path != rest:
            name = rest.partition("}")[0]
            found[operation_id(other)] = {
                "operationId": operation_id(other),
                "parameters": {name: "$response.body#/id"},
            }
    return found


def operation_id(route: Route) -> str:
    words = [w.strip("{}").replace("-", "_") for w in route.path.split("/") if w and w != "v1"]
    return "_".join([route.method.lower(), *words]).replace(".", "_")


def tag(route: Route) -> str:
    first = route.path.removeprefix("/v1/").strip("/").split("/")[0]
    return first if route.path.startswith("/v1/") else "outside"


def parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for part in route.path.split("/"):
        if part.startswith("{"):
            pattern, example = PARAMETERS[part.strip("{}")]
            schema = {"type": "string", "pattern": pattern}
            found.append({
                "name": part.strip("{}"), "in": "path", "required": True, "schema": schema, "example": example,
            })  # fmt: skip
    if not route.raw:
        found += query_parameters(route.query)
    return [*found, KEY_PARAMETER, TIMEOUT_PARAMETER] if route.idempotent else found


def query_parameters(kind: type[Body]) -> list[dict[str, Any]]:
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]
    found = []
    for name, inner in schema["properties"].items():
        inner = {k: v for k, v in inner.items() if k != "default" or v is not None}
        either = [option for option in inner.get("anyOf", ()) if option != {"type": "null"}]
        plain = either[0] if len(either) == 1 else inner
        required = name in schema["required"]
        found.append({"name": name, "in": "query", "required": required, "schema": plain})
    return found


def amounts() -> list[dict[str, Any]]:
    """What a decoder cannot say but a schema can: how many decimals each currency takes."""
    found = []
    for exponent, currencies in currencies_of().items():
        whole = f"(0|[1-9][0-9]{{0,{len(str(MINOR_MAX)) - exponent - 1}}})"
        zero = "0" if exponent == 0 else rf"0\.0{{{exponent}}}"
        rest = "" if exponent == 0 else rf"\.[0-9]{{{exponent}}}"
        value = {"type": "string", "pattern": f"^(?!{zero}$){whole}{rest}$"}
        found.append({"properties": {"value": value, "currency": {"enum": currencies}}})
    return found


def currencies_of() -> dict[int, list[str]]:
    """The currencies that payments are made in, by their number of decimals."""
    found: dict[int, list[str]] = defaultdict(list)
    for currency in iso4217.Currency:
        try:
            found[exponent_of(currency.code)].append(currency.code)
        except e.UnknownCurrency:
            continue  # Metals, funds, test codes.
    return dict(sorted(found.items()))


# --- as pages -------------------------------------------------------------------------------


def pages(routes: Sequence[Route]) -> tuple[Route, ...]:
    """/openapi.json and /docs, written once."""
    made = msgspec.to_builtins(document(routes))
    encoded, page = msgspec.json.encode(made), docs.page(routes, made).encode()

    async def openapi(call: Call) -> Answer:
        return Answer(200, encoded)

    async def human(call: Call) -> Answer:
        return Answer(200, page, docs.HEADERS, "text/html")

    async def front(call: Call) -> Answer:
        return Answer(303, b"", {"Location": "/docs"}, "text/plain")

    return (
        Route(method="GET", path="/", handler=front, scope=None, answers={303: None}, summary=""),
        Route(method="GET", path="/openapi.json", handler=openapi, scope=None, answers={200: None}, summary=""),
        Route(method="GET", path="/docs", handler=human, scope=None, answers={200: None}, summary=""),
    )
