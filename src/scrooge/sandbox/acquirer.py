"""Where the money is: authorizations, and what is captured, released and refunded on them.

Every dialect works through these functions, in ISO 4217 minor units; each effect writes its line of
ground truth here and nowhere else. A capture that is final releases the rest without a line of its
own: the release is implied by it.
"""

import hashlib

from msgspec import structs

from .cards import POOR_AT_FIRST, Card, find_card
from .issuer import Ask, Verdict, decide, no
from .records import Authorization, Operation, Outcome, asked
from .world import World


class NoRoom(Exception):
    """More than is left to move was asked for; `room` is what is left, in ISO minor units."""

    def __init__(self, room: int) -> None:
        super().__init__(f"{room} is left")
        self.room = room


def uncaptured(auth: Authorization) -> int:
    """What can still be captured or voided."""
    if auth.state != "approved":
        return 0
    return auth.minor - auth.captured_minor - auth.released_minor


def unrefunded(auth: Authorization) -> int:
    """What can still be refunded."""
    return auth.captured_minor - auth.refunded_minor


def authorize(world: World, auth: Authorization, card: Card, ask: Ask) -> Verdict:
    """Ask the issuer; a final answer becomes truth, a challenge or a pending one does not yet."""
    if auth.number == POOR_AT_FIRST:
        ask = structs.replace(ask, before=bool(world.state.index[asked(auth)]))
    verdict = decide(card, ask)
    if verdict.answer == "challenge":
        return verdict
    operation: Operation = "sale" if auth.sale else "authorize"
    if verdict.answer == "approved":
        auth = structs.replace(
            auth,
            state="approved",
            captured_minor=auth.minor if auth.sale else 0,
            network_transaction_id=_network_transaction_id(card, auth.id),
        )
    elif verdict.answer == "declined":
        auth = structs.replace(auth, state="declined")
    world.state.put(auth)
    if verdict.answer != "pending":
        _tell_own(world, auth, operation, verdict.answer)
    return verdict


def capture(
    world: World,
    auth: Authorization,
    minor: int,
    *,
    final: bool,
    reference: str,
    psp_reference: str,
) -> Authorization:
    """Take part of an authorization; raises NoRoom. `final` releases what is left after it."""
    if minor > uncaptured(auth) or minor <= 0:
        raise NoRoom(uncaptured(auth))
    after = structs.replace(auth, captured_minor=auth.captured_minor + minor)
    if final:
        after = structs.replace(after, released_minor=after.minor - after.captured_minor)
    world.state.put(after)
    world.tell(auth, "capture", "approved", minor, reference=reference, psp_reference=psp_reference)
    return after


def void(world: World, auth: Authorization, *, reference: str, psp_reference: str) -> Authorization:
    """Release everything uncaptured; raises NoRoom if there is nothing."""
    minor = uncaptured(auth)
    if not minor and not (auth.state == "approved" and auth.minor == 0):
        raise NoRoom(0)
    after = structs.replace(auth, released_minor=auth.released_minor + minor)
    world.state.put(after)
    world.tell(auth, "void", "approved", minor, reference=reference, psp_reference=psp_reference)
    return after


def increment(
    world: World, auth: Authorization, total: int, *, reference: str, psp_reference: str
) -> tuple[Authorization, Verdict]:
    """Raise what is held to `total`, if the issuer agrees; raises NoRoom where that is not more, or nothing is held."""
    if total <= auth.minor or auth.captured_minor or not uncaptured(auth):
        raise NoRoom(uncaptured(auth))
    card = find_card(auth.number)
    if card is not None and card.outcome == "increment_declined":
        return auth, no("insufficient_funds")
    after = structs.replace(auth, minor=total)
    world.state.put(after)
    added = total - auth.minor
    world.tell(auth, "increment", "approved", added, reference=reference, psp_reference=psp_reference)
    return after, Verdict("approved")


def hold_refund(world: World, auth: Authorization, minor: int) -> Authorization:
    """Set money aside for a refund that is not through yet; raises NoRoom."""
    if minor > unrefunded(auth) or minor <= 0:
        raise NoRoom(unrefunded(auth))
    after = structs.replace(auth, refunded_minor=auth.refunded_minor + minor)
    world.state.put(after)
    return after


def refund(world: World, auth: Authorization, minor: int, *, reference: str, psp_reference: str) -> Authorization:
    """Give captured money back; raises NoRoom."""
    after = hold_refund(world, auth, minor)
    world.tell(auth, "refund", "approved", minor, reference=reference, psp_reference=psp_reference)
    return after


def conclude_refund(world: World, auth: Authorization, minor: int, *, reference: str, psp_reference: str) -> None:
    """A refund whose money had been set aside goes through."""
    world.tell(auth, "refund", "approved", minor, reference=reference, psp_reference=psp_reference)


def undo_refund(world: World, auth: Authorization, minor: int, *, reference: str, psp_reference: str) -> Authorization:
    """A refund that had gone through comes back."""
    after = structs.replace(auth, refunded_minor=auth.refunded_minor - minor)
    world.state.put(after)
    world.tell(auth, "refund", "reversed", minor, reference=reference, psp_reference=psp_reference)
    return after


def undo_capture(world: World, auth: Authorization, minor: int, *, reference: str, psp_reference: str) -> Authorization:
    """The scheme rejects a capture that had been accepted; a sale is taken back as a sale."""
    after = structs.replace(auth, captured_minor=auth.captured_minor - minor)
    world.state.put(after)
    operation: Operation = "sale" if auth.sale else "capture"
    world.tell(auth, operation, "reversed", minor, reference=reference, psp_reference=psp_reference)
    return after


def expire(world: World, auth: Authorization) -> Authorization | None:
    """The authorization's time is over: what is uncaptured goes back; None if nothing was left."""
    minor = uncaptured(auth)
    if not minor:
        return None
    after = structs.replace(auth, state="expired", released_minor=auth.released_minor + minor)
    world.state.put(after)
    world.tell(
        auth,
        "authorize",
        "reversed",
        minor,
        reference=auth.reference,
        psp_reference=auth.psp_reference,
    )
    return after


def refuse(
    world: World,
    auth: Authorization,
    operation: Operation,
    minor: int,
    *,
    reference: str,
    psp_reference: str,
) -> None:
    """A modification that was accepted for later and then not carried out."""
    world.tell(auth, operation, "declined", minor, reference=reference, psp_reference=psp_reference)


def _tell_own(world: World, auth: Authorization, operation: Operation, outcome: Outcome) -> None:
    world.tell(
        auth,
        operation,
        outcome,
        auth.minor,
        reference=auth.reference,
        psp_reference=auth.psp_reference,
    )


def refuse_authentication(world: World, auth: Authorization) -> None:
    """The payer failed or refused the challenge: the payment is declined."""
    auth = structs.replace(auth, state="declined")
    world.state.put(auth)
    _tell_own(world, auth, "sale" if auth.sale else "authorize", "declined")


def _network_transaction_id(card: Card, id_: str) -> str:
    """Fifteen digits for Visa and Amex; Mastercard's is a Banknet reference and a date (MMDD)."""
    digits = str(int.from_bytes(hashlib.blake2b(id_.encode(), digest_size=8).digest(), "big"))
    if card.brand == "mastercard":
        return f"MCC{digits[:6]}1121"
    return digits.rjust(15, "0")[:15]
