"""The simulated world: its state, its clock, its chance, and the news it has to tell."""

import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import Random

import msgspec

from . import records as r
from .config import SandboxConfig
from .echo import Echo, with_card
from .faults import Faults
from .state import State

COMMON = (r.Authorization, r.Truth, r.Answered, r.Token, r.Challenge, r.Task, r.Notice)
# Ids have to be fresh after a restart too, so they are not drawn from the sandbox's seed.
_IDS = Random()  # noqa: S311 - an id, not a secret
_SPREAD = 0.3  # sigma of the lognormal latency: p99 is about twice the median


class World:
    """Everything one sandbox process knows; only ever touched from its event loop."""

    def __init__(self, config: SandboxConfig, kinds: Sequence[type[r.Record]]) -> None:
        self.config = config
        self.state = State((*COMMON, *kinds), config.state_path)
        self.faults = Faults()
        self.truth: list[bytes] = [_line(line) for line in self.state.all(r.Truth)]
        self.in_use: set[str] = set()  # idempotency keys of requests that are being answered
        self.alarm: Callable[[r.Task | r.Notice], None] = lambda _: None
        self.echo: Echo | None = None  # the card that the request being answered has to see again
        self._chance = Random(config.seed)  # noqa: S311 - simulated latency, not a secret

    def latency_seconds(self) -> float:
        """How long this request takes the PSP, before any fault."""
        median = self.config.latency_ms
        return median / 1000 * math.exp(self._chance.gauss(0.0, _SPREAD)) if median else 0.0

    def tell(
        self,
        auth: r.Authorization,
        operation: r.Operation,
        outcome: r.Outcome,
        minor: int,
        *,
        reference: str,
        psp_reference: str,
    ) -> None:
        """Write a line of ground truth. No money, no line: a zero-amount check moves nothing."""
        if not minor:
            return
        n = len(self.truth) + 1
        line = r.Truth(
            id=str(n),
            n=n,
            connector=auth.connector,
            merchant_account=auth.merchant_account,
            reference=reference,
            operation=operation,
            psp_reference=psp_reference,
            minor=minor,
            currency=auth.currency,
            outcome=outcome,
            at=datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        )
        self.state.put(line)
        self.truth.append(_line(line))

    def later(self, name: str, subject: str, delay_ms: float | None = None) -> None:
        """Let the PSP do `name` to `subject` by itself after a while."""
        wait_ms = self.config.later_ms if delay_ms is None else delay_ms
        task = r.Task(id=token(), name=name, subject=subject, due_at=time.time() + wait_ms / 1000)
        self.state.put(task)
        self.alarm(task)

    def notify(self, connector: str, target: str, body: bytes) -> None:
        """Send a notification to one target, unless a fault has other plans for it."""
        strikes = self.faults.strikes
        if strikes(connector, "lost_notification"):
            return
        if self.echo is not None:
            body = with_card(body, self.echo)
        wait = self.config.notify_delay_ms / 1000
        for kind in ("late_notification", "reordered_notifications"):
            if fault := strikes(connector, kind):
                wait += self.faults.delay_seconds(fault)
        copies = 2 if strikes(connector, "duplicate_notification") else 1
        for copy in range(copies):
            due_at = time.time() + wait + copy * 0.05
            notice = r.Notice(id=token(), connector=connector, target=target, body=body, due_at=due_at)
            self.state.put(notice)
            self.alarm(notice)

    def visible_at(self, connector: str) -> float:
        """When (Unix seconds) a payment made now can be found other than by its id."""
        now = time.time()
        if fault := self.faults.strikes(connector, "inquiry_lag"):
            return now + self.faults.delay_seconds(fault)
        return now


def _line(line: r.Truth) -> bytes:
    fields = {name: getattr(line, name) for name in line.__struct_fields__ if name != "id"}
    return msgspec.json.encode(fields)


def token(length: int = 24) -> str:
    """A fresh id of small hexadecimal digits."""
    return f"{_IDS.getrandbits(4 * length):0{length}x}"


def short_reference() -> str:
    """A fresh id of sixteen capital hexadecimal digits."""
    return f"{_IDS.getrandbits(64):016X}"
