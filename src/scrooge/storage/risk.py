"""Risk policies as people write them, those that count, and sightings. No rules here; the SQL is in risk.sql."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import structlog
from msgspec import Struct

from scrooge.errors import RiskUnavailable
from scrooge.ids import hex_of, new_id
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import microseconds, public, uuid_of
from scrooge.risk import policy as documents
from scrooge.risk.policy import Policy, rules_of
from scrooge.risk.recent import Sighting
from scrooge.risk.rules import Document
from scrooge.storage.policies import Activation, Desk, digest_of

log = structlog.get_logger()
Q = load(Path(__file__).with_suffix(".sql"))
SIGHTINGS = msgspec.json.Decoder(list[Sighting])
Whose = tuple[str, bool]  # merchant, livemode


class Version(Struct, frozen=True, kw_only=True):
    """A policy that was written. `state` is draft, active or retired. Moments are Unix microseconds."""

    id: str
    version: int
    name: str
    document: Any
    state: str
    author: str
    notes: str
    created_at: int
    activated_at: int | None


class Counts(Struct, frozen=True):
    """An active policy, ready to be used."""

    id: str
    policy: Policy
    rules: Document


class Active:
    """The policies that count, of one process, in memory. Read whenever routing's epoch has moved."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.known: dict[str, Counts | None] = {}  # by id; None: this process cannot read it
        self.active: dict[Whose, str] = {}
        self.counts: dict[Whose, Counts] = {}

    def policy(self, merchant: str, livemode: bool) -> Counts | None:
        """None: nobody made one, and nothing is checked. Raises RiskUnavailable."""
        if not self.active or (merchant, livemode) not in self.active:
            return None
        found = self.counts.get((merchant, livemode))
        if found is None:
            raise RiskUnavailable("the active risk policy needs a newer version of this process", retry_after=5)
        return found

    async def read(self) -> None:
        """What cannot be read leaves the last known. Raises DatabaseUnavailable."""
        try:
            rows = await run(self.db, Q["active"])
        except asyncpg.UndefinedTableError:
            return  # A new process before its migration: nobody can have made a policy.
        active = {whose(r): public("rsk", r["policy_id"]) or "" for r in rows if r["policy_id"] is not None}
        missing = [hex_of(i) for i in active.values() if self.known.get(i) is None]
        for row in await run(self.db, Q["documents"], missing) if missing else ():
            policy_id = public("rsk", row["id"]) or ""
            self.known[policy_id] = counts_of(policy_id, row["document"])
        self.counts = {w: found for w, i in active.items() if (found := self.known.get(i) or self.counts.get(w))}
        self.active = active
        self.known = {i: p for i, p in self.known.items() if i in active.values()}


def whose(row: Any) -> Whose:
    return public("mer", row["merchant_id"]) or "", row["livemode"]


def counts_of(policy_id: str, text: str) -> Counts | None:
    try:
        policy = documents.from_json(text)
    except msgspec.MsgspecError as error:  # A word of a later version.
        log.error("risk_policy_unreadable", policy=policy_id, error=str(error))
        return None
    return Counts(policy_id, policy, rules_of(policy, policy_id))


# --- as people write them -------------------------------------------------------------------


async def draft(connection: Any, desk: Desk, policy: Policy, notes: str) -> tuple[str, bool]:
    """(id, whether it is new): the same document is the same version, however often it is sent."""
    content = documents.to_json(policy)
    where, digest = (hex_of(desk.merchant), desk.livemode), digest_of(content)
    row = await run(
        connection, Q["draft"], hex_of(new_id("rsk", 0)), *where, policy.name, digest, content.decode(), desk.author,
        notes,
    )  # fmt: skip
    new = row is not None
    if row is None:
        row = await run(connection, Q["same"], *where, digest)
    return public("rsk", row["id"]) or "", new


async def policies(
    db: Database, desk: Desk, one: str | None = None, before: str | None = None, limit: int = 1
) -> list[Version]:
    rows = await run(db, Q["policies"], hex_of(desk.merchant), desk.livemode, uuid_of(one), uuid_of(before), limit)
    return [version_of(row) for row in rows]


def version_of(row: Any) -> Version:
    activated = microseconds(row["activated_at"])
    return Version(
        id=public("rsk", row["id"]) or "",
        version=row["version"],
        name=row["name"],
        document=msgspec.json.decode(row["document"]),
        state="active" if row["active"] else "draft" if activated is None else "retired",
        author=row["author"],
        notes=row["notes"],
        created_at=microseconds(row["created_at"]) or 0,
        activated_at=activated,
    )


async def active(connection: Any, desk: Desk) -> tuple[str | None, int]:
    """(policy, number of its activation); none and 0 when there never was one."""
    row = await run(connection, Q["latest"], hex_of(desk.merchant), desk.livemode)
    return (None, 0) if row is None else (public("rsk", row["policy_id"]), row["number"])


async def activate(
    connection: Any, desk: Desk, policy: str | None, before: tuple[str | None, int], kind: str, reason: str
) -> None:
    """The next line of the history: `before` is what `active` told in the same transaction."""
    previous, number = before
    await run(
        connection, Q["activate"], hex_of(desk.merchant), desk.livemode, number + 1, uuid_of(policy),
        uuid_of(previous), kind, desk.author, reason,
    )  # fmt: skip


async def activations(db: Database, desk: Desk, limit: int) -> list[Activation]:
    return [
        Activation(
            number=row["number"],
            caller=None,
            policy=public("rsk", row["policy_id"]),
            previous=public("rsk", row["previous_id"]),
            kind=row["kind"],
            author=row["author"],
            reason=row["reason"],
            created_at=microseconds(row["created_at"]) or 0,
        )
        for row in await run(db, Q["activations"], hex_of(desk.merchant), desk.livemode, limit)
    ]


# --- sightings ------------------------------------------------------------------------------


async def tell(db: Database, process: str, seen: Sequence[Sighting]) -> None:
    await run(db, Q["tell"], process, msgspec.json.encode(seen).decode())


async def told(db: Database, process: str, since: datetime, most: int) -> tuple[Mapping[int, list[Sighting]], datetime]:
    """What others wrote after that moment, by row, the latest first; and the moment of the latest."""
    rows = await run(db, Q["told"], process, since, most)
    heard = {r["id"]: SIGHTINGS.decode(r["seen"]) for r in rows}
    return heard, max((r["written_at"] for r in rows), default=since)


async def forget(db: Database, most: int) -> int:
    """Of what no rule looks at any more. How many."""
    return int((await run(db, Q["forget"], most))["gone"])
