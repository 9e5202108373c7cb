"""Days and hours where the issuer is, out of Unix microseconds. It never asks what time it is."""

from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

from scrooge.routing.shipped import shipped

SECOND = 1_000_000
HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
UTC = "UTC"


class Zones(Struct, frozen=True, forbid_unknown_fields=True):
    """`of` maps an ISO 3166-1 country to the zone in which most of its people live."""

    source: str
    of: dict[str, str]


class Local(Struct, frozen=True):
    """A moment as a clock on the issuer's wall shows it; `last_day` is the number of days in that month."""

    hour: int
    weekday: int  # Monday is 0
    day: int
    last_day: int


@cache
def zones() -> dict[str, str]:
    return shipped("zones.toml", Zones).of


def zone_of(country: str) -> str:
    """UTC where the country is not known."""
    return zones().get(country, UTC)


def local(at: int, zone: str) -> Local:
    """`at` in Unix microseconds; `zone` as IANA names it."""
    here = moment(at, zone)
    return Local(here.hour, here.weekday(), here.day, last_day(here.year, here.month))


def moment(at: int, zone: str) -> datetime:
    return datetime.fromtimestamp(at // SECOND, ZoneInfo(zone))


@cache
def day_starts(day: str) -> int:
    """Unix microseconds of the midnight in UTC that begins `day`, like 2025-05-19."""
    return (date.fromisoformat(day).toordinal() - date(1970, 1, 1).toordinal()) * DAY


def period(name: str, at: int) -> tuple[str, float]:
    """The day, month, quarter or year in UTC that `at` is in, and how much of it is over, from 0 to 1."""
    shown, over, days = period_of_day(name, at // DAY)
    return shown, (over + at % DAY / DAY) / days


@lru_cache(maxsize=256)
def period_of_day(name: str, day: int) -> tuple[str, int, int]:
    """The period that a day (since 1970) is in, how many of its days are over then, and how many it has."""
    here = date(1970, 1, 1) + timedelta(days=day)
    year = f"{here.year:04}"
    if name == "day":
        return f"{year}-{here.month:02}-{here.day:02}", 0, 1
    if name == "month":
        shown = f"{year}-{here.month:02}"
        first, after = date(here.year, here.month, 1), next_month(here.year, here.month)
    elif name == "quarter":
        n = (here.month - 1) // 3
        first, after, shown = date(here.year, 3 * n + 1, 1), next_month(here.year, 3 * n + 3), f"{year}-Q{n + 1}"
    else:
        first, after, shown = date(here.year, 1, 1), date(here.year + 1, 1, 1), year
    return shown, (here - first).days, (after - first).days


def next_month(year: int, month: int) -> date:
    return date(year + month // 12, month % 12 + 1, 1)


def next_hour(at: int, zone: str, hours: tuple[int, ...], days: int = 2) -> int:
    """The first moment from `at` on at which the local hour is one of `hours`; `at` itself where it already is."""
    here = moment(at, zone)
    for ahead in range(days + 1):
        for hour in hours:
            there = (here + timedelta(days=ahead)).replace(hour=hour, minute=0, second=0)
            if there >= here.replace(minute=0, second=0):
                return max(at, round(there.timestamp()) * SECOND)
    return at


@cache
def last_day(year: int, month: int) -> int:
    return (next_month(year, month) - timedelta(days=1)).day
