"""All policies through the same payments of one world, side by side, and what they come to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from scrooge.routing.trial.baselines import BASELINES, Fixed, Window
from scrooge.routing.trial.issuers import Issuers, Payment
from scrooge.routing.trial.luck import mixed
from scrooge.routing.trial.oracle import Oracle
from scrooge.routing.trial.play import Play, started
from scrooge.routing.trial.rules import Gate
from scrooge.routing.trial.strategy import Strategy
from scrooge.routing.trial.world import World

POLICIES = ("scrooge", "window", "window_cost", "best_single", "random", "round_robin", "oracle")
STEP = 1000  # payments between two words to the one who waits


class Trial:
    """`strategies` makes each policy by name, `gate` what enforces the schemes' rules. Nothing in it is by chance."""

    def __init__(
        self, world: World, payments: int, seed: int, strategies: Mapping[str, Callable[[], Strategy]],
        gate: Callable[[], Gate], policies: Sequence[str] = POLICIES,
    ) -> None:  # fmt: skip
        self.world, self.payments, self.seed = world, payments, seed
        self.issuers = Issuers(world, seed, gate)
        self.oracle = Oracle(self.issuers)
        self.judge = "oracle" in policies
        made: dict[str, Strategy | None] = {}
        for name in policies:
            if name == "oracle":
                made[name] = None
            elif name == "best_single":
                made |= {f"best_single {a}": Fixed(a) for a in self.issuers.names}
            elif name == "window_cost":
                made[name] = Window(self.worth)
            else:
                made[name] = {**BASELINES, **strategies}[name]()
        self.plays = [
            Play(name, strategy, self.issuers, self.oracle, gate(), mixed(self.issuers.key, -100 - n), self.judge)
            for n, (name, strategy) in enumerate(made.items())
        ]

    def worth(self, facts: Any, account: str, rate: float) -> float:
        """A rate as the peers' ranking by cost has it: auth x (margin - cost), from what the contract says."""
        a = next(a for a in self.world.accounts if a.name == account)
        cost = a.cost.approved_bps + float(a.cost.approved_minor) / facts.minor * 10_000
        return rate * (self.world.margin_bps - cost)

    def stream(self) -> Iterator[Payment]:
        p: Payment | None = None
        for _ in range(self.payments):
            yield (p := self.issuers.after(p))

    def run(self, progress: Callable[[int], None] = lambda _: None) -> dict[str, Any]:
        for n, payment in enumerate(self.stream(), 1):
            start = started(self.issuers, self.oracle, payment, self.judge)
            for play in self.plays:
                play.come(start)
            if n % STEP == 0:
                progress(n)
        for play in self.plays:
            play.finish()
        return self.told()

    def told(self) -> dict[str, Any]:
        found = {play.name: self.of(play) for play in self.plays}
        singles = [name for name in found if name.startswith("best_single ")]
        if singles:
            by = "net_value" if self.judge else "realized_value"
            best = max(singles, key=lambda name: found[name][by])
            found["best_single"] = found[best] | {"account": best.removeprefix("best_single ")}
            for name in singles:
                del found[name]
        return {
            "world": self.world.name, "simulated": True, "about": self.world.about, "currency": self.world.currency,
            "payments": self.payments, "seed": self.seed, "rate_per_second": self.world.rate,
            "policies": found,
        }  # fmt: skip

    def of(self, play: Play) -> dict[str, Any]:
        found = play.tally.told(self.judge)
        found["scheme_violations"] = play.umpire.violations.total()
        if play.umpire.violations:
            found["violated"] = dict(play.umpire.violations)
        if play.watched:
            found["outages"] = [
                w.told() | {"since_seconds": (w.since - self.issuers.start) / 1e6} for w in play.watched
            ]
        return found
