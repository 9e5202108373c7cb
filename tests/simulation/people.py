"""Callers and payers: how they ask, ask again, hang up, come back."""

from msgspec import Struct, structs

from scrooge.domain.payment import Payment, authorization_of
from tests.simulation import steps
from tests.simulation.cells import CLIENTS
from tests.simulation.clock import Lost, Steps, Task, TimedOut
from tests.simulation.outside import IN_DOUBT, LATE, SOUND, Outside
from tests.simulation.steps import Asked
from tests.simulation.store import Store


class Answer(Struct, frozen=True):
    """What a caller was told: the payment as it was then, or a problem."""

    asked: Asked
    status: int
    payment: Payment | None
    attempt: str | None


class People(Outside):
    """Who uses Scrooge."""

    store: Store
    answers: list[Answer]
    hanging_up: Task | None

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
