"""A card that is of no use any more is shredded, on record; one that is used stays. A customer can be forgotten whole."""

import asyncio
from types import SimpleNamespace

import pytest

from scrooge.ids import BUCKETS, hex_of, new_id
from scrooge.postgres.database import connect
from scrooge.vault import retention
from scrooge.vault.retention import BATCH, Rules, shred
from scrooge.vault.schema import ROLE
from tests.vault.commands import scrooge

ROW = "SELECT status, sealed, key_id, fingerprint, fingerprint_key, used_at, last4, changed_xid::text FROM cards WHERE id = $1::uuid"
AGED = "UPDATE cards SET exp = $2 WHERE id = ANY($1::uuid[])"
UNUSED = "UPDATE cards SET created_at = now() - interval '2 years', used_at = now() - $2::interval WHERE id = $1::uuid"
SHREDDED = {"status": "expired", "sealed": None, "key_id": None, "fingerprint": None, "fingerprint_key": None}


@pytest.fixture
async def db(vault):
    found = await connect(vault.database_url, size=3, role=ROLE)
    yield found
    await found.close()


async def row_of(vault, card):
    [row] = await vault.fetch(ROW, hex_of(card["id"]))
    return dict(row)


async def until_shredded(vault, card):
    for _ in range(600):
        row = await row_of(vault, card)
        if row["status"] != "active":
            return row
        await asyncio.sleep(0.05)
    raise AssertionError("nobody shredded it")


async def test_a_card_is_shredded_by_the_vault_itself_after_its_expiry_and_the_core_is_told(vault, psp):
    old, good = await vault.tokenize(), await vault.tokenize()
    await vault.fetch(AGED, [hex_of(old["id"])], "2021-05")
    vault.stop()
    vault.start()
    row = await until_shredded(vault, old)
    assert {k: row[k] for k in SHREDDED} == SHREDDED
    assert row["last4"] == "4242"
    assert (await row_of(vault, good))["status"] == "active"
    assert (await vault.acts(old["id"]))[1:] == [("shred", "done")]
    _, told = await vault.core_asks("GET", f"/v1/cards/{old['id']}")
    assert (told["status"], told["fingerprint"]) == ("expired", None)
    status, refused = await vault.core_asks("POST", "/v1/fills", vault.fill(old["id"], psp.url))
    assert (status, refused["code"], psp.seen) == (410, "card_gone", [])


@pytest.mark.parametrize(("exp", "ends"), [("2019-12", True), ("2020-01", False), ("2020-02", False)])
async def test_the_last_day_of_the_month_and_the_days_after_it_are_waited_for(vault, db, exp, ends):
    at = (await vault.fetch("SELECT now() AS at"))[0]["at"]
    days = (at - at.replace(year=2020, month=1, day=31)).days
    card = await vault.tokenize()
    await vault.fetch(AGED, [hex_of(card["id"])], exp)
    while await shred(db, Rules(days, 0), 0, BUCKETS - 1):
        pass
    assert ((await row_of(vault, card))["status"] == "expired") is ends


async def test_a_card_that_nobody_used_for_so_long_is_shredded_and_only_where_that_is_asked_for(vault, db):
    used, idle, never = [await vault.tokenize(customer=name) for name in ("used", "idle", "never")]
    for card, ago in ((used, "80 days"), (idle, "100 days"), (never, None)):
        await vault.fetch(UNUSED.replace("$2", f"'{ago}'" if ago else "NULL"), hex_of(card["id"]))
    await shred(db, Rules(180, 0), 0, BUCKETS - 1)
    assert {(await row_of(vault, card))["status"] for card in (used, idle, never)} == {"active"}
    await shred(db, Rules(180, 90), 0, BUCKETS - 1)
    assert [(await row_of(vault, card))["status"] for card in (used, idle, never)] == ["active", "expired", "expired"]


async def test_a_fill_says_once_a_day_that_the_card_is_used(vault, psp):
    card = await vault.tokenize()
    before = await row_of(vault, card)
    assert before["used_at"] is None
    await vault.core_asks("POST", "/v1/fills", vault.fill(card["id"], psp.url))
    first = await row_of(vault, card)
    await vault.core_asks("POST", "/v1/fills", vault.fill(card["id"], psp.url))
    assert await row_of(vault, card) == first
    assert first["used_at"] is not None
    assert first["changed_xid"] == before["changed_xid"], "the core need not hear of it"
    await vault.fetch(UNUSED.replace("$2", "'2 days'"), hex_of(card["id"]))
    await vault.core_asks("POST", "/v1/fills", vault.fill(card["id"], psp.url))
    assert (await row_of(vault, card))["used_at"] > first["used_at"]


async def test_many_processes_shred_each_card_once_and_never_more_than_a_batch(vault, db):
    cards = [await vault.tokenize(customer=f"many-{n % 3}") for n in range(12)]
    await vault.fetch(AGED, [hex_of(c["id"]) for c in cards], "2021-05")
    done = await asyncio.gather(*(shred(db, Rules(180, 0), 0, BUCKETS - 1) for _ in range(3)))
    assert sum(done) == len(cards)
    assert max(done) <= BATCH
    for card in cards:
        assert (await vault.acts(card["id"]))[1:] == [("shred", "done")]


async def test_nothing_is_shredded_while_the_clocks_of_the_machine_and_the_database_are_apart(vault, db, monkeypatch):
    card = await vault.tokenize()
    await vault.fetch(AGED, [hex_of(card["id"])], "2021-05")
    monkeypatch.setattr(retention, "time", SimpleNamespace(time=lambda: 0.0))
    assert await shred(db, Rules(180, 0), 0, BUCKETS - 1) == 0
    monkeypatch.undo()
    assert await shred(db, Rules(180, 0), 0, BUCKETS - 1) == 1


async def test_a_deletion_reaches_a_card_that_was_shredded_before(vault, db):
    card = await vault.tokenize()
    await vault.fetch(AGED, [hex_of(card["id"])], "2021-05")
    await shred(db, Rules(180, 0), 0, BUCKETS - 1)
    assert (await vault.ask("DELETE", f"/v1/instruments/{card['id']}"))[0] == 200
    _, told = await vault.core_asks("GET", f"/v1/cards/{card['id']}")
    assert told["status"] == "deleted"


async def test_a_customer_is_forgotten_whole_and_nobody_else(live_vault):
    live = await live_vault.new_key(live=True)
    mine = [await live_vault.tokenize(customer="leaving") for _ in range(2)]
    _, real, _ = await live_vault.ask(
        "POST", "/v1/instruments", key=live,
        body={"type": "card", "customer": "leaving", "card": {"number": "4539578763621486", "exp_month": 1, "exp_year": 2034}},
    )  # fmt: skip
    other = await live_vault.tokenize(customer="staying")
    told = await scrooge(live_vault.env, "vault", "forget", "--merchant", live_vault.merchant, "--customer", "leaving")
    assert told == {"merchant": live_vault.merchant, "cards": 3}
    for card in (*mine, real):
        assert {k: (await row_of(live_vault, card))[k] for k in SHREDDED} == {**SHREDDED, "status": "deleted"}
        assert (await live_vault.acts(card["id"]))[1:] == [("forget", "done")]
        assert not await live_vault.fetch("SELECT 1 FROM security_codes WHERE card_id = $1::uuid", hex_of(card["id"]))
    assert (await row_of(live_vault, other))["status"] == "active"
    assert ("forget_customer", "done") in await live_vault.acts(live_vault.merchant)


async def test_status_counts_what_there_is(vault):
    before = await scrooge(vault.env, "vault", "status")
    await vault.tokenize(customer=new_id("req", 0))
    after = await scrooge(vault.env, "vault", "status")

    def visa(found):
        return sum(
            c["cards"] for c in found["cards"] if (c["livemode"], c["status"], c["brand"]) == (False, "active", "visa")
        )

    assert visa(after) == visa(before) + 1
    assert after["codes_waiting"] == before["codes_waiting"] + 1
    assert after["idempotency_keys"] == before["idempotency_keys"] + 1
    assert after["audit_records"] > before["audit_records"]
    assert "4242424242424242" not in str(after)
