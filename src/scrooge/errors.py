"""Every way Scrooge says no. One class per problem type, shown as RFC 9457 problem documents.

`status` is the HTTP status, `code` (the class name in snake_case) never changes once released, and
`docs/errors.md` lists them all. An exception that is not a Problem is a bug and becomes a bare 500.
"""

import re
from typing import Any, ClassVar


class Problem(Exception):
    """An expected refusal. `param` names the offending field; `members` are shown beside it.

    The title is the first sentence of the class's docstring.
    """

    status: ClassVar[int] = 422
    title: ClassVar[str] = ""
    code: ClassVar[str] = "problem"

    def __init__(self, detail: str, *, param: str | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.detail, self.param, self.members = detail, param, members

    def __init_subclass__(cls) -> None:
        cls.title = re.split(r"[.;:]", (cls.__doc__ or "").strip())[0]
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

    status = 400


class InvalidField(Problem):
    """A field has the wrong type or breaks a rule of its own."""


class UnknownField(Problem):
    """The body has a field that does not exist; spelling mistakes must not be ignored with money."""


class MissingField(Problem):
    """A required field is absent."""


class UnsupportedMediaType(Problem):
    """The body is not application/json."""

    status = 415


class BodyTooLarge(Problem):
    """The body is larger than 256 kB."""

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
    """The path exists; the method does not."""

    status = 405


class PanRefused(Problem):
    """Something looks like a card number. Card numbers belong in the vault only."""


# --- who is asking --------------------------------------------------------------------------


class Unauthenticated(Problem):
    """No API key, or one that is unknown or revoked."""

    status = 401


class ScopeMissing(Problem):
    """The API key may not do this."""

    status = 403


class ModeMismatch(Problem):
    """A test key met a live object, or the other way round."""

    status = 403


# --- idempotency ----------------------------------------------------------------------------


class IdempotencyKeyMissing(Problem):
    """Every POST that can move money needs an Idempotency-Key header."""

    status = 400


class IdempotencyKeyInvalid(Problem):
    """The key is empty, longer than 255 characters or not printable ASCII."""

    status = 400


class IdempotencyKeyReused(Problem):
    """The same key came with another payload."""


class RequestInProgress(Problem):
    """The first request with this key is still running; ask again after `Retry-After` seconds."""

    status = 409


class ReferenceExists(Problem):
    """The reference was used before, under another key; `existing_id` names the object."""

    status = 409


# --- money ----------------------------------------------------------------------------------


class AmountScaleMismatch(Problem):
    """The decimal string does not have exactly the currency's scale."""


class AmountMustBePositive(Problem):
    """Zero or negative."""


class AmountOutOfRange(Problem):
    """Larger than any amount Scrooge takes."""


class UnknownCurrency(Problem):
    """Not an ISO 4217 currency that payments are made in."""


class CurrencyMismatch(Problem):
    """The currency is not the payment's."""


class AmountNotRepresentable(Problem):
    """The PSP counts this currency in larger units than the amount needs."""


class AmountExceedsRoom(Problem):
    """The operation asks for more money than is left to capture, void or refund (`room`)."""

    status = 409


# --- payments -------------------------------------------------------------------------------


class UnsupportedOperation(Problem):
    """The PSP of this payment cannot do this."""


class AuthorizationLive(Problem):
    """The payment has a live authorization; a second one could take the money twice."""

    status = 409


class AuthorizationNotApproved(Problem):
    """There is no approved authorization to capture, void or refund from."""

    status = 409


class AuthorizationExpired(Problem):
    """The authorization expired; authorize again with POST .../authorizations."""

    status = 409


class CaptureInFlight(Problem):
    """A capture has not concluded yet; void when it has."""

    status = 409


class NothingToAuthenticate(Problem):
    """The payment does not wait for the payer."""

    status = 409


class ContradictoryOutcome(Problem):
    """A PSP reported two final outcomes for one attempt. Opens a break; never overwrites."""

    status = 409


class UnknownInstrument(Problem):
    """No such instrument for this merchant."""


class InstrumentNotOfCustomer(Problem):
    """The instrument belongs to another customer."""


class NoRoute(Problem):
    """No connector account can take this payment; `considered` says why for each."""


class UnknownConnectorAccount(Problem):
    """No such connector account for this merchant."""


class UnknownConnector(Problem):
    """No connector of this name is installed."""


class NameTaken(Problem):
    """The name is in use."""

    status = 409


class BadCredentials(Problem):
    """Credentials lack something the connector needs, or are for the other mode."""


class BadUrl(Problem):
    """The URL may not be called from here."""


# --- us -------------------------------------------------------------------------------------


class NotificationRefused(Problem):
    """A notification whose signature does not verify, or that no connector account expects."""

    status = 401


class DatabaseUnavailable(Problem):
    """The database cannot be reached; nothing was sent to a PSP. Try again after `Retry-After`."""

    status = 503


class InternalError(Problem):
    """A bug. The request id finds it in the logs."""

    status = 500


class SettingsError(Exception):
    """A setting is missing or unusable; the message names it. The CLI exits with 2."""
