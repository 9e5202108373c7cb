"""What a payment is expected to cost at each account, in billionths of a minor unit: integers, no floats. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from iso3166 import countries_by_alpha2
from msgspec import Struct, structs

from scrooge.money import exponent_of
from scrooge.routing.facts import Facts
from scrooge.routing.matcher import Matcher
from scrooge.routing.tariff import Fee, Prices, Tariff, days, faults
from scrooge.routing.when import When

NANO = 10**9  # of a minor unit; also of one, for rates
KEPT = 20_000
COUNTRIES = frozenset(countries_by_alpha2)
DAY = 86_400 * 1_000_000
FIRST_ONLY = frozenset({"interchange", "blended"})


class Line(Struct, frozen=True):
    """One fee that applies: `rate` and `fixed` in billionths, `least` and `most` too; None where there is no bound."""

    name: str
    component: str
    rate: int
    fixed: int
    least: int | None
    most: int | None
    always: bool  # declined attempts cost it too
    back: bool = False  # a refund brings it back

    def of(self, minor: int) -> int:
        nano = minor * self.rate + self.fixed
        if self.least is not None:
            nano = max(nano, self.least)
        return nano if self.most is None else min(nano, self.most)


class Price(Struct, frozen=True):
    """What one account takes for payments of a kind. `missing`: fees without a sum in the payment's currency."""

    rate: int = 0
    fixed: int = 0
    attempt_rate: int = 0
    attempt_fixed: int = 0
    bounded: tuple[Line, ...] = ()
    lines: tuple[Line, ...] = ()
    missing: tuple[str, ...] = ()

    def approved(self, minor: int) -> int:
        """Billionths of a minor unit."""
        nano = minor * self.rate + self.fixed
        return nano + sum(line.of(minor) for line in self.bounded) if self.bounded else nano

    def declined(self, minor: int) -> int:
        nano = minor * self.attempt_rate + self.attempt_fixed
        return nano + sum(line.of(minor) for line in self.bounded if line.always) if self.bounded else nano

    def parts(self, minor: int) -> dict[str, int]:
        """By component, in billionths."""
        found: dict[str, int] = {}
        for line in self.lines:
            found[line.component] = found.get(line.component, 0) + line.of(minor)
        return found


NONE = Prices()
UNPRICED = Price(missing=("no tariff",))
FREE = Price()


class Row(Struct, frozen=True):
    """A fee of an account, and the place of its condition among the table's."""

    account: str
    fee: Fee
    condition: int


class Table:
    """The prices of one span of time in which no tariff begins or ends."""

    def __init__(self, rows: Sequence[Row], conditions: Sequence[When], accounts: frozenset[str]) -> None:
        self.rows, self.accounts = rows, accounts
        self.matcher = Matcher(conditions)
        self.places: list[list[int]] = [[] for _ in conditions]  # of the rows with each condition
        for place, row in enumerate(rows):
            self.places[row.condition].append(place)
        self.kept: dict[tuple[str, int], Mapping[str, Price]] = {}

    def prices(self, facts: Facts) -> Mapping[str, Price]:
        """By account."""
        key = facts.currency, self.matcher.met(facts)
        found = self.kept.get(key)
        if found is None:
            if len(self.kept) >= KEPT:
                self.kept.clear()
            met: dict[str, list[Fee]] = {account: [] for account in self.accounts}
            for place in sorted(place for i in ones(key[1]) for place in self.places[i]):
                met[self.rows[place].account].append(self.rows[place].fee)
            found = {account: price(fees, facts.currency) for account, fees in met.items()}
            self.kept[key] = found
        return found


class Costs:
    """All prices, ready to be asked. Raises ValueError when a document does not hold together."""

    def __init__(self, prices: Prices = NONE, version: str = "") -> None:
        problems = list(faults(prices))
        if problems:
            raise ValueError("; ".join(problems))
        self.version = version
        self.schedules = {s.name: s.fees for s in prices.schedules}
        spans = [(days(t.valid_from), days(t.valid_until) + 1 if t.valid_until else None) for t in prices.tariffs]
        self.starts = sorted({0, *(day for span in spans for day in span if day is not None)})
        self.spans = list(zip(prices.tariffs, spans, strict=True))
        self.tables: dict[int, Table] = {}

    def prices(self, facts: Facts) -> Mapping[str, Price]:
        """What every account that has a tariff at that moment takes for such a payment."""
        today = facts.at // DAY
        return (self.tables.get(today) or self.made(today)).prices(facts)

    def made(self, day: int) -> Table:
        if len(self.tables) > 4:
            self.tables.clear()
        table = self.tables[day] = self.table(day)
        return table

    def ready(self, at: int) -> bool:
        """Are the tables of this day and the next there?"""
        return at // DAY in self.tables and at // DAY + 1 in self.tables

    def prepare(self, at: int) -> None:
        """Makes them, in a thread: of many prices that takes longer than a payment should wait."""
        for day in (at // DAY, at // DAY + 1):
            if day not in self.tables:
                self.made(day)

    def table(self, today: int) -> Table:
        rows: list[Row] = []
        conditions: dict[When, int] = {}  # once each: accounts share schedules
        accounts = set()
        for tariff, (first, end) in self.spans:
            if not (first <= today and (end is None or today < end)):
                continue
            accounts.add(tariff.account)
            for fee in (*tariff.fees, *(f for name in tariff.schedules for f in self.schedules[name])):
                condition = regional(fee, tariff)
                if condition is not None:
                    rows.append(Row(tariff.account, fee, conditions.setdefault(condition, len(conditions))))
        return Table(rows, tuple(conditions), frozenset(accounts))


def ones(bits: int) -> Iterator[int]:
    """The places of the bits that are set."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def price(fees: Sequence[Fee], currency: str) -> Price:
    """Of the fees that a payment meets, in their order."""
    lines, missing, taken = [], [], set()
    for fee in fees:
        if fee.component in FIRST_ONLY and fee.component in taken:
            continue
        taken.add(fee.component)
        if any(given and currency not in given for given in (fee.fixed, fee.least, fee.most)):
            missing.append(f"{fee.name} has no sum in {currency}")
        lines.append(
            Line(
                name=fee.name,
                component=fee.component,
                rate=whole(Fraction(fee.rate) / 100 * NANO),
                fixed=nano(fee.fixed, currency) or 0,
                least=nano(fee.least, currency),
                most=nano(fee.most, currency),
                always=fee.on == "attempt",
                back=fee.refunded,
            )
        )
    straight = [line for line in lines if line.least is None and line.most is None]
    always = [line for line in straight if line.always]
    return Price(
        rate=sum(line.rate for line in straight),
        fixed=sum(line.fixed for line in straight),
        attempt_rate=sum(line.rate for line in always),
        attempt_fixed=sum(line.fixed for line in always),
        bounded=tuple(line for line in lines if line not in straight),
        lines=tuple(lines),
        missing=tuple(missing),
    )


def nano(sums: Mapping[str, str], currency: str) -> int | None:
    """Billionths of a minor unit; None where the currency is not named."""
    text = sums.get(currency)
    return None if text is None else whole(Fraction(text) * 10 ** exponent_of(currency) * NANO)


def whole(count: Fraction) -> int:
    assert count.denominator == 1, count  # The document's patterns allow no more decimals than this counts.
    return count.numerator


def regional(fee: Fee, tariff: Tariff) -> When | None:
    """The fee's condition with its region as countries; None when no payment meets it. Unknown issuers are abroad."""
    if fee.region is None:
        return fee.when
    area = frozenset({*tariff.area, tariff.country}) - {""}
    match fee.region:
        case "domestic":
            where = area & {tariff.country}
        case "area":
            where = area - {tariff.country}
        case _:
            where = (COUNTRIES | {""}) - area
    given = fee.when.named("country")
    if given is not None:
        where = where & set(given[0]) if given[1] else where - set(given[0])
    return structs.replace(fee.when, country=tuple(sorted(where))) if where else None
