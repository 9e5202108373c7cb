"""One line of a batch on the road of every payment: made once, whoever begins it and however often.

Its key is made of its batch and its number, so that who begins it again finds what came of it; its reference is the
guard against everybody else.
"""

import hashlib
import time
from collections.abc import Sequence
from typing import Any

import structlog
from msgspec import Struct

from scrooge.domain.payment import Payment
from scrooge.errors import MandatePending, Problem, ReferenceExists, RequestInProgress
from scrooge.flows.authorize import Pace, create
from scrooge.flows.keys import Keyed
from scrooge.flows.scrooge import Scrooge, now
from scrooge.flows.wanted import Wanted
from scrooge.ids import bucket_of
from scrooge.storage import chunks
from scrooge.storage.batches import Batch
from scrooge.storage.chunks import End, Line
from scrooge.storage.directory import Principal

log = structlog.get_logger()
BETWEEN = "\u00b7"  # No caller's key has it: those are printable ASCII.
SOON_SECONDS = 1.0
PENDING_SECONDS = 5.0  # between two looks at a mandate whose payer is still being asked
UNDECIDED = 3_600_000_000  # microseconds that such a line waits in a batch without a window's end


class Later(Exception):
    """Nothing was recorded, and nothing is wrong with the line: `at` (monotonic seconds) is when to begin it again."""

    def __init__(self, at: float, *, down: str | None = None) -> None:
        super().__init__(at)
        self.at, self.down = at, down  # `down`: why nobody takes a payment now


class Told(Struct, frozen=True):
    """How a line ended, and its payment where this turn made it."""

    end: End
    payment: Payment | None = None


def key_of_line(batch: str, line: int) -> str:
    return f"{batch}{BETWEEN}{line}"


def guard_of_line(batch: Batch, line: int) -> tuple[int, str]:
    """The bucket of its key, and the key."""
    key = key_of_line(batch.id, line)
    return bucket_of(batch.caller, key), key


async def known(db: Any, batch: Batch, lines: Sequence[Line]) -> dict[int, End]:
    """Lines that have a payment already: their own, or another of that reference, which is never charged again."""
    wanted = []
    for line in lines:
        bucket = bucket_of(batch.merchant, batch.caller, line.reference)
        wanted.append((line.number, bucket, line.reference, *guard_of_line(batch, line.number)))
    found = await chunks.known(db, batch, wanted)
    return {n: End(n, payment, existing=not ours) for n, (payment, ours) in found.items()}


def waits(batch: Batch) -> bool:
    """For what may be decided yet: to the end of its window, or where it has none, for as long as a payer may take."""
    return batch.deadline is not None or now() < (batch.started_at or 0) + UNDECIDED


async def sent(s: Scrooge, who: Principal, batch: Batch, line: Line, until: float, pace: Pace) -> Told:
    """The line's payment, asked for at a PSP if it was not before. `until` (monotonic seconds): the lease on it.

    Raises Later.
    """
    wanted = Wanted(
        reference=line.reference, amount=line.amount, mandate=line.mandate, metadata=line.metadata,
        statement_descriptor=batch.descriptor, retry_until=line.retry_until or batch.retry_until,
    )  # fmt: skip
    said = f"{line.reference} {line.amount.minor} {line.amount.currency} {line.mandate}"
    keyed = Keyed(key_of_line(batch.id, line.number), hashlib.sha256(said.encode()).digest(), until)
    try:
        payment, _ = await create(s, who, wanted, keyed, pace)
    except (ReferenceExists, RequestInProgress):
        before = (await known(s.db, batch, [line])).get(line.number)
        if before is None:  # Whoever had it has given it up between our two looks.
            raise Later(time.monotonic() + SOON_SECONDS) from None
        return Told(before)
    except Problem as problem:
        if isinstance(problem, MandatePending) and waits(batch):
            raise Later(time.monotonic() + PENDING_SECONDS) from None
        if problem.status == 503:
            wait = float(problem.members.get("retry_after") or SOON_SECONDS)
            raise Later(time.monotonic() + wait, down=problem.code) from None
        log.info("line_refused", batch=batch.id, line=line.number, reason=problem.code)
        error = {"rule": problem.code, "detail": problem.detail, "param": problem.param}
        return Told(End(line.number, error=error))
    return Told(End(line.number, payment.id), payment)
