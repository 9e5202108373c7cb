"""Where an instrument may be used: PSPs that know it by a token, and PSPs to which the vault may send its card."""

from scrooge.connectors.connector import NetworkToken
from scrooge.domain.attempt import Operation
from scrooge.errors import NoRoute, PspUnavailable, UnknownConnectorAccount
from scrooge.flows.scrooge import Scrooge
from scrooge.routing.choose import Candidate, Route, choose
from scrooge.storage.directory import ConnectorAccount, Principal
from scrooge.storage.instruments import Instrument


async def route_of(s: Scrooge, principal: Principal, instrument: Instrument, only: str | None) -> Route:
    """Raises NoRoute and PspUnavailable, saying why for each account, and UnknownConnectorAccount."""
    if only is not None and await s.directory.account(only, principal.merchant) is None:
        raise UnknownConnectorAccount("no such connector account", param="connector_account")
    route = choose(await candidates(s, instrument), principal.livemode, only)
    considered = dict(route.considered)
    if not route.accounts and route.pressed:
        raise PspUnavailable("no PSP can take this payment just now", retry_after=2, considered=considered)
    if not route.accounts:
        lost = instrument.card_status is not None and not instrument.vault
        gone = f", and the card in the vault is {instrument.card_status}" if lost else ""
        detail = f"no connector account can take this payment{gone}"
        raise NoRoute(detail, param="instrument", considered=considered)
    return route


async def candidates(s: Scrooge, instrument: Instrument) -> list[Candidate]:
    """The PSPs that have a token, in the order given; then, by age, those that take its network token, or to which the
    vault may send its card. Token providers take no payments, so they are none."""
    with_token = [await s.directory.account_by_id(c.connector_account) for c in instrument.credentials]
    known = [(account, None) for account in with_token if account is not None]
    if instrument.vault or usable(instrument):
        named = {account.id for account, _ in known}
        others = [a for a in await s.directory.accounts(instrument.merchant) if a.id not in named]
        mine = [a for a in others if a.livemode is instrument.livemode and s.connectors[a.connector].endpoints]
        known += [(a, obstacle(s, instrument, a)) for a in mine]
    return [
        Candidate(
            account=a.id,
            name=a.name,
            active=a.state == "active",
            livemode=a.livemode,
            can_authorize=Operation.AUTHORIZE in s.connectors[a.connector].endpoints,
            pressure=s.limits.pressure(a.id),
            obstacle=why,
        )
        for a, why in known
    ]


def usable(instrument: Instrument) -> bool:
    return instrument.network_token is not None and instrument.network_token.status == "active"


def network_token_at(s: Scrooge, instrument: Instrument, account: ConnectorAccount) -> NetworkToken | None:
    """The instrument's network token, where this account's connector takes it and its provider may be asked."""
    token = instrument.network_token
    if token is None or not usable(instrument) or s.connectors[account.connector].network_token is None:
        return None
    provider = s.directory.by_id.get(token.connector_account)
    paused = provider is None or provider.state != "active"
    return None if paused else NetworkToken(token.connector_account, token.token, instrument.brand)


def obstacle(s: Scrooge, instrument: Instrument, account: ConnectorAccount) -> str | None:
    """Why neither the network token nor the card in the vault can go to this account."""
    if network_token_at(s, instrument, account) is not None:
        return None
    if not instrument.vault:
        return "it takes no network token, and the card in the vault cannot be used"
    if s.vault is None:
        return "no vault is set up"
    return None if "authorize" in s.connectors[account.connector].cards else "its connector takes no card numbers"
