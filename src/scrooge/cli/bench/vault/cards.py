"""Many cards: kept by the vault's own code, sealed and with their audit, but without HTTP between."""

import asyncio
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec

from scrooge.cli.bench.vault.load import card_body
from scrooge.cli.bench.vault.stage import House
from scrooge.vault.doors import Call
from scrooge.vault.instruments import CreateInstrument, Wish, tokenize
from scrooge.vault.settings import load
from scrooge.vault.vault import Vault, open_vault

AT_ONCE = 128
NOBODY: Any = SimpleNamespace(client=None)  # stands for the request of a caller on this machine
TELL_EVERY = 100_000


async def stored(house: House, cards: int, first: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Keeps so many more cards, the range's from `first` on. Seconds, and kilobytes of each card in the tables."""
    started = time.monotonic()
    async with open_vault(load(house.environment)) as v:
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
