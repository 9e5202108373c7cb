"""Between rows and structs: ids as uuid, moments as timestamptz, JSON for whole sets of rows."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from scrooge.ids import bucket_in, encode, hex_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_AS_TEXT = EPOCH.replace(tzinfo=None)
MICROSECOND = timedelta(microseconds=1)


def moment(microseconds: int) -> datetime:
    """Unix microseconds as a moment in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


def instant(microseconds: int) -> str:
    """Unix microseconds as RFC 3339 in UTC, always with microseconds."""
    return (EPOCH_AS_TEXT + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds") + "Z"


def at_moment(microseconds: int | None) -> datetime | None:
    """The same, for a row in which it may be null."""
    return None if microseconds is None else EPOCH + timedelta(microseconds=microseconds)


def microseconds(at: datetime | None) -> int | None:
    return None if at is None else (at - EPOCH) // MICROSECOND


def public(prefix: str, value: Any) -> str | None:
    """The public form of a uuid column, whatever the driver made of it."""
    if value is None:
        return None
    number = int(value.replace("-", ""), 16) if isinstance(value, str) else value.int
    return encode(prefix, number)


def attempt_of(number: UUID, payment: str) -> str | None:
    """Rows of a payment that are of no attempt bear the payment's own number instead."""
    return None if number.hex == hex_of(payment) else public("att", number)


def uuid_of(public_id: str | None) -> str | None:
    return None if public_id is None else hex_of(public_id)


def key_of(public_id: str) -> tuple[int, str]:
    """(bucket, uuid): how a row of a payment's tables is found."""
    return bucket_in(public_id), hex_of(public_id)


def encoded(rows: Any) -> str:
    """A set of rows as one JSON parameter. NUL, which PostgreSQL cannot keep, is left out of other people's words."""
    text = msgspec.json.encode(rows).decode()
    return msgspec.json.encode(without_nul(msgspec.json.decode(text))).decode() if "\\u0000" in text else text


def without_nul(found: Any) -> Any:
    match found:
        case str():
            return found.replace("\0", "")
        case list():
            return [without_nul(item) for item in found]
        case dict():
            return {without_nul(name): without_nul(value) for name, value in found.items()}
        case _:
            return found
