"""The OpenAPI document's answers: what a route gives, and every problem that a caller of it can meet."""

from collections import defaultdict
from typing import Any

import msgspec

from scrooge import errors as e
from scrooge.api.call import Route

REF = "#/components/schemas/{name}"
HEADERS = {
    "Scrooge-Request-Id": {
        "description": "Names this request in our logs.", "required": True,
        "schema": {"type": "string", "pattern": "^req_"},
    },
    "Idempotent-Replayed": {
        "description": "Present when an earlier request with this key did it.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {"description": "Seconds.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
    "Link": {"description": 'The next page, rel="next" (RFC 8288).', "schema": {"type": "string"}},
    "WWW-Authenticate": {"schema": {"type": "string"}},
    "Allow": {"schema": {"type": "string"}},
    "Location": {"schema": {"type": "string"}},
}  # fmt: skip


def responses(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, kind in route.answers.items():
        content: dict[str, Any] = {"*/*": {"schema": {}}}
        if kind is not None:
            content = {"application/json": {"schema": {"$ref": REF.format(name=kind.__name__)}}}
        found[str(status)] = {"description": said(status, route), "headers": headers(route, status), "content": content}
    by_status: dict[int, list[type[e.Problem]]] = defaultdict(list)
    for problem in problems_of(route):
        by_status[problem.status].append(problem)
    for status, kinds in sorted(by_status.items()):
        codes = sorted({k.code for k in kinds})
        schema = {
            "allOf": [
                {"$ref": REF.format(name="Problem")},
                {"properties": {"code": {"enum": codes}, "status": {"const": status}}},
            ]
        }
        response = {
            "description": "; ".join(sorted({k.title for k in kinds})),
            "headers": headers(route, status),
            "content": {"application/problem+json": {"schema": schema}},
        }
        if str(status) in found:  # Readiness: the document says what is missing.
            found[str(status)]["content"] |= response["content"]
        else:
            found[str(status)] = response
    return found


def problems_of(route: Route) -> tuple[type[e.Problem], ...]:
    """Those of the table, and those that every route of its kind can meet."""
    found: list[type[e.Problem]] = [e.InternalError, e.MethodNotAllowed, *route.problems]
    found += [e.BodyTooLarge, e.RequestTimeout]
    if not route.raw:
        found += [e.InvalidField, e.UnknownField, e.PanRefused]
    if any(f.required for f in msgspec.structs.fields(route.query)):
        found.append(e.MissingField)
    if route.scope is not None:
        found += [e.Unauthenticated, e.ScopeMissing, e.DatabaseUnavailable, e.IdempotencyKeyInvalid, e.Overloaded]
    elif route.raw:
        found += [e.DatabaseUnavailable, e.Overloaded]
    if route.body is not None:
        found += [e.MalformedJson, e.MissingField, e.UnsupportedMediaType]
    return tuple(dict.fromkeys(found))


def headers(route: Route, status: int) -> dict[str, Any]:
    names = ["Scrooge-Request-Id"]
    if route.idempotent and status in {201, 202}:
        names.append("Idempotent-Replayed")
    if status in {202, 409, 503}:
        names.append("Retry-After")
    if status == 200 and {"cursor", "after"} & set(route.query.__struct_encode_fields__):
        names.append("Link")
    if status == 401 and route.scope is not None:
        names.append("WWW-Authenticate")
    if status == 405:
        names.append("Allow")
    if status == 303:
        names.append("Location")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def said(status: int, route: Route) -> str:
    return {
        200: "Done",
        201: "Done; declined and failed payments too" if route.idempotent else "Made",
        202: "We cannot tell yet, and are asking",
        303: "Back to the shop",
        404: "The same of every link that cannot be used",
        503: "Not ready",
    }[status]


def problem_schema() -> dict[str, Any]:
    codes = sorted({p.code for p in every_problem(e.Problem)})
    return {
        "title": "Problem",
        "description": "RFC 9457. `code` never changes; `param` names the field.",
        "type": "object",
        "required": ["type", "title", "status", "code", "detail", "instance", "request_id"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "code": {"type": "string", "enum": codes},
            "detail": {"type": "string"},
            "param": {"type": "string"},
            "instance": {"type": "string"},
            "request_id": {"type": "string", "pattern": "^req_"},
        },
    }


def every_problem(kind: type[e.Problem]) -> list[type[e.Problem]]:
    """Those of `errors` but the vault's own: a caller of the API can meet no other."""
    found = [p for sub in kind.__subclasses__() for p in (sub, *every_problem(sub))]
    ours, vaults = f"{e.__name__}.", f"{e.__name__}.vault"
    return [p for p in found if p.__module__.startswith(ours) and not p.__module__.startswith(vaults)]
