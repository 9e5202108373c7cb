"""What callers do with batches: make them, look, and say when to send."""

from collections.abc import Iterator
from contextlib import contextmanager

from scrooge.domain.batch import Act, Status, after
from scrooge.errors import (
    BatchStatusConflict,
    BatchWindowClosed,
    IdempotencyKeyReused,
    NotFound,
    TooManyUploads,
)
from scrooge.flows.keys import Keyed
from scrooge.flows.scrooge import Scrooge, now
from scrooge.ids import number_of
from scrooge.storage import batches
from scrooge.storage.batches import Batch, Draft
from scrooge.storage.directory import Principal

AGAIN_SECONDS = 5  # after which a caller whose uploads are too many may ask again


async def create(s: Scrooge, principal: Principal, keyed: Keyed, draft: Draft) -> tuple[Batch, bool]:
    """The batch of this key, and whether it was there. Raises IdempotencyKeyReused."""
    batch, new = await batches.add(
        s.db, principal.merchant, principal.caller, principal.livemode, keyed.key, keyed.fingerprint, draft
    )
    if batch.fingerprint != keyed.fingerprint:
        raise IdempotencyKeyReused("this key was used with another body")
    return batch, not new


async def visible(s: Scrooge, principal: Principal, batch_id: str) -> Batch:
    """Raises NotFound."""
    number_of(batch_id, "bat")
    batch = await batches.read(s.db, batch_id)
    if batch is None or (batch.merchant, batch.livemode) != (principal.merchant, principal.livemode):
        raise NotFound("no such batch")
    return batch


@contextmanager
def uploading(s: Scrooge, principal: Principal) -> Iterator[None]:
    """A place for one more input of this caller. Raises TooManyUploads."""
    most, now_in = s.settings.batch_uploads, s.uploads
    if now_in[principal.caller] >= most:
        raise TooManyUploads(f"{most} uploads of this caller are under way here", retry_after=AGAIN_SECONDS)
    now_in[principal.caller] += 1
    try:
        yield
    finally:
        now_in[principal.caller] -= 1
        if not now_in[principal.caller]:
            del now_in[principal.caller]


async def change(s: Scrooge, principal: Principal, batch_id: str, act: Act, because: str) -> Batch:
    """Done before, it changes nothing. Raises NotFound, BatchStatusConflict, BatchWindowClosed."""
    batch = await visible(s, principal, batch_id)
    sends = act in {Act.START, Act.RESUME}
    if sends and batch.status is not Status.RUNNING and batch.deadline is not None and batch.deadline <= now():
        raise BatchWindowClosed("the batch's window is over")
    found, _ = await batches.move(s.db, batch, act, principal.key_id, because)
    if after(found.status, act) is not found.status:
        raise BatchStatusConflict(f"a batch that is {found.status} takes no {act}", batch_status=found.status)
    return found
