"""Webhook endpoints: where a merchant wants its events told. Their secrets are sealed, and opened only to sign."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.ids import bucket_of, hex_of, new_id
from scrooge.postgres.database import load, run
from scrooge.postgres.rows import key_of, microseconds, public
from scrooge.storage.directory import note

Q = load(Path(__file__).with_suffix(".sql"))


class Endpoint(Struct, frozen=True, kw_only=True):
    """Moments are Unix microseconds. `place` is how far the feed has been read for it."""

    id: str
    merchant: str
    livemode: bool
    url: str
    events: tuple[str, ...]
    description: str
    sealed: str
    previous_until: int | None
    enabled: bool
    disabled_reason: str | None
    failing_since: int | None
    place: tuple[str, str]
    created_at: int

    def __repr__(self) -> str:
        return f"Endpoint({self.id})"


def wanted(events: Iterable[str], type_: str) -> bool:
    """`*` is everything; a name that ends in `*` is every type that begins so."""
    return any(type_ == e or (e.endswith("*") and type_.startswith(e[:-1])) for e in events)


def endpoint_of(row: Any) -> Endpoint:
    return Endpoint(
        id=public("whe", row["id"]) or "",
        merchant=public("mer", row["merchant_id"]) or "",
        livemode=row["livemode"],
        url=row["url"],
        events=tuple(row["events"]),
        description=row["description"],
        sealed=row["secrets"],
        previous_until=microseconds(row["previous_until"]),
        enabled=row["enabled"],
        disabled_reason=row["disabled_reason"],
        failing_since=microseconds(row["failing_since"]),
        place=(str(row["cursor_xid"]), row["cursor_id"].hex),
        created_at=microseconds(row["created_at"]) or 0,
    )


async def add(
    db: Any, merchant: str, livemode: bool, url: str, events: list[str], description: str, sealed: str, most: int,
    actor: str,
) -> Endpoint | None:  # fmt: skip
    """None when the merchant has `most` of them already."""
    bucket = bucket_of(merchant, url)
    endpoint_id = new_id("whe", bucket)
    async with db.transaction() as connection:
        row = await run(
            connection, Q["add"], bucket, hex_of(endpoint_id), hex_of(merchant), livemode, url, events, description,
            most, sealed,
        )  # fmt: skip
        if row is None:
            return None
        await note(connection, actor, "webhook_endpoint_added", endpoint_id, {"events": events})
    return endpoint_of(row)


async def of_merchant(db: Any, merchant: str, livemode: bool) -> list[Endpoint]:
    return [endpoint_of(row) for row in await run(db, Q["of_merchant"], hex_of(merchant), livemode)]


async def read(db: Any, endpoint_id: str) -> Endpoint | None:
    row = await run(db, Q["one"], *key_of(endpoint_id))
    return None if row is None else endpoint_of(row)


async def change(
    db: Any, endpoint_id: str, url: str | None, events: list[str] | None, description: str | None,
    enabled: bool | None, actor: str,
) -> Endpoint | None:  # fmt: skip
    """What is None stays."""
    async with db.transaction() as connection:
        row = await run(connection, Q["change"], *key_of(endpoint_id), url, events, description, enabled)
        if row is None:
            return None
        if enabled:
            await run(connection, Q["close_break"], endpoint_id)
        changed = {"url": url is not None, "events": events, "enabled": enabled}
        await note(connection, actor, "webhook_endpoint_changed", endpoint_id, changed)
    return endpoint_of(row)


async def rotate(db: Any, known: Endpoint, sealed: str, overlap_seconds: int, actor: str) -> Endpoint | None:
    """None when somebody else replaced the secrets since they were read."""
    async with db.transaction() as connection:
        row = await run(connection, Q["rotate"], *key_of(known.id), sealed, float(overlap_seconds), known.sealed)
        if row is None:
            return None
        await note(connection, actor, "webhook_secret_rotated", known.id, {"overlap_seconds": overlap_seconds})
    return endpoint_of(row)


async def remove(db: Any, endpoint_id: str, actor: str) -> bool:
    """Its secrets and its URL go at once; what was delivered stays on record."""
    async with db.transaction() as connection:
        if await run(connection, Q["remove"], *key_of(endpoint_id)) is None:
            return False
        await run(connection, Q["close_break"], endpoint_id)
        await note(connection, actor, "webhook_endpoint_deleted", endpoint_id, {})
    return True


async def disable(db: Any, endpoint_id: str, reason: str) -> bool:
    """By ourselves. False when it was disabled already."""
    async with db.transaction() as connection:
        if await run(connection, Q["disable"], *key_of(endpoint_id), reason) is None:
            return False
        await note(connection, "worker", "webhook_endpoint_disabled", endpoint_id, {"reason": reason})
    return True


async def failed(db: Any, endpoint_id: str) -> float:
    """For how many seconds nothing has been taken, counting from the first failure."""
    row = await run(db, Q["failed"], *key_of(endpoint_id))
    return float(row["seconds"]) if row is not None else 0.0


async def recovered(db: Any, endpoint_id: str) -> None:
    await run(db, Q["recovered"], *key_of(endpoint_id))
