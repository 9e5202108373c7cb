"""A payer gives a mandate another card, by a link that the merchant sends them: once, and never without their issuer.

The card goes to the vault, from the vault's own form; here only its instrument comes. It is verified for nothing, under
a key and a reference of this link and this card, so whoever sends it twice asks once. What its approval teaches is that
the mandate has it now: learned like anything else, whoever dies.
"""

import hashlib
import hmac
import secrets
from enum import StrEnum

import msgspec
import structlog
from msgspec import Struct, structs

from scrooge.connectors.vault_client import VaultSilent, ask_vault
from scrooge.domain.attempt import OPEN, Attempt, State
from scrooge.domain.mandate import Mandate, Status
from scrooge.domain.payment import Payment
from scrooge.errors import (
    InvalidField,
    MalformedId,
    MandatePending,
    MandateRevoked,
    NoRoute,
    NotFound,
    Problem,
    PspUnavailable,
    ReattemptRefused,
    UnsupportedOperation,
    VaultUnavailable,
)
from scrooge.flows import authorize, mandates, verify
from scrooge.flows.keys import Keyed
from scrooge.flows.saving import learn
from scrooge.flows.scrooge import Scrooge
from scrooge.flows.wanted import Wanted
from scrooge.ids import bucket_in, bucket_of, new_id, number_of
from scrooge.money import Money
from scrooge.storage import payments
from scrooge.storage import update_links as rows
from scrooge.storage.directory import Principal
from scrooge.storage.update_links import Link

log = structlog.get_logger()
ASK_SECONDS = 5.0  # a browser waits for it
FORM_SECONDS = 1800
ANYWHERE = "EUR"  # of a mandate without a currency whose first payment cannot be read any more


class Step(StrEnum):
    """Where a payer is."""

    FORM = "form"  # a card may be typed
    DECLINED = "declined"  # the last one was not good; another may be typed
    REFUSED = "refused"  # this card may not be asked about again
    LATER = "later"  # nobody could be asked
    BANK = "bank"  # the payer authenticates there
    CHECKING = "checking"  # nobody knows yet
    DONE = "done"
    GONE = "gone"


class Stand(Struct, frozen=True):
    """`verification` is that of the card that was tried last."""

    step: Step
    verification: Payment | None = None


class Script(Struct, frozen=True):
    url: str
    integrity: str


class Form(Struct, frozen=True):
    """A capture session of the vault's, and the script that shows it."""

    url: str
    script: Script


# --- for the merchant ---------------------------------------------------------------------


async def make(
    s: Scrooge, principal: Principal, mandate_id: str, payment: str | None, return_url: str | None, seconds: int
) -> tuple[Link, str]:
    """The link and its token, which nobody can read afterwards.

    Raises NotFound, MandatePending, MandateRevoked, UnsupportedOperation.
    """
    m = await mandates.visible(s, principal, mandate_id)
    if m.revoked is not None:
        raise MandateRevoked(f"revoked by the {m.revoked.by}: {m.revoked.because}")
    if m.status is Status.PENDING:
        raise MandatePending("the payment with which the payer agreed is not approved yet")
    if s.vault is None:
        raise UnsupportedOperation("no card vault is set up, so nobody can leave a card")
    if principal.livemode and not s.settings.base().startswith("https://"):
        raise UnsupportedOperation("live cards are typed into pages that came over TLS: set SCROOGE_PUBLIC_URL")
    link, secret = new_id("ulk", bucket_in(m.id)), secrets.token_urlsafe(32)
    made = await rows.add(
        s.db, link, merchant=m.merchant, livemode=m.livemode, caller=principal.caller, mandate=m.id, payment=payment,
        digest=s.directory.sealer.digests(f"{link}.{secret}")[0], return_url=return_url, seconds=seconds,
    )  # fmt: skip
    return made, f"{link}.{secret}"


async def of_payment(
    s: Scrooge, principal: Principal, payment_id: str, return_url: str | None, seconds: int
) -> tuple[Link, str]:
    """The same, for the mandate under which a payment was made: it is tried again with the card.

    Raises NotFound, InvalidField, MandatePending, MandateRevoked, UnsupportedOperation.
    """
    p = await authorize.visible(s, principal, payment_id)
    if p.own_mandate is None or p.mandate_use is None:
        raise InvalidField("the payment was made under no mandate", param="payment")
    return await make(s, principal, p.own_mandate, p.id, return_url, seconds)


async def visible(s: Scrooge, principal: Principal, link_id: str) -> Link:
    """Raises NotFound, and MalformedId, shown as not found."""
    number_of(link_id, "ulk")
    link = await rows.find(s.db, link_id)
    if link is None or link.merchant != principal.merchant or link.livemode is not principal.livemode:
        raise NotFound("no such link")
    return link


async def revoke(s: Scrooge, principal: Principal, link_id: str) -> Link:
    """Doing it twice changes nothing; nor does doing it to one that was used."""
    link = await visible(s, principal, link_id)
    await rows.revoke(s.db, link.id)
    return await visible(s, principal, link.id)


# --- for the payer ------------------------------------------------------------------------


async def found(s: Scrooge, token: str) -> Link | None:
    """By its token; None is all that is said of any other."""
    link_id, _, _ = token.partition(".")
    try:
        number_of(link_id, "ulk")
        link = await rows.find(s.db, link_id)
    except MalformedId:
        return None
    digests = s.directory.sealer.digests(token)
    return link if link is not None and any(hmac.compare_digest(link.digest, d) for d in digests) else None


async def stand(s: Scrooge, link: Link, *, waited: bool = False) -> tuple[Stand, Mandate | None]:
    """Where its payer is. `waited`: they were here when it was not over."""
    m = await mandates.known(s, link.mandate)
    if m is None or m.status is not Status.ACTIVE:
        return Stand(Step.GONE), None
    if link.used_at is not None:
        return Stand(Step.DONE if waited else Step.GONE), m
    if link.revoked_at is not None:
        return Stand(Step.GONE), m
    p = await verification_of(s, link)
    here = Stand(Step.FORM) if p is None else await concluded(s, link, p)
    if here.step is Step.DONE:
        return here, await mandates.known(s, link.mandate)
    over = link.expired or (link.tries >= rows.TRIES_MAX and here.step in {Step.FORM, Step.DECLINED})
    return (Stand(Step.GONE) if over and here.step not in {Step.BANK, Step.CHECKING} else here), m


async def verification_of(s: Scrooge, link: Link) -> Payment | None:
    """Of the card that was tried last, if it was ever asked about."""
    if link.instrument is None:
        return None
    reference = reference_of(link, link.instrument)
    bucket = bucket_of(link.merchant, link.caller, reference)
    number = await payments.payment_of_reference(s.db, bucket, link.merchant, link.caller, link.livemode, reference)
    return None if number is None else await payments.read(s.db, number)


async def concluded(s: Scrooge, link: Link, p: Payment) -> Stand:
    """What a verification means for its payer; what an approval teaches is learned first."""
    a: Attempt = p.attempts[0]
    if a.state is State.APPROVED:
        await learn(s, p.id, a.id)
        m = await mandates.known(s, link.mandate)
        return Stand(Step.DONE if m is not None and m.instrument == p.instrument else Step.GONE, p)
    if a.state is State.ACTION_REQUIRED:
        return Stand(Step.BANK, p)
    return Stand(Step.CHECKING if a.state in OPEN else Step.DECLINED, p)


async def form(s: Scrooge, link: Link, m: Mandate, origin: str) -> Form | None:
    """A form for one card. None: this link has shown too many. Raises VaultUnavailable."""
    if not await rows.opened(s.db, link.id):
        return None
    assert s.vault is not None
    asked = {
        "merchant": m.merchant, "live": m.livemode, "customer": m.customer, "origin": origin, "security_code": True,
        "ttl_seconds": FORM_SECONDS,
    }  # fmt: skip
    body, path = msgspec.json.encode(asked), "/v1/core/capture-sessions"
    try:
        reply = await ask_vault(s.http, s.vault, "POST", path, body, timeout=ASK_SECONDS)
        if reply.status != 201:
            raise VaultSilent(f"HTTP {reply.status}")
        return msgspec.json.decode(reply.body, type=Form)
    except (VaultSilent, msgspec.MsgspecError) as error:
        log.warning("vault_gave_no_form", link=link.id, error=type(error).__name__)
        raise VaultUnavailable("the card vault cannot be asked for a form now", retry_after=2) from None


async def take(s: Scrooge, link: Link, instrument_id: str) -> Stand:
    """The card that the payer has typed: verified, and the mandate's if its issuer says yes."""
    here, m = await stand(s, link)
    if m is None or here.step not in {Step.FORM, Step.DECLINED}:
        return here
    name = await s.directory.caller_name(link.caller)
    who = Principal("", link.merchant, link.merchant_name, link.caller, name, frozenset(), link.livemode)
    try:
        instrument = await authorize.instrument_of(s, who, instrument_id, m.customer)
        if not instrument.vault:
            raise InvalidField("not a card that was typed here", param="instrument")
        if instrument.id != link.instrument and not await rows.tried(s.db, link, instrument.id):
            link = await rows.find(s.db, link.id) or link
            return (await stand(s, link))[0]
        p = await verified(s, who, link, m, instrument.id)
    except ReattemptRefused:
        return Stand(Step.REFUSED)
    except Problem as problem:
        log.warning("card_not_verified", link=link.id, reason=problem.code)
        return Stand(Step.LATER)
    return await concluded(s, link, p)


async def verified(s: Scrooge, who: Principal, link: Link, m: Mandate, instrument: str) -> Payment:
    """Where the payer agreed first, so that the mandate goes on being paid there; elsewhere if that cannot be.

    Raises the Problems of a verification.
    """
    reference = reference_of(link, instrument)
    wanted = Wanted(
        reference=reference, amount=Money(0, await currency_of(s, m)), instrument=instrument, customer=m.customer,
        capture="manual", save_for=m.use, mandate=m.id, connector_account=m.connector_account,
    )  # fmt: skip
    keyed = Keyed(reference, hashlib.sha256(reference.encode()).digest())
    try:
        return (await verify.verify(s, who, wanted, keyed))[0]
    except (NoRoute, PspUnavailable, UnsupportedOperation):
        if m.connector_account is None:
            raise
        return (await verify.verify(s, who, structs.replace(wanted, connector_account=None), keyed))[0]


async def currency_of(s: Scrooge, m: Mandate) -> str:
    """The one that payments under it are in."""
    if m.terms.currency is not None:
        return m.terms.currency
    p = await payments.read(s.db, mandates.consent_of(m.id))
    return p.currency if p is not None else ANYWHERE


def reference_of(link: Link, instrument: str) -> str:
    return f"{link.id}:{instrument}"


async def returned(s: Scrooge, p: Payment) -> tuple[Stand, Link | None]:
    """The payer is back from their bank, without the link: what became of the card, and by which link it came."""
    assert p.mandate is not None
    link = await rows.of_card(s.db, p.mandate, p.instrument or "")
    return (Stand(Step.GONE), None) if link is None else (await concluded(s, link, p), link)
