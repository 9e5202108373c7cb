"""Re-encryption: every card moves to the keys in use, whatever else happens meanwhile, and none is unreadable ever."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scrooge.errors import KeyInUse
from scrooge.postgres.database import Database
from scrooge.vault.keys import acts, health, reencrypt
from scrooge.vault.keys import keyring as keyrings
from scrooge.vault.keys.acts import Acts
from scrooge.vault.keys.keyring import Keyring
from scrooge.vault.keys.keyset import Purpose
from scrooge.vault.keys.reencrypt import Left, Reencryption
from tests.vault.keyed import (
    ALL,
    BY,
    NUMBERS,
    PERIODS,
    add,
    add_cards,
    card_row,
    database,
    number_of,
    opened,
    opened_number,
    reencrypted,
    rotated,
    sql,
)

CARD, MARK = (Purpose.CARD, False), (Purpose.FINGERPRINT, False)


@pytest.fixture
async def db(keyless_vault_url: str) -> AsyncIterator[Database]:
    async with database(keyless_vault_url) as db:
        yield db


@pytest.fixture
async def keys(db: Database, tmp_path: Path) -> Keyring:
    return await opened(db, tmp_path)


async def test_every_card_moves_to_the_keys_in_use_and_is_the_same_card(keys: Keyring, keyless_vault_url: str):
    cards = await add_cards(keys, 7)
    await rotated(keys)
    assert await Reencryption(keys.db, keys, BY).left() == Left(7, 7)
    assert await reencrypted(keys) == 7
    assert await Reencryption(keys.db, keys, BY).left() == Left(0, 7)
    active = keys.opened().active
    rows = await sql(keyless_vault_url, "SELECT DISTINCT key_id, fingerprint_key FROM cards")
    assert [tuple(r) for r in rows] == [(active[CARD].key_id, active[MARK].key_id)]
    for n, card in enumerate(cards):
        assert await number_of(keys, card) == NUMBERS[n % 3]
    for row in await sql(keyless_vault_url, "SELECT * FROM cards"):
        merchant = "mer_" + keyrings_merchant(row)
        assert keys.is_fingerprint(False, merchant, await opened_number(keys, row), row["fingerprint"])


def keyrings_merchant(row) -> str:
    from scrooge.postgres.rows import public

    return (public("mer", row["merchant_id"]) or "").removeprefix("mer_")


async def test_the_feed_tells_of_a_new_fingerprint_and_not_of_a_card_that_was_only_sealed_anew(
    keys: Keyring, keyless_vault_url: str
):
    await add_cards(keys, 2)
    seen = "SELECT id, changed_xid::text, changed_at FROM cards ORDER BY id"
    before = [tuple(r) for r in await sql(keyless_vault_url, seen)]
    await rotated(keys, [CARD])
    assert await reencrypted(keys) == 2
    assert [tuple(r) for r in await sql(keyless_vault_url, seen)] == before
    await rotated(keys, [MARK])
    assert await reencrypted(keys) == 2
    after = [tuple(r) for r in await sql(keyless_vault_url, seen)]
    assert all(int(new[1]) > int(old[1]) for new, old in zip(after, before, strict=True))


async def test_several_at_once_move_each_card_once(
    db: Database, keys: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reencrypt, "BATCH", 20)
    await add_cards(keys, 200)
    await rotated(keys)
    rings = [await opened(db, tmp_path) for _ in range(3)]
    moved = await asyncio.gather(*(reencrypted(ring) for ring in rings))
    assert sum(moved) == 200
    assert sum(n > 0 for n in moved) > 1


async def test_a_card_that_somebody_holds_is_waited_for_and_not_forgotten(
    db: Database, keys: Keyring, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reencrypt, "PAUSE_SECONDS", 0.01)
    left, looked = Reencryption.left, 0

    async def counted(self: Reencryption) -> Left:
        nonlocal looked
        looked += 1
        return await left(self)

    monkeypatch.setattr(Reencryption, "left", counted)
    cards = await add_cards(keys, 5)
    await rotated(keys)
    async with db.transaction() as connection:
        await connection.execute("SELECT FROM cards WHERE id = $1 FOR UPDATE", cards[2])
        moving = asyncio.create_task(reencrypted(keys))
        while looked < 2 and not moving.done():
            await asyncio.sleep(0.01)
        assert not moving.done()
    assert await moving == 5


async def test_a_card_that_does_not_open_stays_as_it_is_holds_up_no_other_and_is_told(
    keys: Keyring, keyless_vault_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reencrypt, "BATCH", 2)
    cards = await add_cards(keys, 7)
    spoil = "UPDATE cards SET sealed = set_byte(sealed, 30, 1 # get_byte(sealed, 30)) WHERE id = ANY ($1::uuid[])"
    bad = [cards[1], cards[2], cards[5]]
    await sql(keyless_vault_url, spoil, bad)
    rows = "SELECT id, sealed, key_id, fingerprint FROM cards WHERE id = ANY ($1::uuid[]) ORDER BY id"
    before = await sql(keyless_vault_url, rows, bad)
    await rotated(keys)
    for times in (1, 2):  # What was once unreadable is tried again by the next one, and stops it neither.
        work = Reencryption(keys.db, keys, BY)
        assert sum([n async for n in work.run()]) == (4 if times == 1 else 0)
        assert work.unopened == 3
    assert await sql(keyless_vault_url, rows, bad) == before
    assert [w for w in (await health.look(keys.db, "")).wrong if "3 cards do not open" in w]
    told = "SELECT count(*) FROM audit WHERE act = 'card_reencrypted' AND outcome = 'does_not_open' AND at > $1"
    assert [r[0] for r in await sql(keyless_vault_url, told, work.began)] == [3]
    old = {r["key_id"] for r in before}
    with pytest.raises(KeyInUse):
        await Acts(keys.db, keys, PERIODS, BY).retire(old.pop())
    await sql(keyless_vault_url, spoil, bad)
    assert await reencrypted(keys) == 3, "they open again"
    assert not [w for w in (await health.look(keys.db, "")).wrong if "do not open" in w]


async def test_no_read_fails_and_no_card_is_lost_while_keys_rotate_and_retire_under_load(
    keyless_vault_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Three vaults with keyrings of their own tokenize and open without a pause, while all keys are rotated, every card
    moved and the old keys destroyed, twice over."""
    monkeypatch.setattr(keyrings, "REFRESH_SECONDS", 0.05)
    monkeypatch.setattr(acts, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(acts, "SETTLED_SECONDS", 0.6)
    monkeypatch.setattr(reencrypt, "BATCH", 50)
    kept: dict[str, str] = {}
    counts = {"made": 0, "read": 0}
    stop = asyncio.Event()

    async def vault(n: int) -> None:
        async with database(keyless_vault_url) as db:
            keyring = await opened(db, tmp_path)
            listening = asyncio.create_task(keyring.run(stop))
            while not stop.is_set():
                number = NUMBERS[counts["made"] % 3]
                row = card_row(keyring, number, customer=f"user-{n}-{counts['made']}")
                await add(db, [row])
                kept[row[1]] = number
                counts["made"] += 1
                for card in list(kept)[-40::7]:
                    assert await number_of(keyring, card) == kept[card]
                    counts["read"] += 1
                await asyncio.sleep(0.005)
            await listening

    vaults = [asyncio.create_task(vault(n)) for n in range(3)]
    try:
        async with database(keyless_vault_url) as db:
            keyring = await opened(db, tmp_path)
            act = Acts(db, keyring, PERIODS, BY)
            for _ in range(2):
                _, usable_at = await act.prepare(ALL)
                await asyncio.sleep(max(0.0, (usable_at - keyrings.utc()).total_seconds()) + 0.05)
                await act.promote(ALL)
                await asyncio.sleep(0.3)
                await reencrypted(keyring)
                await asyncio.sleep(0.6)
                old = [k for k, v in await states(keyless_vault_url) if v == "decrypt_only"]
                assert len(old) == 3
                for key_id in old:
                    await act.retire(key_id)
    finally:
        stop.set()
        await asyncio.gather(*vaults)
    assert counts["made"] > 30
    assert counts["read"] > 100
    async with database(keyless_vault_url) as db:
        keyring = await opened(db, tmp_path)
        assert [await number_of(keyring, card) for card in kept] == list(kept.values())


async def states(url: str) -> list[tuple[int, str]]:
    return [tuple(r) for r in await sql(url, "SELECT key_id, state FROM key_versions")]
