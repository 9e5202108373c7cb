"""The primary loses its power under load and its standby is promoted: nothing that was answered is lost."""

import asyncio
import time
from typing import Any

from tests.drills.oracle import verdict
from tests.drills.play import play
from tests.drills.postgres import Server
from tests.drills.rig import Rig
from tests.drills.shoppers import shoppers


async def drill(rig: Rig, *, callers: int = 16, seconds: float = 10.0) -> dict[str, Any]:
    old, new = rig.primary, rig.standby
    async with shoppers(rig, callers) as told:
        await asyncio.sleep(seconds)
        before = len(told.certain)
        await asyncio.to_thread(old.kill)
        await asyncio.sleep(seconds / 10)
        promoted = time.monotonic()
        await asyncio.to_thread(new.promote)
        while len(told.certain) < before + 2 * callers:  # More than can have been on their way.
            assert time.monotonic() < promoted + 60, "Scrooge did not follow"
            await asyncio.sleep(0.02)
        followed = time.monotonic() - promoted
        await asyncio.sleep(seconds / 4)
        await asyncio.to_thread(comes_back, old)
        await asyncio.to_thread(rig.restart, "serve")  # One that has seen no timeline yet.
        await asyncio.sleep(seconds / 2)
        await asyncio.to_thread(old.stop)  # Whatever was written there is gone now.
    rig.primary, rig.standby = new, old
    return {**await verdict(rig, told), "followed_after_seconds": round(followed, 2), **told.summary()}


def comes_back(old: Server) -> None:
    """Nobody fenced the old primary, and it would take writes without waiting for anybody."""
    old.start()
    old.set("synchronous_standby_names", "")


if __name__ == "__main__":
    play(drill)
