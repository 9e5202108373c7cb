"""Many cards: kept by the vault's own code, with their audit, but without HTTP between; then moved to new keys."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec

from scrooge.cli.bench.crew import CrewError
from scrooge.cli.bench.vault.load import card_body
from scrooge.cli.bench.vault.stage import House
from scrooge.vault.doors import Call
from scrooge.vault.instruments import CreateInstrument, Wish, tokenize
from scrooge.vault.processes import Common
from scrooge.vault.settings import load
from scrooge.vault.vault import Vault, open_vault

AT_ONCE = 128
NOBODY: Any = SimpleNamespace(client=None)  # stands for the request of a caller on this machine
TELL_EVERY = 100_000


async def stored(house: House, cards: int, first: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Keeps so many more cards, the range's from `first` on. Seconds, and kilobytes of each card in the tables."""
    started = time.monotonic()
    settings = load(house.environment)
    async with open_vault(settings, Common(settings.code_minutes)) as v:
        numbers = iter(range(first, first + cards))
        await asyncio.gather(*(keep(v, house, numbers, first, say) for _ in range(AT_ONCE)))
    seconds = time.monotonic() - started
    return {
        "cards": cards, "seconds": round(seconds, 1), "per_second": round(cards / seconds, 1),
        "kb_each": await house.kilobytes(),
    }  # fmt: skip


async def keep(v: Vault, house: House, numbers: Iterator[int], first: int, say: Callable[[str], None]) -> None:
    for number in numbers:
        body = msgspec.json.decode(card_body(number), type=CreateInstrument)
        body.card.cvc = None  # Of a card that is imported there is none.
        wish = Wish(
            vault_key=house.key_id, key=f"stored-{number}", merchant=house.merchant, livemode=False,
            customer=body.customer, card=body.card,
        )  # fmt: skip
        _, fresh = await tokenize(Call(v, NOBODY, b""), wish)
        assert fresh
        if (number - first) % TELL_EVERY == TELL_EVERY - 1:
            say(f"{number - first + 1:,} cards")


async def reencrypted(house: House) -> dict[str, Any]:
    """Every card moves to new keys, while the vault runs. Raises CrewError."""
    await keys_command(house, "rotate")
    found = await keys_command(house, "reencrypt")
    return {"cards": found["moved"], "per_second": round(found["moved"] / max(0.001, found["seconds"]), 1)}


async def keys_command(house: House, name: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scrooge", "vault", "keys", name, "--json", env={**os.environ, **house.environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    if process.returncode:
        raise CrewError(f"vault keys {name} ended with {process.returncode}: {err.decode(errors='replace')[-2000:]}")
    return msgspec.json.decode(out)
