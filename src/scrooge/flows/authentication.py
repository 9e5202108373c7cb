"""Whether the payer is asked to authenticate for an attempt, or the issuer to do without: by the merchant's policy."""

from scrooge.connectors.connector import Connector
from scrooge.domain.attempt import Authentication, Unauthenticated
from scrooge.domain.declines import Decline
from scrooge.domain.payment import Payment
from scrooge.errors import AuthenticationRequired
from scrooge.flows.scrooge import Scrooge
from scrooge.routing.authenticating import Can, Known, chosen, question, settings_of
from scrooge.routing.authentication import Choice, counted_in
from scrooge.routing.policy import document
from scrooge.routing.schemes.rules import card_key
from scrooge.storage.directory import ConnectorAccount
from scrooge.storage.instruments import Instrument

SOFT = Decline.AUTHENTICATION_REQUIRED.value


def authentication(
    s: Scrooge, p: Payment, instrument: Instrument, account: ConnectorAccount, at: int, *,
    by_network_token: bool = False, low_risk: bool = False, used_up: bool = False,
) -> Authentication | None:  # fmt: skip
    """None: no policy says that we choose. Raises AuthenticationRequired where the payer has to be there and is not."""
    settings = settings_of(s.routing.policy(p.merchant, p.caller, p.livemode))
    if settings is None:
        return None
    connector = s.connectors[account.connector]
    present = p.initiator == "customer" and p.return_url is not None
    known = Known(
        acquirer_country=account.acquirer_country or "",
        issuer_country=s.bins(instrument.iin or "").country,
        minor=p.minor,
        currency=p.currency,
        at=at,
        initiator="merchant" if p.initiator == "merchant" else "customer",
        sets_up_mandate=p.save_for is not None,
        declined_softly=any(a.decline == SOFT for a in p.attempts),
        challengeable=present and connector.authenticates and not by_network_token,
        low_risk=low_risk,
        used_up=used_up,
    )
    q = question(settings, account.name, known)
    choice = chosen(q, known, can(connector))
    if choice.ask == "payer":
        raise AuthenticationRequired(f"{choice.because} ({choice.source})", param="initiator", source=choice.source)
    toward = counted_in(q)
    counts = None
    if toward is not None:
        card = card_key(instrument.fingerprint, None, account.connector, instrument.id)
        counts = Unauthenticated(card, toward.currency, p.minor if p.currency == toward.currency else None, at)
    return Authentication(
        ask=choice.ask, because=choice.because, source=choice.source, exemption=choice.exemption,
        liability=choice.liability, counts=counts,
    )  # fmt: skip


def can(connector: Connector) -> Can:
    return Can(frozenset(connector.exemptions), connector.exempts_by_itself)


def foreseen(settings: document.Authentication, account: str, known: Known, connector: Connector) -> Choice:
    """As an attempt would be asked about just now, of a card of which nothing is counted."""
    return chosen(question(settings, account, known), known, can(connector))
