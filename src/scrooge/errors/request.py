"""Refusals of the request itself: its form, who asks, its key."""

from scrooge.errors.problem import Problem

# --- the request itself -------------------------------------------------------------------


class MalformedJson(Problem):
    """The body is not JSON, or not UTF-8."""

    status = 400


class InvalidField(Problem):
    """A field has the wrong type or breaks a rule of its own."""


class UnknownField(Problem):
    """The body or the query has a field that does not exist; spelling mistakes must not be ignored with money."""


class MissingField(Problem):
    """A required field is absent."""


class UnsupportedMediaType(Problem):
    """The body is of another media type than this takes, or compressed."""

    status = 415


class BodyTooLarge(Problem):
    """The body is larger than this server takes; `SCROOGE_BODY_MAX_BYTES`, 256 kB by default."""

    status = 413


class RequestTimeout(Problem):
    """The body did not arrive in time."""

    status = 408


class NotFound(Problem):
    """No such object for this caller; another merchant's objects answer the same."""

    status = 404


class MalformedId(NotFound):
    """An id that cannot exist: the same answer as for one that does not."""

    code = "not_found"


class MethodNotAllowed(Problem):
    """The path exists and does not take this method."""

    status = 405


class PanRefused(Problem):
    """Something looks like a card number. Card numbers belong in the vault only."""


# --- who is asking ------------------------------------------------------------------------


class Unauthenticated(Problem):
    """No API key, or one that is unknown or revoked."""

    status = 401


class ScopeMissing(Problem):
    """The API key may not do this."""

    status = 403


class ModeMismatch(Problem):
    """A test key met a live object, or the other way round."""

    status = 403


# --- idempotency --------------------------------------------------------------------------


class IdempotencyKeyMissing(Problem):
    """Every POST that can move money needs an Idempotency-Key header."""

    status = 400


class IdempotencyKeyInvalid(Problem):
    """The key is empty, longer than 255 characters or not printable ASCII."""

    status = 400


class IdempotencyKeyReused(Problem):
    """The same key came with another payload."""


class RequestInProgress(Problem):
    """The first request with this key runs still, or its end is not known; ask again after `Retry-After` seconds."""

    status = 409


class ReferenceExists(Problem):
    """The reference was used before, under another key; `existing_id` names the object."""

    status = 409
