"""Problems as RFC 9457 documents, for callers; and how a bug looks from outside: bare, with a request id."""

import random

import msgspec
import structlog
from starlette.responses import Response

from scrooge.errors import (
    AttemptBusy,
    BodyTooLarge,
    DatabaseUnavailable,
    DeadlineTooShort,
    InternalError,
    MethodNotAllowed,
    Problem,
    ReplayRunning,
    RequestInProgress,
    RequestTimeout,
    TooManyUploads,
    Unauthenticated,
)
from scrooge.logs import frames_of

log = structlog.get_logger()


def respond(problem: Problem, instance: str, request_id: str) -> Response:
    document = problem.document(instance, request_id)
    return Response(
        msgspec.json.encode(document),
        problem.status,
        headers_of(problem),
        media_type="application/problem+json",
    )


def headers_of(problem: Problem) -> dict[str, str]:
    match problem:
        case Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case RequestInProgress() | DatabaseUnavailable() | TooManyUploads() | AttemptBusy() | ReplayRunning():
            return {"Retry-After": str(problem.members.get("retry_after", 1))}
        case DeadlineTooShort():
            return {}  # With as little time it would be refused again.
        case Problem(status=503):  # Spread, or all who were refused together would come back together.
            return {"Retry-After": str(problem.members.get("retry_after", 1) + random.randrange(3))}  # noqa: S311
        case MethodNotAllowed():
            return {"Allow": ", ".join(problem.members.get("allowed", ()))}
        case BodyTooLarge() | RequestTimeout():
            return {"Connection": "close"}  # The rest of the body is not worth reading.
        case _:
            return {}


def bug(error: Exception, request_id: str) -> InternalError:
    """Logged with where it happened but not with what it says: messages may carry what was sent."""
    log.error(
        "internal_error",
        request_id=request_id,
        error=type(error).__name__,
        frames=frames_of(error),
    )
    return InternalError("something is wrong with us; the request id finds it in our logs")
