"""A card's content as it is kept: sealed, and bound to its id, merchant and mode."""

import msgspec

from scrooge.vault.checks import Card
from scrooge.vault.keys.keyring import Keyring


def context(card_id: str, merchant: str, livemode: bool) -> bytes:
    """What a sealed card is bound to: it opens for no other id, merchant or mode."""
    return f"{card_id}|{merchant}|{'live' if livemode else 'test'}".encode()


def sealed(keyring: Keyring, card_id: str, merchant: str, livemode: bool, card: Card) -> bytes:
    clear = msgspec.msgpack.encode((card.number, card.exp_month, card.exp_year, card.holder))
    return keyring.seal(livemode, context(card_id, merchant, livemode), clear)


async def opened(keyring: Keyring, card_id: str, merchant: str, livemode: bool, content: bytes) -> Card:
    """Raises CannotOpen."""
    clear = await keyring.open_soon(livemode, context(card_id, merchant, livemode), content)
    return Card(*msgspec.msgpack.decode(clear))
