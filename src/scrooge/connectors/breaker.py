"""A circuit breaker: stops sending new payments to a PSP that technically fails. Pure: the time is told.

A failure is that the PSP could not be reached, did not answer in time, answered 5xx or nothing readable. A decline,
a refusal and a slow approval are answers.
"""

from enum import StrEnum

STREAK = 20  # failures one after the other
STREAK_RARE, RARE_SECONDS = 5, 5.0  # where payments are few: so many, and nothing else for so long
WINDOW_SECONDS, WINDOW_MIN, WINDOW_SHARE = 5.0, 20, 0.5
OPEN_FIRST, OPEN_MOST = 2.0, 30.0  # seconds until it is tried again, doubled each time that fails
STEADY_SECONDS = 60.0  # closed for so long, and it begins with OPEN_FIRST again
PROBES = 3  # good answers in a row until it is trusted again
SPACE_SECONDS = 0.5  # between the questions that must be asked while it is open


class State(StrEnum):
    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Breaker:
    def __init__(self) -> None:
        self.state = State.CLOSED
        self.streak, self.good_at = 0, 0.0
        self.window_at, self.window, self.before = 0.0, [0, 0], [0, 0]  # good and failed
        self.opened_at, self.open_for, self.closed_at = 0.0, OPEN_FIRST, float("-inf")
        self.probing, self.good = False, 0
        self.next_turn = 0.0

    def refuses(self, now: float) -> float | None:
        """Seconds until a new payment may be tried; None: it may be now."""
        if self.state is State.CLOSED:
            return None
        wait = self.opened_at + self.open_for - now
        if wait > 0:
            return wait
        return SPACE_SECONDS if self.probing else None

    def admit(self, now: float) -> bool:
        """Lets one new payment through, if it may. True: it is the probe, until it is heard or given up."""
        if self.state is State.CLOSED:
            return False
        self.state, self.probing = State.HALF_OPEN, True
        return True

    def turn(self, now: float, most: float) -> float | None:
        """Seconds that a question which must be asked has to wait, having taken that turn; None: more than `most`."""
        if self.state is State.CLOSED:
            return 0.0
        at = max(now, self.next_turn)
        if at - now > most:
            return None
        self.next_turn = at + SPACE_SECONDS
        return at - now

    def heard(self, failed: bool, began: float, now: float) -> None:
        """An answer, or that there was none, to what was sent at `began`."""
        if self.state is State.CLOSED:
            self.count(failed, now)
            if failed and self.tripped(now):
                again = now - self.closed_at < STEADY_SECONDS
                self.open(now, min(self.open_for * 2, OPEN_MOST) if again else OPEN_FIRST)
        elif began >= self.opened_at:  # What was sent before it opened says nothing new.
            self.good = 0 if failed else self.good + 1
            if self.good >= PROBES:
                self.close(now)
            elif failed and self.state is State.HALF_OPEN:
                self.open(now, min(self.open_for * 2, OPEN_MOST))

    def count(self, failed: bool, now: float) -> None:
        if now - self.window_at >= WINDOW_SECONDS:
            recent = now - self.window_at < 2 * WINDOW_SECONDS
            self.before, self.window, self.window_at = self.window if recent else [0, 0], [0, 0], now
        self.window[failed] += 1
        if failed:
            self.streak += 1
        else:
            self.streak, self.good_at = 0, now

    def tripped(self, now: float) -> bool:
        if self.streak >= STREAK or (self.streak >= STREAK_RARE and now - self.good_at >= RARE_SECONDS):
            return True
        failures, total = self.window[1] + self.before[1], sum(self.window) + sum(self.before)
        return total >= WINDOW_MIN and failures >= total * WINDOW_SHARE

    def open(self, now: float, seconds: float) -> None:
        self.state, self.opened_at, self.open_for = State.OPEN, now, seconds
        self.probing, self.good = False, 0

    def close(self, now: float) -> None:
        self.state, self.closed_at, self.probing = State.CLOSED, now, False
        self.streak, self.good_at = 0, now
        self.window, self.before = [0, 0], [0, 0]
