"""How often each account should be chosen, so that what is likely best is chosen most and the rest not never. Pure.

Thompson sampling chooses each account as often as it is the best under what is believed; how often that is, nobody
can say exactly. Here every account is compared with the leader only: the odds that it is better are its weight. Of two
accounts, and of any number that are alike, that is Thompson's probability; and the draw is made from these very
numbers, so the propensity that is written down is exact, and later evaluation may divide by it.
"""

import math
from collections.abc import Sequence
from typing import Protocol

HOPELESS = 5.0  # standard deviations behind the leader: never better by any count that matters


class Belief(Protocol):
    """What an account is worth for this payment, and the standard deviation of that."""

    @property
    def value(self) -> float: ...
    @property
    def doubt(self) -> float: ...


def best_shares(beliefs: Sequence[Belief], floor: float) -> list[float]:
    """The probability of being chosen for each, in their order; they add up to one and none is below `floor`.

    `floor` gives way when there are so many that it could not be kept.
    """
    count = len(beliefs)
    if count == 1:
        return [1.0]
    top = max(beliefs, key=leading)
    best, doubt = top.value, top.doubt * top.doubt
    odds = []
    for b in beliefs:
        gap, spread = best - b.value, math.sqrt(2.0 * (b.doubt * b.doubt + doubt))
        if b is top or gap <= 0.0:
            odds.append(1.0)
        elif gap >= HOPELESS * spread:
            odds.append(0.0)
        else:
            better = 0.5 * math.erfc(gap / spread)
            odds.append(better / (1.0 - better))
    floor = min(floor, 0.5 / count)
    scale = (1.0 - floor * count) / sum(odds)
    return [floor + scale * o for o in odds]


def leading(belief: Belief) -> float:
    return belief.value


def drawn(shares: Sequence[float], chance: float) -> int:
    """Which of them a chance in [0, 1) falls on."""
    at = 0.0
    for i, share in enumerate(shares):
        at += share
        if chance < at:
            return i
    return max(range(len(shares)), key=shares.__getitem__)  # The shares' sum was a rounding below one.
