"""Payments by the million: one real payment's rows, copied by the server, spread over the last twelve months.

Every table and index of a payment grows as it would have; what differs from a copy to the next is what identifies it.
The copies are of an account that nobody calls any more, so that they are told from the payments of the rounds.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from scrooge.cli.bench.server import session
from scrooge.ids import hex_of, new_id

MONTHS = 12
CHUNK = 25_000
AT_ONCE = 2
# Random numbers of a copy by its position: `low` is the second half of its ids, with the bucket in its last ten bits.
# The first half is a moment; the digits between say which of a payment's ids it is.
COPIES = """
    SELECT (low & 1023)::smallint AS bucket, to_hex(low) AS low,
           lpad(to_hex((extract(epoch FROM since)::bigint * 1000
                + (i * extract(epoch FROM now() - since)::bigint * 1000 / {total})::bigint)), 12, '0') AS high
      FROM (SELECT i, (hashint8extended({before} + i, 42) & 4611686018427387903) | (-9223372036854775808) AS low,
                   date_trunc('month', now()) - interval '{months} months' AS since
              FROM generate_series({first}::bigint, {last}::bigint) AS i) numbered
"""
PAYMENT, ATTEMPT, JOURNAL, EVENT = (f"(g.high || '7{kind:03d}' || g.low)::uuid" for kind in range(1, 5))
PUBLIC = "right('0000000000' || g.high, 10) || upper(g.low)"
# What is put in the place of a column; the others are copied.
KEYS = {"bucket": "g.bucket", "payment_id": PAYMENT, "attempt_id": ATTEMPT, "journal_id": JOURNAL}
TABLES: dict[str, dict[str, str]] = {
    "payments": {"id": PAYMENT, "reference": "'grown-' || g.low"},
    "payment_references": {"reference": "'grown-' || g.low"},
    "idempotency_keys": {"key": "'grown-' || g.low", "attempt_id": "t.attempt_id"},
    "attempts": {
        "id": ATTEMPT, "reference": f"'pay_' || {PUBLIC} || '-1'", "psp_reference": "'pi_' || g.low || '00000000'",
        "connector_account_id": "{account}",
    },
    "journals": {"id": JOURNAL},
    "postings": {"account": "replace(t.account, 'psp_receivable.stripe', 'psp_receivable.stripe_old')"},
    "events": {"id": EVENT},
}  # fmt: skip
OWN_DEFAULT = {("events", "xid")}  # a position in the feed is where a row was written


class Template(Struct, frozen=True):
    """The INSERT of each table, where `{copies}` stands for which copies to make."""

    inserts: list[str]


async def template(url: str) -> Template:
    """Of any captured payment. Its copies need an account of their own, and months that lie behind us."""
    async with session(url) as connection:
        row = await connection.fetchrow("SELECT id, merchant_id FROM payments WHERE status = 'captured' LIMIT 1")
        assert row is not None, "there is a payment from the warm-up"
        account = hex_of(new_id("con", 0))
        await connection.execute(
            "INSERT INTO connector_accounts (id, merchant_id, name, connector, merchant_account, livemode, credentials)"
            " VALUES ($1, $2, 'stripe_old', 'stripe', 'acct_old', false, '')",
            account,
            row["merchant_id"],
        )
        await make_past_partitions(connection)
        await connection.execute("CREATE SCHEMA template")
        for name in TABLES:
            owner = "id" if name == "payments" else "payment_id"
            await connection.execute(
                f"CREATE TABLE template.{name} AS SELECT * FROM public.{name} WHERE {owner} = '{row['id']}'"  # noqa: S608  # nosec B608
            )
        return Template([await copying(connection, name, account) for name in TABLES])


async def make_past_partitions(connection: Any) -> None:
    """By the function that makes those ahead, read from the server and turned round."""
    text = await connection.fetchval("SELECT pg_get_functiondef('make_partitions(integer)'::regprocedure)")
    past = text.replace("make_partitions(ahead integer)", "make_past_partitions(ahead integer)")
    past = past.replace("FOR step IN 0..ahead LOOP", "FOR step IN -ahead..-1 LOOP")
    assert past.count("-ahead..-1") == 1, "make_partitions has changed its shape"
    await connection.execute(past)
    await connection.execute(f"SELECT make_past_partitions({MONTHS})")


async def grow(url: str, of: Template, before: int, after: int, say: Callable[[str], None]) -> None:
    """From so many copies to so many, then what the housekeeping of PostgreSQL would have done by then."""
    total = after - before
    waiting = list(range(0, total, CHUNK))
    waiting.reverse()

    async def copier() -> None:
        async with session(url) as connection:
            # The rules that triggers and foreign keys keep hold for a copy of what has met them.
            await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
            while waiting:
                first = waiting.pop()
                last = min(first + CHUNK, total) - 1
                made = COPIES.format(total=total, before=before, months=MONTHS, first=first, last=last)
                async with connection.transaction():
                    for insert in of.inserts:
                        await connection.execute(insert.replace("{copies}", made))
                if first % (CHUNK * 20) == 0:
                    say(f"{before + first:,} payments")

    await asyncio.gather(*(copier() for _ in range(AT_ONCE)))
    async with session(url) as connection:
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")


async def copying(connection: Any, name: str, account: str) -> str:
    """The INSERT that copies the template's rows of one table, with whatever columns that has today."""
    rows = await connection.fetch(
        "SELECT attname AS name FROM pg_attribute"
        " WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
        name,
    )
    columns = [row["name"] for row in rows if (name, row["name"]) not in OWN_DEFAULT]
    given = {**KEYS, **TABLES[name]}
    values = [given.get(column, f"t.{column}").replace("{account}", f"'{account}'::uuid") for column in columns]
    into, what = f"{name} ({', '.join(columns)})", ", ".join(values)
    return f"INSERT INTO {into} SELECT {what} FROM template.{name} t CROSS JOIN ({{copies}}) g"  # noqa: S608  # nosec B608


async def size_of(url: str) -> int:
    """Bytes on disk."""
    async with session(url) as connection:
        return int(await connection.fetchval("SELECT pg_database_size(current_database())") or 0)
