"""Another expiry or number of an instrument's card, whoever tells us of it: a PSP, or a token provider."""

from typing import Any

import structlog

from scrooge.connectors.connector import CardSeen
from scrooge.metrics import CARD_UPDATES
from scrooge.storage import errands, recoveries, saving
from scrooge.storage.errands import RENEW_CARD, Errand
from scrooge.storage.saving import Held

log = structlog.get_logger()
NOTHING_NEWER = "nothing newer"


async def card_seen(connection: Any, held: Held, card: CardSeen) -> str:
    """In the caller's transaction, which holds the instrument: the card it stands for is this one now."""
    if not newer(held, card):
        return NOTHING_NEWER
    await saving.renew(connection, held.id, card.last4, card.exp, card.brand)
    same_number = card.last4 == held.last4
    if same_number and held.card_status in {"active", "expired"}:
        renewed = Errand(
            kind=RENEW_CARD, merchant=held.merchant, livemode=held.livemode, instrument=held.id, exp=card.exp
        )
        await errands.add(connection, [renewed])
    await recoveries.card_renewed(connection, held.id)
    CARD_UPDATES.labels("expiry" if same_number else "number").inc()
    log.info("card_updated", instrument=held.id, number=not same_number)
    return "another expiry" if same_number else "another number"


def newer(held: Held, card: CardSeen) -> bool:
    if held.exp is None or held.last4 is None:
        return True
    return card.exp > held.exp or (card.exp == held.exp and card.last4 != held.last4)
