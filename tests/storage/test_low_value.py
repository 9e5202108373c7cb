"""Payments since the last authentication are counted in the database, whoever records, however many at once."""

import asyncio
import random
import uuid

import asyncpg
import pytest
from msgspec import structs

from scrooge.connectors.connector import Request
from scrooge.domain.attempt import Authentication, Operation, Unauthenticated
from scrooge.domain.declines import Decline
from scrooge.domain.news import hear
from scrooge.domain.outcome import ActionRequired, Approved, Declined, NextAction
from scrooge.domain.payment import Payment, decide
from scrooge.ids import bucket_of, hex_of, new_id
from scrooge.postgres.rows import encoded
from scrooge.routing.calendar import DAY, day_starts
from scrooge.storage.access import create_caller, create_merchant
from scrooge.storage.changes import Change, Guard
from scrooge.storage.low_value import LowValueUsedUp
from scrooge.storage.writer import Writer, open_writer

NOW = day_starts("2026-11-22")
REQUEST = Request("POST", "/v1/payment_intents", b"amount=500")
PAGE = ActionRequired(NextAction("https://acs.example"))


@pytest.fixture
async def w(database_url: str):
    w = await open_writer(database_url)
    yield w
    await w.close()


@pytest.fixture
async def whose(w: Writer) -> tuple[str, str]:
    merchant = await create_merchant(w.db, f"m-{uuid.uuid4().hex[:12]}")
    return merchant, await create_caller(w.db, merchant, "checkout")


@pytest.mark.parametrize("seed", range(8))
async def test_the_database_counts_as_article_16_does(w: Writer, seed: int):
    """Against a list of moments: refused when more than five, or more than EUR 100, came since the last one."""
    chance = random.Random(seed)
    since: list[tuple[int, int]] = []
    place = {"bucket": 3, "merchant_id": hex_of(new_id("mer", 0)), "livemode": True, "card": "c", "currency": "EUR"}
    refusals = 0
    async with w.db.acquired() as db:
        for at in range(NOW, NOW + 60):
            if chance.random() < 0.15:
                until = at - chance.randrange(4)
                await db.fetchval("SELECT payer_authenticated($1)", encoded([{**place, "at": until}]))
                since = [(t, m) for t, m in since if t > until]
                continue
            minor = chance.choice([100, 2900, 2900, 10**12])
            asks = chance.random() < 0.6
            limits = {"most_payments": 5, "most_minor": 10_000} if asks else {}
            payment = new_id("pay", 3)
            row = {**place, "payment_id": hex_of(payment), "at": at, "minor": minor, **limits}
            refused = await db.fetch("SELECT * FROM admit_low_value($1)", encoded([row]))
            expected = asks and (len(since) > 5 or sum(m for _, m in since) > 10_000)
            assert bool(refused) is expected
            refusals += expected
            if not expected:
                since.append((at, minor))
    assert refusals, "else this compared nothing worth comparing"


async def test_of_ten_at_once_six_get_it_and_the_others_leave_nothing(
    w: Writer, whose: tuple[str, str], database_url: str
):
    """The sixth has five before it; EUR 1 each. In batches, of two processes."""
    beside = await open_writer(database_url)
    made = await asyncio.gather(*[create(x, whose, 100) for x in [w, beside] * 5], return_exceptions=True)
    await beside.close()
    assert sum(isinstance(p, Payment) for p in made) == 6
    assert sum(isinstance(p, LowValueUsedUp) for p in made) == 4
    count = "SELECT count(*) FROM payments WHERE merchant_id = $1"
    async with w.db.acquired() as db:
        assert await db.fetchval(count, hex_of(whose[0])) == 6


async def test_another_card_merchant_mode_or_currency_has_a_counter_of_its_own(w: Writer, whose: tuple[str, str]):
    for _ in range(6):
        await create(w, whose, 100)
    with pytest.raises(LowValueUsedUp):
        await create(w, whose, 100)
    await create(w, whose, 100, card="another")
    await create(w, whose, 100, currency="GBP")
    await create(w, whose, 100, livemode=True)
    other = await create_merchant(w.db, f"m-{uuid.uuid4().hex[:12]}")
    await create(w, (other, await create_caller(w.db, other, "checkout")), 100)


async def test_an_amount_that_nobody_knows_in_the_laws_currency_uses_it_up(w: Writer, whose: tuple[str, str]):
    await create(w, whose, None, exemption="")
    with pytest.raises(LowValueUsedUp):
        await create(w, whose, 100)
    await create(w, whose, 100, exemption="")  # Whoever does not ask is never refused.


@pytest.mark.parametrize(
    ("story", "begins_anew"),
    [
        ([PAGE, Approved(checks={"three_d_secure": "authenticated"})], True),
        ([PAGE, Approved(checks={"three_d_secure": "true"})], True),
        ([PAGE, Approved(checks={"three_d_secure": "attempt_acknowledged"})], False),
        ([PAGE, Declined(Decline.DO_NOT_HONOR)], False),
        ([Approved(checks={"three_d_secure": "authenticated"})], False),  # The issuer let the payer go without.
        ([Approved()], False),
    ],
)
async def test_only_an_authentication_by_the_payer_begins_anew(w, whose, story: list, begins_anew: bool):
    for _ in range(5):
        await create(w, whose, 100)
    p = await create(w, whose, 500, exemption="")
    for outcome in story:
        after = hear(p, p.attempts[0].id, outcome, NOW)
        assert await w.save(Change(p, after, ask_at={p.attempts[0].id: NOW}))
        p = structs.replace(after, version=p.version + 1)
    if begins_anew:
        await create(w, whose, 100)
    else:
        with pytest.raises(LowValueUsedUp):
            await create(w, whose, 100)


async def test_traffic_itself_cannot_write_what_is_counted(w: Writer):
    async with w.db.acquired() as db:
        for statement in (
            "DELETE FROM low_value_counters", "UPDATE low_value_counters SET times = '{}'",
            "INSERT INTO low_value_counters (bucket, merchant_id, livemode, card, currency) "
            "VALUES (1, gen_random_uuid(), true, 'c', 'EUR')",
        ):  # fmt: skip
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await db.execute(statement)


async def create(
    w: Writer, whose: tuple[str, str], minor: int | None, *, exemption: str = "low_value", card: str = "card:1",
    currency: str = "EUR", livemode: bool = False,
) -> Payment:  # fmt: skip
    """Raises LowValueUsedUp."""
    merchant, caller = whose
    reference = uuid.uuid4().hex
    p = Payment(
        id=new_id("pay", bucket_of(merchant, caller, reference)), merchant=merchant, caller=caller,
        reference=reference, minor=minor or 500, currency=currency if minor else "PLN", livemode=livemode,
        created_at=NOW, deadline_at=NOW, sale=True,
    )  # fmt: skip
    counts = Unauthenticated(card, currency, minor, next(TICKS))
    chosen = Authentication(ask="exemption", because="b", source="s", exemption=exemption, counts=counts)
    p = decide(
        p, Operation.AUTHORIZE, None, id=new_id("att", 3), number=1, connector_account=new_id("con", 0), sale=True,
        reference=f"{p.id}-1", return_token="t", sent_at=NOW, authentication=chosen,
    )  # fmt: skip
    assert await w.create((p, Guard(3, reference, b"f" * 32), REQUEST, 10**18))
    return p


TICKS = iter(range(NOW, NOW + DAY))
