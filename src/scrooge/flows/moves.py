"""Step 2 of the one road where the "PSP" is our own ledger: a transaction of its own, once for an attempt.

Whatever goes wrong here, the record stays `sent`, and the resolver asks for the same move: it is told the same.
"""

import structlog

from scrooge.connectors.connector import Command, Endpoint, Request
from scrooge.connectors.stored_value import asked_in
from scrooge.domain.attempt import Attempt
from scrooge.domain.outcome import Outcome, Unknown
from scrooge.domain.payment import Payment
from scrooge.errors import DatabaseUnavailable
from scrooge.flows.scrooge import Scrooge
from scrooge.storage.stored_value import Move, Moved

log = structlog.get_logger()
AWAY = (DatabaseUnavailable, OSError, TimeoutError)


async def moved(s: Scrooge, p: Payment, a: Attempt, endpoint: Endpoint, command: Command, request: Request) -> Outcome:
    """What became of it. Never raises."""
    try:
        found = await s.moves.put(await move_of(s, p, a, request))
        return Unknown("no such account of stored value") if found is None else told(endpoint, command, found)
    except Exception as error:  # Whatever it is, even a bug of ours: it may have been moved.
        bug = not isinstance(error, AWAY)
        log.error("stored_value_not_moved", payment=p.id, attempt=a.id, error=type(error).__name__, exc_info=bug)
        return Unknown(f"not known to be moved: {type(error).__name__}")


async def move_of(s: Scrooge, p: Payment, a: Attempt, request: Request) -> Move:
    asked = asked_in(request)
    return Move(
        account=asked.account, kind=asked.kind, minor=asked.minor, currency=asked.currency, final=asked.final,
        merchant=p.merchant, livemode=p.livemode, caller=await s.directory.caller_name(p.caller), payment=p.id,
        attempt=a.id, authorization=a.parent or a.id,
    )  # fmt: skip


def told(endpoint: Endpoint, command: Command, found: Moved) -> Outcome:
    document = {"account": found.account, "number": found.number, "minor": found.minor, "declined": found.declined}
    return endpoint.read(command, 200, {}, document)
