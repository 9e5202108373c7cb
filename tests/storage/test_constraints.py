"""What holds even when the code is wrong: each constraint is given the row it exists to refuse."""

import uuid

import asyncpg
import pytest

from scrooge.ids import hex_of, new_id

BUCKET = 7


@pytest.fixture
async def db(database_url: str):
    connection = await asyncpg.connect(database_url, server_settings={"role": "scrooge_app"})
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def a_payment(db: asyncpg.Connection) -> str:
    payment = hex_of(new_id("pay", BUCKET))
    await db.execute(
        """INSERT INTO payments (bucket, id, merchant_id, caller_id, reference, minor, currency, sale, livemode,
                                 status, deadline_at)
           VALUES ($1, $2, $3, $3, 'r', 1000, 'EUR', true, false, 'processing', now())""",
        BUCKET, payment, uuid.uuid4(),
    )  # fmt: skip
    return payment


async def an_attempt(db: asyncpg.Connection, payment: str, **columns: object) -> str:
    attempt = hex_of(new_id("att", BUCKET))
    row = {
        "bucket": BUCKET, "payment_id": payment, "id": attempt, "number": 1, "operation": "authorize",
        "connector_account_id": uuid.uuid4(), "minor": 1000, "currency": "EUR", "state": "sent", "reference": "r-1",
        "request": "{}", "sent_at": None, "ask_at": None, **columns,
    }  # fmt: skip
    names = list(row)
    values = ["now()" if row[n] is None and n in {"sent_at", "ask_at"} else f"${i}" for i, n in enumerate(names, 1)]
    kept = [n for n, v in zip(names, values, strict=True) if v.startswith("$")]
    values = [f"${kept.index(n) + 1}" if v.startswith("$") else v for n, v in zip(names, values, strict=True)]
    await db.execute(f"INSERT INTO attempts ({', '.join(names)}) VALUES ({', '.join(values)})", *(row[n] for n in kept))
    return attempt


async def test_one_live_authorization_at_most(db: asyncpg.Connection):
    payment = await a_payment(db)
    await an_attempt(db, payment)
    with pytest.raises(asyncpg.UniqueViolationError, match="one_live_authorization|attempts_.*bucket_payment_id"):
        await an_attempt(db, payment, number=2, state="approved", authorized_minor=1000)


LIVE = ["sent", "unknown", "pending", "action_required", "approved", "reversing"]


@pytest.mark.parametrize("state", LIVE)
async def test_every_state_that_may_have_moved_money_is_live(db: asyncpg.Connection, state: str):
    payment = await a_payment(db)
    await an_attempt(db, payment, state=state)
    with pytest.raises(asyncpg.UniqueViolationError):
        await an_attempt(db, payment, number=2)


async def test_another_authorization_may_follow_one_that_ended(db: asyncpg.Connection):
    payment = await a_payment(db)
    await an_attempt(db, payment, state="declined")
    await an_attempt(db, payment, number=2)


@pytest.mark.parametrize(
    "columns",
    [
        {"authorized_minor": 1000, "captured_minor": 600, "voided_minor": 401},
        {"authorized_minor": 1000, "captured_minor": 600, "held_minor": 401},
        {"authorized_minor": 1000, "captured_minor": 600, "refunded_minor": 601},
        {"authorized_minor": 1000, "captured_minor": 600, "refunded_minor": 500, "held_refund_minor": 101},
        {"authorized_minor": 1001},
        {"authorized_minor": 1000, "captured_minor": -1},
        {"approved_minor": 1001},
        {"minor": 0},
        {"state": "perhaps"},
        {"closed": "voided"},
    ],
)
async def test_amounts_that_cannot_be_are_refused(db: asyncpg.Connection, columns: dict[str, object]):
    payment = await a_payment(db)
    with pytest.raises(asyncpg.CheckViolationError):
        await an_attempt(db, payment, **{"state": "approved", **columns})


async def post(db: asyncpg.Connection, payment: str, *lines: tuple[int, str]) -> None:
    journal = hex_of(new_id("jrn", BUCKET))
    await db.execute(
        "INSERT INTO journals (bucket, payment_id, id, attempt_id, effect) VALUES ($1, $2, $3, $4, 'sale_approved')",
        BUCKET, payment, journal, uuid.uuid4(),
    )  # fmt: skip
    await posted(db, payment, journal, *lines)


async def posted(db: asyncpg.Connection, payment: str, journal: str, *lines: tuple[int, str], after: int = 0) -> None:
    await db.execute(
        """INSERT INTO postings (bucket, payment_id, journal_id, line, merchant_id, livemode, account, minor, currency)
           SELECT $1, $2, $3, line + $7::integer, $4, false, 'assets.bank', minor, currency
             FROM unnest($5::bigint[], $6::text[]) WITH ORDINALITY AS l(minor, currency, line)""",
        BUCKET, payment, journal, uuid.uuid4(), [minor for minor, _ in lines], [currency for _, currency in lines],
        after,
    )  # fmt: skip


async def test_a_journal_balances_in_each_currency_or_is_not_kept(db: asyncpg.Connection):
    payment = await a_payment(db)
    await post(db, payment, (500, "EUR"), (-500, "EUR"), (7, "USD"), (-7, "USD"))
    with pytest.raises(asyncpg.CheckViolationError, match="does not balance"):
        await post(db, payment, (500, "EUR"), (-500, "USD"))


async def test_what_is_added_to_a_journal_later_balances_too(db: asyncpg.Connection):
    payment, journal = await a_payment(db), hex_of(new_id("jrn", BUCKET))
    await db.execute(
        "INSERT INTO journals (bucket, payment_id, id, attempt_id, effect) VALUES ($1, $2, $3, $4, 'sale_approved')",
        BUCKET, payment, journal, uuid.uuid4(),
    )  # fmt: skip
    await posted(db, payment, journal, (500, "EUR"), (-500, "EUR"))
    with pytest.raises(asyncpg.CheckViolationError, match="does not balance"):
        await posted(db, payment, journal, (1, "EUR"), after=2)


async def test_a_posting_has_a_journal(db: asyncpg.Connection):
    payment = await a_payment(db)
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="no journal"):
        await posted(db, payment, hex_of(new_id("jrn", BUCKET)), (500, "EUR"), (-500, "EUR"))


async def test_an_attempt_has_a_payment(db: asyncpg.Connection):
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="no payment"):
        await an_attempt(db, hex_of(new_id("pay", BUCKET)))


@pytest.mark.parametrize("statement", ["UPDATE postings SET minor = 1", "DELETE FROM postings",
                                       "UPDATE events SET type = 'x'", "DELETE FROM journals", "DELETE FROM audit",
                                       "DELETE FROM payments", "TRUNCATE postings", "DROP TABLE postings"])  # fmt: skip
async def test_the_serving_role_cannot_change_history(db: asyncpg.Connection, statement: str):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await db.execute(statement)


async def test_even_a_superuser_meets_the_trigger(database_url: str):
    connection = await asyncpg.connect(database_url)
    transaction = connection.transaction()
    await transaction.start()
    payment = await a_payment(connection)
    await post(connection, payment, (5, "EUR"), (-5, "EUR"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await connection.execute("UPDATE postings SET minor = 6 WHERE payment_id = $1", payment)
    await transaction.rollback()
    await connection.close()


async def test_an_id_must_carry_its_bucket(db: asyncpg.Connection):
    with pytest.raises(asyncpg.CheckViolationError):
        await db.execute(
            """INSERT INTO payments (bucket, id, merchant_id, caller_id, reference, minor, currency, sale, livemode,
                                     status, deadline_at)
               VALUES (8, $1, $2, $2, 'r', 1000, 'EUR', true, false, 'processing', now())""",
            hex_of(new_id("pay", BUCKET)), uuid.uuid4(),
        )  # fmt: skip


async def test_an_open_attempt_is_always_due_to_be_asked_about(db: asyncpg.Connection):
    payment = await a_payment(db)
    attempt = await an_attempt(db, payment)
    with pytest.raises(asyncpg.CheckViolationError, match="open_attempts_are_asked_about"):
        await db.execute("UPDATE attempts SET ask_at = NULL WHERE bucket = $1 AND id = $2", BUCKET, attempt)
