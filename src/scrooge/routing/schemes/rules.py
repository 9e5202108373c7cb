"""The schemes' rules as dated rows with their sources, and which of them speak of an attempt. Pure.

A limit says how many declines or reattempts a card may have with a merchant in a window. An answer says what an
issuer's code entails: nothing more, nothing for a while. A rule is in force from the midnight in UTC that begins
`since` up to the one that begins `until`; whoever is asked at a moment applies the rules of that moment to the
whole window before it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from msgspec import Struct

from scrooge.routing.calendar import HOUR, day_starts
from scrooge.routing.shipped import shipped

OTHER = "other"  # in a row's brands: every brand that has no limits of its own, and a card of unknown brand
EVER = 2**63 - 1  # PostgreSQL's last bigint: no end

Same = tuple[Literal["minor", "currency", "initiator"], ...]


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every rule has. `assumed`: no scheme's text or acquirer's page says so; it is our caution."""

    rule: str
    brands: frozenset[str]
    since: str
    until: str | None = None
    region: str = ""  # of the merchant: a region's rows come beside those of everywhere, never instead
    same: Same = ()  # what must be equal beside merchant and card for two attempts to count together
    source: str
    checked: str  # when the row was last compared with a stored copy of its source, never with the scheme's own rules
    assumed: bool = False

    def in_force(self, at: int, ahead: int = 0) -> bool:
        """Or will be within `ahead` microseconds."""
        return day_starts(self.since) <= at + ahead and (self.until is None or at < day_starts(self.until))


class Limit(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most `most` in any `hours` hours, both ends included.

    `declines` counts declined attempts. `reattempts` counts attempts after a decline in the window, up to an
    approval. An attempt whose end is not known counts as declined.
    """

    measure: Literal["declines", "reattempts"]
    most: int
    hours: int

    @property
    def window(self) -> int:
        return self.hours * HOUR


class Answer(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """After a decline with one of these codes, attempts that `refuses` names have to wait `hours`, or for ever.

    Rows of an acquirer replace those of the same rule that name none: the published lists disagree. `lifted`: the
    payer's own approved payment takes the refusal back.
    """

    network: frozenset[str] = frozenset()
    advice: frozenset[str] = frozenset()
    acquirer: str = ""
    category: int | None = None  # Visa's
    refuses: Literal["all", "merchant", "none"] = "none"  # attempts of anybody; the merchant's own; nobody's
    hours: int | None = None
    lifted: bool = False

    def ends(self, answered: int) -> int:
        return EVER if self.hours is None else answered + self.hours * HOUR


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: str
    limit: tuple[Limit, ...]
    answer: tuple[Answer, ...]


class Rules(Struct, frozen=True):
    """A table by brand, and what answers say by code."""

    version: str
    limits: Mapping[str, tuple[Limit, ...]]
    answers: Mapping[str, tuple[Answer, ...]]
    network: Mapping[str, Mapping[str, tuple[Answer, ...]]]
    advice: Mapping[str, Mapping[str, tuple[Answer, ...]]]
    stops: Mapping[str, tuple[tuple[str, bool, Same], ...]]  # what refusals share one end: refuses, lifted, same


class Attempt(Struct, frozen=True, kw_only=True):
    """What is about to be sent. `card` as `card_key` names it; `acquirer` is the connector."""

    merchant: str
    card: str
    brand: str
    minor: int
    currency: str
    initiator: Literal["customer", "merchant"]
    at: int
    region: str = ""
    acquirer: str = ""


class Refused(Struct, frozen=True, tag=True):
    """`until`: the first moment at which `rule` no longer refuses, Unix microseconds; None: never."""

    rule: str
    until: int | None
    because: str


def load() -> Rules:
    return by_brand(shipped("schemes/rules.toml", Table))


def by_brand(table: Table) -> Rules:
    brands = {brand for row in table.limit for brand in row.brands} | {OTHER}
    answers = {brand: tuple(row for row in table.answer if brand in row.brands) for brand in brands}
    return Rules(
        table.version,
        {brand: tuple(row for row in table.limit if brand in row.brands) for brand in brands},
        answers,
        {brand: by_code((row.network, row) for row in rows) for brand, rows in answers.items()},
        {brand: by_code((row.advice, row) for row in rows) for brand, rows in answers.items()},
        {brand: refusals(rows) for brand, rows in answers.items()},
    )


def by_code(rows: Iterable[tuple[frozenset[str], Answer]]) -> dict[str, tuple[Answer, ...]]:
    found: dict[str, list[Answer]] = {}
    for codes, row in rows:
        for code in codes:
            found.setdefault(code, []).append(row)
    return {code: tuple(of_code) for code, of_code in found.items()}


def refusals(rows: Iterable[Answer]) -> tuple[tuple[str, bool, Same], ...]:
    return tuple(dict.fromkeys((row.refuses, row.lifted, row.same) for row in rows if row.refuses != "none"))


def of_brand(rules: Rules, brand: str) -> str:
    """The brand under which the rows are that apply."""
    return brand if brand in rules.limits else OTHER


def limits(rules: Rules, brand: str, region: str) -> Iterator[Limit]:
    """Of whatever date."""
    return (row for row in rules.limits[of_brand(rules, brand)] if row.region in ("", region))


def meant(
    rules: Rules, attempt: Attempt, acquirer: str, at: int, network_code: str | None, advice_code: str | None
) -> list[Answer]:
    """What an answer through `acquirer`, given at `at`, entails for the card of `attempt`."""
    brand = of_brand(rules, attempt.brand)
    rows = (*rules.network[brand].get(network_code or "", ()), *rules.advice[brand].get(advice_code or "", ()))

    def speaks(row: Answer) -> bool:
        return row.region in ("", attempt.region) and row.acquirer in ("", acquirer) and row.in_force(at)

    found = [row for row in rows if speaks(row)]
    if found and acquirer:
        own = {row.rule for row in rules.answers[brand] if row.acquirer == acquirer and speaks(row)}
        found = [row for row in found if row.acquirer or row.rule not in own]
    return found


def category(rules: Rules, attempt: Attempt, network_code: str) -> int | None:
    """Visa's category of a decline: what no list names is 4, generic. None for a brand that has no categories."""
    if not any(row.category for row in rules.answers.get(attempt.brand, ())):
        return None
    rows = meant(rules, attempt, attempt.acquirer, attempt.at, network_code, None)
    return min((row.category for row in rows if row.category), default=4)


def card_key(fingerprint: str | None, psp_fingerprint: str | None, connector: str, instrument: str) -> str:
    """Whose attempts count together: the card number's keyed fingerprint, else the PSP's, else the instrument's id."""
    if fingerprint:
        return f"card:{fingerprint}"
    return f"{connector}:{psp_fingerprint}" if psp_fingerprint else instrument
