"""`serve` is replaced again and again under load: whatever it took was answered."""

import asyncio
import time
from typing import Any

import psutil

from tests.drills.oracle import verdict
from tests.drills.play import play
from tests.drills.postgres import until
from tests.drills.rig import Rig
from tests.drills.shoppers import shoppers


async def drill(rig: Rig, *, callers: int = 16, times: int = 10, pause: float = 1.0) -> dict[str, Any]:
    """Each generation starts beside the one before, on the same port, and then that one is told to end."""
    took = []
    async with shoppers(rig, callers) as told:
        for _ in range(times):
            await asyncio.sleep(pause)
            began = time.monotonic()
            old = rig.processes.pop("serve")
            await asyncio.to_thread(rig.start, "serve")
            await asyncio.to_thread(until, lambda: listens(rig))
            old.terminate()
            assert await asyncio.to_thread(old.wait, 60) is not None
            took.append(time.monotonic() - began)
        await asyncio.sleep(pause)
    result = {
        **await verdict(rig, told),
        "restarts": times,
        "slowest_restart_seconds": round(max(took), 2),
        **told.summary(),
    }
    if told.lost_answers or told.broken:
        result["ok"] = False
        result["violations"].append(f"{told.lost_answers} answers lost, connections broken: {dict(told.broken)}")
    return result


def listens(rig: Rig) -> bool:
    """Is it the new process that listens? Its health may have been told by the old one."""
    process = psutil.Process(rig.processes["serve"].pid)
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == rig.port for c in process.net_connections("tcp"))


if __name__ == "__main__":
    play(drill)
