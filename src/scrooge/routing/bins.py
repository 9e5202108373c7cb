"""What the first digits of a card tell of it. Whoever has a table of them gives us one; we ship none. Pure."""

from collections.abc import Callable

from msgspec import Struct

from scrooge.routing.facts import UNKNOWN


class Bin(Struct, frozen=True, kw_only=True):
    """Empty texts are facts unknown to us; `country` is ISO 3166-1 alpha-2."""

    country: str = UNKNOWN
    issuer: str = UNKNOWN
    funding: str = UNKNOWN
    product: str = UNKNOWN


NOTHING = Bin()
Bins = Callable[[str], Bin]  # of an IIN of 6 to 8 digits, or ""


def no_table(iin: str) -> Bin:
    return NOTHING
