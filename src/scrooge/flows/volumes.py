"""What each account has approved in the periods of contracts, over all processes; and who approved a card last.

Counted where an outcome is committed, kept with what is learned: a process that is killed takes its last seconds along.
What is voided or refunded later is not taken off, and a statement whose answer is lost may be added twice.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from scrooge.domain.attempt import Attempt
from scrooge.domain.payment import Payment
from scrooge.routing.calendar import period
from scrooge.routing.choose import Candidate
from scrooge.routing.volumes import Bound, Usage, Used
from scrooge.storage import volumes
from scrooge.storage.volumes import Place

PERIODS = ("day", "month", "quarter", "year")
STICKS_MOST = 20_000  # that wait for a database that is away


class Volumes:
    """Of one process: what all have approved as far as it knows, what of that only it knows, and stored credentials."""

    def __init__(self) -> None:
        self.known: dict[Place, int] = {}
        self.news: dict[Place, int] = {}
        self.sticks: dict[str, str] = {}

    def approved(self, p: Payment, a: Attempt, at: int) -> None:
        """An authorization was approved, and it was committed so."""
        minor = a.minor if a.approved_minor is None else a.approved_minor
        for name in PERIODS:
            place = (p.merchant, p.livemode, a.connector_account, p.currency, period(name, at)[0])
            self.known[place] = self.known.get(place, 0) + minor
            self.news[place] = self.news.get(place, 0) + minor
        stored = p.save_for is not None or p.initiator == "merchant" or a.teaches is not None
        if stored and p.instrument and len(self.sticks) < STICKS_MOST:
            self.sticks[p.instrument] = a.connector_account

    def usage(
        self, whose: tuple[str, bool], bounds: Mapping[tuple[str, str], Sequence[Bound]], some: Sequence[Candidate],
        currency: str, at: int,
    ) -> Usage:  # fmt: skip
        """Of the accounts that the policy's volumes speak of."""
        found: dict[tuple[str, str, str], Used] = {}
        for c in some:
            for bound in bounds.get((c.name, currency), ()):
                name, elapsed = period(bound.period, at)
                minor = self.known.get((*whose, c.account, currency, name), 0)
                found[c.name, currency, bound.period] = Used(minor, elapsed)
        return found

    async def exchange(self, db: Any) -> None:
        """Writes first, so that what is read back has our own in it. What the database does not take is told again."""
        await self.tell(db)
        at = time.time_ns() // 1000
        kept = await volumes.kept(db, [period(name, at)[0] for name in PERIODS])
        self.known = {place: kept.get(place, 0) + self.news.get(place, 0) for place in kept.keys() | self.news.keys()}

    async def tell(self, db: Any) -> None:
        if self.sticks:
            sticks, self.sticks = self.sticks, {}
            try:
                await volumes.stick(db, sticks)
            except BaseException:
                self.sticks = sticks | self.sticks
                raise
        if self.news:
            news, self.news = self.news, {}
            try:
                await volumes.add(db, news.items())
            except BaseException:
                for place, minor in news.items():
                    self.news[place] = self.news.get(place, 0) + minor
                raise
