"""What may follow a failed authorization, in words that `routing.retries` and its rivals share."""

from msgspec import Struct

TRIES_MAX = 3
# Merchant advice codes of the schemes: 03 do not try again, 21 the payer stopped the recurring payment.
NEVER_AGAIN = frozenset({"03", "21"})


class Stop(Struct, frozen=True, tag=True):
    because: str


class Elsewhere(Struct, frozen=True, tag=True):
    """Ask the next merchant account now."""

    because: str
