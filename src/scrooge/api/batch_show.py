"""From batches and their lines to answers. Pure."""

from collections.abc import Sequence
from typing import Literal

from msgspec import UNSET

from scrooge.api import batch_answers as ba
from scrooge.api.show import Facts, decline, instant_if
from scrooge.domain.attempt import State
from scrooge.domain.batch import ENDED, Status
from scrooge.domain.payment import Payment, authorization_of, certain, status_of
from scrooge.postgres.rows import instant
from scrooge.storage.batch_lines import Found
from scrooge.storage.batches import Acted, Batch
from scrooge.storage.chunks import Progress


def batch(b: Batch, p: Progress, caller: str, accounts: dict[str, str], at: int) -> ba.Batch:
    """`accounts`: the names of connector accounts by id; `at`: now, Unix microseconds."""
    found = counts(b, p)
    decided = found.captured + found.declined
    sends = b.status is Status.RUNNING and p.rate > 0
    alarm: Literal["pause", "continue"] = "pause" if b.on_health_alarm == "pause" else "continue"
    return ba.Batch(
        id=b.id,
        object="batch",
        version=b.version,
        livemode=b.livemode,
        name=b.name,
        kind="payments",
        caller=caller,
        status=b.status,
        because=b.because or None,
        window=ba.BatchWindow(not_before=instant_if(b.not_before), deadline=instant_if(b.deadline)),
        pacing=ba.BatchPacing(
            max_tps=b.pacing.max_tps,
            per_connector={accounts.get(i, i): rate for i, rate in b.pacing.per_connector.items()},
            per_bin=b.pacing.per_bin,
        ),
        on_health_alarm=alarm,
        retry_until=instant_if(b.retry_until),
        statement_descriptor=b.descriptor,
        input=ba.BatchInput(bytes=b.input_bytes, lines=b.lines, whole=b.status is not Status.DRAFT),
        counts=found,
        auth_rate=f"{found.captured / decided:.4f}" if decided else None,
        rate=round(p.rate, 1) if sends else None,
        eta=instant(at + int(found.queued / p.rate * 1_000_000)) if sends else None,
        created_at=instant(b.created_at),
        started_at=instant_if(b.started_at),
        ended_at=instant_if(b.ended_at),
    )


def counts(b: Batch, p: Progress) -> ba.BatchCounts:
    valid = b.lines - b.rejected
    unsent = max(0, valid - p.done)
    ended = b.status in ENDED
    return ba.BatchCounts(
        total=b.lines, valid=valid, rejected=b.rejected, captured=p.captured, declined=p.declined, failed=p.failed,
        processing=p.processing, refused=p.refused, queued=0 if ended else unsent, left=unsent if ended else 0,
        existing=max(p.existing, b.found),
    )  # fmt: skip


def act(a: Acted) -> ba.BatchAct:
    return ba.BatchAct(act=a.act, status=a.status, author=a.author, because=a.because, created_at=instant(a.created_at))


def settled(b: Batch, p: Progress) -> bool:
    """The batch has ended, and so has what was on its way then: a queued line has no payment, and gets none."""
    return b.status in ENDED and not p.open


def ended(lines: Sequence[Found], over: bool) -> Sequence[Found]:
    """Those before the first that has not ended; of a batch that is over, all."""
    if over:
        return lines
    return lines[: next((n for n, found in enumerate(lines) if found.state == "queued"), len(lines))]


def result(found: Found, p: Payment | None, facts: Facts) -> ba.Result:
    assert found.reference is not None, "it was let through"
    assert found.custom_id is not None
    if p is None:
        return ba.Result(
            line=found.line, custom_id=found.custom_id, reference=found.reference, payment=None,
            status="refused" if found.error else "left", error=found.error or UNSET,
        )  # fmt: skip
    authorization = authorization_of(p)
    declined = authorization if authorization and authorization.state is State.DECLINED else None
    return ba.Result(
        line=found.line, custom_id=found.custom_id, reference=found.reference, payment=p.id, status=status_of(p),
        outcome_certainty="certain" if certain(p) else "unknown", existing=bool(found.existing),
        decline=decline(declined, facts) if declined and status_of(p) == "declined" else None,
    )  # fmt: skip


def wrong(found: Found) -> dict[str, object]:
    return {
        "line": found.line, "custom_id": found.custom_id, "reference": found.reference, "status": found.state,
        "error": found.error,
    }  # fmt: skip
