"""What was given up is shown without a token, and its turn comes when an operator says so."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from scrooge.ids import bucket_in, hex_of, new_id
from scrooge.postgres.database import connect
from scrooge.storage import errands
from scrooge.storage.errands import FORGET_TOKEN

TOKEN = "pm_that_nobody_is_shown"


@pytest.fixture
def database(fresh_database_url: str) -> dict[str, str]:
    return {"SCROOGE_DATABASE_URL": fresh_database_url}


def ask(database: dict[str, str], sql: str, *args: Any) -> list[Any]:
    async def whole() -> list[Any]:
        connection = await asyncpg.connect(database["SCROOGE_DATABASE_URL"])
        rows = await connection.fetch(sql, *args)
        await connection.close()
        return rows

    return asyncio.run(whole())


def errand(database: dict[str, str], state: str) -> str:
    """One that was tried just now and waits for tomorrow."""
    instrument = new_id("ins", 7)
    made = new_id("ern", bucket_in(instrument))
    ask(
        database,
        "INSERT INTO errands (bucket, id, merchant_id, livemode, instrument_id, kind, psp_token, state, tries, due_at, note)"
        " VALUES ($1, $2, $3, false, $4, $5, $6, $7, 16, now() + interval '1 day', 'stripe answered HTTP 401')",
        bucket_in(made), hex_of(made), hex_of(new_id("mer", 0)), hex_of(instrument), FORGET_TOKEN, TOKEN, state,
    )  # fmt: skip
    return made


def claimed(database: dict[str, str]) -> set[str]:
    async def whole() -> set[str]:
        db = await connect(database["SCROOGE_DATABASE_URL"], size=1)
        taken = await errands.claim(db, 10)
        await db.close()
        return {e.id for e in taken}

    return asyncio.run(whole())


def test_what_was_given_up_is_listed_and_tried_when_it_is_said(scrooge, database):
    first, second, waiting = errand(database, "parked"), errand(database, "parked"), errand(database, "due")
    code, out, _ = scrooge("errands", "list", "--json", **database)
    told = json.loads(out)["errands"]
    assert (code, [e["id"] for e in told]) == (3, [first, second])
    assert told[0]["note"] == "stripe answered HTTP 401"
    code, out, _ = scrooge("errands", "list", **database)
    assert (code, first in out) == (3, True)
    assert TOKEN not in out
    assert claimed(database) == set()
    assert scrooge("errands", "retry", first, **database)[0] == 0
    assert claimed(database) == {first}
    code, out, _ = scrooge("errands", "retry", "--all", "--json", **database)
    assert (code, set(json.loads(out)["due"])) == (0, {first, second})
    assert claimed(database) == {first, second}
    code, out, _ = scrooge("errands", "retry", second, waiting, "--json", **database)
    assert (code, json.loads(out)) == (3, {"due": [second], "not_parked": [waiting]})


def test_where_nothing_was_given_up_all_is_well(scrooge, database):
    errand(database, "due")
    code, out, _ = scrooge("errands", "list", "--json", **database)
    assert (code, json.loads(out)) == (0, {"errands": []})
    code, out, _ = scrooge("errands", "retry", "--all", "--json", **database)
    assert (code, json.loads(out)["due"]) == (0, [])


@pytest.mark.parametrize("wrong", [(), ("--all", new_id("ern", 0)), ("pay_1",), (TOKEN,)])
def test_what_is_no_errand_is_wrong_usage(scrooge, database, wrong):
    code, out, err = scrooge("errands", "retry", *wrong, **database)
    assert (code, out) == (2, "")
    assert TOKEN not in err
