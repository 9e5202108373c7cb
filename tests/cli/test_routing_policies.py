"""`scrooge routing`: a policy goes from a file to what counts and back, with the exit codes of the contract."""

import asyncio
import json
from pathlib import Path

import pytest

from scrooge.ids import hex_of, new_id
from scrooge.postgres.database import connect
from scrooge.storage.access import create_caller, create_merchant

GOOD = """
name = "europe"
[accounts]
stripe_eu = {}
adyen_eu = {}
"""
LISTED = (
    GOOD
    + """
[[rules]]
name = "visa"
when = { brand = ["visa"] }
use = ["adyen_eu"]
"""
)
BAD = (
    GOOD
    + """
[[rules]]
name = "half"
when = { currency = ["EUR"] }
split = { stripe_eu = "50", adyen_eu = "40" }
"""
)


@pytest.fixture
def database(fresh_database_url: str, tmp_path: Path) -> dict[str, str]:
    async def prepared() -> None:
        db = await connect(fresh_database_url, size=2)
        merchant = await create_merchant(db, "default")
        await create_caller(db, merchant, "checkout")
        async with db.connection() as connection:
            for name, connector in (("stripe_eu", "stripe"), ("adyen_eu", "adyen")):
                await connection.execute(
                    "INSERT INTO connector_accounts (id, merchant_id, name, connector, merchant_account, livemode,"
                    " credentials) VALUES ($1, $2, $3, $4, 'x', false, 'x')",
                    hex_of(new_id("con", 0)), hex_of(merchant), name, connector,
                )  # fmt: skip
        await db.close()

    asyncio.run(prepared())
    return {"SCROOGE_DATABASE_URL": fresh_database_url, "SCROOGE_DATA_DIR": str(tmp_path)}


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str, name: str = "policy.toml") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_a_policy_is_linted_without_a_database(scrooge, written):
    code, out, _ = scrooge("routing", "lint", written(GOOD))
    assert (code, "europe: no faults" in out) == (0, True)
    code, out, err = scrooge("routing", "lint", written(BAD))
    assert (code, out) == (3, "")
    assert "! rules[0].split: the shares add up to 90, not to 100" in err
    assert "for example" in err
    code, out, _ = scrooge("routing", "lint", written(BAD), "--json")
    assert (code, json.loads(out)["findings"][0]["place"]) == (3, "rules[0].split")
    code, out, _ = scrooge("routing", "lint", written(GOOD), "--accounts", "stripe_eu", "--json")
    assert (code, json.loads(out)["findings"][0]["place"]) == (3, "accounts.adyen_eu")


def test_a_file_that_is_none_is_wrong_usage(scrooge, written, tmp_path: Path):
    for file in (str(tmp_path / "nowhere.toml"), written("name = ", "broken.toml"), written("[]", "list.json")):
        assert scrooge("routing", "lint", file)[0] == 2


def test_from_a_file_to_what_counts_and_back(scrooge, database, written):
    code, out, _ = scrooge("routing", "draft", written(GOOD), "--notes", "the first", "--json", **database)
    first = json.loads(out)
    assert (code, first["version"], first["state"], first["new"]) == (0, 1, "draft", True)
    assert first["author"].startswith("operator:")
    code, out, _ = scrooge("routing", "draft", written(json.dumps({"name": "x"}), "p.json"), "--json", **database)
    assert (code, json.loads(out)["findings"][0]["problem"]) == (3, "Object missing required field `accounts`")
    assert scrooge("routing", "activate", first["id"], "--expect", "none", **database)[0] == 0
    _, out, _ = scrooge("routing", "draft", written(LISTED), "--json", **database)
    second = json.loads(out)
    code, out, _ = scrooge("routing", "diff", second["id"], **database)
    assert (code, "listed: adyen_eu" in out, "rules.visa" in out) == (0, True, True)
    code, _, err = scrooge("routing", "activate", second["id"], "--expect", "none", **database)
    assert (code, first["id"] in err) == (1, True)
    assert scrooge("routing", "activate", second["id"], "--reason", "cheaper", **database)[0] == 0
    code, out, _ = scrooge("routing", "list", "--json", **database)
    assert [(p["id"], p["state"]) for p in json.loads(out)["policies"]] == [
        (second["id"], "active"), (first["id"], "retired"),
    ]  # fmt: skip
    assert scrooge("routing", "rollback", first["id"], "--reason", "fewer approvals", **database)[0] == 0
    code, out, _ = scrooge("routing", "list", **database)
    assert (code, out.splitlines()[0].split()[:3]) == (0, ["id", "version", "name"])
    code, out, _ = scrooge("routing", "show", first["id"], **database)
    assert (code, json.loads(out)["name"]) == (0, "europe")
    code, out, _ = scrooge("routing", "rollback", "none", "--reason", "start again", "--json", **database)
    assert (code, json.loads(out)) == (0, {"active": None})


def test_a_switch_and_a_price_are_seen_in_an_explanation(scrooge, database, written):
    _, out, _ = scrooge("routing", "draft", written(GOOD), "--json", **database)
    assert scrooge("routing", "activate", json.loads(out)["id"], **database)[0] == 0
    prices = {"tariffs": [{"account": "stripe_eu", "valid_from": "2020-01-01",
                           "fees": [{"component": "blended", "name": "all", "rate": "2"}]}]}  # fmt: skip
    assert scrooge("routing", "tariffs", written(json.dumps(prices), "prices.json"), **database)[0] == 0
    code, out, _ = scrooge(
        "routing", "switch", "adyen_eu", "off", "--reason", "maintenance", "--for", "2h", "--json", **database
    )
    switch = json.loads(out)
    assert (code, switch["account_name"], switch["state"], switch["expires_at"] is None) == (
        0,
        "adyen_eu",
        "off",
        False,
    )
    asked = ("routing", "explain", "--amount", "10.00", "--currency", "EUR", "--brand", "visa")
    code, out, _ = scrooge(*asked, "--json", **database)
    found = json.loads(out)
    assert (code, found["accounts"]) == (0, ["stripe_eu"])
    assert found["scores"][0]["cost"] == {"blended": 20 * 10**9}
    assert found["excluded"] == {"adyen_eu": "switched to off: maintenance"}
    code, out, _ = scrooge(*asked, **database)
    assert (code, "not eligible" in out) == (0, True)
    assert scrooge("routing", "unswitch", switch["id"], **database)[0] == 0
    assert json.loads(scrooge("routing", "switches", "--json", **database)[1]) == {"switches": []}
    code, out, _ = scrooge("routing", "switches", "--all", **database)
    assert (code, "maintenance" in out) == (0, True)


@pytest.mark.parametrize(
    "wrong",
    [
        ("activate", "pay_1"), ("rollback", "none", "--reason", " "), ("switch", "x", "off", "--reason", ""),
        ("switch", "x", "off", "--reason", "y", "--for", "soon"), ("switch", "x", "off", "--reason", "y", "--when", "["),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_wrong_usage(scrooge, database, wrong):
    code, out, _ = scrooge("routing", *wrong, **database)
    assert (code, out) == (2, "")


def test_a_merchant_that_is_not_there_is_told(scrooge, database):
    code, _, err = scrooge("routing", "list", "--merchant", "nobody", **database)
    assert (code, "there is no merchant 'nobody'" in err) == (1, True)
