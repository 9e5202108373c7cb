"""From a policy and what is known of a payment to what is asked of the payer or the issuer, at one account. Pure."""

from collections.abc import Collection, Sequence
from fractions import Fraction
from math import ceil
from typing import Literal

from msgspec import Struct, structs

from scrooge.routing.authentication import INDIA, Choice, Question, choose
from scrooge.routing.calendar import day_starts
from scrooge.routing.policy.document import Authentication, FraudRate
from scrooge.routing.policy.plan import Compiled

QUARTERS = 2  # for which a rate counts after its own; article 19 wants the latest, and figures come late
USED_UP = 2**31  # payments since the last authentication: more than any rule allows


class Known(Struct, frozen=True, kw_only=True):
    """Of a payment at an account. `challengeable`: the payer is there and can be sent to 3-D Secure, and back.

    `low_risk`: a check looked at this very payment and found nothing. `used_up`: the low-value exemption is.
    """

    acquirer_country: str
    issuer_country: str
    minor: int
    currency: str
    at: int
    initiator: Literal["customer", "merchant"] = "customer"
    sets_up_mandate: bool = False
    declined_softly: bool = False
    challengeable: bool = False
    low_risk: bool = False
    used_up: bool = False


class Can(Struct, frozen=True):
    """What a PSP can be asked: `exemptions` by name; `by_itself`: it asks for them unasked, whatever we say."""

    exemptions: Collection[str] = ()
    by_itself: bool = False


def settings_of(policy: Compiled | None) -> Authentication | None:
    """The merchant's own: it is the merchant who bears the fraud."""
    return None if policy is None else (policy.outer or policy).policy.authentication


def question(settings: Authentication, account: str, known: Known) -> Question:
    return Question(
        issuer_country=known.issuer_country,
        acquirer_country=known.acquirer_country,
        minor=known.minor,
        currency=known.currency,
        at=known.at,
        initiator=known.initiator,
        sets_up_mandate=known.sets_up_mandate,
        declined_softly=known.declined_softly,
        found_low_risk=known.low_risk,
        fraud_ppm=fraud_ppm(settings.fraud_rates, account, known.at),
        since_authenticated=(USED_UP, 0) if known.used_up else (0, 0),  # Those who record count, and refuse.
        exemptions=frozenset(settings.exemptions),
        category=settings.mandate_category,
    )


def chosen(q: Question, known: Known, can: Can) -> Choice:
    """As the articles say, and then as far as this PSP and this payer allow."""
    choice = choose(q)
    if choice.ask == "exemption" and choice.exemption not in can.exemptions:
        if can.by_itself:
            why = f"{choice.because}; the PSP asks for exemptions by itself"
            return structs.replace(choice, ask="nothing", because=why, exemption="")
        assert q.exemptions is not None
        choice = choose(structs.replace(q, exemptions=q.exemptions & frozenset(can.exemptions)))
    if choice.ask == "challenge" and not known.challengeable:
        return left(choice, "the payer cannot be sent to 3-D Secure")
    if choice.ask == "payer" and (q.issuer_country != INDIA or q.declined_softly):
        return left(choice, "nobody forbids to ask the issuer")
    return choice


def left(choice: Choice, why: str) -> Choice:
    """To the PSP and the issuer."""
    because = f"{choice.because}; but {why}, so the PSP decides"
    return structs.replace(choice, ask="nothing", because=because, liability="merchant")


def fraud_ppm(rates: Sequence[FraudRate], account: str, at: int) -> int | None:
    """The latest rate that counts at the moment, in millionths, rounded up; None: none does."""
    mine = [(after(r.quarter, 1), after(r.quarter, 1 + QUARTERS), r.percent) for r in rates if r.account == account]
    current = [(begins, percent) for begins, ends, percent in mine if begins <= at < ends]
    return ceil(Fraction(max(current)[1]) * 10_000) if current else None


def after(quarter: str, more: int) -> int:
    """The moment at which the quarter begins that comes so many later. "2026-Q3" plus one is 2026-10-01."""
    count = int(quarter[:4]) * 4 + int(quarter[-1]) - 1 + more
    return day_starts(f"{count // 4:04}-{count % 4 * 3 + 1:02}-01")
