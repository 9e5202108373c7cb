"""The vault's keys are rotated under load: new keys, every card re-encrypted (once killed in the middle), old keys
destroyed; and no payment by a card and no new card is refused meanwhile."""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from scrooge.postgres.rows import public
from scrooge.storage.migrate import migrate
from tests.conftest import sandbox
from tests.drills.oracle import verdict
from tests.drills.play import show
from tests.drills.postgres import primary_and_standby, url_of
from tests.drills.rig import Rig
from tests.drills.shoppers import FINE, shoppers
from tests.vault.commands import Command, scrooge
from tests.vault.house import House, house

FINE_CARD, POOR_CARD = "4242424242424242", "4000000000009995"
SETTLED_SECONDS = 61.0  # until a key that has gone out of use may be destroyed


class Wallet(dict[str, str]):
    """Of the cards that are fine another one each time."""

    def __init__(self, fine: list[str], poor: str) -> None:
        super().__init__({"no money": poor})
        self.fine = fine

    def __missing__(self, name: str) -> str:
        return random.choice(self.fine)


class Tokenizing:
    """Makes new cards as long as it runs, and keeps what was refused."""

    def __init__(self, vault: House) -> None:
        self.vault, self.made, self.refused = vault, 0, []
        self.stop = asyncio.Event()

    async def run(self, wallet: Wallet) -> None:
        while not self.stop.is_set():
            body = {
                "type": "card",
                "customer": "user-1",
                "card": {"number": FINE_CARD, "exp_month": 3, "exp_year": 2034},
            }
            status, made, _ = await self.vault.ask("POST", "/v1/instruments", body)
            if status == 201:
                self.made += 1
                wallet.fine.append(made["id"])
            else:
                self.refused.append(made)
            await asyncio.sleep(0.01)


async def drill(rig: Rig, vault: House, *, callers: int = 8, pause: float = 2.0, retire: bool = True) -> dict[str, Any]:
    wallet = Wallet([(await vault.tokenize())["id"]], (await vault.tokenize(number=POOR_CARD))["id"])
    rig.cards = wallet
    tokenizing = Tokenizing(vault)
    making = asyncio.create_task(tokenizing.run(wallet))
    async with shoppers(rig, callers) as told:
        await asyncio.sleep(pause)
        rotated = (await scrooge(vault.env, "vault", "keys", "rotate"))["rotated"]
        moved = await reencrypted(vault)
        if retire:
            await asyncio.sleep(SETTLED_SECONDS)
        done = Command(vault.env, ("vault", "keys", "retire", "--all", "--json"), "alice")
        said = await done.ended(3)  # A fingerprint key waits until requests that are known by it are forgotten.
        await asyncio.sleep(pause)
        tokenizing.stop.set()
        await making
    result = {
        **await verdict(rig, told), "rotated": len(rotated), "moved": moved, "retired": said.count('"key"'),
        "cards_made": tokenizing.made, **told.summary(),
    }  # fmt: skip
    left = await vault.fetch("SELECT count(*) AS n FROM cards WHERE key_id <> $1", rotated[0]["key_id"])
    for wrong, sentence in (
        (set(told.statuses) - FINE, f"payments were refused: {dict(told.codes)}"),
        (tokenizing.refused, f"cards were refused: {tokenizing.refused[:3]}"),
        (left[0]["n"], f"{left[0]['n']} cards are under old keys"),
        (retire and result["retired"] < 2, f"old keys are there yet: {said}"),
    ):
        if wrong:
            result["ok"] = False
            result["violations"].append(sentence)
    return result


async def reencrypted(vault: House) -> int:
    """Killed once as soon as it has begun; then by two at once."""
    first = Command(vault.env, ("vault", "keys", "reencrypt"), "alice")
    while "to move" not in first.said and first.process.poll() is None:
        await asyncio.sleep(0.02)
    first.process.kill()
    await first.ended(None)
    both = await asyncio.gather(*(scrooge(vault.env, "vault", "keys", "reencrypt") for _ in range(2)))
    return sum(done["moved"] for done in both)


@asynccontextmanager
async def rig_with_vault() -> AsyncIterator[tuple[Rig, House]]:
    with primary_and_standby(None) as (primary, standby), tempfile.TemporaryDirectory(prefix="scrooge-rig-") as place:
        await migrate(url_of(primary, standby))
        (folder := Path(place) / "vault").mkdir()
        with sandbox(latency_ms=10) as psps:
            async with house(url_of(primary, standby), folder, psps) as vault:
                world = Rig(primary, standby, psps, Path(place))
                world.env |= vault.core_env
                try:
                    await world.open()
                    await introduce(world, vault)
                    yield world, vault
                finally:
                    await world.close()


async def introduce(rig: Rig, vault: House) -> None:
    """The vault's key is for the merchant that the core calls so."""
    connection = await asyncpg.connect(url_of(rig.primary))
    merchant = await connection.fetchval("SELECT id FROM merchants WHERE name = 'tests'")
    await connection.close()
    vault.merchant = public("mer", merchant) or ""
    vault.vault_key = await vault.new_key()


async def alone() -> dict[str, Any]:
    async with rig_with_vault() as (rig, vault):
        return await drill(rig, vault)


if __name__ == "__main__":
    show(alone())
