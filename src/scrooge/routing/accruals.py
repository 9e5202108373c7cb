"""What attempts cost once they have ended, by the tariff of that moment: what is posted as accrued fees. Pure.

Due is, of an authorization that the issuer answered, what the PSP takes for every attempt; of a sale or capture that
stands, the rest, on the amount captured. A refund brings back what the tariff says so, in proportion. What was taken
back, voided or never processed costs no more than the attempt.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import structs

from scrooge.domain.attempt import Attempt, Operation, State
from scrooge.domain.fees import Fees
from scrooge.domain.payment import Payment
from scrooge.routing.costs import NANO, Costs, Line
from scrooge.routing.facts import Facts

APPROVED = frozenset({State.APPROVED, State.REVERSING})
ANSWERED = APPROVED | {State.DECLINED}
OWN = frozenset({"markup", "blended"})  # the PSP's: what it takes by the piece is told apart as "fixed"
MOST = 10**15  # minor units: a fee above is a mistake, and must not keep an outcome from being kept
UNPRICED = "no tariff"
TOO_MUCH = "more than the books take"


def priced(before: Payment, after: Payment, costs: Costs, at: int) -> Payment:
    """The payment after a change, with the fees of the attempts that it ended. `at` is Unix microseconds."""
    if all(a.fees is None for a in after.attempts):  # Nobody has said what anything costs.
        return after
    known = {a.id: a for a in before.attempts}
    for a in after.attempts:
        old = known.get(a.id)
        if old is None or old.state is not a.state:
            fees = ended(after, a, old, costs, at)
            if fees != a.fees:
                after = after.replacing(structs.replace(a, fees=fees))
    return after


def ended(p: Payment, a: Attempt, old: Attempt | None, costs: Costs, at: int) -> Fees | None:
    """The fees of an attempt that is in a new state."""
    source = p.attempt(a.parent).fees if a.parent else a.fees
    base = a.fees or Fees()
    if source is None or a.operation is Operation.VOID:
        return a.fees
    if a.operation is Operation.REFUND:
        found = booked(base, *returned(p, a))
    else:
        base = at_price(p, a, base, source.facts, costs, at) if newly(a, old) else base
        found = booked(base, base.nano if stands(p, a) else base.always)
    return found if found != Fees() else a.fees  # Nothing to say, as of most refunds.


def newly(a: Attempt, old: Attempt | None) -> bool:
    """Is it answered for the first time? A success that comes after a refusal is priced anew."""
    if a.state is State.DECLINED:
        return a.operation is Operation.AUTHORIZE
    return a.state in APPROVED and (old is None or old.approved_minor is None)


def stands(p: Payment, a: Attempt) -> bool:
    """A sale that nobody wanted was a sale, if only a refund could give it back."""
    if a.state is State.REVERSED and a.sale:
        return any(
            x.parent == a.id and x.operation is Operation.REFUND and x.state is State.APPROVED for x in p.attempts
        )
    return a.state in ANSWERED


def at_price(p: Payment, a: Attempt, base: Fees, known: Mapping[str, str], costs: Costs, at: int) -> Fees:
    price = costs.prices(facts_of(p, a, known, at)).get(a.connector_account)
    if price is None:
        return structs.replace(base, missing=(UNPRICED,))
    authorized, captured = a.operation is Operation.AUTHORIZE, a.operation is Operation.CAPTURE or a.sale
    always = summed([x for x in price.lines if x.always and authorized], a.money)
    taken = [x for x in price.lines if not x.always and captured and a.state is not State.DECLINED]
    approved = summed(taken, a.money)
    back = summed([x for x in taken if x.back], a.money)
    if sum(always.values()) + sum(approved.values()) > MOST * NANO:
        return structs.replace(base, missing=(TOO_MUCH,))
    return structs.replace(
        base, tariffs=costs.version, at=at, always=always, back=back, nano=added(always, approved),
        missing=price.missing,
    )  # fmt: skip


def facts_of(p: Payment, a: Attempt, known: Mapping[str, str], at: int) -> Facts:
    """Of what is captured: a fee by amount is by the amount that goes to the scheme."""
    own = {"currency": p.currency, "minor": a.money, "at": at, "initiator": p.initiator, "purpose": p.purpose or ""}
    return msgspec.convert({**known, **own}, Facts)


def summed(lines: Sequence[Line], minor: int) -> dict[str, int]:
    """By component, exact."""
    found: dict[str, int] = {}
    for line in lines:
        apart = line.component in OWN and line.fixed and line.least is None and line.most is None
        fixed = line.fixed if apart else 0
        found = added(found, {line.component: line.of(minor) - fixed, "fixed": fixed})
    return found


def added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    total = {c: one.get(c, 0) + other.get(c, 0) for c in {**one, **other}}
    return {c: n for c, n in total.items() if n}


# --- refunds --------------------------------------------------------------------------------


def returned(p: Payment, refund: Attempt) -> tuple[dict[str, int], dict[str, int]]:
    """(exact, in minor units) what a refund brings back, as negative fees: of what all refunds so far bring, in
    proportion to what was captured, what earlier ones did not. So a whole refund brings all of it, in however many
    parts."""
    under = [a for a in p.attempts if refund.parent in {a.id, a.parent}]
    taken = [a for a in under if (a.id == refund.parent and a.sale) or captured(a)]
    refunds = [a for a in under if a.operation is Operation.REFUND and a.state is State.APPROVED]
    whole = sum(a.money for a in taken)
    if refund.state is not State.APPROVED or not whole:
        return {}, {}
    share = min(sum(a.money for a in refunds), whole)
    paid = [a.fees for a in taken if a.fees is not None]
    brought = [a.fees for a in refunds if a.fees is not None and a.id != refund.id]
    exact = part([f.back for f in paid], share, whole, [f.nano for f in brought])
    return exact, part([returnable(f) for f in paid], share, whole, [f.minor for f in brought])


def part(
    back: Sequence[Mapping[str, int]], share: int, whole: int, brought: Sequence[Mapping[str, int]]
) -> dict[str, int]:
    """Rounded down: nothing comes back before it is due."""
    found = {}
    for component in sorted({c for one in back for c in one}):
        due = sum(one.get(component, 0) for one in back) * share // whole
        found[component] = -max(0, due + sum(one.get(component, 0) for one in brought))
    return {c: n for c, n in found.items() if n}


def returnable(f: Fees) -> dict[str, int]:
    """Minor units: where a component comes back whole, what was posted of it, so that nothing is left."""
    return {
        c: f.minor.get(c, 0) if n == f.nano.get(c) else min(half_even(n), f.minor.get(c, 0)) for c, n in f.back.items()
    }


def captured(a: Attempt) -> bool:
    return a.operation is Operation.CAPTURE and a.state is State.APPROVED


# --- rounding -------------------------------------------------------------------------------


def booked(f: Fees, nano: Mapping[str, int], minor: Mapping[str, int] | None = None) -> Fees:
    """With what is due from now on, and how often that has changed the books."""
    exact = {c: n for c, n in nano.items() if n}
    kept = rounded(exact) if minor is None else dict(minor)
    return structs.replace(f, nano=exact, minor=kept, journals=f.journals + (kept != f.minor))


def rounded(nano: Mapping[str, int]) -> dict[str, int]:
    """To minor units: the sum half to even, and so that the components add up to it, up where the rest is largest."""
    found = {c: n // NANO for c, n in nano.items()}
    left = half_even(sum(nano.values())) - sum(found.values())
    for c in sorted(nano, key=lambda c: (-(nano[c] % NANO), c))[:left]:
        found[c] += 1
    return {c: n for c, n in found.items() if n}


def half_even(nano: int) -> int:
    whole, rest = divmod(nano, NANO)
    return whole + (rest * 2 > NANO or (rest * 2 == NANO and whole % 2))
