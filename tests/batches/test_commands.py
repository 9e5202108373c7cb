"""The batch commands, against a real API: a file goes in once however often it is stopped, and comes out line by line."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from scrooge.domain.mandate import Mandate, Use
from scrooge.ids import new_id
from scrooge.postgres.database import connect
from scrooge.postgres.rows import public
from scrooge.storage import mandates
from tests.batches.conftest import file_of, line
from tests.world import World


async def agreed(world: World, count: int) -> list[str]:
    """Mandates of the world's merchant, with an instrument of its own."""
    instrument = await world.instrument(stripe="pm_card_visa")
    db = await connect(world.database_url, size=1)
    try:
        async with db.connection() as connection:
            row = await connection.fetchrow(
                "SELECT c.id AS caller, m.id AS merchant FROM callers c JOIN merchants m ON m.id = c.merchant_id"
                " WHERE m.name = 'tests'"
            )
        made = [
            Mandate(
                id=new_id("man", n), merchant=public("mer", row["merchant"]) or "", livemode=False,
                caller=public("clr", row["caller"]) or "", customer="user-1", instrument=instrument, use=Use.RECURRING,
            )
            for n in range(count)
        ]  # fmt: skip
        await mandates.write(db, made)
    finally:
        await db.close()
    return [m.id for m in made]


async def scrooge(world: World, *words: str, **env: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scrooge", "batch", *words,
        env={**os.environ, "SCROOGE_API_URL": world.api_url, "SCROOGE_API_KEY": world.key, **env},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_file_is_submitted_checked_and_told(world: World, tmp_path: Path):
    those = await agreed(world, 3)
    file = tmp_path / "renewals.ndjson"
    file.write_bytes(file_of(those, 1200, tmp_path.name) + line(those[0], "wrong", value="1"))
    code, out, err = await scrooge(world, "submit", str(file), "--no-start", "--json")
    made = json.loads(out)
    assert (code, made["status"], made["counts"]["valid"], made["counts"]["rejected"]) == (3, "ready", 1200, 1)
    assert f"scrooge batch errors {made['id']}" in err
    code, out, _ = await scrooge(world, "errors", made["id"])
    assert (code, json.loads(out)["line"], json.loads(out)["error"]["rule"]) == (0, 1201, "amount_scale_mismatch")
    assert (await scrooge(world, "cancel", made["id"], "--reason", "a test"))[0] == 0
    told = tmp_path / "told.ndjson"
    assert (await scrooge(world, "results", made["id"], "--after", "200", "-o", str(told)))[0] == 0
    assert [json.loads(row)["line"] for row in told.read_bytes().splitlines()] == list(range(201, 1201))
    code, out, _ = await scrooge(world, "status", made["id"], "--wait")
    assert code == 0
    assert "canceled (a test)" in out
    assert made["id"] in (await scrooge(world, "status"))[1]


async def test_the_same_key_is_the_same_batch_and_the_file_is_taken_in_once(world: World, tmp_path: Path):
    file = tmp_path / "renewals.ndjson"
    file.write_bytes(file_of(await agreed(world, 1), 1500, tmp_path.name))
    words = ("submit", str(file), "--key", f"run-{tmp_path.name}", "--no-start", "--json")
    both = await asyncio.gather(*(scrooge(world, *words) for _ in range(2)))
    made = [json.loads(out) for _, out, _ in both]
    assert [code for code, _, _ in both] == [0, 0]
    assert len({m["id"] for m in made}) == 1
    assert (await world.get(f"/v1/batches/{made[0]['id']}"))[1]["counts"]["total"] == 1500


async def test_an_upload_goes_on_after_the_process_that_took_it_was_killed(world: World, tmp_path: Path):
    """Killed before a piece is committed, after another one, and before the batch is ready."""
    file = tmp_path / "renewals.ndjson"
    file.write_bytes(file_of(await agreed(world, 2), 4300, tmp_path.name))
    world.kill("serve")
    world.start("serve", SCROOGE_CRASH_POINT="intake.before:2")
    going = asyncio.create_task(scrooge(world, "submit", str(file), "--no-start", "--json"))
    for point in ("intake.after:2", "intake.checked", ""):
        await asyncio.to_thread(world.processes["serve"].wait)
        world.start("serve", SCROOGE_CRASH_POINT=point)
    code, out, _ = await going
    made = json.loads(out)
    assert (code, made["status"], made["counts"]["valid"], made["counts"]["rejected"]) == (0, "ready", 4300, 0)
    assert made["input"] == {"bytes": file.stat().st_size, "lines": 4300, "whole": True}


@pytest.mark.parametrize(("env", "named"), [
    ({"SCROOGE_API_KEY": ""}, "SCROOGE_API_KEY"),
    ({"SCROOGE_API_URL": "ftp://x"}, "SCROOGE_API_URL"),
])  # fmt: skip
async def test_a_bad_setting_is_named(world: World, env: dict[str, str], named: str):
    code, _, err = await scrooge(world, "status", **env)
    assert code == 2
    assert named in err


async def test_what_the_api_refuses_is_told_and_fails(world: World):
    code, _, err = await scrooge(world, "start", "bat_01K9YH4V9GYB7T2D4Z8QW3M5N6")
    assert code == 1
    assert "no such batch (not_found)" in err
