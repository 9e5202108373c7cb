"""Every way Scrooge says no. One class per problem type, shown as RFC 9457 problem documents.

`status` is the HTTP status, `code` (the class name in snake_case) never changes once released, and
`docs/errors.md` lists them all. An exception that is not a Problem is a bug and becomes a bare 500.
"""

import re
from typing import Any, ClassVar


class Problem(Exception):
    """An expected refusal. `param` names the offending field; `members` are shown beside it."""

    status: ClassVar[int] = 422
    title: ClassVar[str] = "Request refused"
    code: ClassVar[str] = "problem"

    def __init__(self, detail: str, *, param: str | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.detail, self.param, self.members = detail, param, members

    def __init_subclass__(cls) -> None:
        if "code" not in cls.__dict__:
            cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def document(self, instance: str, request_id: str) -> dict[str, Any]:
        """The application/problem+json body."""
        return {
            "type": f"https://scrooge.dev/problems/{self.code.replace('_', '-')}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **({"param": self.param} if self.param else {}),
            "instance": instance,
            "request_id": request_id,
            **self.members,
        }


# --- the request itself ---------------------------------------------------------------------


class MalformedJson(Problem):
    """The body is not JSON, or not UTF-8."""

    status, title = 400, "The body is not valid JSON"


class InvalidField(Problem):
    """A field has the wrong type or breaks a rule of its own."""

    title = "A field is not valid"


class UnknownField(Problem):
    """The body has a field that does not exist; spelling mistakes must not be ignored with money."""

    title = "A field does not exist"


class MissingField(Problem):
    """A required field is absent."""

    title = "A required field is missing"


class UnsupportedMediaType(Problem):
    """The body is not application/json."""

    status, title = 415, "The body must be application/json"


class BodyTooLarge(Problem):
    """The body is larger than 256 kB."""

    status, title = 413, "The body is too large"


class RequestTimeout(Problem):
    """The body did not arrive in time."""

    status, title = 408, "The body did not arrive in time"


class NotFound(Problem):
    """No such object for this caller; another merchant's objects answer the same."""

    status, title = 404, "Not found"


class MalformedId(NotFound):
    """An id that cannot exist: the same answer as for one that does not."""

    code = "not_found"


class MethodNotAllowed(Problem):
    """The path exists; the method does not."""

    status, title = 405, "Method not allowed"


class PanRefused(Problem):
    """Something looks like a card number. Card numbers belong in the vault only."""

    title = "Card numbers are not accepted here"


# --- who is asking --------------------------------------------------------------------------


class Unauthenticated(Problem):
    """No API key, or one that is unknown or revoked."""

    status, title = 401, "A valid API key is required"


class ScopeMissing(Problem):
    """The API key may not do this."""

    status, title = 403, "The API key lacks a scope"


class ModeMismatch(Problem):
    """A test key met a live object, or the other way round."""

    status, title = 403, "Test and live do not mix"


# --- idempotency ----------------------------------------------------------------------------


class IdempotencyKeyMissing(Problem):
    """Every POST that can move money needs an Idempotency-Key header."""

    status, title = 400, "Idempotency-Key is required"


class IdempotencyKeyInvalid(Problem):
    """The key is empty, longer than 255 characters or not printable ASCII."""

    status, title = 400, "Idempotency-Key is not valid"


class IdempotencyKeyReused(Problem):
    """The same key came with another payload."""

    title = "Idempotency-Key was used with another payload"


class RequestInProgress(Problem):
    """The first request with this key is still running; ask again after `Retry-After` seconds."""

    status, title = 409, "The first request with this key is still running"


class ReferenceExists(Problem):
    """The reference was used before, under another key; `existing_id` names the object."""

    status, title = 409, "The reference exists already"


# --- money ----------------------------------------------------------------------------------


class AmountScaleMismatch(Problem):
    """The decimal string does not have exactly the currency's scale."""

    title = "The amount has the wrong number of decimals"


class AmountMustBePositive(Problem):
    """Zero or negative."""

    title = "The amount must be more than zero"


class AmountOutOfRange(Problem):
    """Larger than any amount Scrooge takes."""

    title = "The amount is too large"


class UnknownCurrency(Problem):
    """Not an ISO 4217 currency that payments are made in."""

    title = "Unknown currency"


class CurrencyMismatch(Problem):
    """The currency is not the payment's."""

    title = "The currency is not the payment's"


class AmountNotRepresentable(Problem):
    """The PSP counts this currency in larger units than the amount needs."""

    title = "The amount cannot be expressed at the PSP"


class AmountExceedsRoom(Problem):
    """The operation asks for more money than is left to capture, void or refund (`room`)."""

    status, title = 409, "The amount exceeds what is left to move"


# --- payments -------------------------------------------------------------------------------


class UnsupportedOperation(Problem):
    """The PSP of this payment cannot do this."""

    title = "The PSP cannot do this"


class AuthorizationLive(Problem):
    """The payment has a live authorization; a second one could take the money twice."""

    status, title = 409, "The payment has a live authorization"


class AuthorizationNotApproved(Problem):
    """There is no approved authorization to capture, void or refund from."""

    status, title = 409, "The payment has no approved authorization"


class AuthorizationExpired(Problem):
    """The authorization expired; authorize again with POST .../authorizations."""

    status, title = 409, "The authorization has expired"


class NothingToAuthenticate(Problem):
    """The payment does not wait for the payer."""

    status, title = 409, "The payment does not wait for an authentication"


class ContradictoryOutcome(Problem):
    """A PSP reported two final outcomes for one attempt. Opens a break; never overwrites."""

    status, title = 409, "The PSP contradicted itself"


class UnknownInstrument(Problem):
    """No such instrument for this merchant."""

    title = "Unknown instrument"


class InstrumentNotOfCustomer(Problem):
    """The instrument belongs to another customer."""

    title = "The instrument belongs to another customer"


class NoRoute(Problem):
    """No connector account can take this payment; `considered` says why for each."""

    title = "No connector account can take this payment"


class UnknownConnectorAccount(Problem):
    """No such connector account for this merchant."""

    title = "Unknown connector account"


class UnknownConnector(Problem):
    """No connector of this name is installed."""

    title = "Unknown connector"


class NameTaken(Problem):
    """The name is in use."""

    status, title = 409, "The name is taken"


class BadCredentials(Problem):
    """Credentials lack something the connector needs, or are for the other mode."""

    title = "The credentials are not usable"


class BadUrl(Problem):
    """The URL may not be called from here."""

    title = "The URL is not allowed"


# --- us -------------------------------------------------------------------------------------


class NotificationRefused(Problem):
    """A notification whose signature does not verify, or that no connector account expects."""

    status, title = 401, "The notification is not authentic"


class DatabaseUnavailable(Problem):
    """The database cannot be reached; nothing was sent to a PSP. Try again after `Retry-After`."""

    status, title = 503, "Temporarily unavailable"


class InternalError(Problem):
    """A bug. The request id finds it in the logs."""

    status, title = 500, "Internal error"


class SettingsError(Exception):
    """A setting is missing or unusable; the message names it. The CLI exits with 2."""
