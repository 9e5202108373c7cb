"""Days and hours out of Unix microseconds, without a clock; durations as people write them."""

import re

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd])")
MOMENT = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z")
ZONE = re.compile(r"([+-])([0-9]{2}):([0-9]{2})")
HOUR_OF_DAY = re.compile(r"([0-9]{2}):([0-9]{2})")


def duration(text: str) -> int:
    """Microseconds of "90s", "10m", "1.5h" or "14d"; ValueError for anything else."""
    if (found := DURATION.fullmatch(text)) is None:
        raise ValueError(f'"{text}" is no duration like "90s", "10m", "6h" or "14d"')
    return round(float(found[1]) * UNITS[found[2]])


def moment(text: str) -> int:
    """Unix microseconds of "2026-03-02T00:00:00Z"; ValueError for anything else."""
    found = MOMENT.fullmatch(text)
    numbers = [int(n) for n in found.groups()] if found else []
    if not numbers or not (1 <= numbers[1] <= 12 and 1 <= numbers[2] <= 31 and numbers[3] < 24 and numbers[4] < 60):
        raise ValueError(f'"{text}" is no moment like "2026-03-02T00:00:00Z"')
    year, month, day, hour, minute, second = numbers
    return days(year, month, day) * DAY + hour * HOUR + minute * MINUTE + second * SECOND


def zone(text: str) -> int:
    """Microseconds to add to UTC for "+05:30"; ValueError for anything else."""
    if (found := ZONE.fullmatch(text)) is None or int(found[2]) > 14 or int(found[3]) > 59:
        raise ValueError(f'"{text}" is no zone like "+05:30"')
    return (int(found[2]) * HOUR + int(found[3]) * MINUTE) * (1 if found[1] == "+" else -1)


def hour_of_day(text: str) -> int:
    """Microseconds after midnight of "14:30"; ValueError for anything else."""
    if (found := HOUR_OF_DAY.fullmatch(text)) is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise ValueError(f'"{text}" is no time of day like "14:30"')
    return int(found[1]) * HOUR + int(found[2]) * MINUTE


def days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 in the Gregorian calendar: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def paydays(since: int, until: int, on: tuple[int, ...], offset: int) -> list[int]:
    """Every local midnight that begins a payday (days of the month), from the last at or before `since` to `until`."""
    first = (since + offset) // DAY
    year = 1970 + first * 400 // 146_097
    found = [
        days(y, month, day) * DAY - offset
        for y in range(year - 1, year + 3 + (until - since) // (365 * DAY))
        for month in range(1, 13)
        for day in on
    ]
    found.sort()
    begin = max((m for m in found if m <= since), default=found[0])
    return [m for m in found if begin <= m <= until]
