"""A database that takes no writes: nothing is sent to a PSP. Read-only first, then on a file system that is full."""

import asyncio
import contextlib
import os
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.drills.oracle import verdict
from tests.drills.play import show
from tests.drills.postgres import Server, until
from tests.drills.rig import Rig, rig
from tests.drills.shoppers import Told, shoppers

MEGABYTES = 400


async def drill(rig: Rig, *, posts: int = 10) -> dict[str, Any]:
    """Read-only: every request is refused before a PSP, and with the same key works afterwards."""
    told = Told()
    await asyncio.to_thread(read_only, rig.primary, "on")
    before = len(await rig.truth())
    asked = [(purchase(rig), uuid.uuid4().hex) for _ in range(posts)]
    refused = [(await rig.post("/v1/payments", body, idempotency=key))[1].get("code") for body, key in asked]
    sent = len(await rig.truth()) - before
    await asyncio.to_thread(read_only, rig.primary, "off")
    for body, key in asked:
        status, document = await rig.post("/v1/payments", body, idempotency=key)
        told.statuses[status] += 1
        if status in {201, 202}:
            told.hear(document)
    result = {**await verdict(rig, told), "refused_read_only": refused.count("database_unavailable"), **told.summary()}
    if sent or set(refused) != {"database_unavailable"} or told.statuses[201] + told.statuses[202] != posts:
        result["ok"] = False
        result["violations"].append(f"{sent} effects at PSPs while read-only; answers {refused}")
    return result


def purchase(rig: Rig) -> dict[str, Any]:
    return {
        "reference": f"disk-{uuid.uuid4().hex}", "amount": {"value": "7.50", "currency": "EUR"},
        "instrument": rig.cards["fine"],
    }  # fmt: skip


def read_only(server: Server, value: str) -> None:
    server.set("default_transaction_read_only", value)
    until(lambda: server.sql("SHOW default_transaction_read_only") == value)


async def full(rig: Rig, *, callers: int = 8, seconds: float = 10.0) -> dict[str, Any]:
    """The disk fills under load. PostgreSQL may refuse or stop; when there is room again all goes on."""
    ballast = rig.primary.folder.parent / "ballast"
    async with shoppers(rig, callers) as told:
        await asyncio.sleep(seconds / 2)
        fill(ballast)
        before, refused = len(told.certain), told.statuses[503]
        await asyncio.sleep(seconds)
        answered, refusals = len(told.certain) - before, told.statuses[503] - refused
        ballast.unlink()
        if not rig.primary.processes():
            await asyncio.to_thread(rig.primary.start)
        before = len(told.certain)
        await asyncio.sleep(seconds / 2)
        after = len(told.certain) - before
    result = {
        **await verdict(rig, told), "answered_while_full": answered, "refused_while_full": refusals,
        "answered_after": after, **told.summary(),
    }  # fmt: skip
    if not refusals or not after:
        result["ok"] = False
        result["violations"].append("the disk was never full, or nothing worked afterwards")
    return result


def fill(ballast: Path) -> None:
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 65536)
            file.flush()


@contextlib.contextmanager
def small_disk() -> Iterator[Path | None]:
    """A file system of its own, where we may make one."""
    place = tempfile.mkdtemp(prefix="scrooge-disk-")
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", place]
    mounted = os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield Path(place) if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", place], check=False)
        os.rmdir(place)


async def both() -> dict[str, Any]:
    with small_disk() as place:
        async with rig(place) as world:
            result = await drill(world)
            if place is None:
                return {**result, "full_disk": "not tried: no file system may be mounted here"}
            filled = await full(world)
            return {**result, "ok": result["ok"] and filled["ok"], "full_disk": filled}


if __name__ == "__main__":
    show(both())
