"""Cards of the vault as the core's instruments: asked for when somebody names one, and heard of when they change.

The vault never calls us. Its feed is the one that changes what we know, in its order; an answer to a question only
adds what we do not know at all. So no answer that comes late can undo what the feed has told meanwhile.
"""

import time
from urllib.parse import quote

import msgspec
import structlog

from scrooge.connectors.vault_client import VaultSilent, ask_vault
from scrooge.errors import MalformedId, VaultUnavailable
from scrooge.flows.scrooge import Scrooge
from scrooge.metrics import VAULT_CARDS, VAULT_SILENT
from scrooge.storage import cards, instruments
from scrooge.storage.cards import Card
from scrooge.storage.instruments import Instrument

log = structlog.get_logger()
ASK_SECONDS = 5.0  # a payment waits for it
PAGE = 200
WRONG = (msgspec.MsgspecError, MalformedId)


class Page(msgspec.Struct, frozen=True):
    """Of the vault's feed; each card is read by itself, so that an odd one holds up no other."""

    data: list[msgspec.Raw]
    next_cursor: str | None
    has_more: bool


async def instrument(s: Scrooge, merchant: str, instrument_id: str) -> Instrument | None:
    """The merchant's instrument, asked of the vault where we have none. Raises MalformedId, VaultUnavailable."""
    found = await s.reader.instrument(merchant, instrument_id)
    if found is not None or s.vault is None:
        return found
    card = await asked(s, instrument_id)
    if card is None or card.merchant != merchant or card.status == "deleted":
        return None
    await cards.learn(s.db, card)
    return await s.reader.instrument(merchant, instrument_id)


async def asked(s: Scrooge, instrument_id: str) -> Card | None:
    """The card of an instrument as the vault has it now. Raises VaultUnavailable when it cannot be asked."""
    assert s.vault is not None
    try:
        reply = await ask_vault(s.http, s.vault, "GET", f"/v1/cards/{instrument_id}", timeout=ASK_SECONDS)
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise VaultSilent(f"HTTP {reply.status}")
        card = msgspec.json.decode(reply.body, type=Card)
    except (VaultSilent, *WRONG) as error:
        log.warning("vault_not_asked", instrument=instrument_id, error=type(error).__name__)
        raise VaultUnavailable("the card vault cannot be asked about this instrument now", retry_after=2) from None
    return card if card.id == instrument_id else None


class Listening:
    """What one worker hears of the vault's cards. It says how long the vault has been silent."""

    def __init__(self) -> None:
        self.heard_at = time.monotonic()

    async def turn(self, s: Scrooge) -> bool:
        """Reads one page of changes; True when there are more. A silent vault is asked again at the next turn."""
        if s.vault is None:
            return False
        VAULT_SILENT.set(time.monotonic() - self.heard_at)
        before = await cards.position(s.db)
        try:
            page = await changes(s, before)
        except VaultSilent:
            return False
        self.heard_at = time.monotonic()
        VAULT_SILENT.set(0)
        cursor = page.next_cursor or before
        if cursor == before:
            return False
        told = [card for raw in page.data if (card := read(raw)) is not None]
        merchants = {card.id: card.merchant for card in told}
        async with s.db.transaction() as connection:
            heard = await cards.hear(connection, told, before, cursor)
            for deleted in heard or ():  # At the vault, by their merchant: so nothing else of them may stay.
                await instruments.delete(connection, merchants[deleted], deleted)
        if heard is not None:
            VAULT_CARDS.labels("heard").inc(len(told))
        return page.has_more


async def changes(s: Scrooge, after: str) -> Page:
    """Raises VaultSilent."""
    assert s.vault is not None
    path = f"/v1/changes?limit={PAGE}" + (f"&after={quote(after, safe='=-_')}" if after else "")
    reply = await ask_vault(s.http, s.vault, "GET", path, timeout=ASK_SECONDS)
    if reply.status != 200:
        log.error("vault_changes_refused", status=reply.status)
        raise VaultSilent(f"HTTP {reply.status}")
    try:
        return msgspec.json.decode(reply.body, type=Page)
    except msgspec.MsgspecError:
        log.error("vault_changes_unreadable")
        raise VaultSilent("the page cannot be read") from None


def read(raw: msgspec.Raw) -> Card | None:
    try:
        return msgspec.json.decode(raw, type=Card)
    except WRONG as error:  # It would fit no row, ever: the others go on.
        VAULT_CARDS.labels("unreadable").inc()
        log.error("vault_card_unreadable", error=type(error).__name__)
        return None
