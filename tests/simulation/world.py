"""One world: Scrooge's two processes, two PSPs, a network, a caller and a payer, all on one seed."""

from collections import Counter

from scrooge.connectors.connector import Request
from scrooge.domain.attempt import State
from scrooge.domain.late import Late
from scrooge.domain.payment import Payment, authorization_of
from scrooge.ids import encode
from tests.simulation import work
from tests.simulation.adyen import Adyen
from tests.simulation.cells import Cell
from tests.simulation.clock import SECOND, Crashed, Task
from tests.simulation.outside import IN_DOUBT, RECORDED, Account
from tests.simulation.people import Answer, People
from tests.simulation.perform import change_of
from tests.simulation.steps import Asked
from tests.simulation.store import Store, Violation
from tests.simulation.stripe import Stripe

FAULTS_LAST = 90.0  # seconds, from the operation that is tested
HEALING = 2.5 * 3600  # and then the resolver has this long


class World(People):
    """`cell` says what is tested. A wild world changes its PSPs' behavior and crashes as it goes."""

    def __init__(self, seed: str, cell: Cell, trace: bool = False, wild: bool = False) -> None:
        super().__init__(seed)
        self.seed, self.cell, self.tracing, self.wild = seed, cell, trace, wild
        self.behaviors = {cell.behavior}
        self.down_for = 6.0
        self.away = 0.0  # seconds for which no worker works
        self.store, self.counts = Store(), Counter[str]()
        self.answers: list[Answer] = []
        self.reached: Counter[str] = Counter()
        self.armed: str | None = None
        self.left = 1
        self.died_at: list[str] = []
        self.testing = False
        self.faults_until = 0
        self.turn_at = 0
        self.serial = 0
        self.struck = 0
        self.waiting: set[str] = set()
        self.hanging_up: Task | None = None
        self.policy = Late.KEEP if wild and self.random.random() < 0.2 else Late.REFUND
        self.livemode = self.random.random() < 0.3
        self.accounts: dict[str, Account] = {}
        for n, kind in enumerate((Stripe, Adyen), start=1):
            name = kind.__name__.lower()
            psp = kind(name, self, self.fate_at(name))
            psp.outbox, psp.dawdles = self.outbox, self.cell.point in IN_DOUBT
            credentials = {"api_key": "key", "webhook_secret": psp.secret, "hmac_key": psp.secret}
            self.accounts[f"con_{n}"] = Account(f"con_{n}", name, psp, "Shop", credentials)
        first = self.first_psp()
        self.route = sorted(self.accounts.values(), key=lambda a: a.name != first)

    # --- Scrooge's own: crash points, saving, the worker's turns ---

    def new_id(self, prefix: str) -> str:
        self.serial += 1
        return encode(prefix, 0x7 << 76 | 0x2 << 62 | self.serial)

    def reach(self, point: str, seconds: float = 0.0) -> None:
        """The process dies here if it is armed for this point, at once or so many seconds later."""
        self.reached[point] += 1
        if point in RECORDED and self.hanging_up is not None and self.testing:
            hanging_up, self.hanging_up = self.hanging_up, None
            self.later(0, lambda: self.kill(hanging_up))
        if self.armed != point or not self.testing:
            return
        self.left -= 1
        if self.left > 0:
            return
        self.armed = None
        self.died_at.append(point)
        if not seconds:
            raise Crashed
        assert self.current is not None
        process = self.current.process
        self.later(seconds, lambda: self.crash(process))

    def crash(self, process: str) -> None:
        self.trace(f"!! {process} dies at {self.died_at[-1:]}")
        super().crash(process)
        self.later(self.random.uniform(0.3, self.down_for), lambda: self.restart(process))

    def restart(self, process: str) -> None:
        self.trace(f"   {process} is back")
        self.down.discard(process)
        self.turn_at = 0
        self.wake_worker()

    def save(self, before: Payment, after: Payment, requests: dict[str, Request] | None = None) -> bool:
        written = self.store.save(change_of(self, before, after, requests), self.now)
        if written:
            self.saved(before, after)
        else:
            self.count("overtaken")
        return written

    def must_save(self, before: Payment, after: Payment, requests: dict[str, Request] | None = None) -> None:
        if not self.save(before, after, requests):
            raise Violation("the payment was locked, so nobody else can have changed it")

    def create(self, p: Payment, asked: Asked, request: Request, ask_at: int) -> bool:
        made = self.store.create(p, asked.key, asked.operation, request, ask_at)
        self.wake_worker()
        return made

    def saved(self, before: Payment, after: Payment) -> None:
        known = {a.id: a.state for a in before.attempts}
        for a in after.attempts:
            if a.state != known.get(a.id):
                self.trace(
                    f"   {a.reference[-3:]} {a.operation}: {known.get(a.id, 'new')} -> {a.state} {a.reason or ''}"
                )
        a = authorization_of(after)
        if a is not None and a.state is State.ACTION_REQUIRED and self.testing:
            if after.id not in self.waiting:
                self.waiting.add(after.id)
                self.spawn("payer", self.payer(after.id, a.psp_reference or ""))
        elif a is not None and a.state is not State.SENT:
            self.waiting.discard(after.id)
        self.wake_worker()

    def wake_worker(self) -> None:
        due = self.store.due()
        if due is None:
            return
        at = max(due, self.now + 1000)
        if self.turn_at <= self.now or at < self.turn_at:
            self.turn_at = at
            self.later((at - self.now) / SECOND, lambda: self.turn(at))

    def turn(self, at: int) -> None:
        if at != self.turn_at:
            return
        self.turn_at = 0
        ready = [n for n in ("worker", "worker 2") if n not in self.down and self.frozen.get(n, 0) <= self.now]
        if ready:
            work.turn(self, self.random.choice(ready))
            self.wake_worker()

    def freeze(self, process: str, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later: what it was about to do, it does then."""
        self.trace(f"!! {process} stops for {seconds:.0f} s")
        self.count("freezes")
        self.frozen[process] = max(self.frozen.get(process, 0), self.now + int(seconds * SECOND))
        self.later(seconds + 0.001, self.woken)

    def woken(self) -> None:
        self.turn_at = 0
        self.wake_worker()
