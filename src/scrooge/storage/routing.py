"""Decisions of routing, and what all processes have learned together. No rules here; the SQL is in routing.sql."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.postgres.database import load, run
from scrooge.postgres.rows import EPOCH, attempt_of, encoded, hex_of, key_of, public
from scrooge.routing.blame import Signal
from scrooge.routing.estimates import Delta, Kept, Settings
from scrooge.routing.health import Trouble

Q = load(Path(__file__).with_suffix(".sql"))
Whose = tuple[str, bool]  # a merchant, and whether it is real money
LONG_AGO = EPOCH
SIGNALS = frozenset(Signal)


class Told(Struct, frozen=True):
    """A trouble as it is kept for all processes."""

    whose: Whose
    trouble: Trouble
    ended: bool


async def decisions(db: Any, payment: str) -> list[tuple[str | None, str]]:
    """(attempt, decision as JSON) for each time the payment was routed; no attempt where nobody could take it."""
    rows = await run(db, Q["decisions"], *key_of(payment))
    return [(attempt_of(r["attempt_id"], payment), r["decision"]) for r in rows]


async def learn(db: Any, news: Iterable[tuple[Whose, Delta, Settings]]) -> None:
    """Adds what was learned to what is kept: one statement, whole or not at all."""
    rows = [
        {
            "merchant_id": hex_of(merchant), "livemode": livemode, "key": written(d.key), "precision": d.precision,
            "pull": d.pull, "at": d.at, "events": d.events, "half_life": settings.half_life_hours * 3.6e9,
            "half_events": settings.half_life_events,
        }
        for (merchant, livemode), d, settings in news
    ]  # fmt: skip
    await run(db, Q["learn"], encoded(rows))


async def learned(db: Any, since: datetime, most: int) -> tuple[list[tuple[Whose, Kept]], datetime]:
    """What was changed after that moment, the latest first, and the moment of the latest."""
    rows = await run(db, Q["learned"], since, most)
    kept = [(whose(r), Kept(read(r["key"]), r["precision"], r["pull"], r["at"])) for r in rows]
    return kept, max((r["changed_at"] for r in rows), default=since)


async def tell(db: Any, several: Iterable[Told]) -> None:
    rows = [
        {
            "merchant_id": hex_of(merchant), "livemode": livemode, "account": t.owner, "segment": written(t.key),
            "signal": t.signal, "since": t.since, "tried_at": t.tried_at, "pause": t.pause, "ended": told.ended,
        }
        for told in several
        for (merchant, livemode), t in ((told.whose, told.trouble),)
    ]  # fmt: skip
    await run(db, Q["tell"], encoded(rows))


async def troubles(db: Any, since: datetime) -> tuple[list[Told], datetime]:
    """Those that began, changed or ended after that moment."""
    rows = await run(db, Q["troubles"], since)
    told = [
        Told(
            whose(r),
            Trouble(owner=r["account"], key=read(r["segment"]), signal=Signal(r["signal"]), since=r["since"],
                    tried_at=r["tried_at"], pause=r["pause"]),
            r["ended"],
        )
        for r in rows
        if r["signal"] in SIGNALS  # Else it is one of a later release.
    ]  # fmt: skip
    return told, max((r["changed_at"] for r in rows), default=since)


def whose(row: Any) -> Whose:
    return public("mer", row["merchant_id"]) or "", row["livemode"]


def written(key: tuple[str, ...]) -> str:
    return msgspec.json.encode(key).decode()


def read(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...])
