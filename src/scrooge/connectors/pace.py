"""How many requests a PSP gets at once: more while it keeps up, fewer when it slows down or fails. Pure.

Additive increase, multiplicative decrease, as TCP does it and Netflix's concurrency-limits after it. That the PSP is
slow is nothing, that it became slower than it was is a sign: one slow issuer does not move the average.
"""

FLOOR, START = 8, 64
CALM_SECONDS = 5.0  # without a sign, and it grows quickly again
SLOWER, SLOWER_SECONDS = 2.0, 0.1  # the newest answers against all: twice as slow, and noticeably
NEWEST, ALL = 1 / 20, 1 / 600  # weights of one answer in the two averages
DECREASE = 0.9


class Pace:
    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(min(START, most))
        self.newest = self.all = 0.0  # seconds
        self.calm_at = self.sign_at = 0.0
        self.starting = True  # doubles every round trip until the first sign

    def heard(self, seconds: float, failed: bool, inside: int, now: float) -> None:
        """One answer that took so long, with so many others under way."""
        self.measure(seconds)
        slower = self.newest > self.all * SLOWER and self.newest - self.all > SLOWER_SECONDS
        if failed or slower:
            self.starting, self.sign_at = False, now
            if now >= self.calm_at:  # Once per round trip: those under way are of the same moment.
                self.limit = max(float(min(FLOOR, self.most)), self.limit * DECREASE)
                self.calm_at = now + max(self.newest, 0.05)
        elif inside * 2 >= self.limit:
            self.starting = self.starting or now - self.sign_at > CALM_SECONDS
            self.limit = min(float(self.most), self.limit + (1.0 if self.starting else 1.0 / self.limit))

    def measure(self, seconds: float) -> None:
        if self.all == 0.0:
            self.newest = self.all = seconds
            return
        self.newest += (seconds - self.newest) * NEWEST
        self.all += (seconds - self.all) * ALL
        if self.all > self.newest * SLOWER:
            self.all *= 0.95  # It became faster: what was usual is forgotten quickly.
