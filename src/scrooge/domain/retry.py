"""What may follow a failed authorization, in words that `routing.retries` and its rivals share."""

from msgspec import Struct

from scrooge.domain.recovery import Why

TRIES_MAX = 3
# Merchant advice codes of the schemes: 03 do not try again, 21 the payer stopped the recurring payment.
NEVER_AGAIN = frozenset({"03", "21"})


class Stop(Struct, frozen=True, tag=True):
    """`why`: in a word, where it ends later retries."""

    because: str
    why: Why = Why.HARD_DECLINE


class Elsewhere(Struct, frozen=True, tag=True):
    """Ask the next merchant account now."""

    because: str
