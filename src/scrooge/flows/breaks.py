"""What an operator has to look at: refused whole or acted upon, but never passed over in silence."""

from collections.abc import Mapping
from typing import Any

import structlog

from scrooge.domain.attempt import Attempt
from scrooge.domain.outcome import Outcome, Unknown, name_of
from scrooge.domain.payment import Payment
from scrooge.errors import BreakClosed, ContradictoryOutcome, NotFound
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import number_of
from scrooge.metrics import BREAKS
from scrooge.storage import breaks, changes
from scrooge.storage.breaks import Break
from scrooge.storage.directory import Principal
from scrooge.storage.errands import Errand
from scrooge.storage.inbox import Unread

log = structlog.get_logger()


async def contradiction(s: Scrooge, p: Payment, attempt_id: str, outcome: Outcome, error: ContradictoryOutcome) -> None:
    """News that cannot be true together with what is known: refused whole."""
    kind = name_of(outcome)
    BREAKS.labels("contradictory_outcome").inc()
    log.error("contradictory_outcome", payment=p.id, attempt=attempt_id, outcome=kind, detail=error.detail)
    await changes.open_break(
        s.db,
        "contradictory_outcome",
        f"{attempt_id}:{kind}:{outcome.psp_reference}",
        {"why": error.detail, "outcome": kind, "psp_reference": outcome.psp_reference},
        payment=p,
        attempt=attempt_id,
        connector_account=p.attempt(attempt_id).connector_account,
    )


async def difference(s: Scrooge, p: Payment, attempt_id: str, outcome: Unknown) -> None:
    """The PSP approved another amount than was asked: not believed, and one break, however often it is told."""
    await changes.open_break(
        s.db,
        "amount_differs",
        f"amount_differs:{attempt_id}",
        {"why": outcome.reason, "psp_reference": outcome.psp_reference},
        payment=p,
        attempt=attempt_id,
        connector_account=p.attempt(attempt_id).connector_account,
    )
    BREAKS.labels("amount_differs").inc()


async def unapplied(s: Scrooge, row: Unread, kind: str, detail: Mapping[str, object]) -> None:
    """A notification that is about nothing we know, or that cannot be applied. As it came, it stays in the inbox."""
    BREAKS.labels(kind).inc()
    log.error(kind, connector_account=row.connector_account, event_id=row.event_id, tries=row.tries)
    account = await s.directory.account_by_id(row.connector_account)
    await changes.open_break(
        s.db,
        kind,
        f"{row.connector_account}:{row.event_id}",
        {"event_id": row.event_id, "kind": row.kind, **detail},
        merchant=account.merchant if account is not None else None,
        connector_account=row.connector_account,
    )


async def unresolved(s: Scrooge, p: Payment, a: Attempt) -> None:
    """Nobody could tell for too long what became of it. It is asked about as before; somebody has to look."""
    BREAKS.labels("unresolved_too_long").inc()
    log.error("unresolved_too_long", payment=p.id, attempt=a.id, state=str(a.state), operation=str(a.operation))
    await changes.open_break(
        s.db,
        "unresolved_too_long",
        f"unresolved_too_long:{a.id}",
        {"why": a.reason, "state": str(a.state), "operation": str(a.operation), "reference": a.reference,
         "psp_reference": a.psp_reference},
        payment=p,
        attempt=a.id,
        connector_account=a.connector_account,
    )  # fmt: skip


async def errand_parked(connection: Any, errand: Errand, reason: str) -> None:
    """Tried often enough, and from now on once a day: somebody has to look at what stands in its way."""
    BREAKS.labels("errand_parked").inc()
    log.error("errand_parked", errand=errand.id, kind=errand.kind, instrument=errand.instrument, reason=reason)
    await changes.open_break(
        connection,
        "errand_parked",
        f"errand_parked:{errand.id}",
        {"why": reason, "kind": errand.kind, "instrument": errand.instrument, "tries": errand.tries},
        merchant=errand.merchant,
        livemode=errand.livemode,
        connector_account=errand.connector_account,
    )


async def unwanted(connection: Any, kind: str, p: Payment, a: Attempt) -> None:
    """A success nobody waited for, in the commit that says what is done about it."""
    BREAKS.labels(kind).inc()
    log.error(kind, payment=p.id, attempt=a.id, state=str(a.state), psp_reference=a.psp_reference)
    amount = {"value": p.money(a.money).value, "currency": p.currency}
    await changes.open_break(
        connection,
        kind,
        f"{kind}:{a.id}:{a.psp_reference}",
        {"why": a.reason, "done": "kept" if a.state == "approved" else "given back", "amount": amount,
         "reference": a.reference, "psp_reference": a.psp_reference},
        payment=p,
        attempt=a.id,
        connector_account=a.connector_account,
    )  # fmt: skip


# --- by hand --------------------------------------------------------------------------------


async def visible(s: Scrooge, who: Principal, break_id: str) -> Break:
    """Raises NotFound, for another merchant's and one of the other mode as well."""
    number_of(break_id, "brk")
    found = await breaks.read(s.db, break_id, who.merchant, who.livemode)
    if found is None:
        raise NotFound("no such break")
    return found


async def close(s: Scrooge, who: Principal, break_id: str, words: str) -> Break:
    """Raises NotFound, BreakClosed."""
    await visible(s, who, break_id)
    closed = await breaks.close(s.db, break_id, f"key:{who.key_id}", words)
    if closed is None:
        raise BreakClosed("it was closed before")
    return closed
