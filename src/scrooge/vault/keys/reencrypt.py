"""Moves cards to the keys in use now, online: a batch is opened, sealed anew and kept in one short transaction.

Each batch takes cards that nobody else has locked, so several may run at once, none stops a payment, and one that is
killed loses nothing: what it had not committed is still under the old key, which opens it, and is found again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.postgres.database import Database, load, redone, run
from scrooge.postgres.rows import public
from scrooge.vault import audit
from scrooge.vault.audit import CONTROL
from scrooge.vault.keys.acts import Operator
from scrooge.vault.keys.keyring import Keyring
from scrooge.vault.keys.keyset import Purpose, key_id_of
from scrooge.vault.sealing import context

Q = load(Path(__file__).with_suffix(".sql"))
BATCH = 1000
PAUSE_SECONDS = 0.5  # when all that is left is locked by others
MODES = (False, True)


class Left(Struct, frozen=True):
    """`cards` still to be moved, of `all` that are sealed."""

    cards: int
    all: int


class Reencryption:
    def __init__(self, db: Database, keyring: Keyring, by: Operator) -> None:
        self.db, self.keyring, self.by = db, keyring, by

    def current(self, purpose: Purpose) -> list[int]:
        """The keys in use, by mode; 0, which no key has, for a mode without."""
        active = self.keyring.opened().active
        return [active[purpose, live].key_id if (purpose, live) in active else 0 for live in MODES]

    async def left(self) -> Left:
        row = await run(self.db, Q["left"], *self.current(Purpose.CARD), *self.current(Purpose.FINGERPRINT))
        return Left(row["cards"], row["all"])

    async def run(self) -> AsyncIterator[int]:
        """Cards moved, a batch at a time, until none is left."""
        while True:
            await self.keyring.refresh()
            moved = await self.batch()
            if moved:
                yield moved
            elif not (await self.left()).cards:
                return
            else:
                await asyncio.sleep(PAUSE_SECONDS)

    @redone
    async def batch(self) -> int:
        """How many were moved; 0 when there are none, or others hold them all."""
        async with self.db.transaction() as connection:
            for query, live, key_id in self.old():
                rows = await run(connection, Q[query], live, key_id, BATCH)
                if rows:
                    anew = [self.moved(row) for row in rows]
                    await run(connection, Q["keep"], *map(list, zip(*anew, strict=True)))
                    act = self.by.act("cards_reencrypted", "live" if live else "test", cards=len(anew))
                    await audit.append(connection, CONTROL, [act])
                    return len(anew)
        return 0

    def old(self) -> Iterator[tuple[str, bool, int]]:
        """The keys that cards should not be under any more, and the query that claims some of those cards."""
        keys = self.keyring.opened()
        for purpose, query, by_mode in (
            (Purpose.CARD, "claim_sealed", keys.cards),
            (Purpose.FINGERPRINT, "claim_fingerprinted", keys.fingerprints),
        ):
            for live, current in zip(MODES, self.current(purpose), strict=True):
                yield from ((query, live, key_id) for key_id in by_mode[live] if key_id != current)

    def moved(self, row: Any) -> tuple[Any, ...]:
        """The columns of a card as it is kept from now on. Raises CannotOpen."""
        live, merchant = row["livemode"], public("mer", row["merchant_id"]) or ""
        bound = context(public("ins", row["id"]) or "", merchant, live)
        clear = self.keyring.open(live, bound, row["sealed"])
        sealed = self.keyring.seal(live, bound, clear)
        fingerprint = self.keyring.fingerprint(live, merchant, number_in(clear))
        return row["bucket"], row["id"], sealed, key_id_of(sealed), fingerprint, key_id_of(fingerprint)


def number_in(clear: bytes) -> str:
    return msgspec.msgpack.decode(clear)[0]
