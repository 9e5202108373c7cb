"""Around every request to the vault: who asks, problems instead of exceptions, refusals on record, signed answers."""

import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import msgspec
import structlog
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from scrooge import reading
from scrooge.cards import redacted
from scrooge.errors import (
    AuditUnavailable,
    DatabaseUnavailable,
    InternalError,
    Problem,
    ScopeMissing,
    ServiceTokenRefused,
    Unauthenticated,
)
from scrooge.ids import new_id
from scrooge.logs import frames_of
from scrooge.metrics import REQUEST_SECONDS, REQUESTS
from scrooge.postgres.database import run
from scrooge.postgres.rows import moment
from scrooge.service import SIGNATURE, Claims, NotAuthentic, check_token
from scrooge.vault.audit import Act
from scrooge.vault.vault import CARDS, Caller, Vault

log = structlog.get_logger()
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
SECOND = 1_000_000
B = TypeVar("B", bound=Struct)


class Call:
    """One request, and what is known of it so far."""

    def __init__(self, v: Vault, request: Request, body: bytes) -> None:
        self.v, self.request, self.body = v, request, body
        self.request_id = new_id("req", 0)
        self.who, self.object = "nobody", "-"
        self.claims: Claims | None = None
        self.noted = False  # its audit is written already
        self.members: dict[str, Any] = {}  # of every problem from here on
        self.began = time.monotonic()

    @functools.cached_property
    def headers(self) -> dict[str, str]:
        return {k.lower(): v for k, v in self.request.headers.items()}

    @property
    def origin(self) -> str:
        return self.request.client.host if self.request.client else "local"

    def act(self, name: str, outcome: str = "done", **detail: str | int | bool | None) -> Act:
        return Act(who=self.who, act=name, object=self.object, outcome=outcome, origin=self.origin, detail=detail)

    def json(self, kind: type[B]) -> B:
        """Raises the Problems of a body that is not as it should be."""
        reading.require_json(self.headers)
        return reading.decode(self.body, kind)

    async def merchant(self, scope: str) -> Caller:
        """Raises Unauthenticated, ScopeMissing."""
        kind, _, secret = self.headers.get("authorization", "").partition(" ")
        caller = await self.v.caller(secret.strip()) if kind.lower() == "bearer" and secret.startswith("vk_") else None
        if caller is None:
            raise Unauthenticated("send Authorization: Bearer and a vault key (vk_...)")
        self.who = f"key:{caller.key_id}"
        if scope not in caller.scopes:
            raise ScopeMissing(f"this key lacks the scope {scope}", scope=scope)
        return caller

    def core(self) -> Claims:
        """The core's token is good for this request; that it is used for the first time its user finds out.

        Raises ServiceTokenRefused.
        """
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        target = self.request.url.path + (f"?{self.request.url.query}" if self.request.url.query else "")
        try:
            if kind.lower() != "bearer":
                raise NotAuthentic("no token")
            self.claims = check_token(token.strip(), self.v.core_keys, f"{self.request.method} {target}", self.body)
        except NotAuthentic as error:
            raise ServiceTokenRefused(str(error)) from None
        self.who = "core"
        return self.claims


async def first_use(call: Call, claims: Claims) -> bool:
    """Uses up the core's token; False when it was used before, perhaps by another copy of this request."""
    return await run(call.v.db, CARDS["use_token"], claims.id, moment(claims.expires_at * SECOND)) is not None


Endpoint = Callable[[Call], Awaitable[Response]]


def door(name: str, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """`name` is the act as the audit and the metrics call it."""

    @functools.wraps(endpoint)
    async def answer(request: Request) -> Response:
        v: Vault = request.app.state.vault
        started = time.perf_counter()
        call = Call(v, request, b"")
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=call.request_id)
        try:
            call.body = await reading.read_body(request.receive, call.headers, v.settings.body_max_bytes)
            response = await endpoint(call)
        except Problem as problem:
            response = await refused(call, name, problem)
        except asyncpg.PostgresError as error:  # What the database will not write has not happened.
            log.error("vault_not_written", error=type(error).__name__)
            response = await refused(call, name, unwritten())
        except Exception as error:  # Where it happened, but not what it says: messages may carry what was sent.
            log.error("internal_error", error=type(error).__name__, frames=frames_of(error))
            response = await refused(call, name, InternalError("something is wrong with the vault"))
        given = {name for name, _ in response.raw_headers}
        response.raw_headers += [pair for pair in RAW_HEADERS if pair[0] not in given]
        response.raw_headers.append((b"scrooge-request-id", call.request_id.encode()))
        if call.claims is not None:
            signature = v.identity.signature(call.claims.id, response.status_code, bytes(response.body))
            response.raw_headers.append((SIGNATURE.encode(), signature.encode()))
        seconds = time.perf_counter() - started
        REQUESTS.labels(name, request.method, str(response.status_code)).inc()
        REQUEST_SECONDS.labels(name).observe(seconds)
        log.info("request", act=name, status=response.status_code, milliseconds=round(seconds * 1000, 2), who=call.who)
        return response

    return answer


async def refused(call: Call, name: str, problem: Problem) -> Response:
    """A refusal is an act too. Where it cannot be written, that is the answer: nothing happened either way."""
    if problem.param is not None and any(c.isdigit() for c in problem.param):
        problem.param = None  # A field that somebody else named, perhaps by a card number; none of ours has digits.
    if isinstance(problem, DatabaseUnavailable):
        problem = unwritten()
    elif not call.noted and not isinstance(problem, AuditUnavailable):
        try:
            await record_refusal(call, name, problem)
        except (DatabaseUnavailable, asyncpg.PostgresError):
            problem = unwritten()
    document = problem.document(redacted(call.request.url.path[:200]), call.request_id) | call.members
    headers = {"Retry-After": "1"} if problem.status == 503 else {}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(msgspec.json.encode(document), problem.status, headers, media_type="application/problem+json")


async def record_refusal(call: Call, name: str, problem: Problem) -> None:
    """Raises DatabaseUnavailable. Of strangers so many in a second are on record, and of the others how many they were:
    nobody from outside can fill the audit's disk, at which the vault would stop."""
    unrecorded = 0
    if call.who == "nobody":
        recorded, unrecorded = call.v.strangers.turn(time.monotonic())
        if not recorded:
            return
    detail = {"param": problem.param} | ({"unrecorded_before": unrecorded} if unrecorded else {})
    await call.v.writer.noted(call.act(name, problem.code, **detail))


def unwritten() -> AuditUnavailable:
    return AuditUnavailable("the vault cannot write its records, so nothing was done", retry_after=1)


def json_answer(status: int, document: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(document), status, headers, media_type="application/json")
