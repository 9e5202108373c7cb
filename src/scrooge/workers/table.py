"""Every background job: what it claims, which flow it runs, how often. Work is rows that exist already."""

from collections.abc import Awaitable, Callable

import structlog
from msgspec import Struct

from scrooge import metrics
from scrooge.errors import DatabaseUnavailable
from scrooge.flows.cards import Listening
from scrooge.flows.errands import run
from scrooge.flows.escalate import Aging, escalate
from scrooge.flows.receive import apply_one
from scrooge.flows.retries import LEASE_SECONDS
from scrooge.flows.retries import run as retry
from scrooge.flows.saving import learn
from scrooge.flows.scrooge import Scrooge
from scrooge.flows.splits import lease_seconds, turn
from scrooge.flows.stored_value_expiry import expire
from scrooge.storage import errands, inbox, retries, saving, splits, unmapped, work
from scrooge.workers import batches
from scrooge.workers.ask import Asking
from scrooge.workers.forgetting import Counters, forget_keys, forget_lessons
from scrooge.workers.intake import end_validation, forget_batch_lines
from scrooge.workers.webhooks import forget_webhooks, replay_events, send_webhooks, show_webhooks, spread_events

log = structlog.get_logger()
BATCH = 64
ERRANDS_A_TURN = 16
RETRIES_A_TURN = 32
LESSONS_A_TURN = 256
MONTHS_AHEAD = 3


class Job(Struct, frozen=True):
    """`run` does one turn and says how many rows it took; a full batch is followed at once by another."""

    name: str
    every_seconds: float
    run: Callable[[Scrooge, Callable[[Awaitable[object]], None]], Awaitable[int]]


Spawn = Callable[[Awaitable[object]], None]


async def read_inbox(s: Scrooge, spawn: Spawn) -> int:
    claimed = await inbox.claim(s.db, BATCH)
    for row in claimed:
        spawn(apply_one(s, row))
    return len(claimed)


async def keep_partitions(s: Scrooge, spawn: Spawn) -> int:
    await work.make_partitions(s.db, MONTHS_AHEAD)
    return 0


async def show_backlog(s: Scrooge, spawn: Spawn) -> int:
    seen = await work.backlog(s.db)
    metrics.OLDEST_UNREAD.set(seen["oldest_unread_seconds"])
    metrics.UNHANDLED.set(seen["unhandled"])
    metrics.OUTBOX_AGE.set(seen["hidden_event_seconds"])
    metrics.BREAKS_OPEN.set(seen["breaks_open"])
    metrics.UNMAPPED.set(await unmapped.heard(s.db))
    return 0


LISTENING = Listening()


async def hear_of_cards(s: Scrooge, spawn: Spawn) -> int:
    return BATCH if await LISTENING.turn(s) else 0


async def learn_from_payments(s: Scrooge, spawn: Spawn) -> int:
    for payment, attempt in await saving.to_learn(s.db, LESSONS_A_TURN):
        try:
            await learn(s, payment, attempt)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # It comes back, and holds up no other.
            metrics.JOB_FAILURES.labels("learn_from_payments").inc()
            log.error("lesson_failed", payment=payment, attempt=attempt, error=type(error).__name__, exc_info=True)
    return 0


async def run_errands(s: Scrooge, spawn: Spawn) -> int:
    claimed = await errands.claim(s.db, ERRANDS_A_TURN)
    for errand in claimed:
        spawn(run(s, errand))
    return 0  # There is no hurry.


async def show_errands(s: Scrooge, spawn: Spawn) -> int:
    seen = await errands.backlog(s.db)
    metrics.ERRANDS_OPEN.labels("due").set(seen["due"])
    metrics.ERRANDS_OPEN.labels("parked").set(seen["parked"])
    metrics.OLDEST_ERRAND.set(seen["oldest_seconds"])
    return 0


async def try_again(s: Scrooge, spawn: Spawn) -> int:
    claimed = await retries.claim(s.db, RETRIES_A_TURN, LEASE_SECONDS)
    for due in claimed:
        spawn(retry(s, due))
    return 0  # There is no hurry: those who pay now come first.


async def show_retries(s: Scrooge, spawn: Spawn) -> int:
    seen = await retries.backlog(s.db)
    metrics.RETRIES_WAITING.labels("scheduled").set(seen["scheduled"])
    metrics.RETRIES_WAITING.labels("due").set(seen["due"])
    metrics.OLDEST_RETRY.set(max(0.0, seen["oldest_seconds"]))
    return 0


async def carry_on_splits(s: Scrooge, spawn: Spawn) -> int:
    claimed = await splits.claim(s.db, BATCH, lease_seconds(s))
    for due in claimed:
        spawn(turn(s, due))
    return len(claimed)


async def show_splits(s: Scrooge, spawn: Spawn) -> int:
    seen = await splits.backlog(s.db)
    metrics.SPLITS_DUE.set(seen["due"])
    metrics.OLDEST_SPLIT.set(max(0.0, seen["oldest_seconds"]))
    return 0


AGING = Aging()
BATCHES = batches.Batches()


async def show_doubts(s: Scrooge, spawn: Spawn) -> int:
    await AGING.show(s)
    return 0


async def break_overdue(s: Scrooge, spawn: Spawn) -> int:
    return await escalate(s)


async def expire_stored_value(s: Scrooge, spawn: Spawn) -> int:
    return await expire(s)


JOBS = (
    Job("ask_psps", 0.5, Asking().run),
    Job("read_inbox", 0.2, read_inbox),
    Job("spread_events", 0.3, spread_events),
    Job("send_webhooks", 0.2, send_webhooks),
    Job("replay_events", 1.0, replay_events),
    Job("hear_of_cards", 1.0, hear_of_cards),
    Job("learn_from_payments", 0.5, learn_from_payments),
    Job("run_errands", 0.5, run_errands),
    Job("show_errands", 5.0, show_errands),
    Job("try_again", 0.5, try_again),
    Job("carry_on_splits", 0.2, carry_on_splits),
    Job("show_splits", 5.0, show_splits),
    Job("show_retries", 5.0, show_retries),
    Job("run_batches", 0.5, BATCHES.turn),
    Job("settle_batches", 2.0, BATCHES.settle),
    Job("recount_batches", 1.0, batches.recount),
    Job("show_batches", 5.0, batches.show),
    Job("show_backlog", 5.0, show_backlog),
    Job("show_doubts", 5.0, show_doubts),
    Job("break_overdue", 30.0, break_overdue),
    Job("show_webhooks", 5.0, show_webhooks),
    Job("keep_partitions", 3600.0, keep_partitions),
    Job("forget_keys", 600.0, forget_keys),
    Job("forget_counters", 10.0, Counters().turn),
    Job("forget_lessons", 600.0, forget_lessons),
    Job("forget_webhooks", 600.0, forget_webhooks),
    Job("end_validation", 5.0, end_validation),
    Job("forget_batch_lines", 600.0, forget_batch_lines),
    Job("expire_stored_value", 5.0, expire_stored_value),
)
