"""A card that has got another name keeps what was counted, under both; nobody can take anything away by it."""

import asyncio
import random
import uuid

import asyncpg
import pytest
from msgspec import structs

from scrooge.flows.fingerprints import names_of
from scrooge.ids import bucket_of, hex_of, new_id
from scrooge.postgres.database import Database, connect
from scrooge.postgres.rows import encoded, public
from scrooge.storage import cards, instruments
from scrooge.storage.access import create_merchant
from scrooge.storage.cards import Card
from scrooge.storage.fingerprints import Fingerprint, renamed, tell
from scrooge.storage.instruments import Credential, Instrument

READ = """SELECT scope, times, approved, until, rule FROM scheme_counters
           WHERE merchant_id = $1 AND card = $2 AND livemode ORDER BY scope"""


@pytest.fixture
async def db(database_url: str):
    db = await connect(database_url, size=2)
    yield db
    await db.close()


async def put(url: str, merchant: str, card: str, scope: str, **row) -> None:
    owner = await asyncpg.connect(url)
    await owner.execute(
        "INSERT INTO scheme_counters (bucket, merchant_id, livemode, card, scope, times, approved, until, rule) "
        "VALUES ($1, $2, true, $3, $4, $5, $6, $7, $8)",
        bucket_of(merchant, card), hex_of(merchant), card, scope, row.get("times", []), row.get("approved", []),
        row.get("until"), row.get("rule", ""),
    )  # fmt: skip
    await owner.close()


async def found(db: Database, merchant: str, card: str) -> list[tuple]:
    async with db.acquired() as c:
        return [tuple(r) for r in await c.fetch(READ, hex_of(merchant), card)]


async def name(db: Database, merchant: str, card: str, to: str) -> None:
    async with db.acquired() as c:
        await c.execute("SELECT name_cards($1)", encoded([renamed(merchant, True, card, to)]))


async def test_what_counted_under_one_name_counts_under_the_other_and_saying_it_again_changes_nothing(
    db: Database, database_url: str
):
    merchant = new_id("mer", 0)
    await put(database_url, merchant, "ins_1", "declines", times=[1, 3, 5])
    await put(database_url, merchant, "ins_1", "reattempts", times=[1, 3, 5], approved=[False, True, False])
    await put(database_url, merchant, "ins_1", "stop:all", until=50, rule="later")
    await put(database_url, merchant, "stripe:f", "declines", times=[2, 3, 9])
    await put(database_url, merchant, "stripe:f", "reattempts", times=[3, 4], approved=[False, False])
    await put(database_url, merchant, "stripe:f", "stop:all", until=40, rule="sooner")
    before = await found(db, merchant, "ins_1")
    for _ in range(2):
        await name(db, merchant, "ins_1", "stripe:f")
        assert await found(db, merchant, "stripe:f") == [
            ("declines", [1, 2, 3, 5, 9], [], None, ""),
            ("reattempts", [1, 3, 4, 5], [False, False, False, False], None, ""),
            ("stop:all", [], [], 50, "later"),
        ]
        assert await found(db, merchant, "ins_1") == before


async def test_a_card_nothing_is_counted_of_gets_no_counters_by_its_name(db: Database):
    merchant = new_id("mer", 0)
    await name(db, merchant, "ins_1", "stripe:f")
    assert await found(db, merchant, "stripe:f") == []


async def test_who_counts_at_the_same_moment_is_not_forgotten(db: Database, database_url: str):
    """Attempts are counted under the other name while the first is put to it, again and again."""
    merchant, chance = new_id("mer", 0), random.Random(1)
    bucket = bucket_of(merchant, "stripe:f")
    many = await connect(database_url, size=6)
    at = 1_800_000_000_000_000

    async def counts(n: int) -> None:
        moment = at + n
        row = {
            "payment_id": str(uuid.uuid4()), "bucket": bucket, "merchant_id": hex_of(merchant), "livemode": True,
            "card": "stripe:f", "at": moment, "counts": [{"scope": "declines", "again": False, "span": 10}],
            "limits": [], "stops": [],
        }  # fmt: skip
        owner = await asyncpg.connect(database_url)
        await asyncio.sleep(chance.random() / 10)
        assert await owner.fetch("SELECT * FROM admit_attempts($1, $2)", encoded([row]), moment) == []
        await owner.close()

    await put(database_url, merchant, "ins_1", "declines", times=[1, 2])
    await asyncio.gather(*map(counts, range(12)), *(name(many, merchant, "ins_1", "stripe:f") for _ in range(12)))
    await many.close()
    [(_, times, *_)] = await found(db, merchant, "stripe:f")
    assert times == [1, 2, *(at + n for n in range(12))]


async def test_a_fingerprint_is_kept_with_the_token_it_was_heard_of_and_with_no_other(db: Database, database_url: str):
    merchant = await create_merchant(db, f"m-{uuid.uuid4().hex[:12]}")
    owner = await asyncpg.connect(database_url)
    account = await owner.fetchval(
        "INSERT INTO connector_accounts (id, merchant_id, name, connector, merchant_account, livemode, credentials) "
        "VALUES (gen_random_uuid(), $1, 'stripe', 'stripe', 'acct', true, 'sealed') RETURNING id", hex_of(merchant)
    )  # fmt: skip
    await owner.close()
    kept = Instrument(
        id=new_id("ins", 3), merchant=merchant, livemode=True, customer="c",
        credentials=(Credential(public("con", account) or "", "pm_1"),),
    )  # fmt: skip
    await instruments.add(db, kept)
    heard = Fingerprint(merchant, True, kept.id, kept.credentials[0].connector_account, "pm_1", "stripe:f", (kept.id,))
    await put(database_url, merchant, kept.id, "declines", times=[7])
    await tell(db, [Fingerprint(merchant, True, kept.id, heard.connector_account, "pm_old", "stripe:old", ())])
    [shown] = (await instruments.read(db, [kept.id])).values()
    assert names_of(shown) == (kept.id, ()), "the token is another by now"
    await tell(db, [heard])
    [shown] = (await instruments.read(db, [kept.id])).values()
    assert names_of(shown) == (kept.id, ("stripe:f",))
    assert await found(db, merchant, "stripe:f") == [("declines", [7], [], None, "")]


@pytest.mark.parametrize(("after", "name"), [("two", "card:two"), (None, None)])
async def test_a_card_that_the_vault_calls_otherwise_keeps_its_count(
    db: Database, database_url: str, after: str | None, name: str | None
):
    """A new key of the vault's, or a card that was shredded: then it is its instrument."""
    merchant = await create_merchant(db, f"m-{uuid.uuid4().hex[:12]}")
    card = Card(id=new_id("ins", 3), merchant=merchant, livemode=True, customer="c", status="active", fingerprint="one")
    await put(database_url, merchant, "card:one", "declines", times=[7])
    for fingerprint in ("one", after):
        told = structs.replace(card, fingerprint=fingerprint)
        position = await cards.position(db)
        async with db.transaction() as connection:
            assert await cards.hear(connection, [told], position, uuid.uuid4().hex) == []
    assert await found(db, merchant, name or card.id) == [("declines", [7], [], None, "")]


async def test_a_counter_cannot_be_lowered_by_a_name(db: Database, database_url: str):
    """A hundred moments under each: the latest hundred of both stay."""
    merchant = new_id("mer", 0)
    await put(database_url, merchant, "ins_1", "declines", times=list(range(0, 200, 2)))
    await put(database_url, merchant, "stripe:f", "declines", times=list(range(1, 201, 2)))
    await name(db, merchant, "ins_1", "stripe:f")
    [(_, times, *_)] = await found(db, merchant, "stripe:f")
    assert times == list(range(100, 200))
