"""Moves cards to the keys in use now, online: a batch is opened, sealed anew and kept in one short transaction.

Each batch takes cards that nobody else has locked, so several may run at once, none stops a payment, and one that is
killed loses nothing: what it had not committed is still under the old key, which opens it, and is found again. A card
that does not open stays as it is, and holds up no other.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.errors import CannotOpen
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


class Done(Struct, frozen=True):
    """Of a batch."""

    moved: int = 0
    unopened: int = 0


class Reencryption:
    """`unopened`: cards that did not open so far."""

    def __init__(self, db: Database, keyring: Keyring, by: Operator) -> None:
        self.db, self.keyring, self.by = db, keyring, by
        self.began: datetime | None = None
        self.unopened = 0

    def current(self, purpose: Purpose) -> list[int]:
        """The keys in use, by mode; 0, which no key has, for a mode without."""
        active = self.keyring.opened().active
        return [active[purpose, live].key_id if (purpose, live) in active else 0 for live in MODES]

    async def left(self) -> Left:
        keys = (*self.current(Purpose.CARD), *self.current(Purpose.FINGERPRINT))
        row = await run(self.db, Q["left"], *keys, await self.beginning())
        return Left(row["cards"], row["all"])

    async def run(self) -> AsyncIterator[int]:
        """Cards moved, a batch at a time, until none is left."""
        while True:
            await self.keyring.refresh()
            done = await self.batch(await self.beginning())
            self.unopened += done.unopened
            if done.moved:
                yield done.moved
            elif not done.unopened:
                if not (await self.left()).cards:
                    return
                await asyncio.sleep(PAUSE_SECONDS)

    async def beginning(self) -> datetime:
        """By the database's clock: what did not open since then is not tried again."""
        if self.began is None:
            self.began = (await run(self.db, Q["began"]))["at"]
        return self.began

    @redone
    async def batch(self, began: datetime) -> Done:
        """Nothing is done when there are none, or others hold them all."""
        async with self.db.transaction() as connection:
            for query, live, key_id in self.old():
                rows = await run(connection, Q[query], live, key_id, BATCH, began)
                if rows:
                    return await self.kept(connection, live, rows)
        return Done()

    async def kept(self, connection: Any, live: bool, rows: list[Any]) -> Done:
        anew, unopened, acts = [], [], []
        for row in rows:
            try:
                anew.append(self.moved(row))
            except CannotOpen:
                unopened.append((row["bucket"], row["id"]))
                acts.append(self.by.failed("card_reencrypted", public("ins", row["id"]) or "", "does_not_open"))
        if anew:
            await run(connection, Q["keep"], *map(list, zip(*anew, strict=True)))
            acts.append(self.by.act("cards_reencrypted", "live" if live else "test", cards=len(anew)))
        if unopened:
            await run(connection, Q["leave"], *map(list, zip(*unopened, strict=True)))
        await audit.append(connection, CONTROL, acts)
        return Done(len(anew), len(unopened))

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
