"""What the vault writes most, many callers to a commit: fills granted, cards kept, acts noted; each with its audit.

Nothing is granted and nothing was kept until the commit that holds its record is done.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.ids import bucket_in, hex_of
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.lane import Lane
from scrooge.postgres.rows import key_of, moment
from scrooge.vault import audit
from scrooge.vault.audit import Act

Q = load(Path(__file__).with_name("cards.sql"))
SESSIONS = load(Path(__file__).parent / "form" / "sessions.sql")
SECOND = 1_000_000


class Fill(Struct, frozen=True, kw_only=True):
    """A card asked for. `token` is the service token's id, good once, remembered until `expires_at` (Unix seconds).

    `request` names the very request, which is sent `again` or not and has a place for a security code (`coded`).
    """

    instrument: str
    merchant: str
    livemode: bool
    request: bytes
    attempt: str
    again: bool
    coded: bool
    token: str
    expires_at: int
    act: Act


class Granted(Struct, frozen=True):
    """`outcome` is "done" or the code of a refusal: then there is nothing else. `answer` ended this very request."""

    outcome: str
    sealed: bytes = b""
    code: bytes | None = None
    answer: bytes | None = None


class Ended(Struct, frozen=True):
    """An authorization that is over: its card, its request and, if it is to be kept, the answer that says so."""

    instrument: str
    request: bytes
    answer: bytes | None


class Keep(Struct, frozen=True, kw_only=True):
    """A card to keep, under an idempotency key of a caller."""

    vault_key: str
    key: str
    asked: bytes  # fingerprint of the whole request
    id: str
    merchant: str
    livemode: bool
    customer: str
    brand: str
    iin: str
    last4: str
    exp: str
    sealed: bytes
    key_id: int
    fingerprint: bytes
    fingerprint_key: int
    code: bytes | None
    act: Act


class Session(Struct, frozen=True, kw_only=True):
    """A browser's chance to send a card, over after so many seconds."""

    digest: bytes
    id: str
    vault_key: str
    merchant: str
    livemode: bool
    customer: str
    origin: str
    security_code: bool
    seconds: int
    act: Act


class Kept(Struct, frozen=True):
    """Of a key that was used before, the card is an earlier one: not `fresh`."""

    fresh: bool
    created_at: datetime


class Writer:
    """The lanes of this process, each on one of its kind's streams."""

    def __init__(self, db: Database, code_minutes: int, shard: int) -> None:
        self.code_minutes = code_minutes
        self.streams = {name: f"{name}:{shard:02d}" for name in ("fill", "tokenize", "note")}
        # One fill of a card in a batch: the security code is bound to the first.
        self.fills: Lane[Fill, Granted] = Lane("vault_fill", db, self.grant, lambda f: f.instrument)
        self.ends: Lane[Ended, bool] = Lane("vault_ended", db, self.end, lambda e: e.instrument)
        self.keeps: Lane[Keep, Kept] = Lane("vault_tokenize", db, self.keep, lambda k: (k.vault_key, k.key))
        self.sessions: Lane[Session, Any] = Lane("vault_session", db, self.begin, lambda s: s.digest)
        self.notes: Lane[tuple[str, Act], bool] = Lane("vault_note", db, self.note, lambda n: n[0])

    async def noted(self, act: Act) -> None:
        """An act that changes nothing else, like a refusal. Raises DatabaseUnavailable."""
        await self.notes.put((secrets.token_hex(8), act))

    async def grant(self, connection: Any, fills: list[Fill]) -> Mapping[str, Granted]:
        who, act, target, _, origin, detail = audit.columns([f.act for f in fills])
        rows = await run(
            connection, Q["grant_fills"], list(range(len(fills))), [bucket_in(f.instrument) for f in fills],
            [hex_of(f.instrument) for f in fills], [hex_of(f.merchant) for f in fills], [f.livemode for f in fills],
            [f.request for f in fills], [f.attempt for f in fills], [f.again for f in fills], [f.coded for f in fills],
            [f.token for f in fills], [moment(f.expires_at * SECOND) for f in fills],
            self.streams["fill"], who, act, target, origin, detail,
        )  # fmt: skip
        return {fills[row["place"]].instrument: granted(row) for row in rows}

    async def end(self, connection: Any, ended: list[Ended]) -> Mapping[str, bool]:
        pairs = [key_of(e.instrument) for e in ended]
        columns = list(map(list, zip(*pairs, strict=True)))
        await run(connection, Q["ended"], *columns, [e.request for e in ended], [e.answer for e in ended])
        return {e.instrument: True for e in ended}

    async def keep(self, connection: Any, cards: list[Keep]) -> Mapping[tuple[str, str], Kept]:
        rows = await run(
            connection, Q["keep"], [hex_of(k.vault_key) for k in cards], [k.key for k in cards],
            [k.asked for k in cards], *keys_of(cards), [hex_of(k.merchant) for k in cards], *columns(cards),
            [k.code for k in cards], self.code_minutes, self.streams["tokenize"],
            *audit.columns([k.act for k in cards]),
        )  # fmt: skip
        found = {row["place"]: Kept(row["fresh"], row["created_at"]) for row in rows}
        return {(k.vault_key, k.key): found[place] for place, k in enumerate(cards)}

    async def begin(self, connection: Any, sessions: list[Session]) -> Mapping[bytes, Any]:
        rows = await run(
            connection, SESSIONS["add"], [s.digest for s in sessions], [hex_of(s.id) for s in sessions],
            [hex_of(s.vault_key) for s in sessions], [hex_of(s.merchant) for s in sessions],
            [s.livemode for s in sessions], [s.customer for s in sessions], [s.origin for s in sessions],
            [s.security_code for s in sessions], [s.seconds for s in sessions], self.streams["note"],
            *audit.columns([s.act for s in sessions]),
        )  # fmt: skip
        return {row["digest"]: row for row in rows}

    async def note(self, connection: Any, notes: list[tuple[str, Act]]) -> Mapping[str, bool]:
        await audit.append(connection, self.streams["note"], [act for _, act in notes])
        return {name: True for name, _ in notes}


COLUMNS = ("livemode", "customer", "brand", "iin", "last4", "exp", "sealed", "key_id", "fingerprint", "fingerprint_key")


def columns(cards: list[Keep]) -> list[list[Any]]:
    return [[getattr(k, name) for k in cards] for name in COLUMNS]


def keys_of(cards: list[Keep]) -> tuple[list[int], list[str]]:
    pairs = [key_of(k.id) for k in cards]
    return [bucket for bucket, _ in pairs], [number for _, number in pairs]


def granted(row: Any) -> Granted:
    if row["outcome"] != "done":
        return Granted(row["outcome"])
    return Granted("done", row["sealed"], row["code"], row["answer"])
