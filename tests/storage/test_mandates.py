"""Mandates as rows: read many at once, withdrawn once and for ever, and never changed."""

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest
from msgspec import structs
from tests.storage.test_writer import caller, w  # noqa: F401 - fixtures

from scrooge.domain.attempt import Attempt, Operation
from scrooge.domain.mandate import Mandate, Revoked, Status, Terms, Use, consent_of
from scrooge.domain.payment import Payment
from scrooge.errors import DatabaseUnavailable
from scrooge.ids import bucket_in, hex_of, new_id
from scrooge.postgres.database import run
from scrooge.postgres.rows import encoded
from scrooge.storage import mandates
from scrooge.storage.mandates import Q
from scrooge.storage.writer import Writer

LEFT = Revoked("the payer left", "merchant")


def agreed(caller: tuple[str, str], **more: object) -> Mandate:  # noqa: F811
    known = Mandate(
        id=new_id("man", 7), merchant=caller[0], livemode=False, caller=caller[1], customer=f"c-{uuid.uuid4().hex}",
        instrument=new_id("ins", 9), use=Use.RECURRING, terms=Terms(max_minor=1299, currency="EUR", period="month"),
        network_transaction_id="0163", consent_at=1_700_000_000_000_000,
    )  # fmt: skip
    return structs.replace(known, **more)


async def test_what_was_agreed_is_read_back_for_many_at_once(w: Writer, caller: tuple[str, str]):  # noqa: F811
    several = [agreed(caller) for _ in range(3)]
    assert await mandates.write(w.db, several) == {m.id for m in several}
    found = await mandates.read_many(w.db, [*(m.id for m in several), new_id("man", 1)])
    assert found == {m.id: m for m in several}


async def test_it_is_written_once_and_told_once(w: Writer, caller: tuple[str, str], database_url: str):  # noqa: F811
    m = agreed(caller)
    assert await mandates.write(w.db, [m]) == {m.id}
    assert await mandates.write(w.db, [structs.replace(m, use=Use.UNSCHEDULED)]) == set()
    assert (await mandates.read_many(w.db, [m.id]))[m.id].use is Use.RECURRING
    assert await told(database_url, m) == ["mandate_activated"]


async def test_of_a_hundred_who_withdraw_it_one_did(w: Writer, caller: tuple[str, str], database_url: str):  # noqa: F811
    m = agreed(caller)
    await mandates.write(w.db, [m])
    did = await asyncio.gather(*(mandates.revoke(w.db, [m], LEFT) for _ in range(100)))
    assert sorted(map(len, did)) == [0] * 99 + [1]
    assert await told(database_url, m) == ["mandate_activated", "mandate_revoked"]
    found = (await mandates.read_many(w.db, [m.id]))[m.id]
    assert (found.status, found.version) == (Status.REVOKED, 2)
    assert found.revoked is not None
    assert (found.revoked.because, found.revoked.by) == ("the payer left", "merchant")


async def test_withdrawn_is_for_ever_and_what_was_agreed_cannot_be_changed(
    w: Writer, caller: tuple[str, str], database_url: str,  # noqa: F811
):  # fmt: skip
    m = agreed(caller)
    await mandates.write(w.db, [m])
    connection = await asyncpg.connect(database_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE mandates SET max_minor = 999999 WHERE id = $1", hex_of(m.id))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM mandates WHERE id = $1", hex_of(m.id))
        for forgotten in ("instrument_id = gen_random_uuid()", "instrument_id = gen_random_uuid(), earlier = '[]'"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):  # A card that was is not forgotten.
                await connection.execute(f"UPDATE mandates SET {forgotten} WHERE id = $1", hex_of(m.id))
        await mandates.revoke(w.db, [m], LEFT)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "UPDATE mandates SET status = 'active', revoked_at = NULL, revoked_because = NULL, revoked_by = NULL WHERE id = $1",
                hex_of(m.id),
            )
    finally:
        await connection.close()


async def test_the_serving_role_may_add_mandates_and_change_none(database_url: str):
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT privilege_type FROM information_schema.role_table_grants WHERE grantee = 'scrooge_app' AND table_name = 'mandates'"
        )
    finally:
        await connection.close()
    assert {row["privilege_type"] for row in rows} == {"SELECT", "INSERT"}


async def test_only_an_active_mandate_of_the_merchant_and_mode_will_do(w: Writer, caller: tuple[str, str]):  # noqa: F811
    good, revoked, elsewhere = agreed(caller), agreed(caller), agreed((new_id("mer", 0), caller[1]))
    live, missing = agreed(caller, livemode=True), agreed(caller)
    await mandates.write(w.db, [good, revoked, elsewhere, live])
    await mandates.revoke(w.db, [revoked], LEFT)
    payments = {m.id: new_id("pay", 3) for m in (good, revoked, elsewhere, live, missing)}
    rows = [row for m, p in payments.items() for row in asking(caller, p, m)]
    async with w.db.transaction() as connection:
        found = await connection.fetch("SELECT without_mandate($1::jsonb) AS id", encoded(rows))
    refused = {row["id"].hex for row in found}
    assert refused == {hex_of(p) for m, p in payments.items() if m != good.id}


async def test_a_revocation_waits_for_who_is_recording_under_it(w: Writer, caller: tuple[str, str]):  # noqa: F811
    m = agreed(caller)
    await mandates.write(w.db, [m])
    rows = asking(caller, new_id("pay", 3), m.id)
    async with w.db.transaction() as connection:
        assert not await connection.fetch("SELECT without_mandate($1::jsonb)", encoded(rows))
        with pytest.raises(DatabaseUnavailable):
            await run(w.repeatable, Q["revoke"], encoded([mandates.revoked_row(structs.replace(m, revoked=LEFT))]))
    assert await mandates.revoke(w.db, [m], LEFT) == {m.id}


async def test_a_customer_is_shown_their_own_newest_first_and_a_page_at_a_time(w: Writer, caller: tuple[str, str]):  # noqa: F811
    several = [agreed(caller, customer="payer") for _ in range(3)]
    await mandates.write(w.db, [*several, agreed(caller), agreed(caller, customer="payer", livemode=True)])
    newest = sorted((m.id for m in several), key=hex_of, reverse=True)
    page, place = await mandates.of_customer(w.db, caller[0], "payer", False, None, 2)
    assert [m.id for m in page] == newest[:2]
    rest, end = await mandates.of_customer(w.db, caller[0], "payer", False, place, 2)
    assert ([m.id for m in rest], end) == (newest[2:], None)


def asking(caller: tuple[str, str], payment: str, mandate: str) -> list[dict[str, Any]]:  # noqa: F811
    p = Payment(
        id=payment, merchant=caller[0], caller=caller[1], reference="r", minor=1, currency="EUR", mandate=mandate
    )
    a = Attempt(
        id=new_id("att", 3), number=1, operation=Operation.AUTHORIZE, minor=1, connector_account=new_id("con", 0)
    )
    return mandates.wanted_rows(p, a)


async def told(database_url: str, m: Mandate) -> list[str]:
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT type FROM events WHERE bucket = $1 AND payment_id = $2 ORDER BY object_version",
            bucket_in(m.id), hex_of(consent_of(m.id)),
        )  # fmt: skip
    finally:
        await connection.close()
    return [row["type"] for row in rows]
