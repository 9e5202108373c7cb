"""What is outside of Scrooge: what issuers say, the network between, notifications; and all that goes wrong there."""

from collections import Counter
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.connectors.connector import Request
from tests.simulation import work
from tests.simulation.cells import MODIFICATIONS, Cell
from tests.simulation.clock import Clock, Lost, Steps, Task, TimedOut
from tests.simulation.perform import TIMEOUT
from tests.simulation.psp import Psp, Reply
from tests.simulation.store import Violation

DECLINES = {"stripe": ("do_not_honor", "insufficient_funds", "unheard_of"), "adyen": ("2", "12", "77")}
WIRE = frozenset({
    "drop_request", "charge_then_drop", "charge_then_500", "500_before", "slow", "reset_midway", "garbage",
    "wrong_amount", "outage",
})  # fmt: skip
POSSIBLE = {"challenge": {"authorize", "verify", "continue"}, "partial": {"authorize", "continue"}}
RECORDED = frozenset({"record.after", "continue.after"})
NEWS = frozenset({"inbox.before", "inbox.after", "receive.claimed", "receive.applied"})
# Points at which the cell is about what was lost, so that no notification may settle it first.
LATE = frozenset({"send.after", "answer.before", "answer.after"})  # points that a lost answer is long in coming to
IN_DOUBT = frozenset({"resolve.claimed", "resolve.applied"})
GIVEN_BACK = frozenset({"reverse.before", "reverse.after"})
SLOW_NEWS = IN_DOUBT | GIVEN_BACK | frozenset({"record.before", "record.written", "record.after", "send.before",
                       "send.written", "continue.before", "continue.after", "commit.before", "commit.after"})  # fmt: skip
# Points that every request passes, whatever the issuer says.
SOUND = frozenset(
    {"none", "record.before", "record.written", "record.after", "send.before", "send.written", "send.after"}
)


class Account(Struct, frozen=True):
    id: str
    name: str
    psp: Psp
    merchant_account: str
    credentials: dict[str, str]


class Outside(Clock):
    """PSPs and the network, as the cell wants them."""

    cell: Cell
    wild: bool
    testing: bool
    tracing: bool
    faults_until: int
    struck: int
    livemode: bool
    counts: Counter[str]
    accounts: dict[str, Account]
    route: list[Account]

    def pause(self) -> float:
        return self.random.uniform(0.0005, 0.02)

    def count(self, what: str) -> None:
        self.counts[what] += 1

    def trace(self, text: str) -> None:
        if self.tracing:
            print(f"{self.elapsed:12.3f}  {text}")

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

    def called(self, call: Steps) -> Task:
        """A request to the API's process; a connection that breaks at once while that is down."""
        task = self.spawn("serve", call)
        if "serve" in self.down:
            self.kill(task)
        return task


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
