"""Named crash points: `SCROOGE_CRASH_POINT=name` (or `name:3`, the third time) ends the process there by SIGKILL.

No exception, no `finally`, no flush: what a power cut does. Unarmed, a point costs one comparison.
"""

import os
import signal

POINTS = frozenset({
    "record.before", "record.after", "send.before", "send.after", "apply.before", "apply.after",
    "inbox.before", "inbox.after", "resolve.claimed", "receive.claimed", "continue.after",
})  # fmt: skip

NAME, _, COUNT = os.environ.get("SCROOGE_CRASH_POINT", "").partition(":")
left = int(COUNT or 1)


def reach(name: str) -> None:
    """Dies here if armed for this point."""
    if NAME and name == NAME:
        global left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
