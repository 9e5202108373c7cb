"""Network tokens of instruments: which provider has them, what may be shown of them, never their numbers."""

from pathlib import Path
from typing import Any

from scrooge.connectors.connector import Provisioned
from scrooge.ids import hex_of
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import key_of, public

Q = load(Path(__file__).with_suffix(".sql"))


async def request(connection: Any, instrument: str, provider: str) -> bool:
    """In the transaction of its errand. False when the instrument has one, or had one refused."""
    return await run(connection, Q["request"], *key_of(instrument), hex_of(provider)) is not None


async def made(connection: Any, instrument: str, token: Provisioned) -> None:
    await run(connection, Q["made"], *key_of(instrument), token.token, token.status, token.last4, token.exp)


async def refused(db: Database, instrument: str) -> None:
    """For good: it is not asked for again."""
    await run(db, Q["refused"], *key_of(instrument))


async def withdrawn(db: Database, instrument: str) -> None:
    """There was no card to make one for: another time there may be."""
    await run(db, Q["withdrawn"], *key_of(instrument))


async def seen(db: Database, instrument: str, token: str) -> int | None:
    """How often the provider was asked about a token; None: the instrument does not have it."""
    row = await run(db, Q["seen"], *key_of(instrument), token)
    return None if row is None else int(row["seen"])


async def look(connection: Any, instrument: str, before: int, now: Provisioned) -> bool:
    """False when somebody else looked meanwhile."""
    row = await run(connection, Q["look"], *key_of(instrument), now.token, before, now.status, now.last4, now.exp)
    return row is not None


async def drop(connection: Any, instrument: str, token: str) -> bool:
    return await run(connection, Q["drop"], *key_of(instrument), token) is not None


async def owners(db: Any, provider: str, token: str) -> list[tuple[str, str, bool]]:
    """(instrument, merchant, livemode) of those that have the token."""
    return [
        (public("ins", row["instrument_id"]) or "", public("mer", row["merchant_id"]) or "", row["livemode"])
        for row in await run(db, Q["of_token"], hex_of(provider), token)
    ]
