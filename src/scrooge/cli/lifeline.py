"""Children that end with whoever started them, even when that one is killed.

The parent holds the writing end of a pipe and never writes; the kernel closes it with the parent. The child
reads the other end, named by an environment variable, and takes the end of the file for a SIGTERM.
"""

import os
import signal
import threading
import time

VARIABLE = "SCROOGE_LIFELINE"
GRACE_SECONDS = 30.0


def hold() -> None:
    """In a child: ends this process when its parent is gone. Nothing happens where there is no lifeline."""
    number = os.environ.pop(VARIABLE, "")
    if not number:
        return
    descriptor = int(number)
    os.set_inheritable(descriptor, False)
    threading.Thread(target=wait, args=(descriptor,), name="lifeline", daemon=True).start()


def wait(descriptor: int) -> None:
    while os.read(descriptor, 1):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)
