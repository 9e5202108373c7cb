"""The steps of what follows a decline, as rows: written with the change of their payment, claimed by workers."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.domain.payment import Payment
from scrooge.domain.recovery import Means, Phase, Retry, Why
from scrooge.metrics import RETRIES
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import at_moment, key_of, microseconds, public, uuid_of

Q = load(Path(__file__).with_suffix(".sql"))
# What a process of before knows of a step: that what follows is not decided.
STATES = {Phase.LOOKING: Phase.OPEN, Phase.CUSTOMER: Phase.OPEN}
LOOK_SECONDS = 6 * 3600.0  # between two looks at whether the payer has done something: whoever does it, tells
OPEN_SECONDS = 1.0  # beside the deadline of whoever may still ask elsewhere


class StepRow(Struct, frozen=True):
    """A step as PostgreSQL writes it in JSON; columns we do not name are ignored."""

    seq: int
    state: Phase
    number: int
    because: str
    round: int
    retry_at: datetime | None
    decline: str | None
    arm: str | None
    propensity: float | None
    timetable: str | None
    attempt_id: str | None
    phase: Phase | None = None
    means: Means | None = None
    why: Why | None = None
    control: bool | None = None
    spent: tuple[Means, ...] | None = None
    mandate_id: str | None = None
    card_at: datetime | None = None


class Due(Struct, frozen=True):
    """A step whose turn it is, ours for a while."""

    payment: str
    seq: int
    claims: int
    merchant: str  # by name


STEP = msgspec.json.Decoder(StepRow)


def step_of(text: str | None) -> Retry | None:
    if text is None:
        return None
    r = STEP.decode(text)
    means = Means.WAIT if r.phase is None and r.state is Phase.SCHEDULED else r.means  # as before there were any
    return Retry(
        seq=r.seq, phase=r.phase or r.state, number=r.number, because=r.because, round=r.round,
        at=microseconds(r.retry_at), decline=r.decline, arm=r.arm, propensity=r.propensity, timetable=r.timetable,
        attempt=public("att", r.attempt_id), means=means, why=r.why, control=r.control, spent=r.spent or (),
        mandate=public("man", r.mandate_id), card_at=microseconds(r.card_at),
    )  # fmt: skip


def step_rows(before: Payment, after: Payment) -> list[dict[str, Any]]:
    """The step that a change takes, if it takes one."""
    r = after.retry
    if r is None or r == before.retry:
        return []
    bucket, payment_id = key_of(after.id)
    row = {
        "bucket": bucket, "payment_id": payment_id, "merchant_id": uuid_of(after.merchant), "livemode": after.livemode,
        "seq": r.seq, "state": STATES.get(r.phase, r.phase), "phase": r.phase,
        "number": r.number, "round": r.round, "retry_at": at_moment(r.at),
        "because": r.because, "decline": r.decline, "arm": r.arm, "propensity": r.propensity,
        "timetable": r.timetable, "attempt_id": uuid_of(r.attempt), "means": r.means, "why": r.why,
        "control": r.control, "spent": r.spent, "mandate_id": uuid_of(r.mandate),
        "card_at": at_moment(r.card_at), "due_in": due_in(after, r),
    }  # fmt: skip
    return [row]


def count_steps(changes: Sequence[Any], found: Mapping[str, Any]) -> None:
    """For the metrics, of the changes that were written."""
    for c in changes:
        if c.after.retry is not None and c.after.retry != c.before.retry and found.get(c.after.id, c) is None:
            RETRIES.labels(str(c.after.retry.phase)).inc()


def due_in(p: Payment, r: Retry) -> float | None:
    """Seconds from now, to be counted by the database's clock; None: it is nobody's turn."""
    match r.phase:
        case Phase.SCHEDULED:
            assert r.at is not None
            return max(0.0, (r.at - time.time_ns() // 1000) / 1_000_000)
        case Phase.OPEN:
            return max(0.0, (p.deadline_at - time.time_ns() // 1000) / 1_000_000) + OPEN_SECONDS
        case Phase.LOOKING:
            return 0.0
        case Phase.CUSTOMER:
            assert p.retry_until is not None
            return min(LOOK_SECONDS, max(0.0, (p.retry_until - time.time_ns() // 1000) / 1_000_000))
        case _:
            return None


async def claim(db: Database, limit: int, lease_seconds: float) -> list[Due]:
    return [
        Due(public("pay", row["payment_id"]) or "", row["seq"], row["claims"], row["merchant"])
        for row in await run(db, Q["claim"], limit, lease_seconds)
    ]


async def done(db: Database, due: Due) -> None:
    await run(db, Q["done"], *key_of(due.payment), due.seq)


async def again(db: Database, due: Due, seconds: float) -> None:
    await run(db, Q["again"], *key_of(due.payment), due.seq, seconds)


async def steps_of(db: Any, payment_id: str) -> list[tuple[Retry, int]]:
    """All steps of a payment, each with when it was written (Unix microseconds)."""
    rows = await run(db, Q["steps_of"], *key_of(payment_id))
    return [(s, microseconds(row["written_at"]) or 0) for row in rows if (s := step_of(row["step"])) is not None]


async def backlog(db: Database) -> dict[str, Any]:
    return dict(await run(db, Q["backlog"]))
