"""What a merchant account costs, as its contract says it: interchange, scheme fees, the PSP's own, with dates. Pure."""

import calendar
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from scrooge.routing.when import ANYTHING, Text, When
from scrooge.routing.when import faults as wrong

Component = Literal["interchange", "scheme", "markup", "blended"]
Region = Literal["domestic", "area", "international"]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Percent = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,2})(\.[0-9]{1,7})?$")]
Sum = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,9})(\.[0-9]{1,9})?$")]


FEES_MOST = 50_000  # in all: of so many a day's table takes a third of a second


class Fee(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`rate` in percent of the amount, `fixed` in major units by payment currency ("0.10"); `least` and `most` bound
    their sum. `region`: where the card's issuer is, seen from the account. `on`: what is paid for; a PSP that takes its
    fee for every attempt takes it for declined ones too.
    """

    component: Component
    name: Text
    when: When = ANYTHING
    region: Region | None = None
    rate: Percent = "0"
    fixed: dict[Text, Sum] = {}
    least: dict[Text, Sum] = {}
    most: dict[Text, Sum] = {}
    on: Literal["approved", "attempt"] = "approved"
    refunded: bool = False  # comes back with what is refunded, in proportion
    source: Annotated[str, Meta(max_length=300)] = ""


class Schedule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Fees that many accounts share, like a scheme's interchange in an area."""

    name: Text
    fees: Annotated[tuple[Fee, ...], Meta(max_length=1000)]


class Tariff(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One account's prices from `valid_from` to `valid_until`, both days included (UTC).

    Of interchange the first fee that a payment meets counts, as of what is blended; scheme fees and the markup add up.
    """

    account: Text
    valid_from: Day
    valid_until: Day | None = None
    country: Text = ""  # of the acquirer: what "domestic" means
    area: Annotated[tuple[Text, ...], Meta(max_length=100)] = ()  # countries that are in one interchange area with it
    fees: Annotated[tuple[Fee, ...], Meta(max_length=1000)] = ()
    schedules: Annotated[tuple[Text, ...], Meta(max_length=20)] = ()


class Prices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """All that is known of prices: one document, in JSON or TOML."""

    schedules: tuple[Schedule, ...] = ()
    tariffs: tuple[Tariff, ...] = ()


def from_toml(text: bytes | str) -> Prices:
    """Raises msgspec.ValidationError, which names the place, and msgspec.DecodeError."""
    return msgspec.toml.decode(text, type=Prices)


def from_json(text: bytes | str) -> Prices:
    """Raises like `from_toml`."""
    return msgspec.json.decode(text, type=Prices)


def to_json(prices: Prices) -> bytes:
    """The same bytes for the same prices: what a version is told by."""
    return msgspec.json.encode(prices, order="deterministic")


def days(day: str) -> int:
    """Days from 1970-01-01 to "2026-11-22". Raises ValueError when there is no such day."""
    year, month, date = map(int, day.split("-"))
    if not (1 <= month <= 12 and 1 <= date <= calendar.monthrange(max(1, year), month)[1]):
        raise ValueError(f"{day!r} is no day")
    return calendar.timegm((year, month, date, 0, 0, 0)) // 86_400


def faults(prices: Prices) -> Iterator[str]:
    """What does not hold together: the place, and what is wrong there."""
    names = [s.name for s in prices.schedules]
    fees = {s.name: len(s.fees) for s in prices.schedules}
    if sum(len(t.fees) + sum(fees.get(name, 0) for name in t.schedules) for t in prices.tariffs) > FEES_MOST:
        yield f"tariffs: more than {FEES_MOST:,} fees, those of schedules counted for each tariff that shares them"
        return
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f"schedules: {name!r} is there twice"
    for i, schedule in enumerate(prices.schedules):
        for j, fee in enumerate(schedule.fees):
            yield from (f"schedules[{i}].fees[{j}].when.{at}: {what}" for at, what in wrong(fee.when))
    spans: dict[str, list[tuple[int, int]]] = {}
    for i, tariff in enumerate(prices.tariffs):
        place = f"tariffs[{i}]"
        yield from (f"{place}.schedules: there is no schedule {n!r}" for n in tariff.schedules if n not in names)
        try:
            first, last = days(tariff.valid_from), days(tariff.valid_until or "9999-12-31")
        except ValueError as error:
            yield f"{place}: {error}"
            continue
        if first > last:
            yield f"{place}: it ends before it begins"
        if any(first <= b and a <= last for a, b in spans.get(tariff.account, ())):
            yield f"{place}: two tariffs of {tariff.account!r} are valid on one day"
        spans.setdefault(tariff.account, []).append((first, last))
        for j, fee in enumerate(tariff.fees):
            yield from (f"{place}.fees[{j}].when.{at}: {what}" for at, what in wrong(fee.when))
            if fee.refunded and fee.on == "attempt":
                yield f"{place}.fees[{j}]: what every attempt costs does not come back with a refund"
            if fee.region is not None and not tariff.country:
                yield f"{place}.fees[{j}]: a region needs the country of the account"
