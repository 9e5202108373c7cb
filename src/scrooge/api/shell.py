"""Around every request: an id, problems instead of exceptions, one log line, the metrics."""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scrooge.api import problems
from scrooge.api.pan import refuse_in_target
from scrooge.cards import holds_card_number
from scrooge.errors import Problem
from scrooge.ids import new_id
from scrooge.metrics import REQUEST_SECONDS, REQUESTS

log = structlog.get_logger()
UNMATCHED = "unmatched"
FOREIGN = (
    "/notifications/",
    "/return/",
    "/update/",
)  # Called by PSPs and payers, with words that are not ours to judge.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Seen:
    """What the layers within learn about a request, for the log line and the metrics."""

    __slots__ = ("caller", "payment", "request_id", "route", "status")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.route = UNMATCHED
        self.status = 500
        self.payment: str | None = None
        self.caller: str | None = None


class Shell:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = scope["seen"] = Seen(new_id("req", 0))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=seen.request_id)
        started = time.perf_counter()
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun, seen.status = True, message["status"]
                message["headers"] = [*message["headers"], (b"scrooge-request-id", seen.request_id.encode())]
            await send(message)

        try:
            problem = await self.within(scope, receive, answer, seen)
            if problem is not None and not begun:
                response = problems.respond(problem, instance_of(scope, seen), seen.request_id)
                await response(scope, receive, answer)
        finally:
            note(scope["method"], seen, time.perf_counter() - started)

    async def within(self, scope: Scope, receive: Receive, send: Send, seen: Seen) -> Problem | None:
        """Everything else; what it refuses comes back as a value."""
        try:
            if not scope["path"].startswith(FOREIGN):
                refuse_in_target(scope["path"], scope["query_string"].decode("latin-1"))
            await self.app(scope, receive, send)
        except Problem as problem:
            return problem
        except Exception as error:
            return problems.bug(error, seen.request_id)
        return None


def instance_of(scope: Scope, seen: Seen) -> str:
    """The path that was asked for, unless it holds what must not be repeated."""
    path: str = scope["path"]
    return seen.route if holds_card_number(path) else path[:200]


def note(method: str, seen: Seen, seconds: float) -> None:
    method = method if method in METHODS else "OTHER"  # Labels are bounded, whatever is sent.
    REQUESTS.labels(seen.route, method, str(seen.status)).inc()
    REQUEST_SECONDS.labels(seen.route).observe(seconds)
    log.info(
        "request",
        method=method,
        route=seen.route,
        status=seen.status,
        milliseconds=round(seconds * 1000, 2),
        payment=seen.payment,
        caller=seen.caller,
    )
