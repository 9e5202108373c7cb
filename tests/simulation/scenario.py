"""What is done in a world: the payment is made ready, the operation is tested under faults, then all is let heal."""

from collections.abc import Callable
from functools import partial

from msgspec import structs
from structlog.testing import capture_logs

from scrooge.domain.attempt import State
from scrooge.domain.payment import Payment, authorization_of, status_of
from tests.simulation.cells import BEHAVIORS, POINTS, Cell
from tests.simulation.clock import SECOND, Steps
from tests.simulation.oracle import CONTRADICTING, audit
from tests.simulation.steps import Asked
from tests.simulation.store import Violation
from tests.simulation.world import FAULTS_LAST, HEALING, World

MINOR = 1000
CALM = Cell("none", "sale", "normal", "waits")  # how a wild world begins
READY: dict[str, tuple[str, ...]] = {
    "authorize": (), "sale": (), "continue": ("sale",),
    "capture": ("authorize",), "void": ("authorize",), "refund": ("sale",),
}  # fmt: skip


class Failure(AssertionError):
    """A world went wrong; the message names its seed, its cell and how to see it again."""


def play(seed: int, cell: Cell | None = None, trace: bool = False) -> World:
    """One world from start to audit; without a cell, a wild one. Raises Failure."""
    w = World(f"{seed}:{cell}", cell or CALM, trace, wild=cell is None)
    try:
        with capture_logs():
            w.spawn("client", story(w, cell) if cell is not None else storm(w))
            w.run(FAULTS_LAST + HEALING)
            if w.away:
                w.run(FAULTS_LAST + HEALING + w.away)
            audit(w)
    except Exception as error:
        again = f"python -m tests.simulation --seed {seed} --cell {cell or 'wild'} --trace"
        raise Failure(f"SEED={seed} CELL={cell or 'wild'}: {type(error).__name__}: {error}\n  {again}") from error
    return w


def story(w: World, cell: Cell) -> Steps:
    p = yield from ready(w, cell)
    w.testing = True
    w.faults_until = w.now + int(FAULTS_LAST * SECOND)
    w.armed = None if cell.point == "none" else cell.point
    asked = request(w, cell, p)
    if cell.operation == "continue":
        asked = yield from authenticated(w, asked, p)
    yield from w.client(asked)


# --- wild worlds ---


def storm(w: World) -> Steps:
    """A payment and whatever callers do with it, while PSPs change their minds and processes die."""
    draw = w.random
    w.testing, w.faults_until = True, w.now + int(FAULTS_LAST * SECOND)
    w.down_for = draw.choice((6.0, 6.0, 60.0, 600.0))
    kinds = draw.sample(BEHAVIORS, draw.randint(1, 4))
    if draw.random() < 0.6:
        kinds = [k for k in kinds if k not in CONTRADICTING] or ["normal"]
    if {"decline_then_success", "lost_notification"} <= set(kinds):
        kinds.remove("lost_notification")  # Together, only a settlement file could tell.
    if draw.random() < 0.1:  # Nobody asks for longer than a PSP keeps its keys.
        w.away = draw.uniform(20, 60) * 3600
        for worker in ("worker", "worker 2"):
            w.later(draw.uniform(0, 60), partial(w.freeze, worker, w.away))
    w.spawn("weather", weather(w, kinds))
    operation = draw.choice(("authorize", "sale"))
    if draw.random() < 0.4:
        w.spawn("client", w.client(Asked(key="check", operation="verify", reference="check-1", minor=0)))
    yield from w.client(Asked(key="make", operation=operation, reference="order-1", minor=MINOR))
    for n in range(draw.randint(1, 5)):
        yield draw.choice((0.01, 1.0, 10.0, 30.0))
        p = next((p for p in w.store.payments.values() if p.minor), None)
        if p is None:
            continue
        what = draw.choice(
            ("capture", "capture", "refund", "refund", "void", "again", *(["increment"] * 2 * p.incremental))
        )
        stripe = w.accounts[p.attempts[-1].connector_account].name == "stripe"
        part = (
            draw.randint(1, MINOR)
            if what == "increment" or (what in {"capture", "refund"} and draw.random() < 0.7)
            else None
        )
        asked = Asked(
            key=f"ask{n}", operation=what, reference=None if what == "again" else f"part-{n}", minor=part,
            final=what == "capture" and part is not None and stripe, payment=p.id,
        )  # fmt: skip
        w.spawn("client", w.client(asked))


def weather(w: World, kinds: list[str]) -> Steps:
    """Every few seconds another fault and another crash point."""
    while w.faulty():
        w.cell = w.cell._replace(behavior=w.random.choice(kinds))
        w.behaviors.add(w.cell.behavior)
        if w.random.random() < 0.5:
            w.armed, w.left = w.random.choice(POINTS[1:]), w.random.randint(1, 4)
        if w.random.random() < 0.2:
            w.freeze(w.random.choice(("serve", "worker", "worker 2")), w.random.uniform(1, 40))
        yield w.random.uniform(1, 20)
    w.armed = None


def ready(w: World, cell: Cell) -> Steps:
    """The payment that the tested operation builds on."""
    for operation in READY[cell.operation]:
        yield from w.call(Asked(key="ready", operation=operation, reference="order-1", minor=MINOR), True)
    yield 5.0  # Its notifications have come.
    return next(iter(w.store.payments.values()), None)


def request(w: World, cell: Cell, p: Payment | None) -> Asked:
    """A part or all; PSPs that capture once release the rest."""
    draw: Callable[[], float] = w.random.random
    minor: int | None = MINOR
    reference = "order-1"
    if p is not None:
        reference = "part-1"
        minor = None if cell.operation == "void" or draw() < 0.5 else w.random.randint(1, MINOR)
    final = cell.operation == "capture" and minor is not None and w.route[0].name == "stripe"
    return Asked(
        key="tested", operation=cell.operation, reference=reference, minor=minor, final=final,
        payment=p.id if p is not None else None,
    )  # fmt: skip


def authenticated(w: World, asked: Asked, p: Payment | None) -> Steps:
    """The payer does what is asked at the PSP, whose decision comes under the tested behavior."""
    assert p is not None
    a = authorization_of(p)
    if a is None or a.state is not State.ACTION_REQUIRED:
        raise Violation(f"not ready: {status_of(p)}")
    yield w.random.uniform(0.1, 2)
    details = w.accounts[a.connector_account].psp.payer_acts(a.psp_reference or "", True)
    if w.random.random() < 0.5:  # The browser comes back too, at any time.
        w.spawn("payer", w.visit(p.id, details), w.random.uniform(0, 3))
    return structs.replace(asked, details=details)
