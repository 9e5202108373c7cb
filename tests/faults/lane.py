"""One lane of the suite: a database, a sandbox, `serve`, `worker` and a vault of its own, and a caller with a key."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from scrooge.postgres.database import connect
from scrooge.storage.access import create_caller, create_key, create_merchant
from tests.conftest import free_port
from tests.faults.processes import Life, Nursery
from tests.receiver import receiving
from tests.vault.house import House
from tests.world import World

SANDBOX = {"latency_ms": 25.0, "notify_delay_ms": 120.0, "later_ms": 300.0, "search_lag_ms": 100.0}
DELAYS_MS = {"slow": 1600, "late_notification": 1500, "reordered_notifications": 700, "inquiry_lag": 4000}
BORN_SECONDS = 90
KINDS = {"second": "serve", "spare": "worker"}


class Lane(World):
    """A `World` whose processes are born in the nursery, and die often."""

    def __init__(self, nursery: Nursery, database_url: str, vault_url: str, folder: str) -> None:
        self.sandbox_port = free_port()
        super().__init__(database_url, f"http://127.0.0.1:{self.sandbox_port}", folder)
        self.nursery, self.log = nursery, os.path.join(folder, "log")
        self.env = {name: value for name, value in self.env.items() if name.startswith("SCROOGE_")}
        self.env |= {"SCROOGE_PSP_TIMEOUT_SECONDS": "1", "SCROOGE_DATABASE_POOL": "6", "SCROOGE_LOG_LEVEL": "warning"}
        self.env |= {"SCROOGE_WEBHOOK_LOOPBACK": "1", "SCROOGE_WEBHOOK_TIMEOUT_SECONDS": "2"}
        self.second_port = free_port()
        self.house = House(vault_url, Path(folder) / "vault", self.sandbox_url)
        self.env |= self.house.core_env
        self.ports = {
            "serve": self.port, "second": self.second_port, "sandbox": self.sandbox_port, "vault": self.house.port,
        }  # fmt: skip
        self.lives: dict[str, Life] = {}
        self.told: dict[str, dict[str, Any]] = {}  # every event the feed gave us
        self.cursor: str | None = None

    async def open(self) -> None:
        timeout = aiohttp.ClientTimeout(total=20)
        self.http = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0, force_close=True))
        self.db = await asyncpg.create_pool(self.database_url, min_size=1, max_size=2)
        db = await connect(self.database_url, size=2)
        merchant = await create_merchant(db, "faults")
        self.key = (await create_key(db, await create_caller(db, merchant, "checkout"), ["*"], False))[1]
        await db.close()
        self.house.http, self.house.merchant = self.http, merchant
        self.house.vault_key = await self.house.new_key()
        await asyncio.gather(self.begin("sandbox"), self.begin("serve"), self.begin("vault"))
        await self.open_stripe()
        await self.open_adyen()
        self.receiving = receiving()
        receiver = await self.receiving.__aenter__()
        status, endpoint = await self.post("/v1/webhook-endpoints", {"url": receiver.url})
        assert status == 201, endpoint

    async def close(self) -> None:
        await self.receiving.__aexit__(None, None, None)
        for life in self.lives.values():
            life.signal(signal.SIGKILL)
        await self.http.close()
        await self.db.close()

    # --- processes ---

    async def begin(self, name: str, **env: str) -> Life:
        """A new process of this name, once it can be used; the one there was dies by SIGKILL first."""
        if name in self.lives:
            await self.lives[name].kill()
        more: dict[str, Any] = {"sandbox": {"port": self.sandbox_port, **SANDBOX}} if name == "sandbox" else {}
        if name == "second":  # Another `serve`, beside the first one.
            env = {"SCROOGE_PORT": str(self.second_port), "SCROOGE_PUBLIC_URL": f"http://127.0.0.1:{self.port}", **env}
        kind, ours = KINDS.get(name, name), self.house.env if name == "vault" else self.env
        life = self.lives[name] = await self.nursery.birth(kind, self.log, {**ours, **env}, **more)
        if name in self.ports:
            await self.answers(f"http://127.0.0.1:{self.ports[name]}/healthz", life)
        return life

    async def end(self, name: str) -> None:
        if name in self.lives:
            await self.lives.pop(name).kill()

    async def answers(self, url: str, life: Life) -> None:
        until = asyncio.get_running_loop().time() + BORN_SECONDS
        while asyncio.get_running_loop().time() < until and not life.ended.done():
            try:
                async with self.http.get(url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, OSError, TimeoutError):
                await asyncio.sleep(0.03)
        with open(self.log) as log:
            raise AssertionError(f"{url} does not answer: {log.read()[-2000:]}")

    # --- cards ---

    async def card(self, number: str, *, coded: bool) -> str:
        """An instrument of the vault: for one payment if it has a security code, used again otherwise."""
        if coded:
            return (await self.house.tokenize(number=number))["id"]
        if number not in self.instruments:
            self.instruments[number] = (await self.house.tokenize(number=number, cvc=None))["id"]
        return self.instruments[number]

    # --- the PSPs ---

    async def behave(self, behavior: str, rate: float, seed: int) -> None:
        more = {"delay_ms": DELAYS_MS[behavior]} if behavior in DELAYS_MS else {}
        await self.fault(behavior, rate, seed=seed, **more)

    async def struck(self, kind: str) -> int:
        """How often a fault has struck since the sandbox was born."""
        async with self.http.get(f"{self.sandbox_url}/faults") as answer:
            return sum(row["times"] for row in (await answer.json())["struck"] if row["kind"] == kind)

    # --- behind the API ---

    async def row(self, sql: str, *args: Any) -> Any:
        return await self.db.fetchrow(sql, *args)

    async def doubt(self) -> int:
        """What the worker has still to find out or to read. Waits for nobody's clock: only counts."""
        found = await self.row(
            "SELECT (SELECT count(*) FROM attempts WHERE state IN ('sent', 'unknown', 'reversing')) AS lost,"
            " (SELECT count(*) FROM inbox WHERE state = 'unread') AS unread"
        )
        return int(found["lost"]) + int(found["unread"])

    async def undelivered(self) -> int:
        """Events that no webhook has brought yet."""
        found = await self.row(
            "SELECT count(*) AS n FROM events e WHERE NOT EXISTS"
            " (SELECT FROM webhook_deliveries d WHERE d.event_id = e.id AND d.state = 'delivered')"
        )
        return int(found["n"])

    async def events(self, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """Everything the feed has after a cursor, and the next one."""
        found: list[dict[str, Any]] = []
        while True:
            path = "/v1/events?limit=100" + (f"&after={cursor}" if cursor else "")
            status, page = await self.get(path)
            assert status == 200, page
            found += page["data"]
            cursor = page["next_cursor"] or cursor
            if not page["has_more"]:
                return found, cursor
