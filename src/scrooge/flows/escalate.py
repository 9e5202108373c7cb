"""What stays in doubt is shown, by age, and becomes a break after a while. Nothing is ever concluded from its age."""

import structlog

from scrooge import metrics
from scrooge.domain.attempt import OPEN, State
from scrooge.flows.breaks import unresolved
from scrooge.flows.scrooge import Scrooge
from scrooge.storage import breaks, payments
from scrooge.storage.breaks import Doubt

log = structlog.get_logger()
HOUR = 3600
# What is in doubt is told by the longest of these that it has lasted.
AGES = {"minute": 60, "ten_minutes": 600, "hour": HOUR, "six_hours": 6 * HOUR, "day": 24 * HOUR}
NAMES = ("seconds", *AGES)
STATES = ("unknown", "pending", "reversing")
LOUD = 2  # From ten minutes on, growing older is logged.
A_TURN = 100


class Aging:
    """The gauges, and a line in the log whenever something at a connector account is older than anything was before."""

    def __init__(self) -> None:
        self.oldest: dict[tuple[str, str], int] = {}

    async def show(self, s: Scrooge) -> None:
        doubts = await breaks.ages(s.db, list(AGES.values()))
        unknown = [d for d in doubts if d.state == "unknown"]
        metrics.UNRESOLVED.set(sum(d.attempts for d in unknown))
        metrics.OLDEST_UNRESOLVED.set(max((d.oldest_seconds for d in unknown), default=0.0))
        found = {(d.account, d.state, d.age): d for d in doubts}
        await s.directory.refresh()
        for account in s.directory.by_id.values():
            for state in STATES:
                here = {age: found.get((account.id, state, age)) for age in range(len(NAMES))}
                for age, d in here.items():
                    gauge = metrics.IN_DOUBT.labels(account.connector, account.id, state, NAMES[age])
                    gauge.set(d.attempts if d else 0)
                self.tell(account.id, state, max((d for d in here.values() if d), key=lambda d: d.age, default=None))

    def tell(self, account: str, state: str, worst: Doubt | None) -> None:
        before, after = self.oldest.get((account, state), 0), worst.age if worst else 0
        self.oldest[account, state] = after
        if worst is not None and after > before and after >= LOUD:
            say = log.error if NAMES[after] == "day" else log.warning
            say("in_doubt_for_long", connector_account=account, state=state, longer_than=NAMES[after],
                attempts=worst.attempts)  # fmt: skip


async def escalate(s: Scrooge) -> int:
    """A break for each attempt in doubt for too long; what was resolved since closes its own. Says how many opened."""
    await breaks.close_resolved(s.db)
    await s.directory.refresh()
    usual = {
        account.id: {str(operation): seconds for operation, seconds in recovery.expected.items()}
        for account in s.directory.by_id.values()
        if account.connector in s.connectors and (recovery := s.connectors[account.connector].recovery)
    }
    opened = 0
    for payment_id, attempt_id in await breaks.overdue(s.db, usual, s.settings.unresolved_hours * HOUR, A_TURN):
        p = await payments.read(s.db, payment_id)
        a = p.attempt(attempt_id) if p else None
        if p is not None and a is not None and a.state in OPEN | {State.REVERSING}:
            await unresolved(s, p, a)
            opened += 1
    return opened
