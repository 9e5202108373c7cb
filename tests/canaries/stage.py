"""Everything real and everything apart: a server of the core's, one of the vault's, both with all they write on disk
below one folder; every process's log at its most talkative; every answer to a caller written down."""

import asyncio
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from scrooge.postgres import embedded
from scrooge.postgres.database import connect
from scrooge.storage.access import create_merchant
from scrooge.storage.migrate import migrate
from scrooge.vault.schema import migrate_vault
from tests.births import born
from tests.canaries.deck import Canary, canary
from tests.conftest import sandbox, wait_for
from tests.receiver import Receiver, receiving
from tests.vault.house import House
from tests.world import World


class Loud(World):
    """Writes down what its processes say, and what callers hear."""

    logs: Path

    def start(self, name: str, **env: str) -> None:
        kind = "serve" if name == "serve" else "worker"
        self.processes[name] = self.live(kind, {**self.env, **env}, name)
        if name == "serve":
            wait_for(f"{self.api_url}/healthz", self.processes[name])

    def live(self, kind: str, env: dict[str, str], name: str) -> Any:
        log = self.logs / f"{name}.log"
        log.touch()
        return born(kind, env={**env, "SCROOGE_LOG_LEVEL": "debug"}, log=log)

    def hear(self, text: str) -> None:
        with (self.logs / "answers").open("a") as file:
            file.write(text + "\n")

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        """Any request at all: what came back, headers too."""
        headers = {**self.headers(), **more.pop("headers", {})}
        async with self.http.request(method, self.api_url + path, headers=headers, **more) as answer:
            text = await answer.text()
            self.hear(f"{answer.status} {dict(answer.headers)} {text}")
            return answer.status, text

    async def post(self, path: str, body: Any, **more: Any) -> tuple[int, dict[str, Any]]:
        status, document = await super().post(path, body, **more)
        self.hear(repr(document))
        return status, document

    async def get(self, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
        status, document = await super().get(path, **more)
        self.hear(repr(document))
        return status, document


class Stage:
    """`used`: every canary that was played; `strays`: those that somebody sent to the core itself.

    `numbers` and `cryptograms` are of network tokens, which the core has in its memory while it sends.
    """

    def __init__(self, folder: Path, world: Loud, house: House, receiver: Receiver) -> None:
        self.folder, self.world, self.house, self.receiver = folder, world, house, receiver
        self.used: dict[str, Canary] = {}
        self.strays: set[str] = set()
        self.numbers: dict[str, str] = {}
        self.cryptograms: dict[str, str] = {}

    def canary(self, label: str, family: str = "approved", **more: Any) -> Canary:
        found = canary(label, family, **more)
        assert label not in self.used, label
        self.used[label] = found
        return found

    async def tokenize(self, card: Canary, **other: Any) -> str:
        body = {"type": "card", "customer": "user-1", "card": card.card(**other)}
        status, made, _ = await self.house.ask("POST", "/v1/instruments", body)
        self.world.hear(repr(made))
        assert status == 201, made
        return made["id"]

    def order(self, instrument: str, connector: str | None = "stripe", **more: Any) -> dict[str, Any]:
        only = {"connector_account": connector} if connector else {}
        return {
            "reference": f"order-{uuid.uuid4().hex}", "amount": {"value": "12.99", "currency": "EUR"},
            "instrument": instrument, "customer": "user-1", "return_url": "https://shop.example/r", **only, **more,
        }  # fmt: skip

    async def pay(self, card: Canary, connector: str | None = "stripe", **more: Any) -> dict[str, Any]:
        """A payment with a fresh instrument of the card; whatever the answer, as long as it is one."""
        status, p = await self.world.post("/v1/payments", self.order(await self.tokenize(card), connector, **more))
        assert status in {200, 201, 202}, p
        return p

    async def ended(self, payment: str, seconds: float = 90) -> dict[str, Any]:
        """Once nothing of it is open."""
        for _ in range(int(seconds / 0.2)):
            _, p = await self.world.get(f"/v1/payments/{payment}?expand=attempts,journals")
            if all(a["status"] not in {"sent", "unknown", "pending"} for a in p["attempts"]):
                return p
            await asyncio.sleep(0.2)
        raise AssertionError(p)

    def restart_vault(self, **env: str) -> None:
        self.house.stop(kill=True)
        self.house.start(**env)

    async def sql(self, url: str, *statements: str) -> None:
        connection = await asyncpg.connect(url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="scrooge-canaries-") as name:
        folder = Path(name)
        servers = [embedded.start(folder / "core"), embedded.start(folder / "vault")]
        try:
            async with receiving() as receiver:
                with sandbox() as psps:
                    async with opened(folder, servers[0].url, servers[1].url, psps, receiver) as s:
                        yield s
        finally:
            for server in servers:
                server.stop()


@asynccontextmanager
async def opened(folder: Path, core: str, vault: str, psps: str, receiver: Receiver) -> AsyncIterator[Stage]:
    await migrate(core)
    await migrate_vault(vault)
    world = Loud(core, psps, str(folder / "core"))
    world.logs = folder / "logs"
    world.logs.mkdir()
    house = House(vault, folder / "logs", f"{psps}/stripe,{psps}/adyen,{psps}/tsp", SCROOGE_VAULT_LOG_LEVEL="debug")
    house.log.touch()
    house.start()
    world.env |= house.core_env | {"SCROOGE_NETWORK_TOKENS": "visa"}
    db = await connect(core, size=1)
    house.merchant = await create_merchant(db, "tests")
    await db.close()
    house.vault_key = await house.new_key()
    try:
        await world.open()
        house.http = world.http
        await world.account("tsp", {"api_key": f"tsp_test_{uuid.uuid4().hex}"}, "requestor-1")
        status, made = await world.post("/v1/webhook-endpoints", {"url": receiver.url})
        assert status == 201, made
        yield Stage(folder, world, house, receiver)
    finally:
        await world.close()
        house.stop(kill=True)


def command(*arguments: str, env: dict[str, str]) -> str:
    """A `scrooge` command, as an operator runs it: what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "scrooge", *arguments], env=env, capture_output=True, text=True, timeout=120
    )
    return done.stdout + done.stderr
