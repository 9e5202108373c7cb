"""Errands at PSPs and at the vault: they move no money, must not be forgotten, and come after everything that does.

An errand is a row, written in the transaction that makes it necessary; it ends only by an answer that is definitive.
Done twice it does no harm, so it is claimed for a while, not for good: whoever dies with one has lost a turn.
"""

from collections.abc import Awaitable, Callable

import msgspec
import structlog
from msgspec import structs

from scrooge.connectors.connector import Kept
from scrooge.connectors.errand import NotYet, exchange
from scrooge.connectors.kit import Never
from scrooge.connectors.vault_client import ask_vault
from scrooge.crash import reach
from scrooge.errors import DatabaseUnavailable
from scrooge.flows import breaks, cards, network_tokens, updates
from scrooge.flows.saving import save
from scrooge.flows.scrooge import Scrooge
from scrooge.metrics import ERRANDS
from scrooge.storage import errands, instruments, saving
from scrooge.storage.errands import (
    FORGET_CARD,
    FORGET_NETWORK_TOKEN,
    FORGET_TOKEN,
    KEEP_TOKEN,
    MAKE_NETWORK_TOKEN,
    READ_NETWORK_TOKEN,
    READ_TOKEN,
    RENEW_CARD,
    Errand,
)
from scrooge.unanswered import why

log = structlog.get_logger()
SECONDS = 10.0  # nobody waits for it
PARK_TRIES = 16  # with the spacing of claims: a day and a half


async def forget(s: Scrooge, merchant: str, instrument_id: str) -> bool:
    """The instrument is gone for payments at once; for every place that keeps a credential of it there is an errand."""
    reach("forget.before")
    async with s.db.transaction() as connection:
        gone = await instruments.delete(connection, merchant, instrument_id)
        reach("forget.written")
    reach("forget.after")
    return gone


async def run(s: Scrooge, errand: Errand) -> None:
    """One turn of an errand; what is not done comes back by itself, later and later, and once a day for ever."""
    reach("errand.claimed")
    try:
        note = await KINDS[errand.kind](s, errand)
    except DatabaseUnavailable:
        raise
    except Never as refusal:
        note = f"refused for good: {refusal}"
    except Exception as error:
        reason = str(error) if isinstance(error, NotYet) else why(error)
        ERRANDS.labels(errand.kind, "not_yet").inc()
        log.warning("errand_not_done", errand=errand.id, kind=errand.kind, tries=errand.tries, reason=reason)
        if errand.tries < PARK_TRIES:
            await errands.leave(s.db, errand, reason)
            return
        async with s.db.transaction() as connection:
            if await errands.park(connection, errand, reason):
                await breaks.errand_parked(connection, errand, reason)
        return
    reach("errand.done")
    await errands.finish(s.db, errand, note)
    ERRANDS.labels(errand.kind, "done").inc()
    log.info("errand_done", errand=errand.id, kind=errand.kind, instrument=errand.instrument, note=note)


# --- each kind: what it did, in words; raises NotYet ----------------------------------------


async def forget_card(s: Scrooge, errand: Errand) -> str:
    status = await at_vault(s, "DELETE", f"/v1/cards/{errand.instrument}")
    if status == 404:
        return "the vault has no such card"
    if status != 200:
        raise NotYet(f"the vault answered HTTP {status}")
    return "the vault deleted the card"


async def renew_card(s: Scrooge, errand: Errand) -> str:
    body = msgspec.json.encode({"exp": errand.exp})
    status = await at_vault(s, "PATCH", f"/v1/cards/{errand.instrument}", body)
    if status == 200:
        return "the vault has the new expiry"
    card = await cards.asked(s, errand.instrument)
    if card is None or card.status == "deleted" or (errand.exp or "") <= (card.exp or ""):
        return "the vault has no such card any more, or knows as much"
    raise NotYet(f"the vault answered HTTP {status}")


async def at_vault(s: Scrooge, method: str, path: str, body: bytes = b"") -> int:
    if s.vault is None:
        raise NotYet("no vault is set: SCROOGE_VAULT_URL")
    return (await ask_vault(s.http, s.vault, method, path, body, timeout=SECONDS)).status


async def forget_token(s: Scrooge, errand: Errand) -> str:
    """A token that another instrument names too stays: its payer has not gone."""
    assert errand.connector_account is not None
    assert errand.psp_token is not None
    await s.directory.refresh()
    account = await s.directory.account_by_id(errand.connector_account)
    assert account is not None, "connector accounts are never deleted"
    ending = s.connectors[account.connector].forget
    if ending is None:
        return f"{account.connector} ends tokens at its own site only"
    if await errands.token_in_use(s.db, account.id, errand.psp_token):
        return "another instrument has the same token"
    kept = Kept(psp_token=errand.psp_token, psp_customer=errand.psp_customer, merchant_account=account.merchant_account)
    status, document = await exchange(s.http, s.directory.wire(account), ending.build(kept), SECONDS)
    if not ending.read(status, document):
        raise NotYet(f"{account.connector} answered HTTP {status}")
    return f"gone at {account.connector}"


async def keep_token(s: Scrooge, errand: Errand) -> str:
    """A token of one payment is given a customer at the PSP, and is the instrument's then."""
    assert errand.connector_account is not None
    assert errand.psp_token is not None
    account = await s.directory.account_by_id(errand.connector_account)
    assert account is not None, "connector accounts are never deleted"
    adopt = s.connectors[account.connector].adopt
    assert adopt is not None, "there is one where there is such an errand"
    wire = s.directory.wire(account)
    async with s.db.transaction() as connection:
        held = await saving.hold(connection, errand.instrument)
    assert held is not None, "instruments stay"
    kept = Kept(
        psp_token=errand.psp_token, psp_customer=None, merchant_account=account.merchant_account,
        customer=held.customer,
    )  # fmt: skip
    customer = adopt.made(*await exchange(s.http, wire, adopt.customer(kept, f"{errand.id}-customer"), SECONDS))
    if customer is None:
        raise NotYet(f"{account.connector} made no customer")
    kept = structs.replace(kept, psp_customer=customer)
    if not adopt.given(*await exchange(s.http, wire, adopt.give(kept, f"{errand.id}-give"), SECONDS)):
        raise NotYet(f"{account.connector} did not take the token")
    async with s.db.transaction() as connection:
        held = await saving.hold(connection, errand.instrument)
        assert held is not None, "instruments stay"
        await save(connection, held, account.id, errand.psp_token, customer)
    return f"kept at {account.connector}"


async def read_token(s: Scrooge, errand: Errand) -> str:
    """There is news about a token: what is behind it now, the PSP says."""
    assert errand.connector_account is not None
    assert errand.psp_token is not None
    account = await s.directory.account_by_id(errand.connector_account)
    assert account is not None, "connector accounts are never deleted"
    look = s.connectors[account.connector].look
    if look is None:
        return f"{account.connector} cannot be asked what is behind a token"
    kept = Kept(psp_token=errand.psp_token, psp_customer=errand.psp_customer, merchant_account=account.merchant_account)
    status, document = await exchange(s.http, s.directory.wire(account), look.build(kept), SECONDS)
    return await updates.seen(s, errand, look.read(kept, status, document))


KINDS: dict[str, Callable[[Scrooge, Errand], Awaitable[str]]] = {
    FORGET_CARD: forget_card,
    FORGET_TOKEN: forget_token,
    RENEW_CARD: renew_card,
    KEEP_TOKEN: keep_token,
    READ_TOKEN: read_token,
    MAKE_NETWORK_TOKEN: network_tokens.make,
    READ_NETWORK_TOKEN: network_tokens.read,
    FORGET_NETWORK_TOKEN: network_tokens.forget,
}
