"""What a token provider is asked, and what it tells: network tokens, and cryptograms to pay with."""

from collections.abc import Callable

from msgspec import Struct

from scrooge.connectors.request import Json, Request, TokenFill


class CardSeen(Struct, frozen=True):
    """A card as a PSP shows it, behind a token."""

    last4: str
    exp: str  # YYYY-MM
    brand: str | None = None


class Provisioned(Struct, frozen=True):
    """A network token as its provider shows it, without its number; `card` is the card behind it now."""

    token: str
    status: str  # active or suspended
    last4: str
    exp: str  # YYYY-MM
    card: CardSeen


class Cryptogram(Struct, frozen=True):
    """What an attempt is paid with, in memory alone, for one request. It has no words for itself."""

    number: str
    exp_month: str
    exp_year: str
    cryptogram: str = ""
    eci: str = ""

    def __repr__(self) -> str:
        return "Cryptogram()"


class TokenGone(Exception):
    """The provider will not have this network token used, now or any more; in words without a secret."""


class TokenService(Struct, frozen=True, kw_only=True):
    """Network tokens, for a connector whose PSP is a token provider. The builders get the token's name there.

    `provision` carries a card (the vault fills the template "provision") and the reference by which `find` knows the
    token again; done twice for one reference it makes one token. `cryptogram` gets the attempt's reference as its key
    and gives the same answer for it every time, for at least `repeats_for` seconds; its reader raises TokenGone. `look`
    and `find` read None where there is no such token; `forgotten` says whether it is gone, now or before.
    """

    provision: Callable[[str, str], Request]  # (instrument, reference)
    look: Callable[[str], Request]
    find: Callable[[str], Request]
    read: Callable[[int, Json], Provisioned | None]
    cryptogram: Callable[[TokenFill, str], Request]
    read_cryptogram: Callable[[int, Json], Cryptogram]
    forget: Callable[[str], Request]
    forgotten: Callable[[int, Json], bool]
    brands: frozenset[str]
    repeats_for: int
