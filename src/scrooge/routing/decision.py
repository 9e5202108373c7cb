"""What a decision is made of, and what is kept of it: the accounts, their scores, and why. Pure."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from scrooge.routing.costs import Costs
from scrooge.routing.estimates import Estimates
from scrooge.routing.health import Health
from scrooge.routing.shares import Shares
from scrooge.routing.switches import Manual
from scrooge.routing.volumes import Usage


class Knowledge(Struct, frozen=True, kw_only=True):
    """All that is known when a payment is routed. `sticky`: the account that approved the stored credential last."""

    estimates: Estimates
    costs: Costs
    health: Health
    shares: Shares
    manual: Mapping[str, Sequence[Manual]] = {}
    volumes: Usage = {}
    sticky: str | None = None
    livemode: bool = False


class Score(Struct, frozen=True, kw_only=True):
    """One account's: `value` is the expected gain in minor units, of which the others are the parts.

    `share`: how likely it was to be the first. `approval` is a probability, `doubt` the deviation of `value`;
    `cost_nano` is what an approved payment costs, in billionths of a minor unit.
    """

    account: str
    name: str
    value: float
    share: float
    approval: float
    doubt: float
    cost_nano: int
    waiting: float
    steering: float
    probe: bool = False


class Decision(Struct, frozen=True, kw_only=True):
    """To be recorded whole: what was eligible, why the others were not, each score, and how likely this choice was.

    `scores` are in the order in which to try. `propensity` is the probability with which the first became the first.
    """

    policy: str
    way: str
    scores: tuple[Score, ...]
    excluded: Mapping[str, str]
    propensity: float
    rules: tuple[str, ...]
    because: str
    at: int

    @property
    def accounts(self) -> tuple[str, ...]:
        return tuple(s.account for s in self.scores)
