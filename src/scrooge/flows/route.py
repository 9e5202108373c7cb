"""Where an instrument may be used: PSPs that know it by a token, and PSPs to which the vault may send its card.

With a policy, the scorer decides among them; without one they are tried in the order of the credentials, then by age.
Only new authorizations are routed: whatever follows one goes where it is.
"""

from collections.abc import Mapping, Sequence

from msgspec import Raw, Struct, structs

from scrooge.connectors.connector import NetworkToken
from scrooge.domain.attempt import Operation
from scrooge.domain.mandate import Mandate
from scrooge.domain.payment import Payment
from scrooge.errors import AmountNotRepresentable, NoRoute, PspUnavailable, UnknownConnectorAccount
from scrooge.flows.scrooge import Scrooge, now
from scrooge.money import Money
from scrooge.risk.record import Kept
from scrooge.routing.choose import Candidate, choose
from scrooge.routing.costs import Price
from scrooge.routing.decide import decide
from scrooge.routing.decision import Decision, Knowledge, Score
from scrooge.routing.facts import UNKNOWN, Facts
from scrooge.routing.health import State
from scrooge.routing.policy.document import Scorer
from scrooge.routing.policy.plan import Compiled
from scrooge.routing.record import recorded
from scrooge.routing.switches import switched
from scrooge.storage.directory import ConnectorAccount, Principal
from scrooge.storage.instruments import Instrument


class Asked(Struct, frozen=True, kw_only=True):
    """What is asked for, as far as routing cares."""

    minor: int = 0
    currency: str = UNKNOWN
    initiator: str = "customer"
    purpose: str | None = None
    mandate: Mandate | None = None  # under which it is paid


ANYTHING = Asked()
Nowhere = NoRoute | PspUnavailable | AmountNotRepresentable


class Routed(Struct, frozen=True):
    """Where a payment may go, best first, and how that was found."""

    decision: Decision
    facts: Facts
    knowledge: Knowledge | None = None  # none: nothing was scored
    scorer: Scorer = Scorer()
    nowhere: Nowhere | None = None  # where there is no account: why, and whether to ask again
    pinned: str | None = None  # the account that was asked for

    @property
    def accounts(self) -> tuple[str, ...]:
        return self.decision.accounts

    def record(self, s: Scrooge, account: str, risk: Kept | None = None) -> Raw:
        """What is kept of it, once an account has a slot for it. Those before it had none."""
        accounts = self.accounts
        before = accounts[: accounts.index(account)]
        passed = {a: s.limits.pressure(a) or "no slot free" for a in before}
        return recorded(self.decision, self.facts, account, passed, risk)

    def unsent(self, risk: Kept | None = None) -> Raw:
        """What is kept of it when nobody can take the payment."""
        return recorded(self.decision, self.facts, None, {}, risk)

    def left(self, s: Scrooge, payment: str) -> None:
        """It was recorded with a payment that now goes there."""
        s.learning.left(payment, self.decision, self.facts, self.knowledge, self.scorer)


async def route_of(
    s: Scrooge, principal: Principal, instrument: Instrument, only: str | None, asked: Asked = ANYTHING
) -> Routed:
    """Raises NoRoute and PspUnavailable, saying why for each account, AmountNotRepresentable, and
    UnknownConnectorAccount."""
    found = await looked_for(s, principal, instrument, only, asked)
    if found.nowhere is not None:
        raise found.nowhere
    return found


async def looked_for(
    s: Scrooge, principal: Principal, instrument: Instrument, only: str | None, asked: Asked
) -> Routed:
    """The same; that nobody takes it is an answer. Raises UnknownConnectorAccount."""
    pinned = await s.directory.account(only, principal.merchant) if only is not None else None
    if only is not None and pinned is None:
        raise UnknownConnectorAccount("no such connector account", param="connector_account")
    facts = facts_of(s, principal, instrument, asked)
    own = instrument.stored_value is not None
    known = await candidates(s, instrument, facts, asked.mandate)
    policy = s.routing.policy(principal.merchant, principal.caller, principal.livemode)
    if policy is None or own:  # Stored value has one place to go.
        prices = s.routing.costs(principal.merchant, principal.livemode).prices(facts)
        on = switched_on(s, principal, known, facts)
        routed = Routed(given(on, facts, principal.livemode, only, prices), facts)
    else:
        routed = scored(s, principal, policy, known, facts, only, instrument.approved_by)
    if pinned is not None:
        routed = structs.replace(routed, pinned=pinned.id)
    if routed.accounts:
        return routed
    return structs.replace(routed, nowhere=nowhere(known, routed.decision, instrument))


def facts_of(s: Scrooge, principal: Principal, instrument: Instrument, asked: Asked) -> Facts:
    told = s.bins(instrument.iin or "")
    return Facts(
        currency=asked.currency, minor=asked.minor, at=now(), merchant=principal.merchant_name,
        caller=principal.caller_name,
        country=told.country, brand=instrument.brand or UNKNOWN, iin=instrument.iin or UNKNOWN, issuer=told.issuer,
        funding=told.funding, product=told.product, initiator=asked.initiator, purpose=asked.purpose or UNKNOWN,
        instrument=instrument.id,
    )  # fmt: skip


def asked_again(p: Payment, mandate: Mandate | None = None) -> Asked:
    return Asked(minor=p.minor, currency=p.currency, initiator=p.initiator, purpose=p.purpose, mandate=mandate)


def given(
    known: Sequence[Candidate], facts: Facts, livemode: bool, only: str | None, prices: Mapping[str, Price]
) -> Decision:
    """Nobody has made a policy. What is known of costs is told all the same; it decides nothing."""
    route = choose(known, livemode, only)
    names = {c.account: c.name for c in known}
    scores = tuple(
        Score(account=a, name=names[a], value=0.0, share=float(i == 0), approval=0.0, doubt=0.0,
              cost_nano=prices[a].approved(facts.minor) if a in prices else 0, waiting=0.0, steering=0.0)
        for i, a in enumerate(route.accounts)
    )  # fmt: skip
    taken = {names[a] for a in route.accounts}
    excluded = {name: why for name, why in route.considered.items() if name not in taken}
    because = "the caller asked for this account" if only else "no policy: credentials as given, then accounts by age"
    return Decision(policy="", way="given", scores=scores, excluded=excluded, propensity=1.0, rules=(),
                    because=because, at=facts.at)  # fmt: skip


def scored(
    s: Scrooge, principal: Principal, policy: Compiled, known: Sequence[Candidate], facts: Facts, only: str | None,
    approved_by: str | None = None,
) -> Routed:  # fmt: skip
    merchant, livemode, here = principal.merchant, principal.livemode, s.learning
    # What is learned of accounts is the merchant's: settings of callers would begin it anew with every payment.
    own = policy.outer or (policy if policy.policy.caller is None else None)
    learned = s.learning.of(merchant, livemode, own.policy.scorer if own is not None else Scorer())
    knowledge = Knowledge(
        estimates=learned.estimates, costs=s.routing.costs(merchant, livemode), health=learned.health,
        shares=learned.shares, manual=s.routing.manual(merchant, livemode),
        sticky=here.volumes.sticks.get(facts.instrument) or approved_by or here.approved_by.get(facts.instrument),
        volumes=here.volumes.usage((merchant, livemode), policy.bounds, known, facts.currency, facts.at),
        livemode=livemode,
    )  # fmt: skip
    decision = decide(facts, policy, known, knowledge, s.learning.chance(), only)
    return Routed(decision, facts, knowledge, policy.policy.scorer)


def switched_on(s: Scrooge, principal: Principal, known: Sequence[Candidate], facts: Facts) -> list[Candidate]:
    """What an operator has switched by hand counts without a policy, too."""
    manual = s.routing.manual(principal.merchant, principal.livemode)
    found = []
    for c in known:
        switch = switched(manual[c.account], facts) if c.account in manual else None
        off = switch is not None and switch.state is not State.ON and c.obstacle is None
        why = f"switched to {switch.state}: {switch.reason}" if off and switch is not None else c.obstacle
        found.append(structs.replace(c, obstacle=why))
    return found


def nowhere(known: Sequence[Candidate], decision: Decision, instrument: Instrument) -> Nowhere:
    """Why nobody takes it; and if somebody would at another moment, or another amount, that this is worth asking."""
    pressed = {c.name for c in known if c.pressure is not None and decision.excluded.get(c.name) == c.pressure}
    if pressed:
        words = "no PSP can take this payment just now"
        return PspUnavailable(words, retry_after=2, considered=dict(decision.excluded))
    amiss = next((c.misfit for c in known if c.misfit is not None and decision.excluded.get(c.name) == c.misfit), None)
    if amiss is not None:
        return AmountNotRepresentable(amiss, param="amount")
    lost = instrument.card_status is not None and not instrument.vault
    gone = f", and the card in the vault is {instrument.card_status}" if lost else ""
    detail = f"no connector account can take this payment{gone}"
    return NoRoute(detail, param="instrument", considered=dict(decision.excluded))


async def candidates(
    s: Scrooge, instrument: Instrument, facts: Facts, mandate: Mandate | None = None
) -> list[Candidate]:
    """The PSPs that have a token, in the order given; then, by age, those that take its network token, or to which the
    vault may send its card. Token providers take no payments, so they are none."""
    with_token = [await s.directory.account_by_id(c.connector_account) for c in instrument.credentials]
    known = [(account, None) for account in with_token if account is not None]
    if instrument.stored_value is None and (instrument.vault or usable(instrument)):
        named = {account.id for account, _ in known}
        others = [a for a in await s.directory.accounts(instrument.merchant) if a.id not in named]
        mine = [a for a in others if a.livemode is instrument.livemode and s.connectors[a.connector].endpoints]
        known += [(a, obstacle(s, instrument, a) or unnamed(s, instrument, a, mandate)) for a in mine]
    return [
        Candidate(
            account=a.id,
            name=a.name,
            active=a.state == "active",
            livemode=a.livemode,
            can_authorize=Operation.AUTHORIZE in s.connectors[a.connector].endpoints,
            pressure=s.limits.pressure(a.id),
            obstacle=why,
            misfit=misfit(s, a, facts),
        )
        for a, why in known
    ]


def misfit(s: Scrooge, account: ConnectorAccount, facts: Facts) -> str | None:
    """Why the account's PSP has no number for the amount."""
    amount = s.connectors[account.connector].amount
    if amount is None or not facts.minor:
        return None
    try:
        amount(Money(facts.minor, facts.currency))
    except AmountNotRepresentable as problem:
        return problem.detail
    return None


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


def unnamed(s: Scrooge, instrument: Instrument, account: ConnectorAccount, mandate: Mandate | None) -> str | None:
    """Why a payment under a mandate cannot go to an account that has no token: where the payer did not agree, the
    issuer must be shown the payment in which they did."""
    if mandate is None or account.id == mandate.connector_account:
        return None
    if not s.connectors[account.connector].names_consent:
        return "its connector cannot name the payment in which the payer agreed"
    if instrument.network_transaction_id is None:
        return "the scheme's id of the payment in which the payer agreed is not known"
    return None
