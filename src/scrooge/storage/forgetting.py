"""Rows that count no more. What may go is decided by the database: see migration `forgetting`; the SQL is beside."""

from datetime import timedelta
from pathlib import Path

from scrooge.postgres.database import Database, load, run
from scrooge.routing.schemes.rules import Rules

Q = load(Path(__file__).with_suffix(".sql"))


def kept(rules: Rules) -> timedelta:
    """How long counters stay: twice the longest window, since what was a reattempt depends on one window more."""
    longest = max(limit.hours for of_brand in rules.limits.values() for limit in of_brand)
    return timedelta(hours=2 * longest)


async def counters(db: Database, bucket: int, longest: timedelta, most: int) -> int:
    """Of one bucket; says how many went."""
    return int((await run(db, Q["counters"], bucket, longest, most))[0])


async def lessons(db: Database, most: int) -> int:
    """Says how many went of the kind of which most went."""
    return int((await run(db, Q["lessons"], most))[0])
