"""Whether anybody knows a newer card behind an instrument: its PSPs and its token provider are asked. No money moves.

What they say is learned as it is from their notifications. What they do not know, or will not say, concludes nothing:
that a token is gone is for its own news to tell.
"""

import structlog

from scrooge.connectors.connector import Kept
from scrooge.connectors.errand import exchange
from scrooge.errors import DatabaseUnavailable
from scrooge.flows import network_tokens, updates
from scrooge.flows.scrooge import Scrooge
from scrooge.storage.errands import READ_NETWORK_TOKEN, READ_TOKEN, Errand
from scrooge.storage.instruments import Credential, Instrument
from scrooge.unanswered import why

log = structlog.get_logger()
SECONDS = 5.0  # for each of them


async def asked(s: Scrooge, instrument: Instrument) -> bool:
    """Whether all of them answered."""
    answered = True
    for credential in instrument.credentials:
        answered &= await ask(s, instrument, credential)
    if instrument.network_token is not None:
        answered &= await ask_provider(s, instrument)
    return answered


async def ask(s: Scrooge, i: Instrument, c: Credential) -> bool:
    account = await s.directory.account_by_id(c.connector_account)
    assert account is not None, "connector accounts are never deleted"
    look = s.connectors[account.connector].look
    if look is None:
        return True
    kept = Kept(
        psp_token=c.psp_token, psp_customer=c.psp_customer or i.customer, merchant_account=account.merchant_account
    )
    try:
        seen = look.read(kept, *await exchange(s.http, s.directory.wire(account), look.build(kept), SECONDS))
        if seen is not None:
            await updates.seen(s, errand_of(READ_TOKEN, i, account.id, c.psp_token), seen)
    except DatabaseUnavailable:
        raise
    except Exception as error:
        log.warning("card_not_refreshed", instrument=i.id, connector_account=account.id, reason=why(error))
        return False
    return True


async def ask_provider(s: Scrooge, i: Instrument) -> bool:
    token = i.network_token
    assert token is not None
    try:
        await network_tokens.read(s, errand_of(READ_NETWORK_TOKEN, i, token.connector_account, token.token))
    except DatabaseUnavailable:
        raise
    except Exception as error:
        log.warning("network_token_not_refreshed", instrument=i.id, reason=why(error))
        return False
    return True


def errand_of(kind: str, i: Instrument, account: str, token: str) -> Errand:
    """Done at once, and by us: no row."""
    return Errand(
        kind=kind, merchant=i.merchant, livemode=i.livemode, instrument=i.id, connector_account=account, psp_token=token
    )
