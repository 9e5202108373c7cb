"""`scrooge vault keys` and `scrooge vault unseal` as operators and custodians run them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest

from scrooge.cli import doctor
from scrooge.postgres.database import Database
from scrooge.vault.keys import acts
from scrooge.vault.keys.acts import Acts
from scrooge.vault.keys.keyring import Keyring
from tests.vault.commands import Command, known_as, refused, scrooge
from tests.vault.house import House, house
from tests.vault.keyed import (
    ALL,
    BY,
    NUMBERS,
    PERIODS,
    add_cards,
    database,
    number_of,
    opened,
    sql,
)

MANY = 12_000
age: Any = pyrage


@pytest.fixture
async def db(keyless_vault_url: str) -> AsyncIterator[Database]:
    async with database(keyless_vault_url) as db:
        yield db


@pytest.fixture
async def keys(db: Database, tmp_path: Path) -> Keyring:
    return await opened(db, tmp_path)


@pytest.fixture
def env(keyless_vault_url: str, tmp_path: Path) -> dict[str, str]:
    return {"SCROOGE_VAULT_DATABASE_URL": keyless_vault_url, "SCROOGE_VAULT_KEK": f"file:{tmp_path}/kek.json"}


async def prepared_long_ago(keys: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first half of a rotation, a minute before now, so that the command need not wait for the second."""
    begin = acts.begin

    async def earlier(connection: Any):
        return await begin(connection) - timedelta(minutes=1)

    with monkeypatch.context() as patched:
        patched.setattr(acts, "begin", earlier)
        await Acts(keys.db, keys, PERIODS, BY).prepare(ALL)


def by_name(status: dict[str, Any]) -> dict[str, tuple[str, int]]:
    return {k["name"]: (k["state"], k["cards"]) for k in status["keys"]}


async def test_a_rotation_from_the_first_command_to_the_last(
    keys: Keyring, env: dict[str, str], monkeypatch: pytest.MonkeyPatch, keyless_vault_url: str
):
    """One of the re-encryptions is killed in the middle; the next goes on where it was."""
    cards = await add_cards(keys, MANY)
    status = await scrooge(env, "vault", "keys", "status")
    assert by_name(status)["card/test/1"] == ("active", MANY)
    assert (status["verified"], status["wrong"], status["soon"]) == (True, [], [])
    await prepared_long_ago(keys, monkeypatch)
    rotated = (await scrooge(env, "vault", "keys", "rotate"))["rotated"]
    assert [k["key"] for k in rotated] == ["card/test/2", "fingerprint/test/2", "registry/test/2"]
    killed = Command(env, ("vault", "keys", "reencrypt"), "alice")
    moved = "SELECT count(*) AS n FROM cards WHERE key_id = $1"
    while not (await sql(keyless_vault_url, moved, rotated[0]["key_id"]))[0]["n"]:
        assert killed.process.poll() is None, killed.said
        await asyncio.sleep(0.02)
    killed.process.kill()
    await killed.ended(None)
    [half] = await sql(keyless_vault_url, moved, rotated[0]["key_id"])
    assert 0 < half["n"] < MANY
    assert "reencrypt" in " ".join((await scrooge(env, "vault", "keys", "status"))["soon"])
    assert "just now" in await refused(env, "vault", "keys", "retire", "--all", code=3)
    done = await scrooge(env, "vault", "keys", "reencrypt")
    assert done["moved"] == MANY - half["n"]
    after = by_name(await scrooge(env, "vault", "keys", "status"))
    assert (after["card/test/1"], after["card/test/2"]) == (("decrypt_only", 0), ("active", MANY))
    assert after["fingerprint/test/2"] == ("active", MANY)
    await keys.refresh()
    for n in (0, MANY // 2, MANY - 1):
        assert await number_of(keys, cards[n]) == NUMBERS[n % 3]
    acts_done = await sql(keyless_vault_url, "SELECT who FROM audit WHERE act = 'key_rotated' ORDER BY at DESC LIMIT 1")
    assert acts_done[0]["who"] == known_as("alice")


async def test_status_says_what_must_be_done_and_ends_with_3(
    keys: Keyring, env: dict[str, str], keyless_vault_url: str
):
    await sql(keyless_vault_url, "UPDATE key_encryption_keys SET not_after = now() + interval '5 days'")
    status = await scrooge(env, "vault", "keys", "status")
    assert ["rewrap" in sentence for sentence in status["soon"]] == [True]
    await sql(keyless_vault_url, "UPDATE key_versions SET not_after = now() WHERE purpose = 'card'")
    status = await scrooge(env, "vault", "keys", "status", code=3)
    assert "cryptoperiod" in status["wrong"][0]
    assert "not as the vault wrote it" in status["wrong"][1], "for the row was changed"


async def test_the_doctor_looks_at_the_keys(
    keys: Keyring, env: dict[str, str], monkeypatch: pytest.MonkeyPatch, keyless_vault_url: str
):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    [finding] = await asyncio.to_thread(lambda: list(doctor.vault_keys()))
    assert (finding.ok, finding.detail, finding.fix) == (True, "3 in the registry, each row checked", "")
    await sql(keyless_vault_url, "UPDATE key_encryption_keys SET not_after = now()")
    [finding] = await asyncio.to_thread(lambda: list(doctor.vault_keys()))
    assert (finding.ok, finding.fix) == (False, "scrooge vault keys status")
    assert "rewrap" in finding.detail


async def test_a_file_takes_the_place_of_another(keys: Keyring, env: dict[str, str], tmp_path: Path):
    sealed = keys.seal(False, b"c", b"4242")
    assert await scrooge(env, "vault", "keys", "rewrap", "--to", f"file:{tmp_path}/new.json") == {
        "uri": f"file:{tmp_path}/new.json", "keys": 3,
    }  # fmt: skip
    assert "must name it" in " ".join((await scrooge(env, "vault", "keys", "status", code=3))["wrong"])
    new = {**env, "SCROOGE_VAULT_KEK": f"file:{tmp_path}/new.json"}
    assert (await scrooge(new, "vault", "keys", "status"))["verified"]
    assert keys.open(False, b"c", sealed) == b"4242"


# --- shares -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def waiting(server_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """A vault that waits for custodians, none of whom there is yet."""
    async with house(server_url, tmp_path, "http://127.0.0.1:9", SCROOGE_VAULT_KEK="shares:") as h:
        yield h


async def test_custodians_open_a_running_vault_and_each_command_that_needs_the_key(waiting: House, tmp_path: Path):
    body = {"type": "card", "customer": "user-1", "card": {"number": NUMBERS[0], "exp_month": 3, "exp_year": 2034}}
    status, sealed, _ = await waiting.ask("POST", "/v1/instruments", body)
    assert (status, sealed["code"]) == (503, "vault_sealed")
    assert (await waiting.ask("GET", "/readyz"))[:2] == (503, {"status": "sealed", "reason": "scrooge vault unseal"})
    people = {name: age.x25519.Identity.generate() for name in ("alice", "bob", "carol")}
    custodians = [f"--custodian={name}={identity.to_public()}" for name, identity in people.items()]
    await scrooge(waiting.env, "vault", "keys", "ceremony", *custodians, "--threshold=2", "-o", str(tmp_path / "out"))
    files = {name: (tmp_path / "out" / f"{name}.age").read_bytes() for name in people}
    with pytest.raises(age.DecryptError):
        age.decrypt(files["alice"], [people["bob"]])
    shares = {name: tmp_path / f"{name}.share" for name in people}
    for name, identity in people.items():
        shares[name].write_bytes(age.decrypt(files[name], [identity]))

    async def unseal(name: str, share: str, *options: str, code: int = 0) -> str:
        given = ("vault", "unseal", "--custodian", name, *options)
        command = Command(waiting.env, given, name, given=shares[share])
        return await command.ended(code) + command.said

    assert "accept the duties" in await unseal("alice", "alice", code=1)
    assert "1 of 2" in await unseal("alice", "alice", "--accept")
    assert "already" in await unseal("alice", "alice", code=1)
    assert "not the share of that custodian" in await unseal("bob", "carol", "--accept", code=1)
    assert "the vault is open" in await unseal("carol", "carol", "--accept")
    made = await waiting.tokenize()
    waiting.stop(kill=True)
    waiting.start()
    assert (await waiting.ask("POST", "/v1/instruments", body))[1]["code"] == "vault_sealed", (
        "nothing of the key is kept"
    )
    both = tmp_path / "both"
    both.write_text("".join(f"{name} {shares[name].read_text()}" for name in ("carol", "alice")))
    command = Command(waiting.env, ("vault", "keys", "reencrypt", "--json"), "alice", given=both)
    assert '"moved": 0' in await command.ended()
    for name in ("carol", "alice"):
        await unseal(name, name)
    status, found, _ = await waiting.ask("GET", f"/v1/instruments/{made['id']}")
    assert (status, found["card"]["last4"]) == (200, "4242")
    log = waiting.log.read_text()
    assert not any(path.read_text().strip() in log for path in shares.values())


async def test_a_ceremony_shows_shares_to_people_only(waiting: House):
    said = await refused(
        waiting.env, "vault", "keys", "ceremony", "--custodian=alice", "--custodian=bob", "--threshold=2"
    )
    assert "terminal" in said
    assert "scrooge-share" not in said


async def test_a_share_travels_to_this_machine_or_over_tls(env: dict[str, str]):
    said = await refused(env, "vault", "unseal", "--custodian", "alice", "--url", "http://vault.example:8081")
    assert "https" in said
