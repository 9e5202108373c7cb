"""One more authorization of a payment, with its request: decided and built, not yet recorded."""

import secrets

from msgspec import structs

from scrooge.connectors.connector import Request, render
from scrooge.domain.attempt import Attempt, Counted, Operation
from scrooge.domain.payment import Payment, decide
from scrooge.flows.ask import SECOND, command_of
from scrooge.flows.authentication import authentication
from scrooge.flows.fees import fees_of
from scrooge.flows.fingerprints import names_of
from scrooge.flows.perform import GRACE
from scrooge.flows.route import network_token_at
from scrooge.flows.scrooge import Scrooge, now
from scrooge.ids import bucket_in, new_id
from scrooge.storage.directory import ConnectorAccount
from scrooge.storage.instruments import Instrument


async def attempted(
    s: Scrooge, p: Payment, instrument: Instrument, account_id: str, *,
    authenticate: bool = False, low_risk: bool = False, used_up: bool = False,
) -> tuple[Payment, Request]:  # fmt: skip
    """The payment with one more authorization at an account, and its request, built before it is recorded.

    `authenticate`: the payer is to be asked for 3-D Secure, whatever the PSP would do by itself. `low_risk`: a check
    looked at this very payment and found nothing. `used_up`: the low-value exemption is not to be asked for. Raises
    AuthenticationRequired.
    """
    account = await s.directory.known(account_id)
    assert account is not None
    token = next((c for c in instrument.credentials if c.connector_account == account_id), None)
    instead = network_token_at(s, instrument, account) if token is None else None
    number, sent_at = len(p.attempts) + 1, now()
    return_token = secrets.token_hex(16)
    # What moves no money, or none of a card's: no law or tariff counts it; the schemes count what moves none.
    verifies, own = p.minor == 0, s.directory.is_ledger(account_id)
    exempt = verifies or own
    choice = None if exempt else authentication(
        s, p, instrument, account, sent_at, by_network_token=instead is not None, low_risk=low_risk, used_up=used_up
    )  # fmt: skip
    if authenticate and choice is not None and choice.exemption:  # What is kept says what is asked for.
        why = f"{choice.because}; but the payer is to be asked all the same"
        choice = structs.replace(choice, ask="challenge", exemption="", liability="issuer", because=why)
    p = decide(
        p, Operation.VERIFY if verifies else Operation.AUTHORIZE, None, id=new_id("att", bucket_in(p.id)),
        number=number, connector_account=account_id, sale=p.sale, reference=f"{p.id}-{number}",
        return_token=return_token, sent_at=sent_at,
        teaches=instrument.id if teaches(p, instrument) else None,
        counted=None if own else counted(s, p, instrument, account, sent_at),
        fees=None if exempt else await fees_of(s, p, instrument),
        authentication=choice,
    )  # fmt: skip
    attempt: Attempt = p.attempts[-1]
    if token is not None and not own:
        s.learning.fingerprints.ask(p, attempt, instrument, account, token)
    command = command_of(
        p, attempt, account, psp_token=token.psp_token if token else None,
        psp_customer=token.psp_customer if token else None, network_token=instead,
        vault_card=instrument.id if instrument.vault else None,
        network_transaction_id=instrument.network_transaction_id, use=p.mandate_use,
        return_url=f"{s.settings.base()}/return/{p.id}.{return_token}",
        authenticate=authenticate or (choice is not None and choice.ask == "challenge"),
        exemption=choice.exemption if choice is not None else "",
    )  # fmt: skip
    request = render(s.directory.wire(account).connector, command)
    deadline = sent_at + s.settings.psp_timeout_seconds * SECOND + GRACE
    return structs.replace(p, deadline_at=deadline), request


def counted(s: Scrooge, p: Payment, instrument: Instrument, account: ConnectorAccount, at: int) -> Counted | None:
    """As what the attempt counts against the schemes' limits. No scheme hears of test mode, unless settings say so."""
    if not p.livemode and s.settings.scheme_limits != "all":
        return None
    card, also = names_of(instrument)
    return Counted(card, instrument.brand or "", "", account.connector, at, also)


def teaches(p: Payment, instrument: Instrument) -> bool:
    """Does an approval bring something to keep: a token that is to be saved, the name of a card's first payment?"""
    return p.save_for is not None or (instrument.vault and instrument.network_transaction_id is None)
