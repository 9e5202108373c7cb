"""Cards move between vaults whole, encrypted, once, after a look and with two people's consent; or not at all."""

import asyncio
import csv
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from scrooge.errors import MoveRefused, SettingsError
from scrooge.ids import hex_of, new_id
from scrooge.sweep.files import in_folder
from scrooge.sweep.finder import Planted
from scrooge.vault.moving.parcel import (
    PER_CHUNK,
    Chunk,
    Header,
    Parcel,
    frame,
    identities_of,
    recipient_of,
    recipient_text,
)
from tests.vault.commands import Command, refused, scrooge
from tests.vault.house import House, house

ALICE, BOB = "alice", "bob"
CARDS = 2 * PER_CHUNK + 100
NUMBERS = {"visa": "4000056655665556", "mastercard": "2223003122003222", "amex": "378282246310005"}
HOLDER = "Wilhelmina Featherstonehaugh"
PLANTED = Planted(NUMBERS, {"holder": HOLDER})
COUNT = "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM cards WHERE merchant_id = $1::uuid"


@pytest.fixture(scope="module")
async def other(server_url, tmp_path_factory) -> AsyncIterator[House]:
    """Another vault, with keys of its own, to which the cards go."""
    async with house(server_url, tmp_path_factory.mktemp("other"), "http://127.0.0.1:9") as h:
        yield h


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> dict[str, str]:
    """Whom cards are encrypted for, and somebody else."""
    import pyrage

    folder, made = tmp_path_factory.mktemp("keys"), {}
    for name in ("mine", "wrong"):
        key = pyrage.x25519.Identity.generate()
        path = folder / name
        path.write_text(f"# {name}\n{key}\n")
        path.chmod(0o600)
        made[name], made[f"to {name}"] = str(path), str(key.to_public())
    return made


@pytest.fixture
def merchant() -> str:
    return new_id("mer", 0)


async def feed(folder: Path, lines: list[str], env: dict[str, str], *arguments: str, code: int = 0) -> str:
    """Runs `scrooge vault pack` with these lines in its pipe."""
    pipe = folder / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)
    writing = asyncio.create_task(asyncio.to_thread(pipe.write_text, "".join(f"{line}\n" for line in lines)))
    command = Command(env, ("vault", "pack", *arguments), ALICE, pipe)
    await command.ended(code)
    await writing
    return command.said


def line(n: int, number: str = "visa", **more: str) -> str:
    card = {
        "id": f"old-{n}",
        "customer": f"c-{n}",
        "number": NUMBERS[number],
        "exp": "2034-05",
        "holder": HOLDER,
        **more,
    }
    return msgspec.json.encode(card).decode()


async def pack(folder: Path, vault: House, keys: dict[str, str], lines: list[str], name: str = "cards") -> Path:
    path = folder / name
    await feed(folder, lines, vault.env, "--to", keys["to mine"], "-o", str(path), "--shape", "scrooge")
    return path


def importing(path: Path, merchant: str, keys: dict[str, str], *more: str, identity: str = "mine") -> tuple[str, ...]:
    return "vault", "import", str(path), "--merchant", merchant, "--identity", keys[identity], *more


def exporting(merchant: str, keys: dict[str, str], *more: str, step: tuple[str, ...] = ()) -> tuple[str, ...]:
    return "vault", "export", *step, "--merchant", merchant, "--to", keys["to mine"], *more


async def consent(vault: House, merchant: str, keys: dict[str, str]) -> str:
    """Looked at, asked for by alice, approved by bob."""
    await scrooge(vault.env, *exporting(merchant, keys, "--dry-run"))
    asked = await scrooge(vault.env, *exporting(merchant, keys, step=("request",)))
    await scrooge(vault.env, "vault", "export", "approve", asked["transfer"], who=BOB)
    return asked["transfer"]


async def acts(vault: House, on: str) -> list[tuple[str, str]]:
    return await vault.acts(on)


async def test_cards_go_from_one_vault_to_another_and_can_be_paid_with(vault, other, keys, merchant, tmp_path):
    theirs = new_id("mer", 0)
    api_key = await vault.new_key(merchant)
    body = {"type": "card", "customer": "c-1", "card": {"exp_month": 5, "exp_year": 2034, "holder": HOLDER}}
    made = []
    for number in NUMBERS.values():
        body["card"]["number"] = number
        status, card, _ = await vault.ask("POST", "/v1/instruments", body, key=api_key)
        assert status == 201
        made.append(card)
    path = tmp_path / "cards"
    transfer = await consent(vault, merchant, keys)
    sent = await scrooge(vault.env, *exporting(merchant, keys, "-o", str(path)))
    assert (sent["transfer"], sent["exported"], sent["refused"]) == (transfer, 3, {})
    assert sent["file_digest"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_mode & 0o777 == 0o600
    assert {name for name, _ in await acts(vault, transfer)} == {
        "export_looked_at", "export_requested", "export_approved", "export_begun", "export_chunk", "export_done",
    }  # fmt: skip
    for card in made:
        assert ("export", "done") in await acts(vault, card["id"])

    looked = await scrooge(other.env, *importing(path, theirs, keys, "--dry-run", "--from", vault.public))
    assert (looked["cards"], looked["new"], looked["signed_by"]) == (3, 3, vault.public)
    assert (await other.fetch(COUNT, hex_of(theirs)))[0]["n"] == 0
    done = await scrooge(other.env, *importing(path, theirs, keys))
    assert (done["cards"], done["new"], done["mapped"]) == (3, 3, 3)
    with open(done["mapping"]) as file:
        mapping = {row["source_id"]: row["instrument"] for row in csv.DictReader(file)}
    assert mapping.keys() == {card["id"] for card in made}
    for card in made:
        _, told = await other.core_asks("GET", f"/v1/cards/{mapping[card['id']]}")
        assert (told["merchant"], told["customer"], told["last4"]) == (theirs, "c-1", card["card"]["last4"])
        assert ("import", "done") in await acts(other, told["id"])
    _, changes = await other.core_asks("GET", "/v1/changes?limit=500")
    assert {c["id"] for c in changes["data"]} >= set(mapping.values())
    assert in_folder(PLANTED, tmp_path) == []
    assert not (
        await other.fetch("SELECT 1 FROM cards WHERE fingerprint = ANY(SELECT fingerprint FROM cards WHERE false)")
    )


async def test_every_card_is_imported_once_whenever_it_dies(other, keys, merchant, tmp_path):
    path = await pack(tmp_path, other, keys, [line(n) for n in range(CARDS)])
    await scrooge(other.env, *importing(path, merchant, keys, "--dry-run"))
    for point in ("move.before:2", "move.after:1", "move.before:1"):
        dying = Command({**other.env, "SCROOGE_CRASH_POINT": point}, importing(path, merchant, keys), ALICE)
        await dying.ended(-9)
    [half] = await other.fetch(COUNT, hex_of(merchant))
    assert half["n"] == 2 * PER_CHUNK
    done = await scrooge(other.env, *importing(path, merchant, keys))
    again = await scrooge(other.env, *importing(path, merchant, keys))
    assert again == done
    assert (done["new"], done["mapped"], done["refused"]) == (CARDS, CARDS, {})
    [row] = await other.fetch(COUNT, hex_of(merchant))
    assert (row["n"], row["ids"]) == (CARDS, CARDS)
    [audited] = await other.fetch(
        "SELECT count(*) AS n, count(DISTINCT object) AS cards FROM audit WHERE act = 'import' AND detail LIKE $1",
        f"%{done['transfer']}%",
    )
    assert (audited["n"], audited["cards"]) == (CARDS, CARDS)
    assert in_folder(PLANTED, tmp_path) == []


async def test_two_imports_of_a_file_at_once_keep_each_card_once(other, keys, merchant, tmp_path):
    path = await pack(tmp_path, other, keys, [line(n) for n in range(CARDS)])
    await scrooge(other.env, *importing(path, merchant, keys, "--dry-run"))
    maps = [str(tmp_path / f"map-{n}") for n in range(2)]
    both = await asyncio.gather(*(scrooge(other.env, *importing(path, merchant, keys, "--mapping", m)) for m in maps))
    assert [(told["new"], told["refused"]) for told in both] == [(CARDS, {})] * 2
    [row] = await other.fetch(COUNT, hex_of(merchant))
    assert row["n"] == CARDS


async def test_an_export_that_dies_becomes_a_whole_file(other, keys, merchant, tmp_path):
    path = await pack(tmp_path, other, keys, [line(n, network_transaction_id=f"ntid-{n}") for n in range(CARDS)])
    await scrooge(other.env, *importing(path, merchant, keys, "--dry-run"))
    await scrooge(other.env, *importing(path, merchant, keys))
    transfer = await consent(other, merchant, keys)
    out, partial = tmp_path / "out", tmp_path / "out.partial"
    for point in ("move.recorded:1", "move.recorded:2"):
        dying = Command(
            {**other.env, "SCROOGE_CRASH_POINT": point}, exporting(merchant, keys, "-o", str(out)), ALICE
        )  # fmt: skip
        await dying.ended(-9)
        assert not out.exists()
    partial.write_bytes(partial.read_bytes() + b"what a torn write leaves")
    sent = await scrooge(other.env, *exporting(merchant, keys, "-o", str(out)))
    assert (sent["transfer"], sent["exported"]) == (transfer, CARDS)
    assert not partial.exists()
    parcel = Parcel(out, identities_of(Path(keys["mine"])))
    cards = [msgspec.json.decode(content) for chunk in parcel.chunks() for content in chunk.lines]
    assert len({card["id"] for card in cards}) == CARDS == parcel.cards
    assert {card["network_transaction_id"] for card in cards} == {f"ntid-{n}" for n in range(CARDS)}
    assert parcel.digest.hex() == sent["file_digest"]
    assert "nobody has approved" in await refused(other.env, *exporting(merchant, keys, "-o", f"{out}2"), code=1)
    assert in_folder(PLANTED, tmp_path) == []


async def test_an_export_takes_a_look_and_two_people(vault, keys, merchant, tmp_path):
    out = exporting(merchant, keys, "-o", str(tmp_path / "out"))
    ask = exporting(merchant, keys, step=("request",))
    assert "nobody has approved" in await refused(vault.env, *out, code=1)
    assert "--dry-run first" in await refused(vault.env, *ask, code=1)
    await scrooge(vault.env, *exporting(merchant, keys, "--dry-run"))
    asked = (await scrooge(vault.env, *ask))["transfer"]
    assert "nobody has approved" in await refused(vault.env, *out, code=1)
    approve = ("vault", "export", "approve", asked)
    assert "another operator" in await refused(vault.env, *approve, code=1)
    assert ("export_approved", "move_refused") in await acts(vault, asked)
    await scrooge(vault.env, *approve, who=BOB)
    other = exporting(merchant, {**keys, "to mine": keys["to wrong"]}, "-o", str(tmp_path / "out"))
    assert "nobody has approved" in await refused(vault.env, *other, code=1), "for one recipient"
    await vault.fetch(
        "UPDATE transfers SET approved_at = now() - interval '25 hours' WHERE id = $1::uuid", hex_of(asked)
    )
    assert "older than 24 hours" in await refused(vault.env, *out, code=1)
    assert not (tmp_path / "out").exists()
    assert ("export", "move_refused") in await acts(vault, merchant)


async def test_an_export_holds_the_cards_that_were_looked_at_and_no_more(vault, keys, merchant, tmp_path):
    api_key = await vault.new_key(merchant)
    body = {"type": "card", "customer": "c", "card": {"number": NUMBERS["visa"], "exp_month": 5, "exp_year": 2034}}
    stays, goes = [(await vault.ask("POST", "/v1/instruments", body, key=api_key))[1]["id"] for _ in range(2)]
    await consent(vault, merchant, keys)
    await vault.ask("POST", "/v1/instruments", body, key=api_key)
    await vault.ask("DELETE", f"/v1/instruments/{goes}", key=api_key)
    out = tmp_path / "out"
    sent = await scrooge(vault.env, *exporting(merchant, keys, "-o", str(out)))
    assert (sent["exported"], sent["refused"]) == (1, {"ended_since": 1})
    [chunk] = Parcel(out, identities_of(Path(keys["mine"]))).chunks()
    assert [msgspec.json.decode(content)["id"] for content in chunk.lines] == [stays]


async def test_the_dry_run_finds_everything_that_is_wrong_and_says_no_number(other, keys, merchant, tmp_path):
    lines = [
        line(1), line(2, number="amex"), line(3) + "x", line(4, exp="2020-01"), line(5, number="visa", cvc="123"),
        line(6).replace(NUMBERS["visa"], "4242424242424241"), line(7).replace(NUMBERS["visa"], "4539578763621486"),
        line(1, number="mastercard"), line(8, customer="c-1"), line(9, id="4242424242424242"),
    ]  # fmt: skip
    path = await pack(tmp_path, other, keys, lines)
    command = Command(other.env, (*importing(path, merchant, keys, "--dry-run"), "--json"), ALICE)
    text = await command.ended()
    looked = msgspec.json.decode(text)
    assert (looked["cards"], looked["new"], looked["known"]) == (10, 2, 1)
    assert looked["refused"] == {
        "malformed": 2, "expired_card": 1, "invalid_number": 1, "live_card_in_test_mode": 1, "duplicate_id": 1,
        "pan_refused": 1,
    }  # fmt: skip
    assert [(row["line"], row["reason"]) for row in looked["first_refused"]] == [
        (3, "malformed"), (4, "expired_card"), (5, "malformed"), (6, "invalid_number"), (7, "live_card_in_test_mode"),
        (10, "pan_refused"), (8, "duplicate_id"),
    ]  # fmt: skip
    done = await scrooge(other.env, *importing(path, merchant, keys))
    assert {k: done[k] for k in ("cards", "new", "known", "refused")} == {
        k: looked[k] for k in ("cards", "new", "known", "refused")
    }
    tables = ("audit", "transfers", "transfer_chunks", "transfer_cards")
    rows = await other.fetch(" UNION ALL ".join(f"SELECT t::text AS content FROM {name} t" for name in tables))
    assert len(rows) > 10
    (tmp_path / "said").write_text("\n".join([text, command.said, *(row["content"] for row in rows)]))
    assert in_folder(PLANTED, tmp_path) == []


async def test_a_file_that_is_not_whole_or_not_for_us_is_refused_before_the_first_card(other, keys, merchant, tmp_path):
    path = await pack(tmp_path, other, keys, [line(n) for n in range(PER_CHUNK + 10)])
    whole = path.read_bytes()
    import_it = importing(path, merchant, keys)
    assert "no dry run has seen this file" in await refused(other.env, *import_it, code=1)
    await scrooge(other.env, *import_it, "--dry-run")
    start = len(Parcel(path, []).header.encoded())
    length = 4 + int.from_bytes(whole[start : start + 4])
    first, second = whole[start : start + length], whole[start + length :]
    another = (await pack(tmp_path, other, keys, [line(n) for n in range(5)], "another")).read_bytes()
    their_chunk = another[len(Parcel(tmp_path / "another", []).header.encoded()) :]
    damages = {
        "the file ends before its last chunk": whole[: start + length],
        "chunk 1 is not whole": whole[:-3],
        "chunks were moved": whole[:start] + second + first,
        "chunk 1 is not in its place": whole[:start] + first + first,
        "something follows the last chunk": whole + b"x",
        "damaged or changed": whole[: start + length + 300] + b"\0" + whole[start + length + 301 :],
        "belongs to another file": whole[:start] + their_chunk,
        "or the header was changed": whole.replace(
            b'"livemode":false,"made_at":"2', b'"livemode":false,"made_at":"3', 1
        ),
        "this is no file of cards": b"PK" + whole,
    }
    for why, content in damages.items():
        path.write_bytes(content)
        with pytest.raises(MoveRefused, match=why):
            list(Parcel(path, identities_of(Path(keys["mine"]))).chunks())
    path.write_bytes(whole[: start + length])
    assert "the file ends before its last chunk: 1 chunks are here" in await refused(other.env, *import_it, code=1)
    path.write_bytes(whole)
    with pytest.raises(MoveRefused, match="no identity given is its recipient's"):
        list(Parcel(path, identities_of(Path(keys["wrong"]))).chunks())
    assert "holds test cards, and this is for live mode" in await refused(other.env, *import_it, "--live", code=1)
    assert "not signed by the vault" in await refused(other.env, *import_it, "--from", other.public, code=1)
    assert (await other.fetch(COUNT, hex_of(merchant)))[0]["n"] == 0
    assert await acts(other, merchant) == [("import", "move_refused")] * 4


async def test_the_files_of_psps_come_in_and_go_out_through_pipes_only(other, keys, merchant, tmp_path):
    path = tmp_path / "stripe"
    lines = ["old_customer_id,old_card_id,card_number,card_exp_month,card_exp_year,name,email",
             f'cus_1,card_1,{NUMBERS["visa"]},5,34,"{HOLDER}",a@example.com', f"cus_2,,{NUMBERS['amex']},11,2035,,"]  # fmt: skip
    to = ("--to", keys["to mine"], "-o", str(path), "--shape", "stripe")
    await feed(tmp_path, lines, other.env, *to)
    clear = tmp_path / "clear"
    clear.write_text("")
    assert "from a pipe" in await said(Command(other.env, ("vault", "pack", *to), ALICE, clear))
    unpack = ("vault", "unpack", str(path), "--identity", keys["mine"], "--shape", "adyen", "--account", "Shop")
    assert "into a pipe" in await said(Command(other.env, unpack, ALICE))
    pipe = tmp_path / "out"
    os.mkfifo(pipe)
    reading = asyncio.create_task(asyncio.to_thread(pipe.read_text))
    command = Command(other.env, unpack, ALICE, out=pipe)
    rows = list(csv.DictReader((await reading).splitlines()))
    await command.ended()
    assert [(r["MerchantAccount"], r["ShopperReference"], r["EchoData"], r["CardNumber"]) for r in rows] == [
        ("Shop", "cus_1", "card_1", NUMBERS["visa"]), ("Shop", "cus_2", "line-2", NUMBERS["amex"]),
    ]  # fmt: skip
    assert [(r["ExpiryMonth"], r["ExpiryYear"], r["OwnerName"]) for r in rows] == [
        ("5", "2034", HOLDER), ("11", "2035", ""),
    ]  # fmt: skip
    assert "lacks the columns card_number" in await feed(
        tmp_path,
        ["old_customer_id,card_exp_month,card_exp_year"],
        other.env,
        *to[:3],
        str(tmp_path / "x"),
        *to[4:],
        code=1,
    )
    assert not (tmp_path / "x").exists()


async def said(command: Command) -> str:
    await command.ended(1)
    return command.said


def test_a_file_is_for_an_ssh_key_as_well_and_a_key_that_others_may_read_is_not_used(tmp_path):
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    private, path = tmp_path / "id_ed25519", tmp_path / "cards"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    with pytest.raises(SettingsError, match="others may read"):
        identities_of(private)
    private.chmod(0o600)
    header = Header("trf_1", False, "2026-11-21T00:00:00+00:00")
    text = recipient_text(f"{public} alice@example.com")
    assert text == public
    path.write_bytes(header.encoded() + frame(header, Chunk(0, 1, [line(1).encode()], True), recipient_of(text)))
    [chunk] = Parcel(path, identities_of(private)).chunks()
    assert chunk.lines == [line(1).encode()]
    for wrong in ("age1xyz", "ssh-ed25519 AAAA", "", "AGE-SECRET-KEY-1"):
        with pytest.raises(SettingsError, match="the recipient must be"):
            recipient_of(wrong)
