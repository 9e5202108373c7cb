"""Verify a card for nothing: a payment of zero on the one road, at the first account that can. It goes nowhere else."""

from collections.abc import Sequence

from scrooge.crash import reach
from scrooge.domain.attempt import Operation
from scrooge.domain.payment import Payment
from scrooge.errors import NotFound, Problem, UnsupportedOperation
from scrooge.flows.ask import account_of
from scrooge.flows.attempts import attempted
from scrooge.flows.authorize import begun, existing, instrument_of, visible
from scrooge.flows.keys import Keyed, earlier, guard_of
from scrooge.flows.perform import ask_and_apply, time_to_ask
from scrooge.flows.route import route_of
from scrooge.flows.scrooge import Scrooge
from scrooge.flows.wanted import Wanted, asked
from scrooge.ids import number_of, retyped
from scrooge.storage.directory import Principal
from scrooge.storage.instruments import Instrument


async def verify(s: Scrooge, principal: Principal, wanted: Wanted, keyed: Keyed) -> tuple[Payment, bool]:
    """The payment of zero, and whether an earlier request with this key made it.

    Raises the Problems of what cannot be asked; never one for what a PSP answers.
    """
    try:
        instrument = await instrument_of(s, principal, wanted.instrument, wanted.customer)
        route = await route_of(s, principal, instrument, wanted.connector_account, asked(wanted))
        p = begun(principal, wanted, instrument)
        able = await able_of(s, p, instrument, route.accounts)
        slot, account, _ = await s.limits.first(able, keyed.until)
    except Problem:
        before = await earlier(s, principal, keyed)
        if before is None:
            raise
        return before[0], True
    with slot:
        p, request = await attempted(s, p, instrument, account)
        attempt = p.attempts[-1]
        ask_at = await time_to_ask(s, p, attempt)
        assert ask_at is not None
        s.limits.check(keyed.until)
        reach("record.before")
        if not await s.writer.create((p, guard_of(principal, keyed), request, ask_at, route.record(s, account))):
            return await existing(s, principal, wanted.reference, keyed), True
        reach("record.after")
        endpoint = s.connectors[(await account_of(s, attempt)).connector].endpoints[Operation.VERIFY]
        return await ask_and_apply(s, p, attempt.id, endpoint, request, slot, answered=True), False


async def able_of(s: Scrooge, p: Payment, instrument: Instrument, accounts: Sequence[str]) -> tuple[str, ...]:
    """The accounts whose connector can build the request. Raises the last one's UnsupportedOperation."""
    able: list[str] = []
    refused: UnsupportedOperation | None = None
    for account in accounts:
        try:
            await attempted(s, p, instrument, account)
            able.append(account)
        except UnsupportedOperation as error:
            refused = error
    if refused is not None and not able:
        raise refused
    return tuple(able)


async def seen(s: Scrooge, principal: Principal, verification_id: str) -> Payment:
    """Raises NotFound, also for a payment that is none."""
    number_of(verification_id, "ver")
    p = await visible(s, principal, retyped(verification_id, "pay"))
    if p.minor:
        raise NotFound("no such verification")
    return p
