"""What a policy achieved. Sums of money are expectations or totals over many payments, so they may be floats."""

from typing import Any

from msgspec import Struct, field

from scrooge.routing.trial.calendar import MINUTE, SECOND
from scrooge.routing.trial.world import Outage

NEXT, FEW = 50, 0.1  # an outage is noticed when fewer than one in ten of the next fifty still go there


class Watched(Struct):
    """One PSP's outage under one policy: for each payment it touches, when, whether it was sent there first."""

    since: int
    until: int
    outage: Outage
    at: list[int] = field(default_factory=list)
    there: list[bool] = field(default_factory=list)
    payments: int = 0  # of the first minute, whether touched or not
    met: int = 0  # of those: an attempt failed for the outage
    lost: int = 0  # of those: not approved in the end

    def reaction(self) -> float | None:
        """Seconds until fewer than one in ten are still sent there; None: not before it was over."""
        few = max(1, int(NEXT * FEW))
        running = sum(self.there[:NEXT])
        for n in range(len(self.there) - NEXT + 1):
            if running < few:
                return 0.0 if n == 0 else (self.at[n] - self.since) / SECOND
            if n + NEXT < len(self.there):
                running += self.there[n + NEXT] - self.there[n]
        return None

    def told(self) -> dict[str, Any]:
        share = self.lost / self.payments if self.payments else None
        return {
            "account": self.outage.account, "kind": self.outage.kind, "share": self.outage.share,
            "since_seconds": None, "reaction_seconds": self.reaction(), "payments_first_minute": self.payments,
            "met_first_minute": self.met, "lost_first_minute": self.lost,
            "lost_share_first_minute": None if share is None else round(share, 5),
        }  # fmt: skip

    def first_minute(self, at: int) -> bool:
        return self.since <= at < self.since + MINUTE


class Tally(Struct):
    """Of one policy. Minor units; `cost` is what the accounts took, of `volume`, what was approved."""

    payments: int = 0
    approved: int = 0
    first_try: int = 0
    attempts: int = 0
    retries: int = 0
    later: int = 0  # of the retries: in a later round
    refused: int = 0  # attempts that the schemes' rules did not let out
    volume: int = 0
    cost: float = 0.0
    realized: float = 0.0
    best: float = 0.0  # what the best choices were worth when the payments came
    regret: float = 0.0

    def told(self, judged: bool) -> dict[str, Any]:
        many = max(1, self.payments)
        found: dict[str, Any] = {
            "auth_rate": round(self.approved / many, 6),
            "first_try": round(self.first_try / many, 6),
            "cost_bps": round(self.cost / self.volume * 10_000, 3) if self.volume else 0.0,
            "realized_value": round(self.realized, 2),
            "retries": self.retries,
            "later_retries": self.later,
            "attempts": self.attempts,
            "refused_by_rules": self.refused,
        }
        if judged:
            found |= {"net_value": round(self.best - self.regret, 2), "regret": round(self.regret, 2)}
        return found
