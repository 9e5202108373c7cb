"""A transaction that stays open: the feed of events stands still, visibly, and afterwards lacks nothing."""

import asyncio
import time
from typing import Any

import asyncpg

from scrooge.postgres.database import connect
from scrooge.storage import work
from tests.drills.disk import purchase
from tests.drills.oracle import verdict
from tests.drills.play import play
from tests.drills.rig import Rig
from tests.drills.shoppers import Told


async def drill(rig: Rig, *, posts: int = 10) -> dict[str, Any]:
    told, wrong = Told(), []
    before = await feed(rig)
    connection = await asyncpg.connect(rig.database_url.replace(f",{rig.standby.host}", ""))
    transaction = connection.transaction()
    await transaction.start()
    await connection.fetchval("SELECT pg_current_xact_id()")
    for _ in range(posts):
        status, document = await rig.post("/v1/payments", purchase(rig))
        assert status in {201, 202}, document
        told.hear(document)
    if await feed(rig) != before:
        wrong.append("the feed shows events behind which others may still appear")
    db = await connect(rig.database_url, size=2)
    hidden = (await work.backlog(db))["hidden_event_seconds"]
    await db.close()
    if hidden <= 0:
        wrong.append("nothing tells that the feed stands still")
    await transaction.rollback()
    await connection.close()
    result = await verdict(rig, told)
    after = await feed(rig)
    missing = set(told.certain) - {e["payment"] for e in after}
    if after[: len(before)] != before or missing or len({e["id"] for e in after}) != len(after):
        wrong.append(f"the feed changed what it had shown, or lacks {missing}")
    return {**result, "ok": result["ok"] and not wrong, "violations": result["violations"] + wrong,
            "hidden_seconds": round(hidden, 2), "events": len(after)}  # fmt: skip


async def feed(rig: Rig) -> list[dict[str, Any]]:
    """Everything there is to read, page by page."""
    found: list[dict[str, Any]] = []
    path, end = "/v1/events?limit=100", time.monotonic() + 60
    while time.monotonic() < end:
        status, page = await rig.get(path)
        assert status == 200, page
        found += page["data"]
        if not page["has_more"]:
            return found
        path = f"/v1/events?limit=100&after={page['next_cursor']}"
        await asyncio.sleep(0)
    raise AssertionError("the feed does not end")


if __name__ == "__main__":
    play(drill)
