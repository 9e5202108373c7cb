"""Value given or taken back for no order. Above a limit one API key proposes and another approves (ADR 10)."""

from scrooge.errors import (
    AdjustmentClosed,
    CurrencyMismatch,
    NotFound,
    ReferenceExists,
    RequestInProgress,
    SecondApproverRequired,
)
from scrooge.flows.keys import Keyed, guard_of
from scrooge.flows.scrooge import Scrooge, now
from scrooge.flows.stored_value import key_made, moved_in, visible
from scrooge.ids import bucket_in, new_id, number_of
from scrooge.money import Money
from scrooge.postgres.database import redone
from scrooge.storage import stored_value as rows
from scrooge.storage import stored_value_adjustments as kept
from scrooge.storage.directory import Principal, note
from scrooge.storage.stored_value import Account, Move
from scrooge.storage.stored_value_adjustments import Adjustment


async def adjust(
    s: Scrooge, who: Principal, account_id: str, amount: Money, direction: str, reference: str, reason: str,
    keyed: Keyed,
) -> tuple[Account, Adjustment, bool]:  # fmt: skip
    """(account, adjustment, whether an earlier request made it). Applied at once where it is small enough.

    Raises NotFound, CurrencyMismatch, StoredValueClosed, StoredValueExpired, StoredValueTooLow, IdempotencyKeyReused,
    ReferenceExists, RequestInProgress.
    """
    account = await visible(s, who, account_id)
    if amount.currency != account.currency:
        raise CurrencyMismatch(f"the account is in {account.currency}", param="amount.currency")
    small = amount.minor <= s.settings.stored_value_adjustment_max_minor
    wanted = Adjustment(
        id=new_id("adj", bucket_in(account.id)), account=account.id, direction=direction, minor=amount.minor,
        reference=reference, reason=reason, state="applied" if small else "proposed", proposed_by=who.key_id,
        proposed_at=now(),
    )  # fmt: skip
    made = await recorded(s, who, account, wanted, keyed)
    if made is not None:
        return account, made, False
    used = await key_made(s, who, keyed, "adj")
    before = await kept.read(s.db, used) if used is not None else None
    if before is None:
        raise RequestInProgress("the first request with this key is still running", retry_after=1)
    return account, before, True


@redone
async def recorded(s: Scrooge, who: Principal, account: Account, wanted: Adjustment, keyed: Keyed) -> Adjustment | None:
    """None: the key was used before."""
    async with s.db.transaction() as connection:
        if not await rows.claim_key(connection, guard_of(who, keyed), who.caller, wanted.id):
            return None
        made = await kept.add(connection, wanted)
        if made is None:
            before = await kept.of_reference(connection, account.id, wanted.reference)
            raise ReferenceExists(
                "this reference was used before, under another key", param="reference",
                existing_id=before.id if before is not None else None,
            )  # fmt: skip
        if made.state == "applied":
            await moved_in(connection, account, move_of(account, made, who))
        detail = {"account": account.id, "direction": made.direction, "reason": made.reason,
                  "reference": made.reference, "amount": str(Money(made.minor, account.currency))}  # fmt: skip
        await note(connection, f"key:{who.key_id}", f"stored_value_adjustment_{made.state}", made.id, detail)
    return made


def move_of(account: Account, a: Adjustment, who: Principal) -> Move:
    """Its reference is the adjustment itself, so that it is applied once, whatever callers call their loads."""
    return Move(
        account=account.id, kind=f"adjust_{a.direction}", minor=a.minor, currency=account.currency,
        merchant=account.merchant, livemode=account.livemode, caller=who.caller_name, reference=a.id,
        author=f"key:{who.key_id}", note=a.reason,
    )  # fmt: skip


@redone
async def decide(s: Scrooge, who: Principal, adjustment_id: str, state: str) -> tuple[Account, Adjustment]:
    """`state`: applied or rejected. Said twice by the same key, it is the same answer.

    Raises NotFound, SecondApproverRequired, AdjustmentClosed, and what a move is refused with.
    """
    account, _ = await seen(s, who, adjustment_id)
    async with s.db.transaction() as connection:
        a = await kept.hold(connection, adjustment_id)
        if a.state == state and a.decided_by == who.key_id:
            return account, a
        if a.state != "proposed":
            raise AdjustmentClosed(f"the adjustment is {a.state}")
        if state == "applied":
            if a.proposed_by == who.key_id:
                raise SecondApproverRequired("approve with another API key than the one that proposed it")
            await moved_in(connection, account, move_of(account, a, who))
        decided = await kept.decide(connection, a.id, state, who.key_id)
        assert decided is not None, "its row is held"
        detail = {"account": account.id, "proposed_by": a.proposed_by}
        await note(connection, f"key:{who.key_id}", f"stored_value_adjustment_{state}", a.id, detail)
    return account, decided


async def seen(s: Scrooge, who: Principal, adjustment_id: str) -> tuple[Account, Adjustment]:
    """Raises NotFound, for another merchant's and one of the other mode as well."""
    number_of(adjustment_id, "adj")
    found = await kept.read(s.db, adjustment_id)
    if found is None:
        raise NotFound("no such adjustment")
    return await visible(s, who, found.account), found
