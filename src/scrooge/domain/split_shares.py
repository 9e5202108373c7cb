"""How what is asked of a payment of parts is shared out among them."""

from scrooge.domain.attempt import Operation
from scrooge.domain.payment import ROOM
from scrooge.domain.split import Share, Split, attempts_for
from scrooge.errors import AmountExceedsRoom


def rooms(split: Split, operation: Operation) -> list[int]:
    """What is left to move on each part, less what orders have been promised and have not asked for yet."""
    same = {Operation.REFUND} if operation is Operation.REFUND else {Operation.CAPTURE, Operation.VOID}
    left = [ROOM[operation](p) if p is not None else 0 for p in split.parts]
    for order in split.orders:
        for place, share in enumerate(order.shares):
            asked = attempts_for(split.parts[share.tender], order, share) or str(place) in order.refused
            if share.operation in same and not asked and order.ended is None:
                left[share.tender] -= share.minor
    return [max(0, room) for room in left]


def shared(
    split: Split, operation: Operation, minor: int | None, *, final: bool = False, tender: int | None = None
) -> list[Share]:
    """Captures fill the tenders in their order, refunds empty them from the last one; `minor` None: all that is left.

    After a final capture nothing is held any more. Raises AmountExceedsRoom.
    """
    left = rooms(split, operation)
    if tender is not None:
        left = [room if place == tender else 0 for place, room in enumerate(left)]
    asked = sum(left) if minor is None else minor
    if asked > sum(left) or not asked:
        room = {"value": split.whole.money(sum(left)).value, "currency": split.whole.currency}
        raise AmountExceedsRoom(f"{split.whole.money(sum(left))} is left to {operation}", param="amount", room=room)
    order = range(len(left))
    taken = [0] * len(left)
    for place in reversed(order) if operation is Operation.REFUND else order:
        taken[place] = min(left[place], asked - sum(taken))
    found = [Share(place, operation, minor) for place, minor in enumerate(taken) if minor]
    if operation is Operation.CAPTURE and final:
        found += [Share(place, Operation.VOID, left[place]) for place in order if left[place] and not taken[place]]
    return found
