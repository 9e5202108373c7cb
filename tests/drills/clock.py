"""Processes whose clocks are wrong by a day ahead or an hour behind: nothing is asked again too late, nothing is lost."""

import asyncio
import time
import uuid
from typing import Any

import asyncpg

from tests.drills.disk import purchase
from tests.drills.oracle import verdict
from tests.drills.play import play
from tests.drills.rig import Rig
from tests.drills.shoppers import Told, shoppers

HOUR = 3600
AHEAD, BEHIND = 26 * HOUR, -1 * HOUR
FORGOTTEN = "UPDATE attempts SET recorded_at = recorded_at - interval '25 hours' WHERE ask_at IS NOT NULL"


PARTS = {"serve ahead": (AHEAD, 0), "serve behind": (BEHIND, 0), "worker ahead": (0, AHEAD)}


async def drill(
    rig: Rig, *, callers: int = 4, seconds: float = 3.0, parts: tuple[str, ...] = tuple(PARTS)
) -> dict[str, Any]:
    wrong: list[str] = []
    resolved: dict[str, float] = {}
    told = Told()
    for name in parts:
        serve, worker = PARTS[name]
        await asyncio.to_thread(rig.restart, "serve", off_by=serve)
        await asyncio.to_thread(rig.restart, "worker", off_by=worker)
        await rig.fault("charge_then_drop", rate=0.3)
        async with shoppers(rig, callers, told):
            await asyncio.sleep(seconds)
        began = time.monotonic()
        found = await verdict(rig, told)
        resolved[name] = round(time.monotonic() - began, 1)
        wrong += found["violations"]
    wrong += await forgotten(rig, told)
    await asyncio.to_thread(rig.restart, "worker")
    await asyncio.to_thread(rig.restart, "serve")
    found = await verdict(rig, told)
    wrong += found["violations"]
    return {**found, "ok": not wrong, "violations": wrong, "drained_after_seconds": resolved, **told.summary()}


async def forgotten(rig: Rig, told: Told) -> list[str]:
    """The PSP has forgotten the key, and a worker whose clock is behind must not ask with it again."""
    rig.processes["worker"].terminate()
    await asyncio.to_thread(rig.processes["worker"].wait, 60)
    await rig.fault("charge_then_drop")
    status, p = await rig.post("/v1/payments", purchase(rig), idempotency=uuid.uuid4().hex)
    await rig.no_faults()
    if status != 202:
        return [f"expected a lost answer, got {status}: {p}"]
    told.hear(p)
    connection = await asyncpg.connect(rig.database_url.replace(f",{rig.standby.host}", ""))
    await connection.execute(FORGOTTEN)
    await connection.close()
    await rig.fault("broken_idempotency")  # A replay would take the money again.
    await asyncio.to_thread(rig.start, "worker", off_by=-AHEAD)
    for _ in range(600):
        _, p = await rig.get(f"/v1/payments/{p['id']}")
        if p["outcome_certainty"] == "certain":
            break
        await asyncio.sleep(0.1)
    await rig.no_faults()
    return [] if p["status"] == "captured" else [f"{p['id']} is {p['status']} where the PSP took the money"]


if __name__ == "__main__":
    play(drill)
