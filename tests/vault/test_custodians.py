"""The sealed vault and its custodians: each brings a share, once, and accepts the duties; a wrong one is found."""

from collections.abc import AsyncIterator

import pytest

from scrooge.errors import ShareRefused, VaultSealed
from scrooge.postgres.database import Database
from scrooge.vault.keys import custodians, shares
from scrooge.vault.keys.acts import Acts
from scrooge.vault.keys.custodians import Ceremony, Custodians, Progress, ceremony
from scrooge.vault.keys.keyring import Keyring
from scrooge.vault.keys.start import make_vault, open_keyring
from tests.vault.keyed import BY, PERIODS, database, sql

ORIGIN = "127.0.0.1"


@pytest.fixture
async def db(keyless_vault_url: str) -> AsyncIterator[Database]:
    async with database(keyless_vault_url) as db:
        yield db


@pytest.fixture
async def held(db: Database) -> Ceremony:
    held = ceremony(("alice", "bob", "carol"), 2)
    assert await make_vault(db, held.new, PERIODS, BY)
    return held


@pytest.fixture
async def waiting(db: Database, held: Ceremony) -> Custodians:
    keyring = await open_keyring(db, "shares:", PERIODS, BY)
    return Custodians(db, keyring)


def share_of(held: Ceremony, name: str) -> str:
    return dict(held.texts)[name]


async def enter(waiting: Custodians, name: str, text: str, *, accepts: bool = True) -> Progress:
    return await waiting.enter(name, text, accepts=accepts, origin=ORIGIN)


async def test_a_sealed_vault_does_nothing_until_enough_custodians_came(waiting: Custodians, held: Ceremony):
    keyring = waiting.keyring
    assert keyring.sealed
    for deed in (
        lambda: keyring.seal(False, b"c", b"4242"),
        lambda: keyring.open(False, b"c", b"\x01" * 40),
        lambda: keyring.fingerprint(False, "mer", "4242"),
    ):
        with pytest.raises(VaultSealed):
            deed()
    assert await enter(waiting, "carol", share_of(held, "carol")) == Progress(True, 1, 2)
    assert keyring.sealed
    assert (await enter(waiting, "alice", share_of(held, "alice"))).sealed is False
    assert keyring.open(True, b"c", keyring.seal(True, b"c", b"4242")) == b"4242"
    assert waiting.shelf.look().shares == {}, "what was entered is forgotten"


async def test_a_vault_without_a_key_stays_sealed_until_there_is_one(db: Database):
    keyring = await open_keyring(db, "shares:", PERIODS, BY)
    assert await keyring.refreshed() is False
    assert keyring.sealed


async def test_the_same_share_does_not_count_twice(waiting: Custodians, held: Ceremony):
    await enter(waiting, "alice", share_of(held, "alice"))
    with pytest.raises(ShareRefused, match="already"):
        await enter(waiting, "alice", share_of(held, "alice"))
    assert (await waiting.progress()).entered == 1


async def test_a_custodian_does_not_enter_the_share_of_another(waiting: Custodians, held: Ceremony):
    await enter(waiting, "alice", share_of(held, "alice"))
    with pytest.raises(ShareRefused, match="not the share of that custodian"):
        await enter(waiting, "alice", share_of(held, "bob"))
    with pytest.raises(ShareRefused, match="not the share of that custodian"):
        await enter(waiting, "mallory", share_of(held, "bob"))
    assert waiting.keyring.sealed


async def test_a_wrong_share_is_found_when_it_is_entered(waiting: Custodians, held: Ceremony):
    number, share = shares.read(share_of(held, "alice"))
    forged = shares.text_of(number, bytes([share[0] ^ 1]) + share[1:])
    with pytest.raises(ShareRefused, match="not the share"):
        await enter(waiting, "alice", forged)
    assert (await waiting.progress()).entered == 0


async def test_shares_that_make_another_key_open_nothing(waiting: Custodians, held: Ceremony, keyless_vault_url: str):
    """Someone who changed the commitments to fit forged shares is stopped by the check value."""
    forged = [shares.text_of(n, bytes([n]) * 32) for n in (1, 2)]
    for n in (1, 2):
        commitment = shares.commitment(held.new.salt or b"", n, bytes([n]) * 32)
        await sql(keyless_vault_url, "UPDATE key_shares SET commitment = $1 WHERE number = $2", commitment, n)
    await enter(waiting, "alice", forged[0])
    with pytest.raises(ShareRefused, match="do not make the key"):
        await enter(waiting, "bob", forged[1])
    assert waiting.keyring.sealed
    assert waiting.shelf.look().shares == {}


async def test_a_custodian_who_has_not_accepted_the_duties_is_refused_once(
    waiting: Custodians, held: Ceremony, keyless_vault_url: str
):
    with pytest.raises(ShareRefused, match="accept the duties"):
        await enter(waiting, "alice", share_of(held, "alice"), accepts=False)
    await enter(waiting, "alice", share_of(held, "alice"))
    with waiting.shelf.changing() as brought:
        brought.shares.clear()
    await enter(waiting, "alice", share_of(held, "alice"), accepts=False)  # It is on record now.
    rows = await sql(keyless_vault_url, "SELECT custodian FROM key_shares WHERE acknowledged_at IS NOT NULL")
    assert [r["custodian"] for r in rows] == ["alice"]


async def test_a_share_does_not_wait_for_ever(waiting: Custodians, held: Ceremony, monkeypatch: pytest.MonkeyPatch):
    await enter(waiting, "alice", share_of(held, "alice"))
    monkeypatch.setattr(custodians, "KEPT_SECONDS", -1)
    assert await waiting.progress() == Progress(True, 0, 2)


async def test_every_entry_is_on_record_and_none_holds_a_share(
    waiting: Custodians, held: Ceremony, keyless_vault_url: str
):
    with pytest.raises(ShareRefused):
        await enter(waiting, "alice", share_of(held, "bob"))
    await enter(waiting, "alice", share_of(held, "alice"))
    await enter(waiting, "bob", share_of(held, "bob"))
    rows = await sql(keyless_vault_url, "SELECT * FROM audit WHERE stream = 'control' ORDER BY seq DESC LIMIT 4")
    assert [(r["who"], r["act"], r["outcome"]) for r in reversed(rows)] == [
        ("custodian:alice", "share_entered", "share_refused"), ("custodian:alice", "share_entered", "done"),
        ("custodian:bob", "share_entered", "done"), ("custodian:bob", "vault_opened", "done"),
    ]  # fmt: skip
    dump = "".join(
        [
            str(tuple(r))
            for t in ("audit", "key_shares", "key_encryption_keys")
            for r in await sql(keyless_vault_url, f"SELECT * FROM {t}")
        ]
    )
    for _, text in held.texts:
        _, share = shares.read(text)
        assert text not in dump
        assert share.hex() not in dump
        assert repr(share)[2:20] not in dump


async def test_custodians_who_changed_get_new_shares_and_the_old_ones_are_of_no_use(
    db: Database, waiting: Custodians, held: Ceremony
):
    for name in ("alice", "bob"):
        await enter(waiting, name, share_of(held, name))
    sealed = waiting.keyring.seal(False, b"c", b"4242")
    again = ceremony(("alice", "carol", "dave"), 2)
    await Acts(db, waiting.keyring, PERIODS, BY).rewrap(again.new)
    after = Custodians(db, await open_keyring(db, "shares:", PERIODS, BY))
    with pytest.raises(ShareRefused):
        await enter(after, "alice", share_of(held, "alice"))
    for name in ("dave", "alice"):
        await enter(after, name, share_of(again, name))
    assert after.keyring.open(False, b"c", sealed) == b"4242"


async def test_a_vault_whose_key_is_elsewhere_takes_no_shares(db: Database, tmp_path):
    keyring: Keyring = await open_keyring(db, f"file:{tmp_path}/kek.json", PERIODS, BY)
    with pytest.raises(ShareRefused, match="not in shares"):
        await enter(Custodians(db, keyring), "alice", shares.text_of(1, bytes(32)))
