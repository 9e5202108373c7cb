"""Expected fees by month, connector account, brand and region of the issuer, beside what was captured. Pure."""

from collections.abc import Iterable

from msgspec import Struct, structs

from scrooge.routing.calendar import DAY, day_starts, next_month
from scrooge.routing.tariff import Prices, days

UNKNOWN = "unknown"


class Part(Struct, frozen=True, kw_only=True, order=True):
    """What fees are told by: a month like "2026-11" (UTC), and where the issuer is, seen from the account."""

    month: str
    account: str
    brand: str
    currency: str
    region: str = UNKNOWN


class Posted(Struct, frozen=True):
    part: Part
    country: str  # of the issuer; "" where nobody knows it
    component: str
    minor: int


class Captured(Struct, frozen=True):
    part: Part
    country: str
    captures: int
    minor: int


class Line(Struct, frozen=True, kw_only=True):
    """Sums in minor units. `bps`: the fees in hundredths of a percent of what was captured; None where nothing was."""

    part: Part
    captures: int = 0
    captured: int = 0
    components: dict[str, int] = {}

    @property
    def fees(self) -> int:
        return sum(self.components.values())

    @property
    def bps(self) -> float | None:
        return round(self.fees * 10_000 / self.captured, 1) if self.captured else None


def reported(posted: Iterable[Posted], captured: Iterable[Captured], prices: Prices) -> list[Line]:
    """In order. `prices` say where accounts are."""
    found: dict[Part, Line] = {}

    def at(part: Part, country: str) -> Line:
        whole = structs.replace(part, region=region_of(part, country, prices))
        return found.setdefault(whole, Line(part=whole))

    for fee in posted:
        line = at(fee.part, fee.country)
        sums = {**line.components, fee.component: line.components.get(fee.component, 0) + fee.minor}
        found[line.part] = structs.replace(line, components=sums)
    for some in captured:
        line = at(some.part, some.country)
        more = {"captures": line.captures + some.captures, "captured": line.captured + some.minor}
        found[line.part] = structs.replace(line, **more)
    return [found[part] for part in sorted(found)]


def region_of(part: Part, country: str, prices: Prices) -> str:
    """As the tariff of the month's last day has it; unknown where the issuer's country is, or the account's."""
    last = starts(after(part.month)) // DAY - 1
    for tariff in prices.tariffs:
        ends = days(tariff.valid_until) if tariff.valid_until else last
        if tariff.account == part.account and days(tariff.valid_from) <= last <= ends:
            if not country or not tariff.country:
                return UNKNOWN
            if country == tariff.country:
                return "domestic"
            return "area" if country in tariff.area else "international"
    return UNKNOWN


def starts(month: str) -> int:
    """Unix microseconds of the moment in which a month like "2026-11" begins in UTC."""
    return day_starts(f"{month}-01")


def after(month: str) -> str:
    """The next one."""
    year, number = map(int, month.split("-"))
    return f"{next_month(year, number):%Y-%m}"
