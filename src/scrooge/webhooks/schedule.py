"""When a webhook that was not taken is sent again: the schedule that Standard Webhooks recommends. Pure."""

from msgspec import Struct

from scrooge.webhooks.sender import Reply

MINUTE, HOUR, DAY = 60, 3600, 86_400
# Seconds after the first, second, ... try that failed; in all about 75 hours.
DELAYS = (5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
JITTER = 0.1  # of the delay, added: what failed together does not come back together
RETRY_AFTER_MAX = DAY
GONE = 410  # The receiver wants no more of them, ever.
WAITS = frozenset({429, 503})


class Verdict(Struct, frozen=True):
    """What a try means: `delivered`, `pending` (again in so many seconds) or `dead`."""

    state: str
    due_in: float = 0.0
    gone: bool = False


def verdict(reply: Reply, tries: int, chance: float) -> Verdict:
    """`tries` counts this one; `chance` is between 0 and 1."""
    if reply.taken:
        return Verdict("delivered")
    if reply.status == GONE:
        return Verdict("dead", gone=True)
    if tries > len(DELAYS):
        return Verdict("dead")
    delay = DELAYS[tries - 1] * (1 + JITTER * chance)
    if reply.status in WAITS and reply.retry_after is not None:
        delay = max(delay, min(reply.retry_after, RETRY_AFTER_MAX))
    return Verdict("pending", delay)
