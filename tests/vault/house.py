"""A running vault for tests: its process, its database, a merchant with a key, and the core's identity."""

import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from scrooge.ids import new_id
from scrooge.postgres.database import connect
from scrooge.service import SIGNATURE, check_answer, identity, new_seed, public_key
from scrooge.vault.schema import ROLE, migrate_vault
from scrooge.vault.vault import SCOPES, create_vault_key
from tests.births import Born, born
from tests.conftest import drop_database, free_port, make_database, wait_for

CARD = {"number": "4242424242424242", "exp_month": 3, "exp_year": 2034, "cvc": "737", "holder": "Joan Doe"}


class House:
    def __init__(self, database_url: str, folder: Path, test_urls: str, **env: str) -> None:
        self.database_url, self.folder = database_url, folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        core, own = new_seed(), new_seed()
        self.core = identity(core, "core")
        self.public = identity(own, "own").public
        self.key: Ed25519PublicKey = public_key(self.public, "own")
        self.core_env = {
            "SCROOGE_VAULT_URL": self.url, "SCROOGE_VAULT_PUBLIC_KEY": self.public, "SCROOGE_SERVICE_KEY": core,
        }  # fmt: skip
        self.env = {
            "SCROOGE_VAULT_DATABASE_URL": database_url,
            "SCROOGE_VAULT_DATA_DIR": str(folder),
            "SCROOGE_VAULT_PORT": str(self.port),
            "SCROOGE_VAULT_SERVICE_KEY": own,
            "SCROOGE_VAULT_CORE_KEYS": self.core.public,
            "SCROOGE_VAULT_TEST_URLS": test_urls,
            "SCROOGE_VAULT_LOG_LEVEL": "error",
            **env,
        }
        self.process: Born | None = None
        self.merchant = new_id("mer", 0)
        self.log = folder / "vault.log"
        self.vault_key = ""
        self.http: aiohttp.ClientSession

    def start(self, **env: str) -> None:
        self.process = born("vault", env={**self.env, "SCROOGE_CRASH_POINT": "", **env}, log=self.log)
        wait_for(f"{self.url}/healthz", self.process)

    def stop(self, kill: bool = False) -> None:
        if self.process is not None:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(60)
            self.process = None

    async def new_key(self, merchant: str | None = None, scopes: list[str] | None = None, live: bool = False) -> str:
        db = await connect(self.database_url, size=1, role=ROLE)
        made = await create_vault_key(
            db, merchant or self.merchant, "checkout", scopes or sorted(SCOPES), live, "tests"
        )
        await db.close()
        return made[1]

    # --- as a merchant ---

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, idempotency: str | None = None,
        headers: dict[str, str] | None = None, raw: bytes | None = None,
    ) -> tuple[int, dict[str, Any], Any]:  # fmt: skip
        given = {
            "Idempotency-Key": uuid.uuid4().hex if idempotency is None else idempotency,
            "Content-Type": "application/json",
        }
        if key != "":
            given["Authorization"] = f"Bearer {key or self.vault_key}"
        content = raw if raw is not None else (msgspec.json.encode(body) if body is not None else None)
        url, given = self.url + path, {**given, **(headers or {})}
        async with self.http.request(method, url, data=content, headers=given) as answer:
            return answer.status, await answer.json(), answer.headers

    async def tokenize(self, customer: str = "user-1", **card: Any) -> dict[str, Any]:
        status, made, _ = await self.ask(
            "POST", "/v1/instruments", {"type": "card", "customer": customer, "card": {**CARD, **card}}
        )
        assert status == 201, made
        return made

    # --- as the core ---

    async def core_asks(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, act: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """The answer, which must be signed for this very request unless the token was no good."""
        content = b"" if body is None else msgspec.json.encode(body)
        made, token_id = self.core.token(act or f"{method} {path}", content)
        headers = {"Authorization": f"Bearer {token or made}", "Content-Type": "application/json"}
        async with self.http.request(method, self.url + path, data=content or None, headers=headers) as answer:
            raw, signature = await answer.read(), answer.headers.get(SIGNATURE)
            if token is None and act is None:
                assert signature is not None, raw
                check_answer(self.key, signature, token_id, answer.status, raw)
            return answer.status, msgspec.json.decode(raw)

    def fill(self, instrument: str, base_url: str, **more: Any) -> dict[str, Any]:
        """A payment at Stripe as the core's connector would render it."""
        body = (
            "amount=1299&currency=eur&payment_method_data%5Btype%5D=card"
            "&payment_method_data%5Bcard%5D%5Bnumber%5D=%7B%7Bnumber%7D%7D"
            "&payment_method_data%5Bcard%5D%5Bexp_month%5D=%7B%7Bexp_month%7D%7D"
            "&payment_method_data%5Bcard%5D%5Bexp_year%5D=%7B%7Bexp_year%7D%7D"
            "&payment_method_data%5Bcard%5D%5Bcvc%5D=%7B%7Bsecurity_code%7D%7D"
            "&payment_method_data%5Bbilling_details%5D%5Bname%5D=%7B%7Bholder%7D%7D"
        )
        return {
            "attempt": "pay_1-1", "merchant": self.merchant, "instrument": instrument, "connector": "stripe",
            "template": "authorize", "live": False, "base_url": base_url, "method": "POST",
            "path": "/v1/payment_intents", "content_type": "application/x-www-form-urlencoded",
            "headers": {"Authorization": "Bearer sk_test_1", "Idempotency-Key": "pay_1-1"}, "body": body, "timeout": 5.0,
            **more,
        }  # fmt: skip

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        db = await connect(self.database_url, size=1, role=None)
        async with db.connection() as connection:
            rows = await connection.fetch(sql, *args)
        await db.close()
        return rows

    async def acts(self, instrument: str) -> list[tuple[str, str]]:
        rows = await self.fetch("SELECT act, outcome FROM audit WHERE object = $1 ORDER BY at, seq", instrument)
        return [(r["act"], r["outcome"]) for r in rows]


@asynccontextmanager
async def house(server_url: str, folder: Path, test_urls: str, **env: str):
    """Started, with a merchant's key; gone afterwards."""
    url = await make_database(server_url)
    await migrate_vault(url)
    h = House(url, folder, test_urls, **env)
    h.log.touch()
    h.vault_key = await h.new_key()
    h.start()
    # A connection is used once: one kept alive may be closed by the server in the moment it is used again.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
        h.http = http
        try:
            yield h
        finally:
            h.stop(kill=True)
    await drop_database(server_url, url)
