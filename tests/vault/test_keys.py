"""The vault's keys on a real database: made once, wrapped, bound to their place, rotated, retired, destroyed."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from tink.proto import aes_gcm_pb2, hmac_pb2, tink_pb2

from scrooge.errors import (
    CannotOpen,
    KeyInUse,
    KeyNotHere,
    KeyPeriodOver,
    KeyRegistryBroken,
    KeysStale,
    LiveModeRefused,
    SettingsError,
)
from scrooge.postgres.database import Database
from scrooge.vault import audit
from scrooge.vault.keys import acts, kek, registry
from scrooge.vault.keys import keyring as keyrings
from scrooge.vault.keys.acts import Acts
from scrooge.vault.keys.keyring import Keyring
from scrooge.vault.keys.keyset import Purpose, key_id_of
from scrooge.vault.keys.registry import State
from scrooge.vault.keys.start import open_keyring
from scrooge.vault.keys.wrapping import NewKek, new_kek_id
from tests.vault.keyed import (
    ALL,
    BY,
    MERCHANT,
    NUMBERS,
    PERIODS,
    Clock,
    add_cards,
    database,
    number_of,
    opened,
    reencrypted,
    rotated,
    settled,  # noqa: F401 - a fixture
    sql,
)

CARD, MARK = (Purpose.CARD, False), (Purpose.FINGERPRINT, False)


@pytest.fixture
def vault_url(keyless_vault_url: str) -> str:
    return keyless_vault_url


@pytest.fixture
async def db(vault_url: str) -> AsyncIterator[Database]:
    async with database(vault_url) as db:
        yield db


@pytest.fixture
async def keys(db: Database, tmp_path: Path) -> Keyring:
    return await opened(db, tmp_path)


async def live_keyring(db: Database) -> Keyring:
    """A vault of which both modes have keys."""
    from scrooge.vault.keys.start import make_vault

    secret = kek.of_secret(bytes(range(32)))
    await make_vault(db, NewKek(kek=secret, id=(kek_id := new_kek_id())), PERIODS, BY)
    keyring = Keyring(db)
    keyring.keks[kek_id] = secret
    await keyring.refresh()
    return keyring


# --- what a keyring does ----------------------------------------------------------------------------------------------


async def test_a_card_opens_for_its_id_merchant_and_mode_and_for_nothing_else(keys: Keyring):
    sealed = keys.seal(False, b"ins_1|mer_1|test", b"4242")
    assert keys.open(False, b"ins_1|mer_1|test", sealed) == b"4242"
    for other in (b"ins_2|mer_1|test", b"ins_1|mer_2|test", b"ins_1|mer_1|live"):
        with pytest.raises(CannotOpen):
            keys.open(False, other, sealed)
    with pytest.raises(CannotOpen):
        keys.open(False, b"ins_1|mer_1|test", b"not sealed by anybody")


async def test_two_cards_whose_ciphertexts_are_swapped_in_the_database_do_not_open(keys: Keyring, vault_url: str):
    one, two = await add_cards(keys, 2)
    assert await number_of(keys, one) == NUMBERS[0]
    await sql(vault_url, "UPDATE cards c SET sealed = o.sealed FROM cards o WHERE o.id <> c.id")
    for card in (one, two):
        with pytest.raises(CannotOpen):
            await number_of(keys, card)


async def test_a_fingerprint_is_the_same_for_a_merchants_card_and_another_for_another_merchant(keys: Keyring):
    mark = keys.fingerprint(False, MERCHANT, NUMBERS[0])
    assert keys.fingerprint(False, MERCHANT, NUMBERS[0]) == mark
    assert keys.fingerprint(False, MERCHANT, NUMBERS[1]) != mark
    assert keys.fingerprint(False, "mer_other", NUMBERS[0]) != mark
    assert keys.is_fingerprint(False, MERCHANT, NUMBERS[0], mark)
    assert not keys.is_fingerprint(False, MERCHANT, NUMBERS[1], mark)


async def test_the_keys_of_test_and_live_mode_are_others(db: Database):
    keys = await live_keyring(db)
    assert keys.fingerprint(True, MERCHANT, NUMBERS[0]) != keys.fingerprint(False, MERCHANT, NUMBERS[0])
    with pytest.raises(KeyNotHere):
        keys.open(True, b"context", keys.seal(False, b"context", b"4242"))


async def test_nothing_of_a_key_is_in_the_words_for_a_keyring(keys: Keyring):
    kept = await registry.read(keys.db)
    words = f"{keys!r} {keys.opened()!r} {kept!r} {list(keys.keks.values())!r}"
    assert "wrapped" not in words
    assert "Aead" not in words


# --- making and keeping them ------------------------------------------------------------------------------------------


async def test_processes_that_start_a_new_vault_together_make_its_keys_once(db: Database, tmp_path: Path):
    rings = await asyncio.gather(*(opened(db, tmp_path) for _ in range(4)))
    sealed = rings[0].seal(False, b"context", b"4242")
    assert [ring.open(False, b"context", sealed) for ring in rings] == [b"4242"] * 4
    assert len(await registry.read(db)) == len(Purpose)


async def test_a_file_makes_no_keys_of_live_mode(keys: Keyring):
    with pytest.raises(LiveModeRefused):
        keys.seal(True, b"context", b"4242")


async def test_a_file_opens_no_keys_of_live_mode_either(db: Database, vault_url: str, tmp_path: Path):
    await opened(db, tmp_path)
    await sql(vault_url, "UPDATE key_versions SET livemode = true")
    with pytest.raises(CannotOpen, match="test mode only"):
        await opened(db, tmp_path)


async def test_the_tables_hold_the_keys_wrapped_only(keys: Keyring, vault_url: str):
    clear, wrapped = [], []
    for k in await registry.read(keys.db):
        assert k.wrapped is not None
        material = await keys.keks[k.kek_id or ""].unwrap(k.wrapped, registry.wrapping_context(k.version))
        form = aes_gcm_pb2.AesGcmKey if k.version.purpose is Purpose.CARD else hmac_pb2.HmacKey
        clear.append(form.FromString(tink_pb2.Keyset.FromString(material).key[0].key_data.value).key_value)
        wrapped.append(k.wrapped)
    assert {len(secret) for secret in clear} == {32}
    tables = [r[0] for r in await sql(vault_url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    dump = "\n".join([str(r[0]) for t in tables for r in await sql(vault_url, f"SELECT to_jsonb(x)::text FROM {t} x")])
    assert all(part.hex() in dump for part in wrapped), "the dump has what is in the tables"
    for secret in clear:
        for part in (secret[:12], secret[8:20], secret[-12:]):
            assert part.hex() not in dump


async def test_another_key_encryption_key_opens_nothing(keys: Keyring, db: Database, tmp_path: Path):
    (tmp_path / "kek.json").unlink()
    kek.of_file(tmp_path / "kek.json", make=True)
    with pytest.raises(SettingsError, match="not the key that wrapped"):
        await opened(db, tmp_path)
    kek.of_file(tmp_path / "other.json", make=True)
    with pytest.raises(SettingsError, match="must name it"):
        await open_keyring(db, f"file:{tmp_path}/other.json", PERIODS, BY)


# --- substitution -----------------------------------------------------------------------------------------------------


async def test_a_wrapped_key_of_test_mode_put_in_a_row_of_live_mode_does_not_open(db: Database, vault_url: str):
    keys = await live_keyring(db)
    await sql(
        vault_url,
        """UPDATE keysets k SET wrapped = o.wrapped FROM keysets o, key_versions v, key_versions w
            WHERE v.key_id = k.key_id AND w.key_id = o.key_id AND v.purpose = w.purpose AND v.livemode AND NOT w.livemode""",
    )
    other = Keyring(db)
    other.keks.update(keys.keks)
    with pytest.raises(CannotOpen):
        await other.refresh()


@pytest.mark.parametrize(
    "change",
    [
        "SET not_after = not_after + interval '10 years'",
        "SET state = 'pre_active', active_at = NULL",
        "SET version = version + 1",
        "SET compromised = NOT compromised",
        "SET retired_at = now()",
    ],
)
async def test_a_row_of_the_registry_that_was_changed_is_found(keys: Keyring, vault_url: str, change: str):
    await sql(vault_url, f"UPDATE key_versions {change} WHERE purpose = 'fingerprint'")
    with pytest.raises((KeyRegistryBroken, CannotOpen)):
        await keys.refresh()
    assert keys.open(False, b"c", keys.seal(False, b"c", b"4242")) == b"4242", "what it knew is as it was"


async def test_two_rows_that_swapped_what_they_say_are_found(keys: Keyring, vault_url: str):
    await rotated(keys, [CARD])
    await sql(
        vault_url,
        """UPDATE key_versions v SET retired_at = o.retired_at, created_at = o.created_at, mac = o.mac
             FROM key_versions o WHERE o.key_id <> v.key_id AND v.purpose = 'card' AND o.purpose = 'card'""",
    )
    with pytest.raises(KeyRegistryBroken):
        await keys.refresh()


async def test_a_key_whose_material_was_taken_away_is_missed(keys: Keyring, vault_url: str):
    await sql(vault_url, "DELETE FROM keysets k USING key_versions v WHERE v.key_id = k.key_id AND v.purpose = 'card'")
    with pytest.raises(KeyRegistryBroken, match="card/test/1"):
        await keys.refresh()


# --- cryptoperiods ----------------------------------------------------------------------------------------------------


async def test_after_its_cryptoperiod_a_key_opens_and_seals_no_more(db: Database, tmp_path: Path):
    clock = Clock()
    keys = await opened(db, tmp_path, now=clock)
    sealed = keys.seal(False, b"context", b"4242")
    clock.ahead = timedelta(days=89, hours=23)
    keys.seal(False, b"context", b"4242")
    clock.ahead = timedelta(days=90, seconds=1)
    with pytest.raises(KeyPeriodOver, match="cryptoperiod"):
        keys.seal(False, b"context", b"4242")
    with pytest.raises(KeyPeriodOver):
        keys.fingerprint(False, MERCHANT, NUMBERS[0])
    assert keys.open(False, b"context", sealed) == b"4242"


async def test_a_rotation_begins_another_cryptoperiod(db: Database, tmp_path: Path):
    clock = Clock()
    keys = await opened(db, tmp_path, now=clock)
    before = keys.opened().active[CARD].not_after
    await rotated(keys)
    assert keys.opened().active[CARD].not_after > before


async def test_a_key_encryption_key_past_its_cryptoperiod_wraps_no_new_key(keys: Keyring, vault_url: str):
    await sql(vault_url, "UPDATE key_encryption_keys SET not_after = now()")
    with pytest.raises(KeyPeriodOver, match="rewrap"):
        await Acts(keys.db, keys, PERIODS, BY).prepare(ALL)
    assert len(await registry.read(keys.db)) == len(Purpose)


async def test_a_process_that_hears_nothing_of_the_keys_seals_no_more_and_opens_on(
    keys: Keyring, monkeypatch: pytest.MonkeyPatch
):
    sealed = keys.seal(False, b"context", b"4242")
    monkeypatch.setattr(keyrings, "STALE_SECONDS", -1.0)
    with pytest.raises(KeysStale):
        keys.seal(False, b"context", b"4242")
    assert keys.open(False, b"context", sealed) == b"4242"


# --- rotation ---------------------------------------------------------------------------------------------------------


async def test_a_new_key_is_known_everywhere_before_it_seals_anywhere(db: Database, tmp_path: Path):
    here, there = await opened(db, tmp_path), await opened(db, tmp_path)
    act = Acts(db, here, PERIODS, BY)
    new, usable_at = await act.prepare([CARD])
    await here.refresh()
    assert key_id_of(here.seal(False, b"c", b"4242")) != new[0].key_id
    assert usable_at - new[0].created_at >= 4 * timedelta(seconds=keyrings.REFRESH_SECONDS)
    with pytest.raises(KeyInUse, match="too new"):
        await act.promote([CARD])
    await there.refresh()  # as it does every two seconds
    await rotated(here, [CARD])
    sealed = here.seal(False, b"c", b"4242")
    assert key_id_of(sealed) == new[0].key_id, "a rotation that was begun is gone on with"
    assert there.open(False, b"c", sealed) == b"4242"


async def test_a_process_that_slept_through_a_rotation_looks_again(db: Database, tmp_path: Path):
    here, there = await opened(db, tmp_path), await opened(db, tmp_path)
    await rotated(here)
    sealed = here.seal(False, b"c", b"4242")
    with pytest.raises(KeyNotHere):
        there.open(False, b"c", sealed)
    assert await there.open_soon(False, b"c", sealed) == b"4242"


async def test_what_was_sealed_and_fingerprinted_before_a_rotation_is_known_after_it(keys: Keyring):
    sealed, mark = keys.seal(False, b"c", b"4242"), keys.fingerprint(False, MERCHANT, NUMBERS[0])
    await rotated(keys)
    assert keys.open(False, b"c", sealed) == b"4242"
    assert keys.is_fingerprint(False, MERCHANT, NUMBERS[0], mark)
    assert keys.fingerprint(False, MERCHANT, NUMBERS[0]) != mark


async def test_a_rotation_for_a_suspicion_is_told_of_in_the_registry(keys: Keyring):
    await rotated(keys, [CARD], emergency=True)
    states = {k.version.name: (k.version.state, k.version.compromised) for k in await registry.read(keys.db)}
    assert states["card/test/1"] == (State.DECRYPT_ONLY, True)
    assert states["card/test/2"] == (State.ACTIVE, False)


async def test_the_key_that_authenticates_the_registry_rotates_too_and_the_old_one_is_not_needed(keys: Keyring):
    await rotated(keys)
    old = next(k.version for k in await registry.read(keys.db) if k.version.name == "registry/test/1")
    await Acts(keys.db, keys, PERIODS, BY).retire(old.key_id)
    await keys.refresh()


# --- retirement -------------------------------------------------------------------------------------------------------


def version(keys: Keyring, purpose: Purpose) -> int:
    return keys.opened().active[purpose, False].key_id


async def test_a_key_that_a_card_needs_is_not_destroyed(keys: Keyring):
    [card] = await add_cards(keys, 1)
    old, old_mark = version(keys, Purpose.CARD), version(keys, Purpose.FINGERPRINT)
    act = Acts(keys.db, keys, PERIODS, BY)
    with pytest.raises(KeyInUse, match="active"):
        await act.retire(old)
    await rotated(keys)
    for key_id in (old, old_mark):
        with pytest.raises(KeyInUse, match="reencrypt"):
            await act.retire(key_id)
    assert await reencrypted(keys) == 1
    for key_id in (old, old_mark):
        assert (await act.retire(key_id)).state is State.DESTROYED
    with pytest.raises(KeyInUse, match="destroyed already"):
        await act.retire(old)
    assert await number_of(keys, card) == NUMBERS[0]


async def test_a_key_is_not_destroyed_while_a_card_sealed_under_it_may_still_be_on_its_way(
    keys: Keyring, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(acts, "SETTLED_SECONDS", 60.0)
    old = version(keys, Purpose.CARD)
    await rotated(keys, [CARD])
    with pytest.raises(KeyInUse, match="just now"):
        await Acts(keys.db, keys, PERIODS, BY).retire(old)


async def test_a_destroyed_key_is_gone_from_the_tables_and_from_the_memory_of_every_process(
    db: Database, tmp_path: Path
):
    here, there = await opened(db, tmp_path), await opened(db, tmp_path)
    sealed, old = here.seal(False, b"c", b"4242"), version(here, Purpose.CARD)
    await rotated(here, [CARD])
    await Acts(db, here, PERIODS, BY).retire(old)
    assert [k.wrapped for k in await registry.read(db) if k.version.key_id == old] == [None]
    await there.refresh()
    for ring in (here, there):
        with pytest.raises(KeyNotHere):
            ring.open(False, b"c", sealed)


async def test_not_even_the_owner_destroys_a_key_that_a_card_needs_or_keeps_a_card_under_none(
    keys: Keyring, vault_url: str
):
    await add_cards(keys, 1)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await sql(vault_url, "DELETE FROM keysets WHERE key_id = (SELECT key_id FROM cards)")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await sql(vault_url, "UPDATE cards SET livemode = true")


async def test_a_key_by_which_repeated_requests_are_known_is_not_destroyed_before_they_are_forgotten(
    keys: Keyring, vault_url: str
):
    mark = keys.fingerprint(False, MERCHANT, "a whole request")
    await sql(
        vault_url,
        """WITH k AS (INSERT INTO vault_keys (id, merchant_id, caller, digest, hint, scopes, livemode)
                      VALUES (gen_random_uuid(), gen_random_uuid(), 'shop', sha256('x'), 'x', '{tokenize}', false) RETURNING id)
           INSERT INTO idempotency_keys (vault_key_id, key, fingerprint, bucket, card_id)
           SELECT id, 'key', $1, 1, gen_random_uuid() FROM k""",
        mark,
    )
    old = version(keys, Purpose.FINGERPRINT)
    await rotated(keys, [MARK])
    with pytest.raises(KeyInUse):
        await Acts(keys.db, keys, PERIODS, BY).retire(old)


# --- another key-encryption key ---------------------------------------------------------------------------------------


async def test_another_key_encryption_key_takes_over_and_the_old_one_opens_nothing(
    db: Database, keys: Keyring, tmp_path: Path
):
    sealed = keys.seal(False, b"c", b"4242")
    new = kek.of_file(tmp_path / "new.json", make=True)
    await Acts(db, keys, PERIODS, BY).rewrap(NewKek(kek=new, id=new_kek_id()))
    with pytest.raises(SettingsError, match="must name it"):
        await opened(db, tmp_path)
    after = await open_keyring(db, f"file:{tmp_path}/new.json", PERIODS, BY)
    assert after.open(False, b"c", sealed) == b"4242"


async def test_a_process_that_names_both_goes_through_the_change_without_a_restart(db: Database, tmp_path: Path):
    kek.of_file(tmp_path / "kek.json", make=True)
    new = kek.of_file(tmp_path / "new.json", make=True)
    both = f"file:{tmp_path}/new.json,file:{tmp_path}/kek.json"
    here = await opened(db, tmp_path)
    there = await open_keyring(db, both, PERIODS, BY)
    await Acts(db, here, PERIODS, BY).rewrap(NewKek(kek=new, id=new_kek_id()))
    await rotated(here, [CARD])
    assert await there.open_soon(False, b"c", here.seal(False, b"c", b"4242")) == b"4242"


async def test_a_vault_that_moves_to_a_key_that_may_guard_live_mode_gets_keys_of_live_mode(db: Database, keys: Keyring):
    act = Acts(db, keys, PERIODS, BY)
    await act.rewrap(NewKek(kek=kek.of_secret(bytes(32)), id=new_kek_id()))
    assert keys.open(True, b"c", keys.seal(True, b"c", b"4242")) == b"4242"


async def test_a_vault_with_keys_of_live_mode_does_not_move_to_a_file(db: Database, tmp_path: Path):
    keys = await live_keyring(db)
    with pytest.raises(SettingsError, match="test mode only"):
        await Acts(db, keys, PERIODS, BY).rewrap(NewKek(kek=kek.of_file(tmp_path / "f", make=True), id=new_kek_id()))


# --- the record -------------------------------------------------------------------------------------------------------


async def test_every_act_on_a_key_is_on_record_or_did_not_happen(keys: Keyring, vault_url: str):
    old = version(keys, Purpose.CARD)
    await rotated(keys, [CARD])
    await Acts(keys.db, keys, PERIODS, BY).retire(old)
    found = [
        tuple(r)
        for r in await sql(vault_url, "SELECT act, object, who FROM audit WHERE stream = 'control' ORDER BY seq")
    ]
    assert [a[:2] for a in found[-3:]] == [
        ("key_made", "card/test/2"), ("key_rotated", "card/test/2"), ("key_destroyed", "card/test/1"),
    ]  # fmt: skip
    assert {a[2] for a in found[-3:]} == {"operator:test"}
    assert not (await audit.verify(keys.db)).broken
    await sql(vault_url, "REVOKE INSERT ON audit FROM scrooge_vault")
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await Acts(keys.db, keys, PERIODS, BY).prepare([CARD])
    finally:
        await sql(vault_url, "GRANT INSERT ON audit TO scrooge_vault")
    assert [k.version.name for k in await registry.read(keys.db) if k.version.purpose is Purpose.CARD] == [
        "card/test/1",
        "card/test/2",
    ]
