"""Every act is on record, the records hold each other, and what cannot be recorded is not done."""

import hashlib

import asyncpg
import pytest

from scrooge.postgres.database import connect, run
from scrooge.vault import audit
from scrooge.vault.audit import Act, append, chained, verify
from scrooge.vault.schema import ROLE, migrate_vault
from scrooge.vault.vault import Strangers
from tests.conftest import drop_database, make_database

ACT = Act(who="core", act="fill", object="ins_1", outcome="done", origin="127.0.0.1", detail={"attempt": "pay_1-1"})


@pytest.fixture
async def db(server_url):
    """A vault's database with five records in one stream and three in another, and its owner's connection."""
    url = await make_database(server_url)
    await migrate_vault(url)
    found = await connect(url, size=2, role=ROLE)
    for stream, count in (("fill:00", 5), ("control", 3)):
        for _ in range(count):
            async with found.transaction() as connection:
                await append(connection, stream, [ACT])
    found.url = url
    yield found
    await found.close()
    await drop_database(server_url, url)


async def as_owner(db, *statements: str) -> None:
    """As somebody who may do anything in the database."""
    connection = await asyncpg.connect(db.url)
    await connection.execute("ALTER TABLE audit DISABLE TRIGGER append_only")
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def test_what_nobody_touched_is_whole(db):
    found = await verify(db)
    assert (found.records, found.broken) == (8, [])
    assert {stream: seq for stream, (seq, _) in found.heads.items()} == {"control": 3, "fill:00": 5}


async def test_many_in_one_commit_are_chained_one_by_one(db):
    async with db.transaction() as connection:
        await append(connection, "fill:01", [ACT] * 20)
    found = await verify(db)
    assert (found.records, found.broken) == (28, [])


@pytest.mark.parametrize(
    "statements",
    [
        ["UPDATE audit SET who = 'nobody' WHERE stream = 'fill:00' AND seq = 3"],
        ["UPDATE audit SET detail = '{}' WHERE stream = 'fill:00' AND seq = 3"],
        ["UPDATE audit SET at = at + interval '1 microsecond' WHERE stream = 'fill:00' AND seq = 1"],
        ["UPDATE audit SET outcome = 'refused' WHERE stream = 'fill:00' AND seq = 5"],
        ["DELETE FROM audit WHERE stream = 'fill:00' AND seq = 2"],
        ["DELETE FROM audit WHERE stream = 'fill:00' AND seq = 5"],
        ["DELETE FROM audit WHERE stream = 'fill:00'"],
        ["UPDATE audit SET seq = seq + 100 WHERE stream = 'fill:00' AND seq = 4",
         "UPDATE audit SET seq = 4 WHERE stream = 'fill:00' AND seq = 5",
         "UPDATE audit SET seq = 5 WHERE stream = 'fill:00' AND seq = 104"],
        ["UPDATE audit_heads SET seq = 4 WHERE stream = 'fill:00'"],
        ["INSERT INTO audit SELECT 'fill:00', 6, at, who, act, object, outcome, origin, detail, hash FROM audit WHERE stream = 'fill:00' AND seq = 5",
         "UPDATE audit_heads SET seq = 6 WHERE stream = 'fill:00'"],
    ],
)  # fmt: skip
async def test_a_change_a_gap_and_a_cut_are_found(db, statements):
    await as_owner(db, *statements)
    found = await verify(db)
    assert [b.stream for b in found.broken] == ["fill:00"]


async def test_a_record_that_was_changed_with_its_own_hash_is_found_by_the_next(db):
    """Whoever changes one must change all that follow, and then the head that others have seen."""
    before = (await verify(db)).heads
    async with db.connection() as connection:
        rows = await connection.fetch("SELECT * FROM audit WHERE stream = 'fill:00' AND seq IN (2, 3) ORDER BY seq")
    fields = ("nobody", *(rows[1][name] for name in ("act", "object", "outcome", "origin", "detail")))
    forged = chained(rows[0]["hash"], "fill:00", 3, rows[1]["at"], fields).hex()
    await as_owner(db, f"UPDATE audit SET who = 'nobody', hash = '\\x{forged}' WHERE stream = 'fill:00' AND seq = 3")
    [broken] = (await verify(db, before)).broken
    assert (broken.stream, broken.seq) == ("fill:00", 4)


async def test_even_a_chain_cut_off_with_its_head_is_found_by_who_saw_it_before(db):
    before = (await verify(db)).heads
    await as_owner(
        db,
        "DELETE FROM audit WHERE stream = 'fill:00' AND seq > 3",
        "UPDATE audit_heads SET seq = 3, hash = (SELECT hash FROM audit WHERE stream = 'fill:00' AND seq = 3) WHERE stream = 'fill:00'",
    )
    assert (await verify(db)).broken == []
    [broken] = (await verify(db, before)).broken
    assert (broken.stream, broken.why) == ("fill:00", "2 records that were seen before are gone")


async def test_a_head_that_was_turned_back_hides_nothing(db):
    """The serving role may write heads: it needs no owner for this."""
    async with db.transaction() as connection:
        await connection.execute(
            "UPDATE audit_heads SET seq = 3, hash = a.hash FROM audit a"
            " WHERE audit_heads.stream = 'fill:00' AND a.stream = 'fill:00' AND a.seq = 3"
        )
    [broken] = (await verify(db)).broken
    assert (broken.stream, broken.seq) == ("fill:00", 4)


async def test_a_chain_that_was_computed_anew_is_found_by_who_saw_it_before_and_by_nobody_else(db):
    """The hashes have no key: whoever may write everything can make a whole chain of other records."""
    before = (await verify(db)).heads
    rows = await run(db, audit.Q["page"], "fill:00", 0, 5, 10)
    last, statements = hashlib.sha256(b"fill:00").digest(), []
    for row in rows:
        fields = ("nobody", *(row[name] for name in ("act", "object", "outcome", "origin", "detail")))
        last = chained(last, "fill:00", row["seq"], row["at"], fields)
        statements.append(
            f"UPDATE audit SET who = 'nobody', hash = '\\x{last.hex()}' WHERE stream = 'fill:00' AND seq = {row['seq']}"
        )
    await as_owner(db, *statements, f"UPDATE audit_heads SET hash = '\\x{last.hex()}' WHERE stream = 'fill:00'")
    assert (await verify(db)).broken == []
    assert [b.stream for b in (await verify(db, before)).broken] == ["fill:00"]


async def test_a_stream_that_is_gone_altogether_is_found_by_who_saw_it_before(db):
    before = (await verify(db)).heads
    await as_owner(db, "DELETE FROM audit WHERE stream = 'fill:00'", "DELETE FROM audit_heads WHERE stream = 'fill:00'")
    assert [b.stream for b in (await verify(db, before)).broken] == ["fill:00"]


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
async def test_the_serving_role_can_add_to_the_audit_and_nothing_else(db, statement):
    with pytest.raises(asyncpg.PostgresError):
        async with db.transaction() as connection:
            await connection.execute(statement)
    connection = await asyncpg.connect(db.url)
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await connection.execute(statement)
    await connection.close()


async def test_what_is_undone_leaves_no_record_and_no_gap(db):
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as connection:
            await append(connection, "fill:00", [ACT])
            raise ZeroDivisionError
    assert (await verify(db)).records == 8


async def test_what_cannot_be_recorded_is_not_done(vault, psp):
    """The vault fails closed: no card leaves, none is kept."""
    made = await vault.tokenize()
    await vault.fetch("REVOKE INSERT ON audit FROM scrooge_vault")
    try:
        status, refused = await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url))
        assert (status, refused["code"], refused["sent"]) == (503, "audit_unavailable", False)
        [before] = await vault.fetch("SELECT count(*) AS n FROM cards")
        body = {
            "type": "card",
            "customer": "user-1",
            "card": {"number": "4242424242424242", "exp_month": 1, "exp_year": 2034},
        }
        status, refused, _ = await vault.ask("POST", "/v1/instruments", body)
        assert (status, refused["code"]) == (503, "audit_unavailable")
        assert (await vault.ask("DELETE", f"/v1/instruments/{made['id']}"))[0] == 503
        assert psp.seen == []
        assert (await vault.fetch("SELECT count(*) AS n FROM cards"))[0]["n"] == before["n"]
    finally:
        await vault.fetch("GRANT INSERT ON audit TO scrooge_vault")
    status, sent = await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url))
    assert sent["outcome"] == "answered"


async def test_every_act_says_who_what_when_where_from_and_how_it_ended(vault, psp):
    made = await vault.tokenize()
    await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url))
    rows = await vault.fetch("SELECT * FROM audit WHERE object = $1 ORDER BY at", made["id"])
    assert [(r["who"].partition(":")[0], r["act"], r["outcome"], r["origin"]) for r in rows] == [
        ("key", "tokenize", "done", "127.0.0.1"), ("core", "fill", "done", "127.0.0.1"),
    ]  # fmt: skip
    assert "pay_1-1" in rows[1]["detail"]
    assert all(r["at"] is not None for r in rows)


async def test_the_vaults_own_audit_verifies_after_all_of_this(vault):
    db = await connect(vault.database_url, size=1, role=ROLE)
    found = await audit.verify(db)
    await db.close()
    assert found.broken == []
    assert found.records > 0


def test_of_a_flood_of_strangers_some_are_on_record_and_the_number_of_the_others():
    """Who is refused without being known could otherwise fill the disk, and the vault would stop."""
    strangers = Strangers()
    turns = [strangers.turn(100.5) for _ in range(Strangers.MOST + 30)]
    assert [recorded for recorded, _ in turns] == [True] * Strangers.MOST + [False] * 30
    assert strangers.turn(101.0) == (True, 30)
    assert strangers.turn(101.1) == (True, 0)


async def test_who_is_refused_without_being_known_is_on_record(vault):
    before = await vault.fetch("SELECT count(*) AS n FROM audit WHERE who = 'nobody' AND outcome = 'unauthenticated'")
    assert (await vault.ask("GET", "/v1/instruments/ins_1", key="vk_test_guess"))[0] == 401
    after = await vault.fetch("SELECT count(*) AS n FROM audit WHERE who = 'nobody' AND outcome = 'unauthenticated'")
    assert after[0]["n"] == before[0]["n"] + 1
