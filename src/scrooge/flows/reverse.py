"""Give money back that nobody wanted: an attempt of its own, with a key of its own, until the PSP has done it.

The authorization in `reversing` is the work order. It has its turn among the attempts in doubt, spaced like them, so
that one that cannot be undone holds up no other; each turn records a void or a refund, unless one is out already.
"""

from scrooge.connectors.connector import Request, render
from scrooge.connectors.limits import Lane
from scrooge.crash import reach
from scrooge.domain.attempt import Attempt
from scrooge.domain.late import giving_back
from scrooge.domain.payment import Payment
from scrooge.errors import PspOverloaded, PspUnavailable
from scrooge.flows.ask import account_of, command_of
from scrooge.flows.perform import ask_and_apply, keep
from scrooge.flows.scrooge import Scrooge, now
from scrooge.ids import bucket_in, new_id
from scrooge.postgres.database import redone
from scrooge.storage import payments, work
from scrooge.storage.work import Lease


async def give_back(s: Scrooge, p: Payment, unwanted: Attempt, lease: Lease) -> Payment:
    """One turn: records, asks, applies. What the PSP does not say definitively, the resolver finds out."""
    try:
        slot = await s.limits.take(unwanted.connector_account, Lane.RECOVERY)
    except (PspOverloaded, PspUnavailable):
        return p  # Its next turn comes.
    with slot:
        recorded = await record(s, p.id, unwanted.id, lease)
        if recorded is None:
            return p
        after, request = recorded
        back = after.attempts[-1]
        connector = s.connectors[(await account_of(s, back)).connector]
        endpoint = connector.endpoints[back.operation]
        return await ask_and_apply(s, after, back.id, endpoint, request, slot, answered=False)


@redone
async def record(s: Scrooge, payment_id: str, unwanted_id: str, lease: Lease) -> tuple[Payment, Request] | None:
    """Decides under the lock and commits the attempt. None: one is out, or the turn is somebody else's by now."""
    attempt_id = new_id("att", bucket_in(payment_id))
    async with s.turn(payment_id), s.db.transaction() as connection:
        current = await payments.lock(connection, payment_id)
        assert current is not None
        if not await work.lease_held(connection, payment_id, unwanted_id, lease.epoch):
            return None
        after = giving_back(current, current.attempt(unwanted_id), now(), id=attempt_id)
        if after is None:
            return None
        back = after.attempts[-1]
        request = render(
            s.connectors[(await account_of(s, back)).connector],
            command_of(after, back, await account_of(s, back)),
        )
        reach("reverse.before")
        kept = await keep(s, connection, current, after, {back.id: request})
    reach("reverse.after")
    return kept, request
