"""The audit finds a balance, a move or a journal of stored value that is not what the others say."""

import asyncpg
import pytest

from scrooge.ids import bucket_in, hex_of, new_id
from scrooge.ledger.export import FORMATS
from scrooge.postgres.database import connect
from scrooge.storage.access import create_caller, create_merchant
from scrooge.storage.audit import audit
from scrooge.storage.export import export
from scrooge.storage.stored_value import Move, move
from tests.ledger.test_export import bean_check, hledger
from tests.stored_value.rows import opened

WRONGS = {
    "more available than was loaded": "UPDATE stored_value_accounts SET available_minor = available_minor + 1",
    "something held by nobody": "UPDATE stored_value_accounts SET held_minor = 5",
    "a move that is gone": "DELETE FROM stored_value_moves WHERE kind = 'adjust_up'",
    "a move of another amount": "UPDATE stored_value_moves SET minor = minor + 1 WHERE number = 1",
    "a load that the books forgot": "DELETE FROM postings; DELETE FROM journals",
    "a move that no attempt asked for": "UPDATE stored_value_moves SET attempt_id = id, authorization_id = id"
    " WHERE number = 1",
}


@pytest.fixture
async def owner(fresh_database_url: str):
    connection = await asyncpg.connect(fresh_database_url)
    db = await connect(fresh_database_url, size=1)
    merchant = await create_merchant(db, "shop")
    caller = await create_caller(db, merchant, "checkout")
    account = await opened(connection, merchant)
    await connection.execute("UPDATE stored_value_accounts SET caller_id = $1, customer = 'a'", hex_of(caller))
    for n, kind in enumerate(("load", "adjust_up", "adjust_down")):
        asked = Move(
            id=new_id("svm", bucket_in(account)), account=account, kind=kind, minor=100 + n, currency="EUR",
            merchant=merchant, livemode=False, caller="checkout", reference=f"r-{n}",
        )  # fmt: skip
        await move(db, [asked])
    await db.close()
    yield connection
    await connection.close()


async def test_a_true_account_has_no_findings(owner: asyncpg.Connection, fresh_database_url: str):
    report = await audit(fresh_database_url, {})
    assert (report.ok, report.findings) == (True, [])


@pytest.mark.parametrize("name", WRONGS)
async def test_each_wrong_is_found(owner: asyncpg.Connection, fresh_database_url: str, name: str):
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(WRONGS[name])
    report = await audit(fresh_database_url, {})
    assert (report.ok, report.stored_value_differs > 0) == (False, True), report
    assert any(finding.startswith("sva_") for finding in report.findings)


async def test_hledger_and_beancount_accept_the_books_of_stored_value(
    owner: asyncpg.Connection, fresh_database_url: str, tmp_path
):
    for form in ("hledger", "beancount"):
        pieces: list[str] = []
        assert await export(fresh_database_url, FORMATS[form], pieces.append) == 3
        if form == "hledger":
            assert hledger(tmp_path, "".join(pieces), "check", "--strict") == ""
        else:
            bean_check(tmp_path, "".join(pieces))
