"""A vault to measure: its process on a database of its own, the minimal PSP, a merchant's key and the core's."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from scrooge.cli.bench import sampled
from scrooge.cli.bench.crew import Crew, CrewError, Loader, loader
from scrooge.cli.bench.load import Plan, Seen
from scrooge.cli.bench.result import per_payment, percentiles
from scrooge.cli.bench.server import Server, ask, fresh_database, opened, postmaster, wal_bytes, write_transactions
from scrooge.cli.bench.usage import meter
from scrooge.cli.demo.ports import free_ports
from scrooge.connectors.vault_client import Vault
from scrooge.ids import new_id
from scrooge.service import identity, new_seed, public_key
from scrooge.vault.schema import migrate_vault
from scrooge.vault.vault import SCOPES, create_vault_key

HOST = "127.0.0.1"
PROGRAM = "scrooge.cli.bench.vault.load"


class Measured(Struct, kw_only=True):
    """One load. Milliseconds; CPU of each kind of process per fill or card."""

    done: int
    per_second: float
    latency_ms: dict[str, float]
    cpu_ms: dict[str, float]
    commits_each: float
    wal_kb_each: float
    errors: dict[str, int]


class House:
    """Everything is up. `environment` is the vault's, with which its own code can be run here too."""

    def __init__(self, where: Server, url: str, folder: Path, profile: Path | None) -> None:
        self.where, self.url, self.profile = where, url, profile
        self.port, self.psp_port = free_ports(HOST, 2)
        self.vault_url, self.psp_url = f"http://{HOST}:{self.port}", f"http://{HOST}:{self.psp_port}"
        self.seed, own = new_seed(), new_seed()
        self.core = identity(self.seed, "core")
        self.vault = Vault(self.vault_url, self.core, public_key(identity(own, "own").public, "own"))
        self.merchant, self.run, self.loads = new_id("mer", 0), secrets.token_hex(3), 0
        self.key_id = self.vault_key = ""
        self.environment = {
            "SCROOGE_VAULT_DATABASE_URL": url,
            "SCROOGE_VAULT_DATA_DIR": str(folder / "vault"),
            "SCROOGE_VAULT_PORT": str(self.port),
            "SCROOGE_VAULT_SERVICE_KEY": own,
            "SCROOGE_VAULT_CORE_KEYS": self.core.public,
            "SCROOGE_VAULT_TEST_URLS": self.psp_url,
        }
        own_variables = {} if profile is None else {sampled.VARIABLE: str(profile)}
        self.crew = Crew(folder, {**os.environ, **self.environment, **own_variables})

    async def open(self) -> None:
        async with opened(self.url) as db:
            made = await create_vault_key(db, self.merchant, "bench", sorted(SCOPES), False, "bench")
        self.key_id, self.vault_key = made
        start, program = self.crew.start, "scrooge" if self.profile is None else "scrooge.cli.bench.sampled"
        psp = ("scrooge.cli.bench.psp", str(self.psp_port), "0")
        await asyncio.to_thread(start, "psp", *psp, ready=f"{self.psp_url}/healthz")
        await asyncio.to_thread(start, "vault", program, "vault", ready=f"{self.vault_url}/readyz")

    async def load(self, kind: str, bodies: list[str], clients: int, seconds: float, **more: Any) -> Loader:
        """A load that is ready to go. Raises CrewError."""
        self.loads += 1
        plan = Plan(
            host=HOST, port=self.port, key=self.seed if kind == "fill" else self.vault_key, instruments=bodies,
            run=f"{self.run}{self.loads:04d}", clients=clients, seconds=seconds, **more,
        )  # fmt: skip
        return await loader(plan, PROGRAM, kind)

    async def measured(self, kind: str, bodies: list[str], clients: int, seconds: float) -> tuple[Measured, Seen]:
        """Raises CrewError."""
        load = await self.load(kind, bodies, clients, seconds)
        commits, wal = await write_transactions(self.url), await wal_bytes(self.url)
        master = postmaster(self.where)
        roots = self.crew.processes()
        used = meter(roots if master is None else {**roots, "postgres": master})
        seen = await load.go()
        cpu = {**used.used(), "load": seen.cpu_seconds}
        self.crew.require_alive()
        if not seen.took:
            raise CrewError(f"nothing was done: {seen.errors}")
        done = len(seen.took)
        found = Measured(
            done=len(seen.took),
            per_second=round(seen.finished / max(seen.seconds, 1e-9), 1),
            latency_ms=percentiles(seen.took.values()),
            cpu_ms=per_payment(cpu, len(seen.took)),
            commits_each=round((await write_transactions(self.url) - commits) / done, 4),
            wal_kb_each=round((await wal_bytes(self.url) - wal) / done / 1000, 3),
            errors=seen.errors,
        )
        return found, seen

    async def told(self, path: str) -> bytes:
        """By the PSP."""
        async with aiohttp.ClientSession() as http, http.get(self.psp_url + path) as answer:
            return await answer.read()

    async def calls(self) -> dict[str, int]:
        return msgspec.json.decode(await self.told("/calls"))

    async def kilobytes(self) -> dict[str, float]:
        """Of the tables that a card is kept in, with their indexes."""
        row = await ask(
            self.url,
            "SELECT count(*) AS cards, pg_total_relation_size('cards') AS own,"
            " pg_total_relation_size('audit') AS audit, pg_total_relation_size('idempotency_keys') AS keys FROM cards",
        )
        sizes = {name: row[name] / 1000 / max(1, row["cards"]) for name in ("own", "audit", "keys")}
        return {"cards": row["cards"], **{name: round(size, 3) for name, size in sizes.items()}}


@asynccontextmanager
async def house(where: Server, profile: Path | None = None) -> AsyncIterator[House]:
    """Raises CrewError."""
    async with fresh_database(where, "vault", migrate_vault) as url:
        folder = where.folder / f"vault-{secrets.token_hex(3)}"
        folder.mkdir()
        found = House(where, url, folder, profile)
        try:
            await found.open()
            yield found
        finally:
            await asyncio.to_thread(found.crew.stop)
