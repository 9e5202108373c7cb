"""When a batch had better wait for a person: the accounts that it goes to are unwell, or nobody takes its payments."""

import time

from scrooge.flows.batches.run import DOWN_SECONDS, Run
from scrooge.flows.scrooge import Scrooge
from scrooge.routing.blame import EVERYTHING


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
    fresh = [t for t in found if t is not None and t.since > b.changed_at]
    return f"its accounts are unwell: {fresh[0].reason}" if len(fresh) == len(used) else None
