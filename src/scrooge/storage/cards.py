"""What the vault tells of its cards, kept with the instruments they are; and how far we have listened."""

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from scrooge.ids import number_of
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import encoded, hex_of, key_of, public
from scrooge.routing.schemes.rules import card_key
from scrooge.storage import fingerprints

Q = load(Path(__file__).with_suffix(".sql"))
FEED = "vault_changes"


class Card(Struct, frozen=True, kw_only=True):
    """A card as the vault shows it. What does not fit here would fit no row; fields we do not name are ignored."""

    id: str
    merchant: str
    livemode: bool
    customer: Annotated[str, Meta(min_length=1, max_length=128)]
    status: Literal["active", "expired", "deleted"]
    brand: Annotated[str, Meta(max_length=32)] | None = None
    iin: Annotated[str, Meta(pattern=r"^[0-9]{6,8}$")] | None = None
    last4: Annotated[str, Meta(pattern=r"^[0-9]{4}$")] | None = None
    exp: Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")] | None = None
    fingerprint: Annotated[str, Meta(max_length=256)] | None = None
    network_transaction_id: Annotated[str, Meta(max_length=255)] | None = None  # of a card that was imported with one

    def __post_init__(self) -> None:
        number_of(self.id, "ins")
        number_of(self.merchant, "mer")


async def learn(db: Database, card: Card) -> bool:
    """Keeps a card that we did not know; False when we do by now. The merchant is one of ours."""
    return await run(db, Q["learn"], encoded(row_of(card))) is not None


async def position(db: Database) -> str:
    row = await run(db, Q["position"], FEED)
    if row is None:
        await run(db, Q["begin"], FEED)
    return "" if row is None else str(row["position"])


async def hear(connection: Any, cards: list[Card], before: str, after: str) -> list[str] | None:
    """In the caller's transaction: the changes of one page, and that we have heard them. None: overtaken.

    Returns the instruments whose cards the vault has deleted while we still have them.
    """
    if await run(connection, Q["move"], FEED, before, after) is None:
        return None
    latest = {card.id: card for card in cards}  # One page may tell of a card several times; in order.
    page = encoded([row_of(card) for card in latest.values()])
    changed = await run(connection, Q["renamed"], page)
    rows = await run(connection, Q["hear"], page)
    await fingerprints.rename(connection, [names_of(row) for row in changed])
    return [public("ins", row["id"]) or "" for row in rows]


def names_of(row: Any) -> dict[str, Any]:
    """Under a new key the vault calls the card otherwise; a card that was shredded has no name but its instrument's."""
    instrument = public("ins", row["id"]) or ""
    before, after = (card_key(name, None, "", instrument) for name in (row["before"], row["after"]))
    return fingerprints.renamed(public("mer", row["merchant_id"]) or "", row["livemode"], before, after)


def row_of(card: Card) -> dict[str, Any]:
    bucket, number = key_of(card.id)
    return {
        "bucket": bucket, "id": number, "merchant_id": hex_of(card.merchant), "livemode": card.livemode,
        "customer": card.customer, "brand": card.brand, "iin": card.iin, "last4": card.last4, "exp": card.exp,
        "fingerprint": card.fingerprint, "status": card.status,
        "network_transaction_id": card.network_transaction_id,
    }  # fmt: skip
