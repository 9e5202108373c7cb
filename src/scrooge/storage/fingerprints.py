"""What PSPs call the cards behind their tokens, and what else a card is called where the schemes' limits count it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.ids import bucket_of, hex_of
from scrooge.postgres.database import load, run
from scrooge.postgres.rows import encoded, key_of

Q = load(Path(__file__).with_suffix(".sql"))


class Fingerprint(Struct, frozen=True):
    """`name`: the connector and its name for the card; `names`: what else the card was counted as by then."""

    merchant: str
    livemode: bool
    instrument: str
    connector_account: str
    psp_token: str
    name: str
    names: tuple[str, ...]


async def tell(db: Any, heard: Iterable[Fingerprint]) -> None:
    """One statement, whole or not at all."""
    tokens: list[dict[str, Any]] = []
    named: list[dict[str, Any]] = []
    for h in heard:
        bucket, number = key_of(h.instrument)
        tokens.append({"bucket": bucket, "instrument_id": number, "connector_account_id": hex_of(h.connector_account),
                       "psp_token": h.psp_token, "card_fingerprint": h.name})  # fmt: skip
        named += [renamed(h.merchant, h.livemode, name, h.name) for name in h.names]
    await run(db, Q["tell"], encoded(tokens), encoded(named))


async def rename(connection: Any, named: list[dict[str, Any]]) -> None:
    """In the caller's transaction: what was counted under the old names counts under the new."""
    if named:
        await run(connection, Q["rename"], encoded(named))


def renamed(merchant: str, livemode: bool, card: str, to_card: str) -> dict[str, Any]:
    return {
        "merchant_id": hex_of(merchant), "livemode": livemode, "bucket": bucket_of(merchant, card), "card": card,
        "to_bucket": bucket_of(merchant, to_card), "to_card": to_card,
    }  # fmt: skip
