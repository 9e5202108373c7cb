"""The schemes' limits hold in the database, whoever records, however many at once."""

import asyncio
import random
import time
import uuid

import asyncpg
import pytest
from msgspec import structs
from tests.routing.retries.checker import broken

from scrooge.connectors.connector import Request
from scrooge.domain.attempt import Counted, Operation, State
from scrooge.domain.declines import Decline
from scrooge.domain.news import hear
from scrooge.domain.outcome import Approved, Declined, Outcome, Rejected, Reversed
from scrooge.domain.payment import Payment, decide
from scrooge.errors import ReattemptRefused
from scrooge.ids import bucket_of, hex_of, new_id
from scrooge.money import Money
from scrooge.postgres.database import connect
from scrooge.postgres.rows import encoded, public
from scrooge.routing.calendar import DAY, HOUR
from scrooge.routing.schemes.allowed import Past
from scrooge.routing.schemes.counters import EMPTY, Admitted, Counter, admit, conclude
from scrooge.routing.schemes.rules import Attempt, load
from scrooge.routing.schemes.told import ends, wanted
from scrooge.storage.access import create_caller, create_merchant
from scrooge.storage.changes import Change, Guard, create
from scrooge.storage.writer import Made, Writer, open_writer

RULES = load()
NOW = 0


@pytest.fixture(autouse=True)
def now() -> None:
    """The database counts by its own clock, and this file may have been read long before its tests."""
    global NOW
    NOW = time.time_ns() // 1000


REQUEST = Request("POST", "/v1/payment_intents", b"amount=500")


@pytest.fixture
async def w(database_url: str):
    w = await open_writer(database_url)
    yield w
    await w.close()


@pytest.fixture
async def caller(w: Writer) -> tuple[str, str]:
    merchant = await create_merchant(w.db, f"m-{uuid.uuid4().hex[:12]}")
    return merchant, await create_caller(w.db, merchant, "checkout")


# --- the functions say what the pure code says ----------------------------------------------


def rows_of(a: Attempt, payment: str, told: list) -> list[dict]:
    place = {"payment_id": hex_of(payment), "bucket": 3, "merchant_id": hex_of(a.merchant), "livemode": True,
             "card": a.card, "at": a.at}  # fmt: skip
    return [{**place, **structs.asdict(t)} for t in told]


async def kept(db: asyncpg.Connection, a: Attempt) -> dict[str, Counter]:
    rows = await db.fetch(
        "SELECT * FROM scheme_counters WHERE merchant_id = $1 AND card = $2", hex_of(a.merchant), a.card
    )
    found = {
        r["scope"]: Counter(tuple(r["times"]), tuple(r["approved"]), r["until"], r["rule"], r["sent_at"]) for r in rows
    }
    return {scope: c for scope, c in found.items() if c != EMPTY}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("brand", ["visa", "mastercard", "amex", ""])
async def test_the_database_counts_as_the_pure_code_does(w: Writer, database_url: str, brand: str, seed: int):
    """At a clock of our own, which only the functions' owner may give. Up to four of a microsecond, ends in any order."""
    chance = random.Random(f"{brand}{seed}")
    merchant, at = new_id("mer", 0), NOW + chance.randrange(DAY)
    counters: dict[str, Counter] = {}
    out: list[Attempt] = []
    refusals = 0
    db = await asyncpg.connect(database_url)
    try:
        for _ in range(120):
            at += chance.choice([0, 1, HOUR, HOUR, 6 * HOUR, DAY])
            if out and chance.random() < 0.5:
                a = out.pop(chance.randrange(len(out)))
                outcome = chance.choice(["declined", "declined", "declined", "approved", "rejected"])
                network = chance.choice(["51", "51", "51", "12", "R0", "41"] if brand else ["51", None])
                advice = chance.choice([None, None, "02", "24", "21"])
                counters |= conclude(RULES, counters, a, outcome, network, advice, at)
                told = ends(RULES, a, outcome, network, advice, at)
                await db.fetchval("SELECT end_attempts($1)", encoded(rows_of(a, new_id("pay", 3), list(told))))
            else:
                a = Attempt(
                    merchant=merchant, card="card:1", brand=brand, minor=chance.choice([1000, 1000, 2000]),
                    currency="EUR", initiator=chance.choice(["customer", "merchant"]), at=at,
                )  # fmt: skip
                said = admit(RULES, counters, a)
                payment = new_id("pay", 3)
                row = encoded(rows_of(a, payment, [wanted(RULES, a)]))
                heard = await db.fetch("SELECT * FROM admit_attempts($1, $2)", row, at)
                if isinstance(said, Admitted):
                    assert heard == []
                    counters |= said.changed
                    out.append(a)
                else:
                    refusals += 1
                    [refused] = heard
                    assert public("pay", refused["payment_id"]) == payment
                    assert (refused["rule"], refused["until"]) == (said.rule, said.until)
            expected = {s: c for s, c in counters.items() if (c.times, c.until) != ((), None)}
            assert await kept(db, a) == expected
    finally:
        await db.close()
    assert refusals, "else this compared nothing worth comparing"


# --- the statement that records -------------------------------------------------------------


def made(caller: tuple[str, str], at: int, card: str, reference: str | None = None, brand: str = "mastercard") -> Made:
    reference = reference or uuid.uuid4().hex
    bucket = bucket_of(*caller, reference)
    p = Payment(
        id=new_id("pay", bucket), merchant=caller[0], caller=caller[1], reference=reference, minor=500,
        currency="EUR", created_at=1, deadline_at=1, livemode=True,
    )  # fmt: skip
    p = decide(
        p, Operation.AUTHORIZE, None, id=new_id("att", bucket), number=1, connector_account=new_id("con", 0),
        sale=True, reference=f"{p.id}-1", counted=Counted(card, brand, "", "stripe", at),
    )  # fmt: skip
    return p, Guard(bucket_of(caller[1], reference), reference, b"x" * 32, True), REQUEST, 10**18


def after(p: Payment, outcome: Outcome, at: int) -> Change:
    return Change(p, hear(p, p.attempts[-1].id, outcome, at))


DECLINED = Declined(Decline.INSUFFICIENT_FUNDS, "51", network_code="51")


async def one_by_one(w: Writer, items: list[Made]) -> list[bool | str]:
    told = await asyncio.gather(*map(w.create, items), return_exceptions=True)
    return [t.members["rule"] if isinstance(t, ReattemptRefused) else t for t in told]


async def test_of_two_hundred_at_once_with_one_card_as_many_are_recorded_as_the_rule_allows(
    w: Writer, caller: tuple[str, str], database_url: str
):
    """Mastercard: ten declines in 24 hours, and what is out counts as declined. Over two processes' lanes."""
    other = await open_writer(database_url)
    items = [made(caller, NOW + n, "card:hot") for n in range(200)]
    mine, theirs = await asyncio.gather(one_by_one(w, items[:100]), one_by_one(other, items[100:]))
    await other.close()
    told = [*mine, *theirs]
    assert told.count(True) == 10
    assert told.count("mastercard-day") == 190
    async with w.db.acquired() as db:
        ids = [hex_of(p.id) for p, *_ in items]
        assert await db.fetchval("SELECT count(*) FROM payments WHERE id = ANY($1::uuid[])", ids) == 10
        assert await db.fetchval("SELECT count(*) FROM attempts WHERE payment_id = ANY($1::uuid[])", ids) == 10
        keys = await db.fetchval("SELECT count(*) FROM idempotency_keys WHERE payment_id = ANY($1::uuid[])", ids)
        assert keys == 10, "what is refused leaves nothing, not even its key"


async def test_who_waits_for_a_card_decides_when_it_is_its_turn(w: Writer, caller: tuple[str, str], database_url: str):
    """Twelve processes come while somebody has the card's rows: what they saw before they waited is not what counts."""
    await one_by_one(w, [made(caller, NOW + n, "card:held") for n in range(5)])
    items = [made(caller, NOW + 10 + n, "card:held") for n in range(12)]
    many = await connect(database_url, size=12)
    owner, beside = [await asyncpg.connect(database_url) for _ in range(2)]

    async def alone(item: Made) -> bool | str:
        try:
            async with many.acquired() as db:
                return bool(await create(db, [item]))
        except ReattemptRefused as refused:
            return str(refused.members["rule"])

    async with owner.transaction():
        await owner.execute("SELECT FROM scheme_counters WHERE card = 'card:held' FOR UPDATE")
        coming = [asyncio.create_task(alone(item)) for item in items]
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        async with asyncio.timeout(8):  # Asked by another: within one transaction the answer would not change.
            while await beside.fetchval(waits) < 12:
                await asyncio.sleep(0.02)
    told = await asyncio.gather(*coming)
    await owner.close()
    await beside.close()
    await many.close()
    assert (told.count(True), told.count("mastercard-day")) == (5, 7)


async def test_who_is_refused_spoils_nobody_elses_record(w: Writer, caller: tuple[str, str]):
    await one_by_one(w, [made(caller, NOW + n, "card:spent") for n in range(10)])
    spent = [made(caller, NOW + 20 + n, "card:spent") for n in range(5)]
    fresh = [made(caller, NOW + 20 + n, f"card:{n}") for n in range(5)]
    assert await one_by_one(w, [*spent, *fresh]) == ["mastercard-day"] * 5 + [True] * 5


async def test_an_approval_and_a_rejection_give_back_what_they_did_not_use(w: Writer, caller: tuple[str, str]):
    items = [made(caller, NOW + n, "card:back") for n in range(10)]
    await one_by_one(w, items)
    assert await one_by_one(w, [made(caller, NOW + 10, "card:back")]) == ["mastercard-day"]
    assert await w.save(after(items[0][0], Approved("pi_1", Money(500, "EUR")), NOW))
    assert await w.save(after(items[1][0], Rejected("the PSP did not process it"), NOW))
    assert await w.save(after(items[2][0], DECLINED, NOW))
    assert await w.save(after(items[3][0], Reversed("the payer did not come back"), NOW))
    again = await one_by_one(w, [made(caller, NOW + 20 + n, "card:back") for n in range(5)])
    assert sorted(map(str, again)) == ["True"] * 2 + ["mastercard-day"] * 3


async def test_a_healthy_card_leaves_no_counter_behind(w: Writer, caller: tuple[str, str]):
    item = made(caller, NOW, "card:healthy", brand="visa")
    await w.create(item)
    async with w.db.acquired() as db:
        count = "SELECT count(*) FROM scheme_counters WHERE merchant_id = $1"
        assert await db.fetchval(count, hex_of(caller[0])) > 0
        assert await w.save(after(item[0], Approved("pi_1", Money(500, "EUR")), NOW))
        assert await db.fetchval(count, hex_of(caller[0])) == 0


async def test_an_issuer_that_says_never_again_is_heeded_by_whoever_comes(w: Writer, caller: tuple[str, str]):
    item = made(caller, NOW, "card:stolen", brand="visa")
    await w.create(item)
    stolen = structs.replace(DECLINED, network_code="43")
    assert await w.save(after(item[0], stolen, NOW))
    with pytest.raises(ReattemptRefused) as refused:
        await w.create(made(caller, NOW + 3000 * DAY, "card:stolen", brand="visa"))
    assert refused.value.members == {"rule": "visa-category-1", "until": None}


async def test_of_many_at_once_that_are_approved_nothing_is_left(w: Writer, caller: tuple[str, str]):
    """Visa's twenty reattempts: while twenty are out after the first, a twenty-second waits; approved, none was one."""
    items = [made(caller, NOW + n, "card:well", brand="visa") for n in range(30)]
    told = await one_by_one(w, items)
    assert sorted(map(str, told)) == ["True"] * 21 + ["visa-reattempts"] * 9
    out = [item[0] for item, said in zip(items, told, strict=True) if said is True]
    assert all(await asyncio.gather(*(w.save(after(p, Approved("pi_1", Money(500, "EUR")), NOW + 99)) for p in out)))
    assert (
        await one_by_one(w, [made(caller, NOW + 100 + n, "card:well", brand="visa") for n in range(21)]) == [True] * 21
    )


@pytest.mark.parametrize("days", [-70, 70])
async def test_a_process_whose_clock_is_wrong_counts_by_the_databases(w: Writer, caller: tuple[str, str], days: int):
    """Nine declines; then ten more of a process that is seventy days ahead or behind, of which one is the tenth."""
    await one_by_one(w, [made(caller, NOW + n, "card:clock") for n in range(9)])
    wrong = [made(caller, NOW + days * DAY + n, "card:clock") for n in range(10)]
    assert sorted(map(str, await one_by_one(w, wrong))) == ["True"] + ["mastercard-day"] * 9
    assert await one_by_one(w, [made(caller, NOW + 20, "card:clock")]) == ["mastercard-day"]


async def test_what_a_card_is_called_by_several_counts_under_each(
    w: Writer, caller: tuple[str, str], database_url: str
):
    """Of two instruments with one other name, four attempts and three: the brand that nobody names has had its seven."""
    a = Attempt(merchant=caller[0], card="ins:1", brand="", minor=500, currency="EUR", initiator="customer", at=NOW)
    db = await asyncpg.connect(database_url)

    async def admitted(card: str, *also: str) -> bool:
        [row] = rows_of(structs.replace(a, card=card), new_id("pay", 3), [wanted(RULES, a)])
        row["also"] = [{"bucket": 3, "card": name} for name in also]
        return not await db.fetch("SELECT * FROM admit_attempts($1)", encoded([row]))

    try:
        assert [await admitted("ins:1") for _ in range(3)] == [True] * 3
        assert [await admitted("ins:2", "stripe:f") for _ in range(4)] == [True] * 4
        assert [await admitted("ins:1", "stripe:f") for _ in range(4)] == [True] * 3 + [False]
        assert not await admitted("stripe:f"), "four and three were the seven of that name"
        assert [await admitted("ins:1") for _ in range(2)] == [True, False], "what was refused counted nowhere"
    finally:
        await db.close()


async def test_a_late_approval_after_a_decline_gives_back(w: Writer, caller: tuple[str, str]):
    items = [made(caller, NOW + n, "card:late") for n in range(10)]
    await one_by_one(w, items)
    change = after(items[0][0], DECLINED, NOW)
    assert await w.save(change)
    declined = structs.replace(change.after, version=2)
    late = hear(declined, declined.attempts[0].id, Approved("pi_9", Money(500, "EUR")), NOW + 1)
    assert late.attempts[0].state is State.REVERSING
    ask = {late.attempts[0].id: NOW}
    assert await w.save(Change(declined, late, ask_at=ask))
    assert await one_by_one(w, [made(caller, NOW + 20, "card:late")]) == [True]


async def test_a_repeated_reference_is_not_counted_twice(w: Writer, caller: tuple[str, str]):
    items = [made(caller, NOW + n, "card:copies", reference="the-same") for n in range(100)]
    told = await one_by_one(w, items)
    assert told.count(True) == 1
    assert await one_by_one(w, items[:20]) == [False] * 20
    more = await one_by_one(w, [made(caller, NOW + 200 + n, "card:copies") for n in range(9)])
    assert more == [True] * 9, "with the first they are ten"


async def test_the_next_attempt_of_a_payment_is_held_to_the_same(w: Writer, caller: tuple[str, str]):
    items = [made(caller, NOW + n, "card:cascade") for n in range(10)]
    await one_by_one(w, items)
    change = after(items[0][0], DECLINED, NOW)
    assert await w.save(change)
    p = structs.replace(change.after, version=2)
    more = decide(
        p, Operation.AUTHORIZE, None, id=new_id("att", 3), number=2, connector_account=new_id("con", 0), sale=True,
        reference=f"{p.id}-2", counted=Counted("card:cascade", "mastercard", "", "adyen", NOW + 20),
    )  # fmt: skip
    attempt_id = more.attempts[-1].id
    following = Change(p, more, requests={attempt_id: REQUEST}, ask_at={attempt_id: NOW})
    with pytest.raises(ReattemptRefused, match="mastercard-day"):
        await w.save(following)
    async with w.db.acquired() as db:
        assert await db.fetchval("SELECT version FROM payments WHERE id = $1", hex_of(p.id)) == 2
    assert await w.save(after(items[1][0], Approved("pi_1", Money(500, "EUR")), NOW))
    assert await w.save(following)


async def test_traffic_itself_cannot_write_counters(w: Writer):
    async with w.db.acquired() as db:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.fetch("SELECT * FROM admit_attempts('[]', 0)")
        for statement in (
            "DELETE FROM scheme_counters", "UPDATE scheme_counters SET times = '{}'",
            "INSERT INTO scheme_counters (bucket, merchant_id, livemode, card, scope) "
            "VALUES (1, gen_random_uuid(), true, 'c', 's')",
        ):  # fmt: skip
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await db.execute(statement)


async def test_whatever_comes_at_once_no_rule_is_broken(w: Writer, caller: tuple[str, str], database_url: str):
    """Three processes' writers, four cards, chance outcomes; what was recorded is judged by a checker of its own."""
    others = [await open_writer(database_url) for _ in range(2)]
    writers = [w, *others]
    chance = random.Random(7)
    cards = {"card:v1": "visa", "card:v2": "visa", "card:m1": "mastercard", "card:m2": "mastercard"}
    history: dict[str, list[Past]] = {card: [] for card in cards}
    clock = iter(range(NOW, NOW + 10**9))

    async def lane(one: Writer) -> None:
        for _ in range(60):
            card = chance.choice(list(cards))
            at = next(clock)
            item = made(caller, at, card, brand=cards[card])
            try:
                assert await one.create(item)
            except ReattemptRefused:
                continue
            outcome = chance.choice([DECLINED, DECLINED, DECLINED, Approved("pi", Money(500, "EUR")), Rejected("no")])
            answered = next(clock)
            change = after(item[0], outcome, answered)
            while not await one.save(change):
                await asyncio.sleep(0.001)
            name = {Declined: "declined", Approved: "approved", Rejected: "rejected"}[type(outcome)]
            history[card].append(Past(at=at, minor=500, currency="EUR", initiator="customer", outcome=name,
                                      network_code="51", answered=answered))  # fmt: skip

    await asyncio.gather(*(lane(one) for one in writers for _ in range(6)))
    for other in others:
        await other.close()
    for card, brand in cards.items():
        past = sorted(history[card], key=lambda p: p.at)
        assert broken(past, brand) == []
        assert len(past) > 10
