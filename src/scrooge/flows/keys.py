"""One request, one effect: what an Idempotency-Key that was used before answers."""

from msgspec import Struct

from scrooge.domain.attempt import Operation, State
from scrooge.domain.payment import Payment
from scrooge.errors import IdempotencyKeyReused, ReferenceExists, RequestInProgress
from scrooge.flows.scrooge import Scrooge, now
from scrooge.ids import bucket_of
from scrooge.storage import payments
from scrooge.storage.changes import Guard
from scrooge.storage.directory import Principal

ASK_AGAIN_SECONDS = 2  # Most requests take far less than the whole of their deadline.


class Keyed(Struct, frozen=True):
    """The Idempotency-Key of a request and the SHA-256 of its method, path and payload.

    `until` (monotonic seconds): when whoever asks stops waiting.
    """

    key: str
    fingerprint: bytes
    until: float | None = None


def guard_of(principal: Principal, keyed: Keyed) -> Guard:
    return Guard(bucket_of(principal.caller, keyed.key), keyed.key, keyed.fingerprint, principal.livemode)


async def earlier(s: Scrooge, principal: Principal, keyed: Keyed) -> tuple[Payment, str | None] | None:
    """The payment (and attempt) that this key made before, or None when the key is new.

    Raises IdempotencyKeyReused, RequestInProgress, ReferenceExists.
    """
    guard = guard_of(principal, keyed)
    row = await payments.read_key(s.db, guard, principal.caller)
    if row is None:
        return None
    if row.fingerprint != keyed.fingerprint:
        raise IdempotencyKeyReused("this key was used with another method, path or body")
    payment = await payments.read(s.db, row.payment)
    if payment is None:  # The key was used by a request that lost a race for its reference.
        raise ReferenceExists("the reference exists already under another key", param="reference")
    deadline = max(row.deadline_at, payment.deadline_at)
    if running(payment, row.attempt) and now() < deadline:
        raise RequestInProgress(
            "the first request with this key is still running",
            retry_after=min(ASK_AGAIN_SECONDS, max(1, (deadline - now()) // 1_000_000)),
        )
    return payment, row.attempt


def running(payment: Payment, attempt_id: str | None) -> bool:
    """Is the request that used the key still at work?"""
    if attempt_id is None:
        return not payment.answered
    if payment.tenders:  # What was asked of all parts is answered as it now is.
        return False
    attempt = payment.attempt(attempt_id)
    if attempt.operation in {Operation.AUTHORIZE, Operation.VERIFY}:
        return not payment.answered
    return attempt.state is State.SENT
