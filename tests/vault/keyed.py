"""Keyrings and cards for tests of the vault's keys, on a real database."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from scrooge.ids import bucket_of, hex_of, new_id
from scrooge.postgres.database import Database, connect
from scrooge.postgres.rows import key_of
from scrooge.vault.keys import acts
from scrooge.vault.keys.acts import Acts, Operator
from scrooge.vault.keys.keyring import Keyring
from scrooge.vault.keys.keyset import Purpose, key_id_of
from scrooge.vault.keys.periods import Periods
from scrooge.vault.keys.reencrypt import Reencryption
from scrooge.vault.keys.start import open_keyring
from scrooge.vault.schema import ROLE
from scrooge.vault.sealing import context as bound

BY = Operator("operator:test", "cli")
PERIODS = Periods()
NUMBERS = ("4242424242424242", "5555555555554444", "378282246310005")
ALL = [(purpose, live) for purpose in Purpose for live in (False,)]
MERCHANT = new_id("mer", 7)


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that has just gone out of use may be retired: here nobody is in the middle of keeping a card."""
    monkeypatch.setattr(acts, "SETTLED_SECONDS", 0.0)


class Clock:
    """Days that pass at a word."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@asynccontextmanager
async def database(url: str) -> AsyncIterator[Database]:
    db = await connect(url, size=4, role=ROLE)
    try:
        yield db
    finally:
        await db.close()


async def opened(db: Database, folder: Path, **more: Any) -> Keyring:
    return await open_keyring(db, f"file:{folder}/kek.json", PERIODS, BY, **more)


async def rotated(keyring: Keyring, wanted: Any = None, *, emergency: bool = False) -> None:
    """Both halves of a rotation; the time between them passes in the database."""
    wanted = wanted or ALL
    act = Acts(keyring.db, keyring, PERIODS, BY)
    await act.prepare(wanted)
    grace, acts.GRACE_SECONDS = acts.GRACE_SECONDS, 0.0
    try:
        await act.promote(wanted, emergency=emergency)
    finally:
        acts.GRACE_SECONDS = grace


async def reencrypted(keyring: Keyring) -> int:
    return sum([moved async for moved in Reencryption(keyring.db, keyring, BY).run()])


def card_row(keyring: Keyring, number: str, *, live: bool = False, customer: str = "user-1") -> tuple[Any, ...]:
    card = new_id("ins", bucket_of(MERCHANT, customer))
    clear = msgspec.msgpack.encode((number, 3, 2031, "Ada Canary"))
    sealed = keyring.seal(live, bound(card, MERCHANT, live), clear)
    mark = keyring.fingerprint(live, MERCHANT, number)
    return (
        *key_of(card),
        hex_of(MERCHANT),
        live,
        customer,
        number[:6],
        number[-4:],
        sealed,
        key_id_of(sealed),
        mark,
        key_id_of(mark),
    )


COLUMNS = ("bucket", "id", "merchant_id", "livemode", "customer", "iin", "last4", "sealed", "key_id", "fingerprint",
           "fingerprint_key")  # fmt: skip


async def add(db: Database, rows: list[tuple[Any, ...]]) -> None:
    async with db.transaction() as connection:
        await connection.executemany(
            f"INSERT INTO cards ({', '.join(COLUMNS)}, brand, exp) "
            f"VALUES ({', '.join(f'${n}' for n in range(1, len(COLUMNS) + 1))}, 'visa', '2031-03')",
            rows,
        )


async def add_cards(keyring: Keyring, count: int) -> list[str]:
    """The ids as uuids."""
    rows = [card_row(keyring, NUMBERS[n % len(NUMBERS)], customer=f"user-{n}") for n in range(count)]
    await add(keyring.db, rows)
    return [row[1] for row in rows]


async def sql(url: str, statement: str, *args: Any) -> Any:
    """As the server's owner, who may do what the vault's role may not."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement, *args)
    finally:
        await connection.close()


async def number_of(keyring: Keyring, card: str) -> str:
    async with keyring.db.connection() as connection:
        row = await connection.fetchrow("SELECT * FROM cards WHERE id = $1", card)
    return await opened_number(keyring, row)


async def opened_number(keyring: Keyring, row: Any) -> str:
    from scrooge.postgres.rows import public

    context = bound(public("ins", row["id"]) or "", public("mer", row["merchant_id"]) or "", row["livemode"])
    clear = await keyring.open_soon(row["livemode"], context, row["sealed"])
    return msgspec.msgpack.decode(clear)[0]


async def nap() -> None:
    await asyncio.sleep(secrets.randbelow(10) / 1000)
