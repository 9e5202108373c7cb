"""`scrooge recoveries`: declined renewals one by one, what they come to, and what that owes to more than waiting."""

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest

from scrooge.ids import hex_of, new_id
from scrooge.postgres.database import connect
from scrooge.storage.access import create_merchant

ROWS = """
INSERT INTO recoveries (bucket, payment_id, merchant_id, livemode, minor, currency, state, reason, means, why, control, retries,
       retry_until, opened_at, ended_at)
SELECT 7, $2::uuid, $1::uuid, false, 1299, 'EUR', $3, 'expired_card', 'refresh', $4, $5, 1, now() - interval '1 hour',
       now() - interval '2 days', CASE WHEN $3 <> 'open' THEN now() - interval '1 day' END"""


@pytest.fixture
def database(fresh_database_url: str, tmp_path: Path) -> dict[str, str]:
    """Of ten that were treated six were recovered, of ten in the control arm two; one is open."""

    async def prepared() -> None:
        db = await connect(fresh_database_url, size=1)
        merchant = hex_of(await create_merchant(db, "default"))
        await db.close()
        owner = await asyncpg.connect(fresh_database_url)
        for n in range(20):
            control, won = n >= 10, n % 10 < (2 if n >= 10 else 6)
            state, why = ("recovered", None) if won else ("lost", "deadline")
            await owner.execute(ROWS, merchant, hex_of(new_id("pay", 7)), state, why, control)
        await owner.execute(ROWS, merchant, hex_of(new_id("pay", 7)), "open", None, False)
        await owner.close()

    asyncio.run(prepared())
    return {"SCROOGE_DATABASE_URL": fresh_database_url, "SCROOGE_DATA_DIR": str(tmp_path)}


def test_the_summary_counts_says_the_worth_and_the_uplift(scrooge, database):
    code, out, _ = scrooge("recoveries", "summary", "--json", **database)
    told = json.loads(out)
    assert code == 0
    assert told["currencies"][0]["all"]["recovered"] == {"count": 8, "amount": {"value": "103.92", "currency": "EUR"}}
    assert (told["treated"]["recovered"], told["treated"]["of"], told["control"]["of"]) == (6, 11, 10)
    assert told["uplift"]["low"] < told["uplift"]["difference"] == pytest.approx(6 / 11 - 0.2, abs=1e-4)
    code, out, err = scrooge("recoveries", "summary", **database)
    assert code == 0
    assert "expired_card" in out
    assert "uplift +34.5 points" in err


def test_they_are_listed_by_state(scrooge, database):
    code, out, _ = scrooge("recoveries", "list", "--state", "open", "--json", **database)
    [one] = json.loads(out)["recoveries"]
    assert (code, one["means"], one["why"]) == (0, "refresh", None)
    code, out, _ = scrooge("recoveries", "list", **database)
    assert (code, len(out.strip().splitlines())) == (0, 22)
    code, _, err = scrooge("recoveries", "list", "--state", "won", **database)
    assert (code, "--state" in err) == (2, True)
