"""What expires unspent is posted as revenue, where the policy says so; what a late release brings back, too."""

import structlog

from scrooge.flows.scrooge import Scrooge
from scrooge.flows.stored_value import EVENTS, told
from scrooge.postgres.database import redone
from scrooge.storage import stored_value as rows
from scrooge.storage.stored_value import Account, Move

log = structlog.get_logger()
A_TURN = 100


async def expire(s: Scrooge) -> int:
    """One turn; how many accounts it emptied. What is held for payments stays until it is captured or released."""
    if s.settings.stored_value_breakage == "keep":
        return 0
    return sum([await emptied(s, account) for account in await rows.expired(s.db, A_TURN)])


@redone
async def emptied(s: Scrooge, a: Account) -> bool:
    """Of two workers at once, one: the other finds nothing on it."""
    asked = Move(
        account=a.id, kind="expire", minor=a.available, currency=a.currency, merchant=a.merchant, livemode=a.livemode,
        caller="worker", author="worker",
    )  # fmt: skip
    async with s.db.transaction() as connection:
        found = (await rows.move(connection, [asked])).get(asked.name)
        if found is None or found.declined is not None:
            return False
        await rows.announce(connection, a, found, EVENTS["expire"], told(a, found))
    log.info("stored_value_expired", account=a.id, minor=found.minor, currency=a.currency)
    return True
