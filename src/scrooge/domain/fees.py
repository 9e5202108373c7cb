"""What an attempt costs, as its account's tariff tells it. Estimates: the PSP's own figures come with settlement."""

from msgspec import Struct


class Fees(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """By component (interchange, scheme, markup, fixed, blended). Exact sums are in billionths of a minor unit.

    An authorization brings `facts`: what was known of the card. The rest is empty until the attempt ends.
    """

    facts: dict[str, str] = {}
    tariffs: str = ""  # the version by which it was priced
    at: int = 0  # when; Unix microseconds
    always: dict[str, int] = {}  # exact: what is due for an authorization whatever becomes of it
    back: dict[str, int] = {}  # exact: what comes back when all of it is refunded
    nano: dict[str, int] = {}  # exact: what is due; negative for a refund that brings fees back
    minor: dict[str, int] = {}  # what stands in the books: `nano`, rounded
    missing: tuple[str, ...] = ()  # fees that could not be told
    journals: int = 0  # how often the books were changed
