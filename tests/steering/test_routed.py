"""What counts is known everywhere soon, and goes on to count while the database is away."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from scrooge.errors import DatabaseUnavailable, RoutingUnavailable
from scrooge.ids import hex_of, new_id
from scrooge.postgres.database import connect
from scrooge.storage import routed
from scrooge.storage.access import create_caller, create_key, create_merchant
from scrooge.storage.routed import Routing
from tests.births import born
from tests.conftest import free_port, wait_for
from tests.steering.conftest import Desk

SOON_SECONDS = 20  # Enough for a busy machine: how often is looked is what makes it less than a second.


@pytest.fixture
async def two(fresh_database_url: str, tmp_path: Path) -> AsyncIterator[tuple[str, str, str]]:
    """Two serving processes of one database, and a key."""
    db = await connect(fresh_database_url, size=2)
    caller = await create_caller(db, await create_merchant(db, "shop"), "checkout")
    _, key = await create_key(db, caller, ["*"], False)
    await db.close()
    processes, urls = [], []
    try:
        for _ in range(2):
            port = free_port()
            env = {**os.environ, "SCROOGE_DATABASE_URL": fresh_database_url, "SCROOGE_DATA_DIR": str(tmp_path),
                   "SCROOGE_PORT": str(port), "SCROOGE_LOG_LEVEL": "error"}  # fmt: skip
            processes.append(born("serve", env=env))
            urls.append(f"http://127.0.0.1:{port}")
            wait_for(f"{urls[-1]}/healthz", processes[-1])
        yield urls[0], urls[1], key
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


async def test_what_is_activated_in_one_process_counts_in_the_other_within_a_second(two: tuple[str, str, str]):
    here, there, key = two
    assert routed.LOOK_SECONDS <= 0.5
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers) as http:

        async def ask(url: str, path: str, body: Any) -> dict[str, Any]:
            async with http.post(f"{url}/v1/{path}", json=body) as answer:
                document = await answer.json()
                assert answer.status in (200, 201), document
                return document

        async def policy_seen(url: str) -> str | None:
            payment = {"amount": {"value": "1.00", "currency": "EUR"}}
            return (await ask(url, "routing/explain", {"payment": payment}))["policy"]

        async def comes(url: str, name: str | None) -> None:
            until = time.monotonic() + SOON_SECONDS
            while (seen := await policy_seen(url)) != name and (seen or "").partition("@")[0] != name:
                assert time.monotonic() < until, (seen, name)
                await asyncio.sleep(0.05)

        account = {"name": "stripe_eu", "connector": "stripe", "merchant_account": "acct_1", "mode": "test",
                   "credentials": {"api_key": "sk_test_1"}}  # fmt: skip
        await ask(here, "connector-accounts", account)
        document = {"name": "one", "accounts": {"stripe_eu": {}}}
        policy = await ask(here, "routing/policies", {"document": document})
        await ask(here, f"routing/policies/{policy['id']}/activate", {"expect_active": None})
        assert (await policy_seen(here) or "").startswith("one@"), "who said it sees it at once"
        await comes(there, "one")
        await ask(there, "routing/rollback", {"to": None, "reason": "a test"})
        await comes(here, None)


async def test_the_last_known_policy_counts_while_the_database_is_away(
    desk: Desk, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(routed, "LOOK_SECONDS", 0.01)
    await desk.activated(await desk.drafted("stripe_eu"))
    merchant, livemode, _ = next(iter(desk.api.s.routing.active))
    gone = await connect(fresh_database_url, size=2)
    routing = Routing(gone)
    await routing.refresh()
    await gone.close()
    with pytest.raises(DatabaseUnavailable):
        await routing.refresh()
    following = asyncio.create_task(routing.follow())
    await asyncio.sleep(0.1)
    known = routing.policy(merchant, "clr_any", livemode)
    assert known is not None
    assert known.policy.name == "first"
    assert not following.done()
    routing.db = desk.api.s.db  # It is back.
    await desk.ask("POST", "rollback", {"to": None, "reason": "a test"})
    async with asyncio.timeout(SOON_SECONDS):
        while routing.policy(merchant, "clr_any", livemode) is not None:
            await asyncio.sleep(0.01)
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following


async def test_a_policy_of_a_later_version_leaves_the_last_known_and_a_new_process_routes_nothing_by_guess(
    desk: Desk, fresh_database_url: str
):
    first = await desk.activated(await desk.drafted("stripe_eu"))
    s = desk.api.s
    merchant, livemode, _ = next(iter(s.routing.active))
    later = new_id("pol", 0)
    document = json.dumps({"name": "later", "accounts": {"stripe_eu": {}}, "a_word_of_tomorrow": 1})
    connection = await asyncpg.connect(fresh_database_url)
    await connection.execute(
        "INSERT INTO routing_policies (id, merchant_id, livemode, version, name, digest, document, author)"
        " VALUES ($1, $2, false, 9, 'later', sha256('x'), $3::jsonb, 'test')",
        hex_of(later), hex_of(merchant), document,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO routing_activations (merchant_id, livemode, number, policy_id, previous_id, kind, author)"
        " VALUES ($1, false, 2, $2, $3, 'activation', 'test')",
        hex_of(merchant), hex_of(later), hex_of(first["id"]),
    )  # fmt: skip
    await connection.execute("UPDATE routing_epoch SET epoch = epoch + 1")
    await connection.close()
    await s.routing.refresh()
    known = s.routing.policy(merchant, "clr_any", livemode)
    assert known is not None
    assert known.policy.name == "first"
    new = Routing(s.db)
    await new.refresh()
    with pytest.raises(RoutingUnavailable):
        new.policy(merchant, "clr_any", livemode)


async def test_a_test_key_steers_no_live_payment(desk: Desk):
    await desk.activated(await desk.drafted("stripe_eu"))
    routing = desk.api.s.routing
    merchant, livemode, _ = next(iter(routing.active))
    assert routing.policy(merchant, "clr_any", livemode) is not None
    assert routing.policy(merchant, "clr_any", not livemode) is None
