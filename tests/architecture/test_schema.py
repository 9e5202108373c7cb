"""The schema can be distributed by bucket, and history cannot be changed, not even by mistake."""

import asyncpg
import pytest

from scrooge.postgres.migrate import migrations_in
from scrooge.storage.migrate import CORE
from scrooge.vault.schema import VAULT

BUCKETED = ("payments", "attempts", "journals", "postings", "events", "instruments", "credentials",
            "payment_references", "idempotency_keys", "inbox", "breaks", "audit",
            "webhook_endpoints", "webhook_deliveries", "webhook_replays",
            "batches", "batch_acts", "batch_pieces", "batch_lines", "mandates", "recoveries",
            "splits", "split_orders", "stored_value_accounts", "stored_value_moves", "stored_value_adjustments",
            "stored_value_issues", "stored_value_codes", "stored_value_guesses", "update_links")  # fmt: skip
APPEND_ONLY = ("journals", "postings", "events", "audit")


@pytest.fixture(scope="module")
async def connection(database_url: str):
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.mark.parametrize("schema", [CORE, VAULT])
def test_migrations_are_numbered_without_gaps(schema):
    assert migrations_in(schema.folder)


async def test_bucket_comes_first_in_every_key(connection: asyncpg.Connection):
    rows = await connection.fetch("""
        SELECT c.conrelid::regclass::text AS tab, c.conname, a.attname
          FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
         WHERE c.contype IN ('p', 'u') AND c.conparentid = 0
        UNION ALL
        SELECT i.indrelid::regclass::text, i.indexrelid::regclass::text, a.attname
          FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
         WHERE i.indisunique""")
    found = {row["tab"] for row in rows}
    assert set(BUCKETED) <= found
    for row in rows:
        if row["tab"] in BUCKETED:
            assert row["attname"] == "bucket", row["conname"]


async def test_foreign_keys_between_a_payments_tables_carry_the_bucket(connection: asyncpg.Connection):
    rows = await connection.fetch("""
        SELECT c.conrelid::regclass::text AS tab, c.confrelid::regclass::text AS other, a.attname
          FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
         WHERE c.contype = 'f' AND c.conparentid = 0""")
    for row in rows:
        if row["other"] in BUCKETED:
            assert row["attname"] == "bucket", dict(row)


@pytest.mark.parametrize("table", APPEND_ONLY)
async def test_the_serving_role_may_add_to_history_and_nothing_else(connection: asyncpg.Connection, table: str):
    grants = await connection.fetch(
        "SELECT privilege_type FROM information_schema.role_table_grants WHERE grantee = 'scrooge_app' AND table_name = $1",
        table,
    )
    assert {row["privilege_type"] for row in grants} == {"SELECT", "INSERT"}


@pytest.mark.parametrize("table", APPEND_ONLY)
async def test_history_has_a_trigger_that_refuses_even_the_owner(connection: asyncpg.Connection, table: str):
    events = await connection.fetch(
        "SELECT event_manipulation FROM information_schema.triggers WHERE event_object_table = $1 AND trigger_name = 'append_only'",
        table,
    )
    assert {row["event_manipulation"] for row in events} == {"UPDATE", "DELETE"}


async def test_the_serving_role_deletes_nothing_but_tokens_old_keys_and_webhooks_that_were_taken(
    connection: asyncpg.Connection,
):
    rows = await connection.fetch(
        "SELECT table_name FROM information_schema.role_table_grants WHERE grantee = 'scrooge_app' AND privilege_type = 'DELETE'"
    )
    assert {row["table_name"] for row in rows} == {
        "credentials", "network_tokens", "idempotency_keys", "webhook_deliveries",
    }  # fmt: skip


async def test_the_reading_role_sees_no_secret(connection: asyncpg.Connection):
    rows = await connection.fetch(
        "SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = 'scrooge_reader'"
    )
    assert {row["privilege_type"] for row in rows} == {"SELECT"}
    assert not {"api_keys", "connector_accounts", "credentials", "inbox"} & {row["table_name"] for row in rows}


async def test_nobody_owns_tables_who_can_log_in(connection: asyncpg.Connection):
    rows = await connection.fetch("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert [row["tableowner"] for row in rows] == ["scrooge_owner"]
    assert not await connection.fetchval("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'scrooge_owner'")


async def test_partitions_are_made_ahead(connection: asyncpg.Connection):
    count = await connection.fetchval("SELECT count(*) FROM pg_inherits WHERE inhparent = 'payments'::regclass")
    assert count == 5, "this month, three ahead, and the rest"


@pytest.mark.parametrize("column", ["request", "psp_token", "return_token", "action"])
async def test_the_reading_role_sees_nothing_of_an_attempt_that_could_be_used_again(
    connection: asyncpg.Connection, column: str
):
    may = "SELECT has_column_privilege('scrooge_reader', 'attempts', $1, 'SELECT')"
    assert not await connection.fetchval(may, column)
    assert await connection.fetchval(may, "state")
