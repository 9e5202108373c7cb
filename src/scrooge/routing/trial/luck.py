"""Luck as a function of what it is about: the same payment has the same luck with every policy, in any order."""

import math
from statistics import NormalDist

MASK = (1 << 64) - 1
STEP = 0x9E3779B97F4A7C15
UNIT = 1.0 / (1 << 53)
NORMAL = NormalDist()
Z99 = NORMAL.inv_cdf(0.99)


def mixed(key: int, part: int) -> int:
    """A key of 64 bits out of another and a number: the finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    x = (key + (part + 1) * STEP) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def draw(key: int, part: int) -> float:
    """Uniform in [0, 1)."""
    return (mixed(key, part) >> 11) * UNIT


def normal(key: int, part: int) -> float:
    """Standard normal, by inversion."""
    return NORMAL.inv_cdf(((mixed(key, part) >> 11) + 0.5) * UNIT)


def waiting(key: int, part: int, rate: float) -> float:
    """Exponential, in seconds, of so many a second."""
    return -math.log1p(-draw(key, part)) / rate


class Stream:
    """Numbers one after the other, for a policy's own chances; it has the one method of `random.Random` they need."""

    def __init__(self, key: int) -> None:
        self.key, self.drawn = key, 0

    def random(self) -> float:
        self.drawn += 1
        return draw(self.key, self.drawn)
