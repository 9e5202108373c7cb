"""What the simulated token service provider remembers: network tokens, cryptograms, who is told of changes."""

from typing import Literal

from ..records import Record

State = Literal["active", "suspended", "deleted"]


class NetworkToken(Record, frozen=True, kw_only=True):
    """A token and the card behind it now; `account` is whose API key asked for it, `reference` what they called it."""

    account: str
    reference: str
    number: str
    month: int
    year: int
    card_number: str
    card_month: int
    card_year: int
    state: State = "active"

    def index_keys(self) -> tuple[tuple[str, ...], ...]:
        """By who asked and their reference, and by number."""
        return (("network_tokens", self.account, self.reference), ("network_tokens", self.number))


class Cryptogram(Record, frozen=True, kw_only=True):
    """Good for one payment by its token; `id` is the cryptogram itself."""

    token: str
    spent: bool = False


class Receiver(Record, frozen=True, kw_only=True):
    """Who is told what happens to the tokens of an account."""

    account: str
    url: str
    secret: str


KINDS = (NetworkToken, Cryptogram, Receiver)
