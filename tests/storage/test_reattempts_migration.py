"""Counters of an older Scrooge, as its database holds them, count on: never less than before."""

import shutil

import asyncpg
import pytest
from tests.conftest import drop_database, make_database

from scrooge.ids import hex_of, new_id
from scrooge.postgres.rows import encoded
from scrooge.routing.calendar import DAY, HOUR, day_starts
from scrooge.routing.schemes.rules import Attempt, load
from scrooge.routing.schemes.told import wanted
from scrooge.storage.migrate import CORE, migrate

NOW = day_starts("2026-11-22")
SCOPE = "reattempts minor=1000 currency=EUR initiator=merchant"
OLDER = """INSERT INTO scheme_counters (bucket, merchant_id, livemode, card, scope, times, declined_at)
           VALUES (3, $1, true, $2, $3, $4, $5)"""
REATTEMPTS = [NOW + n * HOUR for n in range(18)]
# What an older one kept, and how many of Visa's twenty it would still have recorded, one after the other.
KEPT = {
    "of eighteen, after a decline": (REATTEMPTS, REATTEMPTS[-1], 2),
    "of eighteen, after an approval": (REATTEMPTS, None, 3),
    "a first attempt": ([], NOW, 20),
    "of eighteen, and one long after": (REATTEMPTS, NOW + 40 * DAY, 20),
}


@pytest.mark.parametrize("kept", KEPT)
async def test_what_was_counted_before_still_counts(server_url: str, tmp_path, kept: str):
    times, declined_at, left = KEPT[kept]
    [this] = CORE.folder.glob("*_reattempts.sql")
    for path in CORE.folder.glob("*.sql"):
        if path.name < this.name:
            shutil.copy(path, tmp_path)
    url = await make_database(server_url)
    await migrate(url, folder=tmp_path)
    db = await asyncpg.connect(url)
    merchant, at = new_id("mer", 0), (declined_at or REATTEMPTS[-1]) + HOUR
    await db.execute(OLDER, hex_of(merchant), "card:1", SCOPE, times, declined_at)
    await migrate(url)
    recorded = 0
    for n in range(25):
        a = Attempt(
            merchant=merchant, card="card:1", brand="visa", minor=1000, currency="EUR", initiator="merchant", at=at + n
        )
        place = {"payment_id": hex_of(new_id("pay", 3)), "bucket": 3, "merchant_id": hex_of(merchant)}
        told = wanted(load(), a)
        row = {**place, "livemode": True, "card": a.card, "at": a.at}
        row |= {"counts": told.counts, "limits": told.limits, "stops": told.stops}
        recorded += not await db.fetch("SELECT * FROM admit_attempts($1, $2)", encoded([row]), a.at)
    await db.close()
    await drop_database(server_url, url)
    assert recorded == left
