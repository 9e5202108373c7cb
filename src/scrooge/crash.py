"""Named crash points: `SCROOGE_CRASH_POINT=name` (or `name:3`, the third time) ends the process there by SIGKILL.

No exception, no `finally`, no flush: what a power cut does. `name:3:stop` freezes it there by SIGSTOP instead, as a
paused machine does. Unarmed, a point costs one comparison.
"""

import asyncio
import os
import signal

POINTS = {
    "record.before": "about to commit that a request will leave for a PSP",
    "record.written": "written in an open transaction, not committed",
    "record.after": "committed, nothing sent",
    "send.before": "about to write to the PSP's socket",
    "send.written": "the request is on its way, its answer is not here",
    "send.after": "the PSP's answer is read, not applied",
    "commit.before": "a batch of records or applies is about to be written",
    "commit.after": "the batch is committed, none of its callers knows",
    "apply.before": "about to commit what the news means",
    "apply.after": "committed, nobody told",
    "stored.before": "moves of stored value are about to be committed",
    "stored.after": "committed, and in the books; their payments do not know",
    "cascade.before": "declined at one PSP, about to commit an attempt at the next",
    "cascade.after": "that attempt is committed, nothing sent",
    "split.before": "a payment of parts is written in an open transaction, not committed",
    "split.after": "committed, none of its parts is asked",
    "split.step": "about to do the next thing that a payment of parts needs",
    "split.decided": "what is asked of all parts is written in an open transaction, not committed",
    "split.ordered": "committed, none of them is asked",
    "split.settled": "what became of the whole is committed, nobody told",
    "split.claimed": "a payment of parts whose turn it is is claimed, nothing done",
    "retry.claimed": "a retry whose time has come is claimed, nothing recorded",
    "recovery.looked": "what may be newer than what was declined is about to be asked for",
    "recovery.found": "something is, about to commit that it is tried",
    "batch.claimed": "a chunk of a batch is claimed, none of its lines begun",
    "batch.ended": "lines of a batch have ended, about to write that",
    "batch.noted": "that is written, the chunk not counted",
    "batch.counted": "the chunk is counted and done, the batch perhaps not",
    "continue.before": "the payer came back, about to commit that we go on",
    "continue.after": "committed, nothing sent",
    "answer.before": "about to answer the caller",
    "answer.after": "the answer is on its way",
    "inbox.before": "a notification is verified, about to commit it",
    "inbox.after": "committed, the PSP has no 200 yet",
    "receive.claimed": "a notification is claimed, not applied",
    "receive.applied": "applied, not filed",
    "webhook.claimed": "webhooks to an endpoint are claimed, not sent",
    "webhook.sent": "sent, and what the receiver said is not filed",
    "resolve.claimed": "an attempt in doubt is claimed, nobody asked",
    "reverse.before": "about to commit that money goes back which nobody wanted",
    "reverse.after": "committed, nothing sent",
    "forget.before": "an instrument is about to be deleted",
    "forget.written": "deleted with its errands in an open transaction, not committed",
    "forget.after": "the deletion is committed, nobody told",
    "learn.written": "what a payment taught its instrument is in an open transaction",
    "learn.after": "and is committed",
    "errand.claimed": "an errand is claimed, not begun",
    "errand.done": "an errand is done, not filed",
    "resolve.applied": "asked, and the answer applied",
    "move.before": "a chunk of imported cards is written in an open transaction, not committed",
    "move.after": "the chunk is committed, the next one not begun",
    "move.recorded": "that a chunk of cards is exported is committed, it is not in the file",
    "intake.before": "a piece of a batch's input is about to be committed",
    "intake.after": "the piece is committed, the next one not begun",
    "intake.checked": "a batch's lines are checked, that it is ready is not committed",
    "vault.grant.before": "the vault is about to commit that a card goes into a request",
    "vault.grant.after": "committed, the card is still in the vault",
    "vault.send.written": "the filled request is on its way, its answer is not here",
    "vault.send.after": "the PSP's answer is at the vault, the core does not have it",
}
ON_ITS_WAY = 0.008  # seconds: the event loop writes to a socket after the code that asked for it

armed, left, fate = "", 1, signal.SIGKILL


def arm(point: str) -> None:
    """`point` as in the environment variable; "" disarms."""
    global armed, left, fate
    armed, count, stop = (*point.split(":"), "", "")[:3]
    left = int(count or 1)
    fate = signal.SIGSTOP if stop == "stop" else signal.SIGKILL


def reach(name: str, seconds: float = 0.0) -> None:
    """Dies here if armed for this point, at once or so many seconds later."""
    if armed and name == armed:
        global left
        left -= 1
        if left == 0 and seconds:
            asyncio.get_running_loop().call_later(seconds, die)
        elif left == 0:
            die()


def die() -> None:
    os.kill(os.getpid(), fate)


arm(os.environ.get("SCROOGE_CRASH_POINT", ""))
