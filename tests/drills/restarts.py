"""PostgreSQL is restarted, crashed and robbed of its sessions under load: what was going on ends known, never wrong."""

import asyncio
import time
from typing import Any

from tests.drills.oracle import verdict
from tests.drills.play import play
from tests.drills.postgres import Server
from tests.drills.rig import Rig
from tests.drills.shoppers import shoppers

OUR_SESSIONS = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'scrooge'"
STRIKES = {
    "a backend killed": Server.kill_a_backend,
    "restart, fast": lambda server: server.restart("fast"),
    "restart, immediate": lambda server: server.restart("immediate"),
    "sessions ended": lambda server: server.sql(OUR_SESSIONS),
}


async def drill(
    rig: Rig, *, callers: int = 16, seconds: float = 4.0, strikes: tuple[str, ...] = tuple(STRIKES)
) -> dict[str, Any]:
    recovered = {}
    async with shoppers(rig, callers) as told:
        for name in strikes:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(STRIKES[name], rig.primary)
            before, struck = len(told.certain), time.monotonic()
            while len(told.certain) < before + 2 * callers:
                assert time.monotonic() < struck + 60, f"no recovery: {name}"
                await asyncio.sleep(0.02)
            recovered[name] = round(time.monotonic() - struck, 2)
        await asyncio.sleep(seconds / 2)
    return {**await verdict(rig, told), "working_again_after_seconds": recovered, **told.summary()}


if __name__ == "__main__":
    play(drill)
