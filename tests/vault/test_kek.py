"""The key-encryption key: in a file, in Google Cloud KMS, in shares. What one wraps opens with it and its context only."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from scrooge.errors import CannotOpen, KekUnavailable, SettingsError
from scrooge.vault.keys import gcp, kek
from scrooge.vault.keys.gcp import InKms
from scrooge.vault.keys.kek import Kek
from scrooge.vault.keys.named import of_uri
from tests.vault.kms import NAME, Kms, serving

CLEAR, CONTEXT = b"a key of the vault", b"card|live|1"
URI = f"gcp-kms://{NAME}"


@pytest.fixture(scope="module")
def server() -> Iterator[Kms]:
    with serving() as kms:
        yield kms


@pytest.fixture
def kms(server: Kms, monkeypatch: pytest.MonkeyPatch) -> Kms:
    monkeypatch.setattr(gcp, "PAUSE_SECONDS", 0.0)
    server.spoil, server.down, server.disabled = lambda answer: answer, False, False
    server.asked.clear()
    return server


def at(kms: Kms) -> InKms:
    return InKms.of(URI, host=kms.url, credentials=AnonymousCredentials())


@pytest.fixture(params=["file", "kms", "shares"])
def any_kek(request: pytest.FixtureRequest, tmp_path: Path, kms: Kms) -> Kek:
    match request.param:
        case "file":
            return kek.of_file(tmp_path / "kek.json", make=True)
        case "kms":
            return at(kms)
        case _:
            return kek.of_secret(bytes(range(32)))


async def test_what_was_wrapped_opens_in_its_context_and_in_no_other(any_kek: Kek):
    wrapped = await any_kek.wrap(CLEAR, CONTEXT)
    assert CLEAR not in wrapped
    assert await any_kek.unwrap(wrapped, CONTEXT) == CLEAR
    with pytest.raises(CannotOpen):
        await any_kek.unwrap(wrapped, b"card|test|1")
    with pytest.raises(CannotOpen):
        await any_kek.unwrap(wrapped[:-1] + bytes([wrapped[-1] ^ 1]), CONTEXT)


async def test_another_key_opens_nothing(tmp_path: Path):
    wrapped = await kek.of_file(tmp_path / "one.json", make=True).wrap(CLEAR, CONTEXT)
    for other in (kek.of_file(tmp_path / "two.json", make=True), kek.of_secret(bytes(32))):
        with pytest.raises(CannotOpen):
            await other.unwrap(wrapped, CONTEXT)


# --- a file -----------------------------------------------------------------------------------------------------------


async def test_a_file_is_made_once_for_its_owner_alone_and_is_of_test_mode_only(tmp_path: Path):
    path = tmp_path / "deep" / "kek.json"
    first = kek.of_file(path, make=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert not first.live
    again = kek.of_file(path, make=True)
    assert await again.unwrap(await first.wrap(CLEAR, CONTEXT), CONTEXT) == CLEAR
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_file_is_not_made_where_there_are_keys_that_it_should_open(tmp_path: Path):
    with pytest.raises(SettingsError, match="there is no"):
        kek.of_file(tmp_path / "kek.json", make=False)
    assert not (tmp_path / "kek.json").exists()


def test_a_file_that_others_may_read_is_refused(tmp_path: Path):
    kek.of_file(tmp_path / "kek.json", make=True)
    (tmp_path / "kek.json").chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        kek.of_file(tmp_path / "kek.json", make=False)


def test_a_file_of_something_else_is_refused_and_not_repeated(tmp_path: Path):
    (tmp_path / "kek.json").write_text('{"primaryKeyId": 1, "secret": "hush"}')
    (tmp_path / "kek.json").chmod(0o600)
    with pytest.raises(SettingsError, match="not a Tink keyset") as refused:
        kek.of_file(tmp_path / "kek.json", make=False)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("uri", ["", "file:", "kek.json", "aws-kms://key", "gcp-kms://projects/p/cryptoKeys/k"])
def test_a_name_of_no_key_is_a_wrong_setting(uri: str):
    with pytest.raises(SettingsError, match="SCROOGE_VAULT_KEK"):
        of_uri(uri)


# --- Google Cloud KMS -------------------------------------------------------------------------------------------------


async def test_kms_opens_what_earlier_versions_of_its_key_wrapped(kms: Kms):
    ours = at(kms)
    wrapped = await ours.wrap(CLEAR, CONTEXT)
    kms.rotate()
    assert await ours.unwrap(wrapped, CONTEXT) == CLEAR
    assert (await ours.wrap(CLEAR, CONTEXT))[:4] != wrapped[:4]
    assert ours.live


def wrong(field: str, value: Any):
    return lambda answer: {**answer, field: value}


def damaged(answer: dict[str, Any]) -> dict[str, Any]:
    """A bit of the ciphertext or of the key is another, its checksum is not."""
    field = "ciphertext" if "ciphertext" in answer else "plaintext"
    raw = base64.b64decode(answer[field])
    return {**answer, field: base64.b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode()}


@pytest.mark.parametrize(
    "spoil",
    [
        damaged,
        wrong("ciphertextCrc32c", "1"),
        wrong("verifiedPlaintextCrc32c", False),
        wrong("verifiedAdditionalAuthenticatedDataCrc32c", False),
        wrong("name", "projects/thief/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"),
    ],
    ids=["damaged", "checksum", "plaintext not verified", "context not verified", "another key answered"],
)
async def test_an_encryption_that_may_be_wrong_is_asked_again_and_then_not_believed(kms: Kms, spoil: Any):
    kms.spoil = spoil
    with pytest.raises(KekUnavailable):
        await at(kms).wrap(CLEAR, CONTEXT)
    assert kms.asked == ["encrypt"] * 3


@pytest.mark.parametrize("spoil", [damaged, wrong("plaintextCrc32c", "1")], ids=["damaged", "checksum"])
async def test_a_decryption_that_may_be_wrong_is_not_believed(kms: Kms, spoil: Any):
    wrapped = await at(kms).wrap(CLEAR, CONTEXT)
    kms.spoil = spoil
    with pytest.raises(KekUnavailable):
        await at(kms).unwrap(wrapped, CONTEXT)


async def test_what_is_damaged_once_on_its_way_is_right_the_second_time(kms: Kms):
    answers = iter([damaged])
    kms.spoil = lambda answer: next(answers, lambda same: same)(answer)
    wrapped = await at(kms).wrap(CLEAR, CONTEXT)
    assert await at(kms).unwrap(wrapped, CONTEXT) == CLEAR


async def test_a_key_that_is_disabled_is_not_taken_for_a_wrong_key(kms: Kms):
    wrapped = await at(kms).wrap(CLEAR, CONTEXT)
    kms.disabled = True
    with pytest.raises(KekUnavailable, match="FAILED_PRECONDITION"):
        await at(kms).unwrap(wrapped, CONTEXT)


async def test_kms_that_is_down_opens_nothing_and_says_so(kms: Kms):
    wrapped = await at(kms).wrap(CLEAR, CONTEXT)
    kms.down = True
    with pytest.raises(KekUnavailable):
        await at(kms).unwrap(wrapped, CONTEXT)
