"""Room for so many at once; the others wait in line, bounded in length and in time. No locks, no tasks.

A line that nobody finds empty any more is no burst but too much load: then a short wait is all that anybody gets, so
that the work that is done is done in time.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

Future = asyncio.Future[bool]
PATIENCE_SHORT, STANDING_SECONDS = 0.1, 1.0


class Gate:
    """Who is inside and who waits, by lane; lane 0 is let in first. `has_room` says whether one more of a lane may."""

    def __init__(self, lanes: int, has_room: Callable[[int], bool]) -> None:
        self.has_room = has_room
        self.inside = [0] * lanes
        self.lines: tuple[deque[Future], ...] = tuple(deque() for _ in range(lanes))
        self.standing_since = [0.0] * lanes

    @property
    def count(self) -> int:
        return sum(self.inside)

    def waiting(self, lane: int) -> int:
        return len(self.lines[lane])

    def enter(self, lane: int) -> bool:
        """At once or not at all; nobody passes those who wait."""
        if self.lines[lane] or not self.has_room(lane):
            return False
        self.inside[lane] += 1
        return True

    def patience(self, lane: int, seconds: float) -> float:
        """How long whoever comes to the line now may wait in it, of so many seconds."""
        now = time.monotonic()
        if not self.lines[lane]:
            self.standing_since[lane] = now
        return seconds if now - self.standing_since[lane] < STANDING_SECONDS else min(seconds, PATIENCE_SHORT)

    async def wait(self, lane: int, seconds: float) -> bool:
        """In line until there is room, for at most so long. False: there was none."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self.lines[lane].append(future)
        alarm = loop.call_later(seconds, give_up, future)
        try:
            entered = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.result():
                self.leave(lane)  # Room was made for us just when we were told to go.
            else:
                self.drop(lane, future)
            raise
        finally:
            alarm.cancel()
        if not entered:
            self.drop(lane, future)
        return entered

    def leave(self, lane: int) -> None:
        self.inside[lane] -= 1
        self.wake()

    def wake(self) -> None:
        """Lets in whoever has room now."""
        for lane, line in enumerate(self.lines):
            while line and self.has_room(lane):
                future = line.popleft()
                if not future.done():
                    self.inside[lane] += 1
                    future.set_result(True)

    def drop(self, lane: int, future: Future) -> None:
        with suppress(ValueError):
            self.lines[lane].remove(future)


def give_up(future: Future) -> None:
    if not future.done():
        future.set_result(False)
