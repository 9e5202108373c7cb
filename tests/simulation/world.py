"""One world: Scrooge's two processes, two PSPs, a network, a caller and a payer, all on one seed."""

from collections import Counter
from typing import Any

import msgspec
from msgspec import Struct, structs

from scrooge.connectors.connector import Request
from scrooge.domain.attempt import State
from scrooge.domain.payment import Payment, authorization_of
from scrooge.ids import encode
from tests.simulation import steps, work
from tests.simulation.adyen import Adyen
from tests.simulation.cells import CLIENTS, MODIFICATIONS, Cell
from tests.simulation.clock import SECOND, Clock, Crashed, Lost, Steps, Task, TimedOut
from tests.simulation.perform import TIMEOUT, change_of
from tests.simulation.psp import Psp, Record, Reply
from tests.simulation.steps import Asked
from tests.simulation.store import Store, Violation
from tests.simulation.stripe import Stripe

FAULTS_LAST = 90.0  # seconds, from the operation that is tested
HEALING = 2.5 * 3600  # and then the resolver has this long
DECLINES = {"stripe": ("do_not_honor", "insufficient_funds", "unheard_of"), "adyen": ("2", "12", "77")}


class Account(Struct, frozen=True):
    id: str
    name: str
    psp: Psp
    merchant_account: str
    credentials: dict[str, str]


class Answer(Struct, frozen=True):
    """What a caller was told: the payment as it was then, or a problem."""

    asked: Asked
    status: int
    payment: Payment | None
    attempt: str | None


class World(Clock):
    """`cell` says what is tested. A wild world changes its PSPs' behavior and crashes as it goes."""

    def __init__(self, seed: str, cell: Cell, trace: bool = False, wild: bool = False) -> None:
        super().__init__(seed)
        self.seed, self.cell, self.tracing, self.wild = seed, cell, trace, wild
        self.behaviors = {cell.behavior}
        self.down_for = 6.0
        self.long_outage = False
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
        self.livemode = self.random.random() < 0.3
        self.accounts = {}
        for n, kind in enumerate((Stripe, Adyen), start=1):
            name = kind.__name__.lower()
            psp = kind(name, self, self.fate_at(name))
            psp.outbox, psp.dawdles = self.outbox, self.cell.point in IN_DOUBT
            credentials = {"api_key": "key", "webhook_secret": psp.secret, "hmac_key": psp.secret}
            self.accounts[f"con_{n}"] = Account(f"con_{n}", name, psp, "Shop", credentials)
        self.route = sorted(self.accounts.values(), key=lambda a: a.name != self.first_psp())

    # --- set-up ---

    def first_psp(self) -> str:
        """A cell that only one PSP can show is shown by that one."""
        if self.cell.behavior == "partial":
            return "adyen"
        refused = self.cell.behavior in {"declined", "decline_then_success"}
        if (
            self.cell.operation in MODIFICATIONS
            and refused
            and self.cell.point.startswith(("inbox", "receive", "commit"))
        ):
            return "adyen"  # accepts first, and tells later
        if self.cell.behavior == "wrong_amount" and self.cell.operation in MODIFICATIONS:
            return "stripe"
        if self.cell.behavior == "pending" and self.cell.point in IN_DOUBT:
            return "stripe"  # can be asked
        if (
            self.cell.behavior == "lost_notification"
            and self.cell.point in IN_DOUBT
            and self.cell.operation in MODIFICATIONS
        ):
            return "adyen"  # says nothing more
        return self.random.choice(("stripe", "adyen"))

    def new_id(self, prefix: str) -> str:
        self.serial += 1
        return encode(prefix, 0x7 << 76 | 0x2 << 62 | self.serial)

    def pause(self) -> float:
        return self.random.uniform(0.0005, 0.02)

    def count(self, what: str) -> None:
        self.counts[what] += 1

    def trace(self, text: str) -> None:
        if self.tracing:
            print(f"{self.elapsed:12.3f}  {text}")

    # --- Scrooge's own: crash points, saving, the worker's turns ---

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
        self.frozen[process] = self.now + int(seconds * SECOND)
        self.later(seconds + 0.001, self.woken)

    def woken(self) -> None:
        self.turn_at = 0
        self.wake_worker()

    # --- what PSPs do ---

    def faulty(self) -> bool:
        return self.testing and self.now < self.faults_until

    def fate_at(self, name: str) -> Any:
        def fate(operation: str, first: bool) -> str:
            return self.fate(name, operation)

        return fate

    def fate(self, name: str, operation: str) -> str:
        """What the issuer says: before the operation that is tested, always yes."""
        if not self.testing:
            return (
                "challenge"
                if not self.wild and self.cell.operation == "continue" and operation == "authorize"
                else "approve"
            )
        behavior, tested = self.cell.behavior, self.wild or operation == self.tested_operation()
        code = self.random.choice(DECLINES[name])
        if not tested or not self.faulty():
            return "approve"
        if name != self.route[0].name:  # After a cascade.
            return "approve" if self.random.random() < 0.7 else f"decline:{code}"
        code = DECLINES[name][0] if self.cell.point.startswith("cascade") else code
        self.struck += behavior in {"declined", "pending", "challenge", "partial", "decline_then_success"}
        match behavior:
            case "declined":
                return f"decline:{code}"
            case "decline_then_success":
                return f"flip:{code}"
            case "challenge" if self.counts["challenges"] and (
                self.random.random() < 0.4 or self.cell.point not in SOUND
            ):
                return "approve"
            case "partial" if name == "stripe":
                return "approve"  # Cards at Stripe are approved whole, unless asked otherwise.
            case "pending" | "challenge" | "partial" if operation in POSSIBLE.get(behavior, {operation}):
                self.count("challenges")
                return behavior
        refuse = self.cell.point in SOUND and "notification" not in behavior and self.random.random() < 0.1
        return f"decline:{code}" if refuse else "approve"

    def tested_operation(self) -> str:
        return "authorize" if self.cell.operation == "sale" else self.cell.operation

    # --- the network ---

    def wire(self, psp: Psp, request: Request, left: float) -> Steps:
        """("reply", Reply), ("lost", None) after the first byte, or ("not sent", None) before it."""
        kind = self.strike(psp, request)
        self.trace(
            f"-> {psp.name} {request.method} {request.path[-40:]} {request.idempotency_key or ''} [{kind or 'ok'}]"
        )
        if kind == "outage":
            yield self.pause()
            return "not sent", None
        exchange = self.spawn("network", self.exchange(psp, request, kind))
        try:
            reply = yield exchange, left
        except TimedOut:
            reply = None
        shown = getattr(reply, "document", reply)
        self.trace(f"<- {psp.name} {reply.status if reply else 'lost'} {str(shown)[:150]}")
        return ("lost", None) if reply is None else ("reply", reply)

    def strike(self, psp: Psp, request: Request) -> str | None:
        """The fault that strikes this request: the first one always, later ones by chance."""
        behavior = self.cell.behavior
        psp.forgetful = behavior == "broken_idempotency" and self.faulty()
        psp.lag_seconds = (self.random.uniform(1, 50) if self.livemode else 10) if behavior == "inquiry_lag" else 0
        if not self.faulty() or (self.struck and self.random.random() < 0.5 and behavior != "outage"):
            return None
        kinds = {"broken_idempotency": "charge_then_drop", "inquiry_lag": "charge_then_500"}
        kind = kinds.get(behavior, behavior)
        if kind not in WIRE:
            return None
        self.struck += 1
        return kind

    def exchange(self, psp: Psp, request: Request, kind: str | None) -> Steps:
        """One request and its reply, whatever becomes of who sent it. None: the reply never comes."""
        yield self.random.uniform(0.01, 0.3)
        if kind in {"drop_request", "reset_midway"} and (kind == "drop_request" or self.random.random() < 0.5):
            if kind == "drop_request":
                yield 1000
            return None
        if kind == "500_before":
            stored = psp.name == "stripe" and request.idempotency_key is not None and self.random.random() < 0.5
            stored = stored and self.cell.point not in NEWS
            return psp.handle(request, stored_failure=True) if stored else Reply(500, {})
        if kind == "slow":
            if self.random.random() < 0.5:  # The PSP is slow; else the network is.
                psp.begin(request)
                yield TIMEOUT + self.random.uniform(0, 40)
                psp.finish(request)
                return None
            yield TIMEOUT + self.random.uniform(0, 40)
        reply = psp.handle(request)
        if kind == "charge_then_500":
            kept = psp.keys.get(request.idempotency_key or "")
            if psp.name == "stripe" and kept is not None and self.random.random() < 0.6:
                kept.reply = psp.failure()
            return Reply(500, {})
        yield self.random.uniform(0.01, 0.3)
        if kind in {"charge_then_drop", "reset_midway"}:
            return None
        if kind == "garbage":
            return Reply(200, self.random.choice((b"<html>busy</html>", b"", b"{", b"[]", b'{"id":"x"}')))
        return wronged(reply) if kind == "wrong_amount" else reply

    # --- notifications ---

    def outbox(self, psp: Psp, raw: bytes, kind: str) -> None:
        """How a PSP tells us by itself: signed, repeated until it is answered; and what goes wrong with that."""
        behavior, copies, low, high = self.cell.behavior, 1, 0.01, 4.0
        if self.faulty():
            self.struck += behavior.endswith(("notification", "notifications"))
            if behavior == "lost_notification":
                self.trace(f"   {psp.name} tells {kind}: lost")
                return
            copies = self.random.randint(2, 4) if behavior == "duplicate_notification" else 1
            if self.cell.point in SLOW_NEWS:
                low, high = 15, 60
            low, high = {"late_notification": (300, 7000), "reordered_notifications": (0, 150)}.get(
                behavior, (low, high)
            )
        for _ in range(copies):
            self.spawn("network", self.deliver(psp, raw, kind, False), self.random.uniform(low, high))
        if self.random.random() < 0.05:
            self.spawn("network", self.deliver(psp, raw, kind, True), self.random.uniform(0.01, 4))

    def deliver(self, psp: Psp, raw: bytes, kind: str, forged: bool) -> Steps:
        account = next(a for a in self.accounts.values() if a.psp is psp)
        for tries in range(12):
            body, headers = psp.signed(raw, forged)
            try:
                status = yield self.called(work.accept(self, account, body, headers)), 10
            except (Lost, TimedOut):
                status = 503
            if (status == 401) is not forged and status != 503:
                raise Violation(f"a {'forged' if forged else 'good'} notification was answered with {status}")
            if status < 500:
                self.trace(f"   {psp.name} tells {kind}: {status}")
                return
            yield 3.0 * 2**tries

    # --- callers and payers ---

    def called(self, call: Steps) -> Task:
        """A request to the API's process; a connection that breaks at once while that is down."""
        task = self.spawn("serve", call)
        if "serve" in self.down:
            self.kill(task)
        return task

    def payer(self, payment_id: str, psp_reference: str) -> Steps:
        """Sent to authenticate: comes back, comes twice, comes late, or never."""
        plan = self.random.choices(("success", "failure", "twice", "late", "never"), self.plans())[0]
        self.trace(f"   the payer's plan: {plan}")
        yield self.random.uniform(1, 60)
        account = self.accounts[authorization_of(self.store.read(payment_id)).connector_account]
        if plan == "never":
            return
        if plan == "late":
            yield 700
        details = account.psp.payer_acts(psp_reference, plan != "failure")
        for _ in range(2 if plan == "twice" else 1):
            yield from self.visit(payment_id, details)
            yield self.random.uniform(0.01, 2)

    def plans(self) -> tuple[int, ...]:
        if self.cell.point.startswith("resolve"):
            return (0, 0, 0, 0, 1)
        return (6, 2, 2, 1, 2) if self.cell.point in SOUND else (1, 1, 1, 0, 0)

    def visit(self, payment_id: str, details: dict[str, str]) -> Steps:
        for _ in range(6):
            try:
                yield self.called(steps.come_back(self, payment_id, details)), 30
            except (Lost, TimedOut):
                yield 2.0
            else:
                return

    def call(self, asked: Asked, persist: bool) -> Steps:
        """One request; a careful caller sends the same one until it has an answer."""
        for tries in range(40):
            self.trace(f"=> {asked.operation} {asked.minor or 'all'} key {asked.key}")
            try:
                status, told, attempt = yield self.called(steps.serve(self, asked)), 30
            except (Lost, TimedOut):
                status, told, attempt = 0, None, None
            p = told if isinstance(told, Payment) else None
            self.trace(f"<= {status} {told if p is None else [str(a.state) for a in p.attempts]}")
            if status:
                self.answers.append(Answer(asked, status, p, attempt))
            self.count(f"answers {status}")
            running = getattr(told, "code", None) == "request_in_progress"
            if not persist or (status and not running):
                return status
            yield self.random.uniform(0.5, 2.5 + tries)
        return 0

    def client(self, asked: Asked) -> Steps:
        """The caller's behavior with the request that is tested."""
        match self.random.choice(CLIENTS) if self.wild else self.cell.client:
            case "waits":
                yield from self.call(asked, False)
            case "retries":
                yield from self.call(asked, True)
            case "concurrent":
                self.spawn("client", self.call(asked, True))
                self.spawn("client", self.call(asked, True), self.random.uniform(0.01, 7))
            case "gives_up":
                task = self.called(steps.serve(self, asked))
                if self.cell.point in IN_DOUBT:
                    self.hanging_up = task
                    return
                low, high = (0.001, 4) if self.cell.point == "none" else (8, 12) if self.cell.point in LATE else (2, 4)
                yield self.random.uniform(low, high)
                self.kill(task)
            case "duplicates":
                for _ in range(self.random.randint(2, 5)):
                    self.spawn("client", self.call(asked, True), self.random.choice((0, self.pause())))
            case "other_key":
                self.spawn("client", self.call(asked, True))
                other = structs.replace(asked, key=f"{asked.key}-other")
                self.spawn("client", self.call(other, True), self.random.uniform(0, 8))
        return


WIRE = frozenset({
    "drop_request", "charge_then_drop", "charge_then_500", "500_before", "slow", "reset_midway", "garbage",
    "wrong_amount", "outage",
})  # fmt: skip
POSSIBLE = {"challenge": {"authorize", "continue"}, "partial": {"authorize", "continue"}}
RECORDED = frozenset({"record.after", "continue.after"})
NEWS = frozenset({"inbox.before", "inbox.after", "receive.claimed", "receive.applied"})
# Points at which the cell is about what was lost, so that no notification may settle it first.
LATE = frozenset({"send.after", "answer.before", "answer.after"})  # points that a lost answer is long in coming to
IN_DOUBT = frozenset({"resolve.claimed", "resolve.applied"})
SLOW_NEWS = IN_DOUBT | frozenset({"record.before", "record.written", "record.after", "send.before",
                       "send.written", "continue.before", "continue.after", "commit.before", "commit.after"})  # fmt: skip
# Points that every request passes, whatever the issuer says.
SOUND = frozenset(
    {"none", "record.before", "record.written", "record.after", "send.before", "send.written", "send.after"}
)
AMOUNTS = ("amount", "amount_capturable", "amount_received")


def wronged(reply: Reply) -> Reply:
    """The same reply with another amount of money in it."""
    document = msgspec.json.decode(reply.body)
    for name in AMOUNTS:
        if isinstance(document.get(name), int) and document[name]:
            document[name] += 100
        elif isinstance(document.get(name), dict):
            document[name]["value"] += 100
    return Reply(reply.status, document, reply.headers)


__all__ = ["FAULTS_LAST", "HEALING", "Record", "World"]
