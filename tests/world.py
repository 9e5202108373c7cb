"""A running Scrooge for tests: serve and worker as processes, a database, the sandbox, and a caller with a key."""

import asyncio
import os
import signal
import subprocess
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from scrooge.app import open_scrooge
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import bucket_of  # noqa: F401 - re-exported for tests that look behind the API
from scrooge.postgres.database import connect
from scrooge.settings import Settings
from scrooge.storage.access import create_caller, create_key, create_merchant
from tests.births import Born, born
from tests.conftest import free_port, wait_for

TOKENS = {"stripe": "pm_card_visa", "adyen": "stored_visa"}


class World:
    """Everything is real; only the PSPs are simulated, on the wire."""

    def __init__(self, database_url: str, sandbox_url: str, data_dir: str) -> None:
        self.database_url, self.sandbox_url = database_url, sandbox_url
        self.port = free_port()
        self.api_url = f"http://127.0.0.1:{self.port}"
        self.env = {
            **os.environ,
            "SCROOGE_DATABASE_URL": database_url,
            "SCROOGE_DATA_DIR": data_dir,
            "SCROOGE_PORT": str(self.port),
            "SCROOGE_PSP_TIMEOUT_SECONDS": "8",  # Nothing on a busy machine takes as long, unless a test wants it.
            "SCROOGE_PSP_BREAKER": "0",  # Tests break one PSP after the other, and share it.
            "SCROOGE_REQUESTS_AT_WORK": "4096",  # A test that sends a hundred at once is not about overload.
            "SCROOGE_LOG_LEVEL": "error",
            "SCROOGE_WEBHOOK_LOOPBACK": "1",
            "SCROOGE_RECOVERY_CONTROL_PERCENT": "0",  # Which payments are in it, no test can know.
        }
        self.processes: dict[str, Born | subprocess.Popen[bytes]] = {}
        self.key = ""
        self.http: aiohttp.ClientSession
        self.accounts: dict[str, dict[str, Any]] = {}
        self.instruments: dict[str, str] = {}
        self.secrets: dict[str, dict[str, str]] = {}

    # --- processes ---

    def start(self, name: str, **env: str) -> None:
        """One of a name at a time: a worker that nobody knows of would do what a test wants to see undone."""
        before = self.processes.get(name)
        assert before is None or before.poll() is not None, f"{name} is running"
        self.processes[name] = born("serve" if name == "serve" else "worker", env={**self.env, **env})
        if name == "serve":
            wait_for(f"{self.api_url}/healthz", self.processes[name])

    def start_beside(self, name: str, **env: str) -> str:
        """Another serve of the same Scrooge, on a port of its own: the URL it answers at."""
        port = free_port()
        environment = {**self.env, "SCROOGE_PORT": str(port), "SCROOGE_PUBLIC_URL": self.api_url, **env}
        self.processes[name] = born("serve", env=environment)
        wait_for(f"http://127.0.0.1:{port}/healthz", self.processes[name])
        return f"http://127.0.0.1:{port}"

    def kill(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def stop(self) -> None:
        """At once: the database goes too, and how a process ends by itself has tests of its own."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()

    # --- set-up ---

    async def open(self) -> None:
        # A connection is used once: one kept alive may be closed by the server in the moment it is used again.
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        db = await connect(self.database_url, size=2)
        merchant = await create_merchant(db, "tests")
        self.key = (await create_key(db, await create_caller(db, merchant, "checkout"), ["*"], False))[1]
        other = await create_merchant(db, "others")
        self.other_key = (await create_key(db, await create_caller(db, other, "checkout"), ["*"], False))[1]
        await db.close()
        self.start("serve")
        self.start("worker")
        await self.open_stripe()
        await self.open_adyen()

    async def close(self) -> None:
        await self.http.close()
        self.stop()

    async def open_stripe(self) -> None:
        account = await self.account("stripe", {"api_key": f"sk_test_{uuid.uuid4().hex}"}, "acct_tests")
        key = self.stripe_key = self.secrets["stripe"]["api_key"]
        async with self.http.post(
            f"{self.sandbox_url}/stripe/v1/webhook_endpoints",
            data={"url": f"{self.api_url}/notifications/{account['id']}", "enabled_events[]": "*"},
            headers={"Authorization": f"Bearer {key}"},
        ) as answer:
            secret = (await answer.json())["secret"]
        await self.patch(account, {"webhook_secret": secret})

    async def open_adyen(self) -> None:
        merchant_account = f"Tests{uuid.uuid4().hex[:8]}"
        account = await self.account("adyen", {"api_key": "AQE_tests"}, merchant_account)
        base = f"{self.sandbox_url}/adyen/management/v3/merchants/{merchant_account}/webhooks"
        headers = {"X-API-Key": "AQE_tests"}
        body = {
            "type": "standard", "url": f"{self.api_url}/notifications/{account['id']}", "active": True,
            "communicationFormat": "json",
        }  # fmt: skip
        async with self.http.post(base, json=body, headers=headers) as answer:
            webhook = (await answer.json())["id"]
        async with self.http.post(f"{base}/{webhook}/generateHmac", headers=headers) as answer:
            hmac_key = (await answer.json())["hmacKey"]
        await self.patch(account, {"hmac_key": hmac_key})

    async def account(self, connector: str, credentials: dict[str, str], merchant_account: str) -> dict[str, Any]:
        self.secrets[connector] = credentials
        status, account = await self.post(
            "/v1/connector-accounts",
            {"name": connector, "connector": connector, "merchant_account": merchant_account, "mode": "test",
             "credentials": credentials, "base_url": f"{self.sandbox_url}/{connector}"},
        )  # fmt: skip
        assert status == 201, account
        self.accounts[connector] = account
        return account

    async def patch(self, account: dict[str, Any], credentials: dict[str, str]) -> None:
        url = f"{self.api_url}/v1/connector-accounts/{account['id']}"
        async with self.http.patch(url, json={"credentials": credentials}, headers=self.headers()) as answer:
            assert answer.status == 200, await answer.text()
        self.secrets[account["connector"]] |= credentials

    # --- the API ---

    def headers(self, key: str | None = None, idempotency: str | None = None) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {key or self.key}",
            "Idempotency-Key": idempotency or uuid.uuid4().hex,
        }

    async def post(
        self, path: str, body: Any, *, idempotency: str | None = None, key: str | None = None, at: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        headers = self.headers(key, idempotency)
        async with self.http.post((at or self.api_url) + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str, *, key: str | None = None) -> tuple[int, dict[str, Any]]:
        async with self.http.get(self.api_url + path, headers=self.headers(key)) as answer:
            return answer.status, await answer.json()

    async def instrument(self, **tokens: str) -> str:
        """An instrument with a token per connector, in the order given; kept and used again."""
        name = repr(tokens)
        if name not in self.instruments:
            status, made = await self.post(
                "/v1/instruments",
                {"customer": "user-1",
                 "credentials": [{"connector_account": c, "psp_token": t} for c, t in tokens.items()]},
            )  # fmt: skip
            assert status == 201, made
            self.instruments[name] = made["id"]
        return self.instruments[name]

    async def pay(
        self, connector: str = "stripe", *, value: str = "12.99", currency: str = "EUR", token: str | None = None,
        **more: Any,
    ) -> tuple[int, dict[str, Any]]:  # fmt: skip
        instrument = more.pop("instrument", None) or await self.instrument(**{connector: token or TOKENS[connector]})
        to = {name: more.pop(name, None) for name in ("idempotency", "at")}
        body = {
            "reference": f"order-{uuid.uuid4().hex}", "amount": {"value": value, "currency": currency},
            "instrument": instrument, "customer": "user-1", **more,
        }  # fmt: skip
        return await self.post("/v1/payments", body, **to)

    async def events(self, payment: str, *types: str) -> list[dict[str, Any]]:
        """A payment's events, once the feed shows these. It shows none while an older transaction is still open."""
        seen: list[dict[str, Any]] = []
        cursor, until = "", time.monotonic() + 60
        while time.monotonic() < until:
            status, page = await self.get(f"/v1/events?limit=100{f'&after={cursor}' if cursor else ''}")
            assert status == 200, page
            seen += page["data"]
            cursor = page["next_cursor"] or cursor
            mine = [e for e in seen if e["payment"] == payment]
            if page["has_more"]:
                continue
            if set(types) <= {e["type"] for e in mine}:
                assert len({e["id"] for e in seen}) == len(seen), "nothing twice"
                return mine
            await asyncio.sleep(0.1)
        raise AssertionError(f"the feed does not show {types}")

    async def truth(self) -> list[dict[str, Any]]:
        import msgspec

        async with self.http.get(f"{self.sandbox_url}/truth") as answer:
            return [msgspec.json.decode(line) for line in (await answer.read()).splitlines() if line]

    async def fault(self, kind: str, rate: float = 1.0, connector: str = "*", **more: Any) -> None:
        body = {"connector": connector, "kind": kind, "rate": rate, "seed": 7, **more}
        async with self.http.post(f"{self.sandbox_url}/faults", json=body) as answer:
            assert answer.status < 300, await answer.text()

    async def no_faults(self) -> None:
        async with self.http.delete(f"{self.sandbox_url}/faults") as answer:
            assert answer.status < 300


@asynccontextmanager
async def alone(world: World, psp_timeout_seconds: int = 8) -> AsyncIterator[Scrooge]:
    """The same database and PSPs as the world's, in this process, with no worker beside us; nor after us, if not before."""
    worked = world.processes["worker"].poll() is None
    world.processes["worker"].terminate()
    world.processes["worker"].wait(60)
    settings = Settings(
        database_url=world.database_url, data_dir=Path(world.env["SCROOGE_DATA_DIR"]), port=world.port,
        psp_timeout_seconds=psp_timeout_seconds, recovery_control_percent=0,
    )  # fmt: skip
    async with open_scrooge(settings) as s:
        yield s
    if worked:
        world.start("worker")
