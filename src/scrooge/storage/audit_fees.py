"""Are fees what the recorded versions of the tariffs say? Told again for each attempt, by the version it names."""

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from scrooge.domain.attempt import Attempt, Operation
from scrooge.domain.fees import Fees
from scrooge.domain.payment import Payment
from scrooge.postgres.database import Query, run
from scrooge.postgres.rows import hex_of, public
from scrooge.routing.accruals import APPROVED, TOO_MUCH, UNPRICED, added, at_price, rounded, stands
from scrooge.routing.costs import Costs
from scrooge.storage.routed import costs_of

UNTOLD = ((UNPRICED,), (TOO_MUCH,))  # A success after a refusal, where there is no price any more: the refusal's stays.


class Versions:
    """The prices that attempts name, each read once. None: it is not there, or this Scrooge cannot read it."""

    def __init__(self, connection: Any, queries: Mapping[str, Query]) -> None:
        self.connection, self.queries = connection, queries
        self.known: dict[str, Costs | None] = {}

    async def read(self, p: Payment) -> None:
        for version in {a.fees.tariffs for a in p.attempts if a.fees is not None and a.fees.tariffs}:
            if version not in self.known:
                self.known[version] = await self.costs(version)

    async def costs(self, version: str) -> Costs | None:
        row = await run(self.connection, self.queries["tariffs"], hex_of(version))
        if row is None:
            return None
        accounts = await run(self.connection, self.queries["accounts"], row["merchant_id"])
        return costs_of(version, row["document"], {r["name"]: public("con", r["id"]) or "" for r in accounts})


def wrong_fees(p: Payment, versions: Mapping[str, Costs | None]) -> str | None:
    """What is wrong with a payment's fees, in a sentence."""
    for a in p.attempts:
        if a.fees is None or not a.fees.tariffs or a.fees.missing in UNTOLD:
            continue
        costs = versions.get(a.fees.tariffs)
        if costs is None:
            return f"{a.reference}: its fees were told by {a.fees.tariffs}, which cannot be read"
        due = told_again(p, a, a.fees, costs)
        if any(getattr(due, name) != getattr(a.fees, name) for name in ("always", "back", "nano", "minor")):
            return f"{a.reference}: its fees are {shown(a.fees)} (minor units), by {a.fees.tariffs} {shown(due)}"
    for a in p.attempts:
        if a.operation is not Operation.AUTHORIZE:
            continue
        under = [x for x in p.attempts if a.id in {x.id, x.parent} and x.fees is not None]
        left = left_of_returnable(under)
        if any(n < 0 for n in left.values()):
            return f"{a.reference}: refunds brought back more fees than there were: {left}"
    return None


def told_again(p: Payment, a: Attempt, fees: Fees, costs: Costs) -> Fees:
    source = p.attempt(a.parent).fees if a.parent else fees
    found = at_price(p, a, Fees(), source.facts if source is not None else {}, costs, fees.at)
    nano = found.nano if stands(p, a) else found.always
    return structs.replace(found, nano=nano, minor=rounded(nano))


def left_of_returnable(attempts: list[Attempt]) -> dict[str, int]:
    left: dict[str, int] = {}
    for a in attempts:
        assert a.fees is not None
        if a.operation is Operation.REFUND:
            left = added(left, a.fees.nano)
        elif a.approved_minor is not None or a.state in APPROVED:
            left = added(left, a.fees.back)
    return left


def shown(f: Fees) -> str:
    return ", ".join(f"{c} {n}" for c, n in sorted(f.minor.items())) or "none"
