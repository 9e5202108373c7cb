"""Whether a payer is asked to authenticate, which exemption is asked for instead, and by which article. Pure.

PSD2's strong customer authentication in the EEA and the United Kingdom, e-mandates in India; elsewhere no law asks.
An exemption is a request: the issuer may decline softly, and then the payer is asked. Whoever asks for one bears the
fraud.
"""

from collections.abc import Mapping
from functools import cache
from typing import Literal

from msgspec import Struct, structs

from scrooge.routing.calendar import HOUR, day_starts
from scrooge.routing.shipped import shipped

PSD2 = "Directive (EU) 2015/2366"
INDIA = "IN"


class Region(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    countries: frozenset[str]


class Exemption(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`bands`: up to so many minor units, for a fraud rate of at most so many millionths."""

    name: str
    regions: frozenset[str]
    since: str
    source: str
    until: str | None = None
    needs: tuple[str, ...] = ()  # facts of the question that have to be true
    currency: str = ""
    bands: tuple[tuple[int, int], ...] = ()
    most_minor: int | None = None
    sum_minor: int | None = None
    most_payments: int | None = None
    assumed: bool = False


class Mandate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a merchant may take without the payer, in minor units of the country's currency."""

    country: str
    since: str
    source: str
    most_minor: int
    notice_hours: int
    until: str | None = None
    more_minor: int = 0
    more_for: frozenset[str] = frozenset()
    no_notice_for: frozenset[str] = frozenset()


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: str
    region: tuple[Region, ...]
    exemption: tuple[Exemption, ...]
    mandate: tuple[Mandate, ...]


class Question(Struct, frozen=True, kw_only=True):
    """What is known of a payment. Countries are ISO 3166-1, "" unknown; `at` is Unix microseconds.

    `converted` has the amount in other currencies' minor units, where somebody knows the rate: a threshold in euros
    says nothing about zlotys by itself. `since_authenticated`: number and sum (in the threshold's currency) of this
    payer's payments here since the last authentication. `fraud_ppm`: the acquirer's quarterly rate, in millionths.
    `exemptions`: those that may be asked for, None: any.
    """

    issuer_country: str
    acquirer_country: str
    minor: int
    currency: str
    at: int
    initiator: Literal["customer", "merchant"] = "customer"
    by_phone_or_mail: bool = False
    anonymous: bool = False  # a prepaid card without a name
    corporate: bool = False  # by a dedicated process that only businesses have
    sets_up_mandate: bool = False
    mandate_authenticated: bool = True  # a merchant's own payment: the agreement was authenticated
    same_amount_authenticated_first: bool = False  # one of a series of equal amounts, the first of it authenticated
    found_low_risk: bool = False  # the risk check looked at this payment, now, and found nothing (art. 18(2)(c))
    fraud_ppm: int | None = None
    since_authenticated: tuple[int, int] = (0, 0)
    authenticated_minor: int | None = None  # the payer was authenticated for this payment, up to this amount
    declined_softly: bool = False
    ask_exemptions: bool = True  # the merchant would rather bear the fraud than lose the payer
    exemptions: frozenset[str] | None = None
    converted: Mapping[str, int] = {}
    category: str = ""  # of an Indian mandate: insurance, fastag ...
    mandate_minor: int | None = None  # the most that the payer agreed to
    mandate_until: int | None = None


class Choice(Struct, frozen=True):
    """`ask`: nothing; exemption (which one); challenge, 3-D Secure with authentication; payer: he has to come back.

    `notice_by`: the payer has to be told of the debit by then at the latest. `liability`: who bears fraud.
    """

    ask: Literal["nothing", "exemption", "challenge", "payer"]
    because: str
    source: str
    exemption: str = ""
    liability: Literal["merchant", "issuer"] = "merchant"
    notice_by: int | None = None


@cache
def table() -> Table:
    return shipped("authentication.toml", Table)


def choose(q: Question, rules: Table | None = None) -> Choice:
    rules = rules or table()
    if q.authenticated_minor is not None:
        if q.minor <= q.authenticated_minor:
            return Choice("nothing", "the payer was authenticated", "Regulation (EU) 2018/389 art. 5", "", "issuer")
        return wanted(q, "the amount is larger than what was authenticated", "Regulation (EU) 2018/389 art. 5(1)")
    if q.declined_softly:
        return wanted(q, "the issuer declined softly", f"{PSD2} art. 97(1)")
    if q.issuer_country == INDIA:
        return india(q, rules)
    return psd2(q, rules)


def wanted(q: Question, because: str, source: str) -> Choice:
    """Authentication, if the payer is there."""
    if q.initiator == "merchant":
        return Choice("payer", f"{because}, and the payer is not there", source)
    return Choice("challenge", because, source, liability="issuer")


def psd2(q: Question, rules: Table) -> Choice:
    if not q.acquirer_country:
        return Choice("nothing", "the acquirer's country is not known: the PSP decides", f"{PSD2} art. 2")
    region = region_of(q.acquirer_country, rules)
    issuers = region_of(q.issuer_country, rules) if q.issuer_country else region
    if not region and not issuers:
        return Choice("nothing", "no law asks for authentication here", "outside of the EEA, the UK and India")
    if region != issuers:
        return Choice("nothing", "one leg is out of the region", f"{PSD2} art. 2(4)")
    if q.by_phone_or_mail:
        return Choice("nothing", "an order by phone or mail is no electronic payment", f"{PSD2} recital 95")
    if q.anonymous:
        return Choice("nothing", "the card is nobody's", "Regulation (EU) 2018/389 recital 8")
    if q.initiator == "merchant":
        if q.mandate_authenticated:
            return Choice("nothing", "the merchant initiates it, as the payer agreed", f"{PSD2} art. 97(1)")
        return wanted(q, "the agreement was never authenticated", f"{PSD2} art. 97(1)(c)")
    if q.sets_up_mandate:
        return wanted(q, "the payer agrees to later payments", f"{PSD2} art. 97(1)(c)")
    if q.ask_exemptions:
        for e in rules.exemption:
            wanted_here = region in e.regions and (q.exemptions is None or e.name in q.exemptions)
            if wanted_here and in_force(e, q.at) and (why := applies(e, q)):
                return Choice("exemption", why, e.source, e.name)
    return wanted(q, "no exemption applies", f"{PSD2} art. 97(1)")


def counted_in(q: Question, rules: Table | None = None) -> Exemption | None:
    """The low-value exemption toward which this payment counts if nobody authenticates; None: none of a region's."""
    rules = rules or table()
    region = region_of(q.acquirer_country, rules)
    if not region or q.initiator == "merchant" or region_of(q.issuer_country or q.acquirer_country, rules) != region:
        return None
    rows = (e for e in rules.exemption if e.most_payments is not None and region in e.regions)
    return next((e for e in rows if in_force(e, q.at)), None)


def limits_of(currency: str, at: int, rules: Table | None = None) -> tuple[int, int]:
    """Of the low-value exemption: so many payments, and so many minor units in sum, since the last authentication."""
    rows = (e for e in (rules or table()).exemption if e.most_payments is not None and e.currency == currency)
    row = next(e for e in rows if in_force(e, at))
    return row.most_payments or 0, row.sum_minor or 0


def region_of(country: str, rules: Table) -> str:
    return next((r.name for r in rules.region if country in r.countries), "")


def in_force(row: Exemption | Mandate, at: int) -> bool:
    return day_starts(row.since) <= at and (row.until is None or at < day_starts(row.until))


def applies(e: Exemption, q: Question) -> str:
    """Why, in words; empty where it does not apply."""
    if not all(getattr(q, fact) for fact in e.needs):
        return ""
    if not e.currency:
        return e.name.replace("_", " ")
    minor = q.minor if q.currency == e.currency else q.converted.get(e.currency)
    if minor is None:
        return ""
    if e.bands:
        rates = [ppm for most, ppm in e.bands if minor <= most]
        if q.fraud_ppm is None or not rates or q.fraud_ppm > max(rates):
            return ""
        return f"risk analysis: {minor} {e.currency} in minor units at a fraud rate of {q.fraud_ppm} ppm"
    payments, spent = q.since_authenticated
    within = minor <= (e.most_minor or 0) and spent <= (e.sum_minor or 0) and payments <= (e.most_payments or 0)
    return f"low value: {minor} {e.currency} in minor units, {payments} payments before" if within else ""


def india(q: Question, rules: Table) -> Choice:
    row = next((m for m in rules.mandate if m.country == INDIA and in_force(m, q.at)), None)
    if row is None:
        return wanted(q, "no framework for mandates was in force", "RBI")
    if q.initiator == "customer":
        what = "the payer registers a mandate" if q.sets_up_mandate else "every payment by its payer has two factors"
        return wanted(q, what, row.source)
    if not q.mandate_authenticated:
        return wanted(q, "the mandate was never authenticated", row.source)
    if q.mandate_until is not None and q.at > q.mandate_until:
        return wanted(q, "the mandate is no longer valid", row.source)
    if q.mandate_minor is not None and q.minor > q.mandate_minor:
        return wanted(q, "it is more than the payer agreed to", row.source)
    most = row.more_minor if q.category in row.more_for else row.most_minor
    minor = q.minor if q.currency == "INR" else q.converted.get("INR")
    if minor is None:
        return Choice("nothing", f"whether it is more than {most} paise is not known: the issuer decides", row.source)
    if minor > most:
        return wanted(q, f"more than {most} paise needs the payer each time", row.source)
    notice = None if q.category in row.no_notice_for else q.at - row.notice_hours * HOUR
    return Choice("nothing", f"the mandate covers up to {most} paise", row.source, notice_by=notice)


def after_soft_decline(q: Question, rules: Table | None = None) -> Choice:
    """1A, 65 or "authentication required": ask the payer, and for no exemption again."""
    return choose(structs.replace(q, declined_softly=True), rules)
