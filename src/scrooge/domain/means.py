"""What wins a declined payment back, by its reason: the means in the order in which they are tried. Pure.

A credential that is out of date is refreshed before anything is sent again; time helps where money or a system is
missing; another card helps where this one does not; the payer comes last, for a message costs the most.
"""

from collections.abc import Collection
from enum import StrEnum
from hashlib import blake2b

from msgspec import Struct

from scrooge.domain.declines import Decline
from scrooge.domain.recovery import Means
from scrooge.domain.retry import NEVER_AGAIN

NEWER_KNOWN = "01"  # Mastercard's merchant advice: updated account information is available.


class Need(StrEnum):
    """What only the payer can do."""

    UPDATE_CARD = "update_card"
    AUTHENTICATE = "authenticate"
    CONTACT_ISSUER = "contact_issuer"
    ADD_FUNDS = "add_funds"
    OTHER = "other"


class Way(Struct, frozen=True):
    """`need` None: nothing that the payer does can help this payment."""

    means: tuple[Means, ...]
    need: Need | None = None


STALE = (Means.REFRESH, Means.OTHER_MANDATE, Means.CUSTOMER)
PASSES = (Means.WAIT, Means.OTHER_MANDATE, Means.CUSTOMER)
CARD = (Means.OTHER_MANDATE, Means.CUSTOMER)
PAYER = (Means.CUSTOMER,)
OF_THIS_CARD = frozenset({Means.REFRESH, Means.WAIT})

WAYS: dict[Decline, Way] = {
    Decline.INSUFFICIENT_FUNDS: Way(PASSES, Need.ADD_FUNDS),
    Decline.LIMIT_EXCEEDED: Way(PASSES, Need.ADD_FUNDS),
    Decline.ISSUER_UNAVAILABLE: Way(PASSES, Need.CONTACT_ISSUER),
    Decline.PROCESSING_ERROR: Way(PASSES, Need.OTHER),
    Decline.DO_NOT_HONOR: Way(PASSES, Need.CONTACT_ISSUER),
    Decline.NOT_SUPPORTED: Way(PASSES, Need.UPDATE_CARD),
    Decline.AUTHENTICATION_REQUIRED: Way(PAYER, Need.AUTHENTICATE),
    Decline.AUTHENTICATION_FAILED: Way(PAYER, Need.AUTHENTICATE),
    Decline.INCORRECT_CVC: Way(CARD, Need.UPDATE_CARD),
    Decline.INCORRECT_NUMBER: Way(STALE, Need.UPDATE_CARD),
    Decline.INCORRECT_PIN: Way(CARD, Need.UPDATE_CARD),
    Decline.INCORRECT_ADDRESS: Way(CARD, Need.UPDATE_CARD),
    Decline.EXPIRED_CARD: Way(STALE, Need.UPDATE_CARD),
    Decline.INVALID_AMOUNT: Way(()),
    Decline.RESTRICTED_CARD: Way(CARD, Need.CONTACT_ISSUER),
    Decline.LOST_CARD: Way(STALE, Need.UPDATE_CARD),
    Decline.STOLEN_CARD: Way(STALE, Need.UPDATE_CARD),
    Decline.SUSPECTED_FRAUD: Way(PAYER, Need.CONTACT_ISSUER),
    Decline.BLOCKED_BY_PSP: Way(PAYER, Need.OTHER),
    Decline.REVOKED: Way(()),
    Decline.CANCELED_BY_PAYER: Way(()),
    Decline.UNMAPPED: Way(PAYER, Need.OTHER),
}


def means_left(
    decline: Decline, advice_code: str | None, spent: Collection[Means], *, control: bool
) -> tuple[Means, ...]:
    """In order. The control arm has the timetable and nothing else."""
    if control:
        return (Means.WAIT,)
    found = WAYS[decline].means
    if advice_code in NEVER_AGAIN:
        found = tuple(m for m in found if m not in OF_THIS_CARD)
    elif advice_code == NEWER_KNOWN and Means.REFRESH not in found:
        found = (Means.REFRESH, *found)
    return tuple(m for m in found if m not in spent)


def need_of(decline: Decline | str | None, advice_code: str | None) -> Need:
    """In a word of the closed list. A card that may never be tried again has to be another one."""
    if advice_code in NEVER_AGAIN:
        return Need.UPDATE_CARD
    return WAYS[Decline(decline or Decline.UNMAPPED)].need or Need.OTHER


def in_control(payment: str, percent: int) -> bool:
    """By the payment's id alone: the same in every process, and for all its retries."""
    digest = blake2b(f"control:{payment}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % 10_000 < percent * 100
