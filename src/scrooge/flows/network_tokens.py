"""Network tokens: made after a payment that saved its card, looked at when the provider has news, ended with their
instrument. All of it is errands: never in a payment's way, repeated until it is done.
"""

from typing import Any

import structlog

from scrooge.connectors.connector import Provisioned, TokenService
from scrooge.connectors.errand import NotYet, exchange, exchange_by_vault
from scrooge.connectors.kit import Never
from scrooge.flows.card_news import card_seen
from scrooge.flows.scrooge import Scrooge
from scrooge.metrics import NETWORK_TOKENS
from scrooge.storage import errands, network_tokens, saving
from scrooge.storage.directory import ConnectorAccount
from scrooge.storage.errands import FORGET_NETWORK_TOKEN, MAKE_NETWORK_TOKEN, Errand
from scrooge.storage.saving import Held

log = structlog.get_logger()
SECONDS = 10.0  # nobody waits for it


async def wanted(s: Scrooge, connection: Any, held: Held) -> None:
    """In the transaction that learns from a payment: the instrument's row is locked, its card was just saved."""
    provider = provider_of(s, held)
    if provider is None or not with_a_card(s, held):
        return
    if await network_tokens.request(connection, held.id, provider.id):
        await errands.add(connection, [errand_of(MAKE_NETWORK_TOKEN, held, provider.id)])


def provider_of(s: Scrooge, held: Held) -> ConnectorAccount | None:
    """The merchant's own contract with a provider that has tokens of this brand, where the setting says so."""
    if held.brand is None or held.brand not in s.settings.token_brands():
        return None
    for account in s.directory.by_id.values():
        tokens = s.connectors[account.connector].tokens
        mine = account.merchant == held.merchant and account.livemode is held.livemode
        if tokens is not None and mine and account.state == "active" and held.brand in tokens.brands:
            return account
    return None


def with_a_card(s: Scrooge, held: Held) -> bool:
    return s.vault is not None and held.vault and held.card_status == "active" and not held.deleted


def errand_of(kind: str, held: Held, provider: str, token: str | None = None) -> Errand:
    return Errand(
        kind=kind, merchant=held.merchant, livemode=held.livemode, instrument=held.id, connector_account=provider,
        psp_token=token,
    )  # fmt: skip


async def at(s: Scrooge, errand: Errand) -> tuple[ConnectorAccount, TokenService]:
    assert errand.connector_account is not None
    account = await s.directory.account_by_id(errand.connector_account)
    assert account is not None, "connector accounts are never deleted"
    tokens = s.connectors[account.connector].tokens
    if tokens is None:
        raise NotYet(f"{account.connector} is no token provider")
    return account, tokens


async def make(s: Scrooge, errand: Errand) -> str:
    """The vault sends the card. Where that is too late, an earlier turn may have made a token all the same."""
    account, tokens = await at(s, errand)
    wire = s.directory.wire(account)
    async with s.db.transaction() as connection:
        held = await saving.hold(connection, errand.instrument)
    assert held is not None, "instruments stay"
    found: Provisioned | None = None
    try:
        if with_a_card(s, held):
            assert s.vault is not None
            request = tokens.provision(held.id, errand.id)
            found = tokens.read(*await exchange_by_vault(s.http, s.vault, wire, request, errand.id, SECONDS))
        else:
            found = tokens.read(*await exchange(s.http, wire, tokens.find(errand.id), SECONDS))
    except Never:
        await network_tokens.refused(s.db, held.id)
        NETWORK_TOKENS.labels("refused").inc()
        raise
    if found is None:
        await network_tokens.withdrawn(s.db, held.id)
        return "there is no card any more to make one for"
    async with s.db.transaction() as connection:
        held = await saving.hold(connection, errand.instrument)
        assert held is not None, "instruments stay"
        if held.deleted:
            await errands.add(connection, [errand_of(FORGET_NETWORK_TOKEN, held, account.id, found.token)])
            return "made, for an instrument that is gone"
        await network_tokens.made(connection, held.id, found)
    NETWORK_TOKENS.labels("made").inc()
    log.info("network_token_made", instrument=held.id, connector_account=account.id)
    return f"made at {account.connector}"


async def read(s: Scrooge, errand: Errand) -> str:
    """There is news about a token: what is so now, the provider says, of the token and of the card behind it."""
    account, tokens = await at(s, errand)
    assert errand.psp_token is not None
    before = await network_tokens.seen(s.db, errand.instrument, errand.psp_token)
    if before is None:
        return "the instrument does not have this token"
    found = tokens.read(*await exchange(s.http, s.directory.wire(account), tokens.look(errand.psp_token), SECONDS))
    async with s.db.transaction() as connection:
        held = await saving.hold(connection, errand.instrument)
        if held is None or held.deleted:
            return "the instrument is gone"
        if found is None:
            NETWORK_TOKENS.labels("ended").inc(await network_tokens.drop(connection, held.id, errand.psp_token))
            return "the token is gone"
        if not await network_tokens.look(connection, held.id, before, found):
            raise NotYet("somebody else looked at it meanwhile")
        NETWORK_TOKENS.labels(found.status).inc()
        note = await card_seen(connection, held, found.card)
    return f"{found.status}; of its card: {note}"


async def forget(s: Scrooge, errand: Errand) -> str:
    account, tokens = await at(s, errand)
    assert errand.psp_token is not None
    wire = s.directory.wire(account)
    if not tokens.forgotten(*await exchange(s.http, wire, tokens.forget(errand.psp_token), SECONDS)):
        raise NotYet(f"{account.connector} has not ended the token")
    NETWORK_TOKENS.labels("forgotten").inc()
    return f"gone at {account.connector}"
