"""By how much more is recovered than the timetable alone recovers, and how sure that is. Pure.

The interval is Newcombe's, from two of Wilson's: right for few, and for shares near 0 and 1.
R. G. Newcombe, Interval estimation for the difference between independent proportions, Statistics in Medicine 17
(1998), method 10.
"""

from math import sqrt

from msgspec import Struct

Z = 1.959964  # of 95 %


class Share(Struct, frozen=True):
    """So many of so many."""

    recovered: int
    of: int

    @property
    def rate(self) -> float:
        return self.recovered / self.of if self.of else 0.0


class Uplift(Struct, frozen=True):
    """The difference of two rates, and the bounds that hold it in 95 of 100 such samples."""

    difference: float
    low: float
    high: float


def wilson(share: Share) -> tuple[float, float]:
    n, p = share.of, share.rate
    middle, half = p + Z * Z / (2 * n), Z * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return (middle - half) / (1 + Z * Z / n), (middle + half) / (1 + Z * Z / n)


def uplift(treated: Share, control: Share) -> Uplift | None:
    """None while either has nobody."""
    if not treated.of or not control.of:
        return None
    (low, high), (control_low, control_high) = wilson(treated), wilson(control)
    p, q = treated.rate, control.rate
    below = sqrt((p - low) ** 2 + (control_high - q) ** 2)
    above = sqrt((high - p) ** 2 + (q - control_low) ** 2)
    return Uplift(p - q, p - q - below, p - q + above)
