"""The commands: a caller's key, the API, and codes that are written where nobody else reads them."""

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

from tests.cli.test_commands import run_apart
from tests.stored_value.conftest import Wallets
from tests.world import World


async def told(world: World, *arguments: str) -> tuple[int, Any]:
    place = {"SCROOGE_API_URL": world.api_url, "SCROOGE_API_KEY": world.key}
    code, out, err = await asyncio.to_thread(run_apart, "stored-value", *arguments, "--json", **place)
    return code, json.loads(out) if code == 0 else err


async def test_an_account_is_loaded_adjusted_and_read(world: World, wallets: Wallets):
    account = (await wallets.open())["id"]
    assert (await told(world, "load", account, "20.00EUR", "--reference", "gift-cli"))[0] == 0
    code, said = await told(world, "load", account, "20.00EUR", "--reference", "gift-cli")
    assert (code, "reference_exists" in said) == (1, True)
    arguments = ("5.00EUR", "--reference", "sorry-cli", "--reason", "late", "--down")
    assert (await told(world, "adjust", account, *arguments))[1]["status"] == "applied"
    assert (await told(world, "balance", account))[1]["available"]["value"] == "15.00"
    assert [m["kind"] for m in (await told(world, "statement", account))[1]["data"]] == ["adjust_down", "load"]


async def test_codes_are_written_for_one_reader_and_told_nowhere_else(world: World, wallets: Wallets, tmp_path: Path):
    file = tmp_path / "codes.txt"
    reference = f"sold-{uuid.uuid4().hex}"
    code, made = await told(world, "codes", "10.00EUR", "--reference", reference, "--count", "3", "-o", str(file))
    assert (code, made["count"], made["codes"]) == (0, 3, [])
    assert len(file.read_text().split()) == 3
    assert file.stat().st_mode & 0o077 == 0
    account = (await wallets.open(customer=reference))["id"]
    body = {"code": file.read_text().split()[0], "reference": "first"}
    assert (await world.post(f"/v1/stored-value-accounts/{account}/loads", body))[0] == 201
    code, said = await told(world, "codes", "10.00EUR", "--reference", f"{reference}-2", "-o", str(file))
    assert (code, "Traceback" in said) == (2, False), said
    assert len(file.read_text().split()) == 3, "what is there is not written over"
    code, said = await told(world, "codes", "10.00EUR", "--reference", reference, "-o", str(tmp_path / "again.txt"))
    assert (code, "reference_exists" in said, (tmp_path / "again.txt").exists()) == (1, True, False), said
