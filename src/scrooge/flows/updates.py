"""Cards change behind their tokens: another expiry, another number, or no account at all. PSPs hear of it and tell us.

What they tell is only that there is news: what is so now, they are asked, by an errand. So notifications may come in
any order, late and many times; and a card never goes back to an earlier expiry, whichever PSP is the last to know.
"""

from typing import Any

import structlog

from scrooge.connectors.connector import CardSeen, Notification
from scrooge.domain.mandate import Revoked
from scrooge.flows.card_news import NOTHING_NEWER, card_seen
from scrooge.flows.saving import save
from scrooge.flows.scrooge import Scrooge
from scrooge.metrics import CARD_UPDATES, NOTIFICATIONS
from scrooge.storage import errands, inbox, instruments, mandates, network_tokens, payments, saving
from scrooge.storage.errands import READ_NETWORK_TOKEN, READ_TOKEN, Errand
from scrooge.storage.inbox import Unread

log = structlog.get_logger()
UNKNOWN_TRIES = 8  # with the inbox's spacing some four minutes: a token may be told of before it is saved


async def heard(s: Scrooge, row: Unread, n: Notification) -> None:
    """News about a token: an errand for each instrument that has it, in the commit that files the news."""
    assert n.psp_token is not None
    async with s.db.transaction() as connection:
        told = await about(connection, row.connector_account, n.psp_token, n.psp_customer)
        saved = not told and await saved_by(s, connection, row.connector_account, n)
        if not told and not saved and row.tries < UNKNOWN_TRIES:
            return
        await errands.add(connection, told)
        note = None if told else "the token is saved" if saved else "no instrument has this token"
        await inbox.file(connection, row, "applied", note)
    NOTIFICATIONS.labels("*", "applied").inc()


async def about(connection: Any, account: str, token: str, customer: str | None) -> list[Errand]:
    """Whose token it is, at a PSP or at a token provider."""
    told = [
        Errand(
            kind=READ_TOKEN, merchant=o.merchant, livemode=o.livemode, instrument=o.instrument,
            connector_account=account, psp_token=token, psp_customer=customer or o.customer,
        )
        for o in await saving.owners(connection, account, token)
    ]  # fmt: skip
    return told + [
        Errand(
            kind=READ_NETWORK_TOKEN, merchant=merchant, livemode=livemode, instrument=instrument,
            connector_account=account, psp_token=token,
        )
        for instrument, merchant, livemode in await network_tokens.owners(connection, account, token)
    ]  # fmt: skip


async def saved_by(s: Scrooge, connection: Any, account: str, n: Notification) -> bool:
    """A PSP may name the token that a payment made only here, some time after its answer."""
    if n.psp_reference is None or n.psp_customer is None or n.psp_token is None:
        return False
    for payment, _, _ in await payments.attempts_at_psp(connection, account, n.psp_reference):
        p = await payments.read(connection, payment)
        if p is None or p.save_for is None or p.instrument is None:
            continue
        held = await saving.hold(connection, p.instrument)
        if held is not None:
            await save(connection, held, account, n.psp_token, n.psp_customer)
            return True
    return False


async def seen(s: Scrooge, errand: Errand, card: CardSeen | None) -> str:
    """What the PSP says is behind the token now; what was done about it, in words."""
    assert errand.connector_account is not None
    assert errand.psp_token is not None
    at = errand.instrument, errand.connector_account, errand.psp_token
    async with s.db.transaction() as connection:
        held = await saving.hold(connection, errand.instrument)
        if held is None or held.deleted:
            return "the instrument is gone"
        if card is None:
            dropped = await saving.drop_token(connection, *at)
            CARD_UPDATES.labels("closed").inc(dropped)
            if dropped:
                await without_means(connection, errand.instrument)
            return "the token is good for nothing any more"
        note = await card_seen(connection, held, card)
        if note != NOTHING_NEWER:
            await saving.mark_updated(connection, *at)
    return note


async def without_means(connection: Any, instrument: str) -> None:
    """What the payer agreed to ends with the last thing that could be paid with: it was ended at the PSP."""
    left = (await instruments.read(connection, [instrument])).get(instrument)
    if left is None or left.credentials or left.vault or (left.network_token and left.network_token.status == "active"):
        return
    gone = Revoked("the PSP ended the token, and there is nothing else to pay with", "psp")
    await mandates.revoke(connection, await mandates.of_instrument(connection, instrument), gone)
