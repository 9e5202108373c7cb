"""The standby stands still: commits wait and callers are not kept for ever. Then the primary is lost with all that waited."""

import asyncio
import contextlib
import signal
import time
from typing import Any

import psutil

from scrooge.postgres.database import HELD_SECONDS
from tests.drills.oracle import verdict
from tests.drills.play import play
from tests.drills.postgres import Server
from tests.drills.rig import Rig
from tests.drills.shoppers import Told, shoppers


async def drill(rig: Rig, *, callers: int = 16, seconds: float = 4.0) -> dict[str, Any]:
    old, new = rig.primary, rig.standby
    async with shoppers(rig, callers) as told:
        await asyncio.sleep(seconds)
        tell(new, signal.SIGSTOP)
        await asyncio.sleep(1)  # What the standby had received already is answered.
        before, refused = len(told.certain), not_answered(told)
        # The first try may be held so long, and the second waits for what the first one holds.
        until = time.monotonic() + 3 * HELD_SECONDS
        while not_answered(told) == refused and time.monotonic() < until:
            await asyncio.sleep(0.5)
        answered, refusals = len(told.certain) - before, not_answered(told) - refused
        await asyncio.to_thread(old.kill)
        tell(new, signal.SIGCONT)
        await asyncio.to_thread(new.promote)
        await asyncio.sleep(seconds)
    rig.primary, rig.standby = new, old
    result = {
        **await verdict(rig, told),
        "answered_without_standby": answered,
        "refused_without_standby": refusals,
        **told.summary(),
    }
    if not refusals:
        result["ok"] = False
        result["violations"].append("callers were kept waiting, and none was told")
    return result


def not_answered(told: Told) -> int:
    """Nothing was done, or nobody knows yet what became of it."""
    return told.statuses[503] + told.statuses[409]


def tell(server: Server, number: signal.Signals) -> None:
    for process in server.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


if __name__ == "__main__":
    play(drill)
