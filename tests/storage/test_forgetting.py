"""What counts no more goes in small batches; what may still refuse an attempt, or teach, stays."""

import asyncio
import random
import time

import asyncpg
import pytest
from msgspec import structs

from scrooge.ids import hex_of, new_id
from scrooge.postgres.database import Database, connect
from scrooge.routing.calendar import DAY, HOUR
from scrooge.routing.schemes.counters import EMPTY, Admitted, Counter, admit, expired, scopes
from scrooge.routing.schemes.rules import EVER, Attempt, load
from scrooge.storage import forgetting

RULES = load()
KEPT = forgetting.kept(RULES)
BUCKET = 7
ATTEMPT = Attempt(merchant="", card="", brand="visa", minor=1000, currency="EUR", initiator="merchant", at=0)


@pytest.fixture
async def db(database_url: str):
    db = await connect(database_url, size=2)
    yield db
    await db.close()


async def put(db: Database, merchant: str, card: str, counters: dict[str, Counter]) -> None:
    async with db.acquired() as c:
        await c.execute("SET ROLE NONE")
        await c.executemany(
            "INSERT INTO scheme_counters (bucket, merchant_id, livemode, card, scope, times, approved, until, rule, sent_at) "
            "VALUES ($1, $2, true, $3, $4, $5, $6, $7, $8, $9)",
            [(BUCKET, hex_of(merchant), card, s, list(k.times), list(k.approved), k.until, k.rule, k.sent_at)
             for s, k in counters.items()],
        )  # fmt: skip
        await c.execute("SET ROLE scrooge_app")


async def left(db: Database, merchant: str) -> dict[str, dict[str, Counter]]:
    async with db.acquired() as c:
        rows = await c.fetch("SELECT * FROM scheme_counters WHERE merchant_id = $1", hex_of(merchant))
    found: dict[str, dict[str, Counter]] = {}
    for r in rows:
        c = Counter(tuple(r["times"]), tuple(r["approved"]), r["until"], r["rule"], r["sent_at"])
        found.setdefault(r["card"], {})[r["scope"]] = c
    return found


def some(chance: random.Random, scope: str, now: int) -> Counter:
    """Young, old and on the edge; most cards have been tried too often, so that forgetting one moment would show."""
    if scope.startswith("stop"):
        until = chance.choice([EVER, now + HOUR, now - HOUR, now - 2 * DAY, now - 90 * DAY])
        return Counter(until=until, rule="visa-category-1", sent_at=now - 91 * DAY)
    newest = now - chance.choice([0, HOUR, 29 * DAY, 31 * DAY, 59 * DAY, 61 * DAY, 100 * DAY])
    times = tuple(sorted(newest - chance.randrange(3 * DAY) for _ in range(chance.choice([0, 1, 20, 40]))))
    if scope.startswith("declines"):
        return Counter(times)
    return Counter(times, tuple(chance.random() < 0.1 for _ in times))


@pytest.mark.parametrize("seed", range(4))
async def test_what_can_still_refuse_an_attempt_is_never_deleted(db: Database, seed: int):
    chance, merchant = random.Random(seed), new_id("mer", 0)
    now = time.time_ns() // 1000
    before: dict[str, dict[str, Counter]] = {}
    for n in range(60):
        brand = chance.choice(["visa", "mastercard", ""])
        a = structs.replace(ATTEMPT, merchant=merchant, card=f"{brand}:{n}", brand=brand)
        before[a.card] = {s: some(chance, s, now) for s in sorted(scopes(RULES, structs.replace(a, at=now)))}
        await put(db, merchant, a.card, before[a.card])
    while await forgetting.counters(db, BUCKET, KEPT, 25) == 25:
        pass
    after = await left(db, merchant)
    refusals = 0
    for card, counters in before.items():
        a = structs.replace(ATTEMPT, merchant=merchant, card=card, brand=card.partition(":")[0])
        for later in (0, HOUR, 5 * DAY, 29 * DAY):
            at = time.time_ns() // 1000 + later
            said = admit(RULES, counters, structs.replace(a, at=at))
            now_said = admit(RULES, after.get(card, {}), structs.replace(a, at=at))
            refusals += not isinstance(said, Admitted)
            if isinstance(said, Admitted):
                assert isinstance(now_said, Admitted) and now_said.left == said.left
            else:
                assert now_said == said
        for scope, c in counters.items():
            if not expired(scope, c, now, 60 * DAY):
                assert after[card][scope] == c
            elif c.until is None or c.until < now - 2 * DAY:
                assert scope not in after.get(card, {}), "what says nothing any more goes"
    assert refusals and sum(map(len, after.values())) < sum(map(len, before.values())), "else nothing was shown"


async def test_whoever_says_that_nothing_is_kept_cannot_take_away_what_counts(db: Database):
    merchant, now = new_id("mer", 0), time.time_ns() // 1000
    counter = Counter((now - 29 * DAY,), (False,))
    await put(db, merchant, "card:1", {"reattempts": counter, "empty": EMPTY})
    await forgetting.counters(db, BUCKET, KEPT * 0, 1000)
    assert await left(db, merchant) == {"card:1": {"reattempts": counter}}
    async with db.acquired() as c:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await c.execute("DELETE FROM scheme_counters")


async def test_counters_that_somebody_holds_are_left_to_him(db: Database):
    merchant = new_id("mer", 0)
    await put(db, merchant, "card:1", {"declines": Counter((1,))})
    async with db.transaction() as holder:
        await holder.execute("SET ROLE NONE")
        await holder.execute("SELECT FROM scheme_counters WHERE merchant_id = $1 FOR UPDATE", hex_of(merchant))
        async with asyncio.timeout(5):
            await forgetting.counters(db, BUCKET, KEPT, 1000)
        await holder.execute("SET ROLE scrooge_app")
    assert await left(db, merchant) == {"card:1": {"declines": Counter((1,))}}


async def test_faded_effects_and_old_troubles_go_and_others_stay(db: Database):
    merchant, now = new_id("mer", 0), time.time_ns() // 1000
    day = DAY * 1.0
    effects = {  # precision and pull, how old, half-life in days, changed how many days ago
        "young": (1e-6, 0.0, 0, 1.0, 0), "faded": (10.0, -10.0, 20 * DAY, 1.0, 20), "strong": (2000.0, 0.0, 20 * DAY, 1.0, 20),
        "pull": (1e-9, 2000.0, 20 * DAY, 1.0, 20), "slow": (10.0, 10.0, 20 * DAY, 90.0, 20),
    }  # fmt: skip
    troubles = {"now": (False, 30), "over": (True, 8), "just": (True, 1)}
    async with db.acquired() as c:
        for key, (precision, pull, age, half_life, changed) in effects.items():
            await c.execute(
                "INSERT INTO routing_effects VALUES ($1, true, $2, $3, $4, $5, 1, $6, 1, now() - make_interval(days => $7))",
                hex_of(merchant), key, precision, pull, now - age, half_life * day, changed,
            )  # fmt: skip
        for account, (ended, changed) in troubles.items():
            await c.execute(
                "INSERT INTO routing_troubles VALUES ($1, true, $2, '[]', 'technical', 1, 1, 1, $3, now() - make_interval(days => $4))",
                hex_of(merchant), account, ended, changed,
            )  # fmt: skip
        await forgetting.lessons(db, 1000)
        kept = await c.fetch("SELECT key FROM routing_effects WHERE merchant_id = $1", hex_of(merchant))
        unwell = await c.fetch("SELECT account FROM routing_troubles WHERE merchant_id = $1", hex_of(merchant))
    assert {r["key"] for r in kept} == {"young", "strong", "pull", "slow"}
    assert {r["account"] for r in unwell} == {"now", "just"}
