"""The check before a payment: the merchant's rules over what was seen of late, and its risk service where it names one.

Authorizations that a caller asks for are checked, and later retries. Captures, voids, refunds, payers who come back,
questions about earlier attempts and whatever follows a decline at once never come here. Without a policy nothing is
looked at.
"""

from ipaddress import IPv6Address, ip_address, ip_network
from types import TracebackType
from typing import Any

import msgspec
from msgspec import Raw, Struct

from scrooge.domain.payment import Payment
from scrooge.errors import RiskUnavailable
from scrooge.flows.risk_service import asked
from scrooge.flows.scrooge import Scrooge, now
from scrooge.metrics import RISK_CHECKS
from scrooge.money import decimal, exponent_of
from scrooge.risk.check import Suspect, Verdict, asks, check, fact
from scrooge.risk.recent import Sighting
from scrooge.risk.record import Asked, Kept, kept
from scrooge.risk.rules import Document
from scrooge.routing.record import Recorded
from scrooge.storage.directory import Principal
from scrooge.storage.instruments import Instrument
from scrooge.storage.risk import Counts

RETRY_SECONDS = 2


class About(Struct, frozen=True, kw_only=True):
    """What is asked for, as far as risk cares. `payment`: where there is one; `ip` and `email` are the payer's."""

    reference: str
    minor: int
    currency: str
    customer: str | None = None
    initiator: str = "customer"
    purpose: str | None = None
    capture: str = "automatic"
    metadata: dict[str, str] = {}
    payment: str | None = None
    ip: str | None = None
    email: str | None = None
    returns: bool = False  # the payer can be sent away and come back


def suspected(wanted: Any) -> About:
    """Of what a caller asks for (authorize.Wanted, which is above us)."""
    return About(
        reference=wanted.reference, minor=(wanted.whole or wanted.amount).minor, currency=wanted.amount.currency,
        customer=wanted.customer, initiator=wanted.initiator, purpose=wanted.purpose, capture=wanted.capture,
        metadata=wanted.metadata, ip=wanted.ip, email=wanted.email, returns=wanted.return_url is not None,
    )  # fmt: skip


def suspected_again(p: Payment, ip: str | None, email: str | None) -> About:
    return About(
        reference=p.reference, minor=p.minor, currency=p.currency, customer=p.customer, initiator=p.initiator,
        purpose=p.purpose, capture="automatic" if p.sale else "manual", metadata=p.metadata, payment=p.id,
        ip=ip, email=email, returns=p.return_url is not None,
    )  # fmt: skip


class Checked:
    """What was found. Within it the payment is counted; one that is not recorded in the end was none."""

    def __init__(
        self, s: Scrooge, found: Kept | None = None, suspect: Suspect | None = None, *, looked: bool = False
    ) -> None:
        self.s, self.kept, self.suspect, self.looked = s, found, suspect, looked
        self.seen: Sighting | None = None

    @property
    def blocks(self) -> bool:
        return self.kept is not None and self.kept.did == "block"

    @property
    def challenges(self) -> bool:
        return self.kept is not None and self.kept.did == "challenge"

    @property
    def wants_review(self) -> bool:
        """A challenge that nobody can be asked is left to people."""
        return self.kept is not None and (self.kept.did == "review" or self.kept.then == ABSENT)

    @property
    def authenticate(self) -> bool:
        return self.challenges and self.kept is not None and self.kept.then is None

    @property
    def clean(self) -> bool:
        """It was looked at, and nothing was found, not even by what only watches."""
        found = self.kept
        if found is None or found.would != "allow" or not self.looked:
            return False
        return found.service is None or found.service.failed is None

    def reasons(self) -> dict[str, str]:
        """Why it is blocked, by rule."""
        if self.kept is None:
            return {}
        found = {hit.rule: hit.because for hit in self.kept.hits if hit.enforced and hit.does == "block"}
        service = self.kept.service
        if service is not None and service.decision == "block" and service.mode == "enforce":
            found["service"] = "; ".join(service.reasons) or "it gave no reason"
        return found

    def recorded(self, payment: str) -> None:
        """It is on its way."""
        if self.seen is not None and self.suspect is not None:
            self.s.risk.recorded(payment, self.suspect, self.seen)
            self.seen = None

    def __enter__(self) -> "Checked":
        if self.suspect is not None and not self.blocks:
            self.seen = self.s.risk.recent.add(self.suspect)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self.seen is not None:
            self.s.risk.taken_back(self.seen)
            self.seen = None


ABSENT = "the payer is not there to be asked"


async def checked(s: Scrooge, who: Principal, about: About, instrument: Instrument, until: float | None) -> Checked:
    """`until` (monotonic seconds): when the caller stops waiting.

    Raises RiskUnavailable, when the policy wants an answer and there is none.
    """
    counts = s.risk.active.policy(who.merchant, who.livemode)
    if counts is None:
        return Checked(s)
    suspect = suspect_of(s, who, about, instrument)
    verdict = by_rules(s, counts.rules, suspect)
    service = await service_asked(s, who, counts, verdict, about, instrument, until, suspect.at)
    if service is not None:  # While it was asked others were counted, who came with this one.
        verdict = by_rules(s, counts.rules, suspect)
    found = kept(counts.id, verdict, service, suspect.at)
    RISK_CHECKS.labels(found.did, found.would).inc()
    if found.did == "challenge" and not (about.initiator == "customer" and about.returns):
        found = with_then(found, ABSENT)
    looked = (service is not None and service.decision is not None) or any(fact(r, suspect) for r in counts.rules.rule)
    return Checked(s, found, suspect, looked=looked)


def by_rules(s: Scrooge, rules: Document, suspect: Suspect) -> Verdict:
    return check(rules, suspect, s.risk.recent.tallies(asks(rules, suspect), suspect))


async def service_asked(
    s: Scrooge, who: Principal, counts: Counts, verdict: Verdict, about: About, instrument: Instrument,
    until: float | None, at: int,
) -> Asked | None:  # fmt: skip
    """None: there is none, or the rules have decided alone. Raises RiskUnavailable."""
    service = counts.policy.service
    if service is None or about.initiator not in service.initiators or alone(verdict):
        return None
    found = await asked(s, who, service, until, at, parts(about, instrument))
    if found.failed is not None and service.fail == "closed" and service.mode == "enforce":
        RISK_CHECKS.labels("unavailable", "unavailable").inc()
        raise RiskUnavailable(f"the risk service did not answer: {found.failed}", retry_after=RETRY_SECONDS)
    return found


def alone(verdict: Verdict) -> bool:
    """Is there nothing that a service could add: blocked, or on a list that allows?"""
    return verdict.does == "block" or any(hit.does == "allow" and hit.enforced for hit in verdict.hits)


def suspect_of(s: Scrooge, who: Principal, about: About, instrument: Instrument) -> Suspect:
    """Test payments and real ones do not count together."""
    return Suspect(
        merchant=f"{who.merchant} {'live' if who.livemode else 'test'}", at=now(),
        card=instrument.fingerprint or instrument.id, customer=about.customer or instrument.customer,
        iin=instrument.iin or "", ip=place_of(about.ip), email=(about.email or "").casefold(),
        country=s.bins(instrument.iin or "").country,
    )  # fmt: skip


def place_of(ip: str | None) -> str:
    """An address; of IPv6 the network that one subscriber has."""
    if not ip:
        return ""
    address = ip_address(ip)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address, 64), strict=False).network_address)
    return str(address)


def parts(about: About, instrument: Instrument) -> dict[str, dict[str, Any]]:
    """What a service is told, in the words of our API."""
    return {
        "payment": {
            "id": about.payment, "reference": about.reference,
            "amount": {"value": decimal(about.minor, exponent_of(about.currency)), "currency": about.currency},
            "customer": about.customer or instrument.customer, "initiator": about.initiator,
            "purpose": about.purpose, "capture": about.capture, "metadata": about.metadata,
        },
        "instrument": {
            "id": instrument.id, "brand": instrument.brand, "iin": instrument.iin, "last4": instrument.last4,
            "exp": instrument.exp, "fingerprint": instrument.fingerprint,
        },
        "payer": {"ip": about.ip, "email": about.email},
    }  # fmt: skip


def blocked(risk: Checked) -> Raw:
    """What is kept of it when nobody was routed."""
    assert risk.kept is not None
    return Raw(msgspec.json.encode(Recorded(policy="", way="blocked", because="the risk check", propensity=0.0,
                                            accounts=(), risk=risk.kept, at=risk.kept.at)))  # fmt: skip


def with_then(found: Kept, words: str) -> Kept:
    return Kept(**{name: getattr(found, name) for name in found.__struct_fields__} | {"then": words})
