"""When a batch had better wait for a person: the accounts that it goes to are unwell, or nobody takes its payments."""

import time

from scrooge.domain.attempt import State
from scrooge.flows.batches.run import DOWN_SECONDS, Run
from scrooge.flows.scrooge import Scrooge
from scrooge.routing.blame import EVERYTHING
from scrooge.routing.health import Signal

SOME = 5  # payments of the last that were asked


def borne_out(run: Run, signal: Signal) -> bool:
    """Whether the batch's own payments say so, too. They are all of since its last change of status; what made a
    trouble begin may be late news of earlier ones."""
    if signal is Signal.TECHNICAL:
        return sum(state not in {State.APPROVED, State.DECLINED} for state in run.states) >= SOME
    return sum(state is State.DECLINED for state in run.states) >= max(SOME, len(run.states) // 3)


def alarm(s: Scrooge, run: Run) -> str | None:
    """Why, if the batch's caller wants that. Trouble from before its last change of status was known to whoever
    changed that, and is no reason."""
    b = run.batch
    if b.on_health_alarm != "pause":
        return None
    if run.down_since is not None and time.monotonic() - run.down_since > DOWN_SECONDS:
        return f"no PSP takes its payments: {run.down_because}"
    learned, used = s.learning.known.get((b.merchant, b.livemode)), set(run.accounts)
    if learned is None or not used:
        return None
    found = [learned.health.troubles.get(account, {}).get(EVERYTHING) for account in used]
    fresh = [t for t in found if t is not None and t.since > b.changed_at and borne_out(run, t.signal)]
    return f"its accounts are unwell: {fresh[0].reason}" if len(fresh) == len(used) else None
