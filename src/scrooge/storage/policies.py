"""Policies, prices and switches as people write them: every version kept, what counts decided by one history."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.ids import hex_of, new_id
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import at_moment, encoded, microseconds, public, uuid_of
from scrooge.routing import tariff
from scrooge.routing.policy import document
from scrooge.routing.policy.document import Policy
from scrooge.routing.tariff import Prices
from scrooge.routing.when import When

Q = load(Path(__file__).with_suffix(".sql"))


class Desk(Struct, frozen=True):
    """Whose routing it is, and who is at it: `author` is an API key or an operator."""

    merchant: str
    merchant_name: str
    livemode: bool
    author: str


class Version(Struct, frozen=True, kw_only=True):
    """A policy that was written. `state` is draft, active or retired. Moments are Unix microseconds."""

    id: str
    version: int
    name: str
    caller: str | None  # its name
    caller_id: str | None
    document: Any
    state: str
    author: str
    notes: str
    created_at: int
    activated_at: int | None

    @property
    def policy(self) -> Policy:
        """Raises msgspec.ValidationError for words of another version of Scrooge."""
        return msgspec.convert(self.document, Policy)


class Activation(Struct, frozen=True, kw_only=True):
    """`policy` None: since then payments go as if there were none."""

    number: int
    caller: str | None
    policy: str | None
    previous: str | None
    kind: str
    author: str
    reason: str
    created_at: int


class Tariffs(Struct, frozen=True, kw_only=True):
    id: str
    version: int
    digest: bytes
    document: Any
    author: str
    notes: str
    created_at: int


class Switch(Struct, frozen=True, kw_only=True):
    """`counts`: it was not ended, and its time is not over."""

    id: str
    connector_account: str
    account_name: str
    state: str
    when: Any
    reason: str
    expires_at: int | None
    author: str
    created_at: int
    ended_at: int | None
    ended_by: str | None
    counts: bool


def digest_of(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


async def begin(connection: Any) -> None:
    """First in every change: one after the other."""
    await run(connection, Q["raise_epoch"])


# --- policies -------------------------------------------------------------------------------


async def draft(connection: Any, desk: Desk, policy: Policy, caller: str | None, notes: str) -> tuple[str, bool]:
    """(id, whether it is new): the same document is the same version, however often it is sent."""
    content = document.to_json(policy)
    where = hex_of(desk.merchant), desk.livemode, uuid_of(caller)
    digest = digest_of(content)
    row = await run(
        connection, Q["draft"], hex_of(new_id("pol", 0)), *where, policy.name, digest, content.decode(),
        desk.author, notes,
    )  # fmt: skip
    new = row is not None
    if row is None:
        row = await run(connection, Q["same"], *where, digest)
    return public("pol", row["id"]) or "", new


async def policies(
    db: Database, desk: Desk, one: str | None = None, before: str | None = None, limit: int = 1
) -> list[Version]:
    rows = await run(db, Q["policies"], hex_of(desk.merchant), desk.livemode, uuid_of(one), uuid_of(before), limit)
    return [version_of(row) for row in rows]


def version_of(row: Any) -> Version:
    activated = microseconds(row["activated_at"])
    return Version(
        id=public("pol", row["id"]) or "",
        version=row["version"],
        name=row["name"],
        caller=row["caller"],
        caller_id=public("clr", row["caller_id"]),
        document=msgspec.json.decode(row["document"]),
        state="active" if row["active"] else "draft" if activated is None else "retired",
        author=row["author"],
        notes=row["notes"],
        created_at=microseconds(row["created_at"]) or 0,
        activated_at=activated,
    )


async def active(connection: Any, desk: Desk, caller: str | None) -> tuple[str | None, int]:
    """(policy, number of its activation); none and 0 when there never was one."""
    row = await run(connection, Q["active"], hex_of(desk.merchant), desk.livemode, uuid_of(caller))
    return (None, 0) if row is None else (public("pol", row["policy_id"]), row["number"])


async def all_active(connection: Any, desk: Desk) -> dict[str | None, str]:
    """The active policies by caller; None is everybody's."""
    rows = await run(connection, Q["all_active"], hex_of(desk.merchant), desk.livemode)
    found = {public("clr", r["caller_id"]): public("pol", r["policy_id"]) for r in rows}
    return {caller: policy for caller, policy in found.items() if policy is not None}


async def activate(
    connection: Any, desk: Desk, caller: str | None, policy: str | None, before: tuple[str | None, int], kind: str,
    reason: str,
) -> None:  # fmt: skip
    """The next line of the history: `before` is what `active` told in the same transaction."""
    previous, number = before
    await run(
        connection, Q["activate"], hex_of(desk.merchant), desk.livemode, uuid_of(caller), number + 1, uuid_of(policy),
        uuid_of(previous), kind, desk.author, reason,
    )  # fmt: skip


async def activations(db: Database, desk: Desk, limit: int) -> list[Activation]:
    return [
        Activation(
            number=row["number"],
            caller=row["caller"],
            policy=public("pol", row["policy_id"]),
            previous=public("pol", row["previous_id"]),
            kind=row["kind"],
            author=row["author"],
            reason=row["reason"],
            created_at=microseconds(row["created_at"]) or 0,
        )
        for row in await run(db, Q["activations"], hex_of(desk.merchant), desk.livemode, limit)
    ]


# --- prices ---------------------------------------------------------------------------------


async def add_tariffs(connection: Any, desk: Desk, prices: Prices, notes: str) -> str:
    content = tariff.to_json(prices)
    row = await run(
        connection, Q["add_tariffs"], hex_of(new_id("tar", 0)), hex_of(desk.merchant), desk.livemode,
        digest_of(content), content.decode(), desk.author, notes,
    )  # fmt: skip
    return public("tar", row["id"]) or ""


async def tariffs(
    db: Any, desk: Desk, one: str | None = None, before: str | None = None, limit: int = 1
) -> list[Tariffs]:
    rows = await run(db, Q["tariffs"], hex_of(desk.merchant), desk.livemode, uuid_of(one), uuid_of(before), limit)
    return [
        Tariffs(
            id=public("tar", row["id"]) or "",
            version=row["version"],
            digest=row["digest"],
            document=msgspec.json.decode(row["document"]),
            author=row["author"],
            notes=row["notes"],
            created_at=microseconds(row["created_at"]) or 0,
        )
        for row in rows
    ]


# --- switches -------------------------------------------------------------------------------


async def switch(
    connection: Any, desk: Desk, account: str, state: str, when: When, reason: str, expires_at: int | None
) -> tuple[str, list[str]]:
    """(id, those that it replaces): of switches for the very same payments only the last counts."""
    condition = encoded(when)
    whose = hex_of(desk.merchant), desk.livemode
    rows = await run(connection, Q["replaced"], *whose, hex_of(account), condition, desk.author)
    switch_id = new_id("swi", 0)
    await run(
        connection, Q["switch"], hex_of(switch_id), *whose, hex_of(account), state, condition, reason,
        at_moment(expires_at), desk.author,
    )  # fmt: skip
    return switch_id, [public("swi", r["id"]) or "" for r in rows]


async def switches_counting(connection: Any, desk: Desk) -> int:
    row = await run(connection, Q["switches_counting"], hex_of(desk.merchant), desk.livemode)
    return int(row["several"])


async def end_switch(connection: Any, desk: Desk, switch_id: str) -> bool:
    """False when it had been ended, or is none of the merchant's."""
    row = await run(connection, Q["end_switch"], hex_of(desk.merchant), desk.livemode, hex_of(switch_id), desk.author)
    return row is not None


async def switches(
    db: Database, desk: Desk, one: str | None = None, counting: bool = False, before: str | None = None, limit: int = 1
) -> list[Switch]:  # fmt: skip
    rows = await run(
        db, Q["switches"], hex_of(desk.merchant), desk.livemode, uuid_of(one), counting, uuid_of(before), limit
    )
    return [
        Switch(
            id=public("swi", row["id"]) or "",
            connector_account=public("con", row["connector_account_id"]) or "",
            account_name=row["account"],
            state=row["state"],
            when=msgspec.json.decode(row["condition"]),
            reason=row["reason"],
            expires_at=microseconds(row["expires_at"]),
            author=row["author"],
            created_at=microseconds(row["created_at"]) or 0,
            ended_at=microseconds(row["ended_at"]),
            ended_by=row["ended_by"],
            counts=row["counts"],
        )
        for row in rows
    ]
