"""The flows that callers and payers start, as generators: create, cascade, modify, continue after 3-D Secure."""

from functools import partial
from typing import Any

from msgspec import Struct, structs

from scrooge.connectors.connector import Request, render
from scrooge.crash import ON_ITS_WAY
from scrooge.domain.attempt import Operation, State
from scrooge.domain.news import continuing, hear
from scrooge.domain.outcome import ReversalKind, Reversed
from scrooge.domain.payment import ROOM, Payment, authorization_of, decide
from scrooge.domain.retry import Stop
from scrooge.errors import (
    AuthorizationLive,
    NothingToAuthenticate,
    Problem,
    ReferenceExists,
    RequestInProgress,
)
from scrooge.flows.modify import check_capability, check_increments, check_reference
from scrooge.flows.perform import GRACE
from scrooge.routing.choose import Candidate, choose
from scrooge.routing.retries import next_step
from tests.simulation.clock import SECOND, Steps
from tests.simulation.perform import TIMEOUT, account_of, apply, apply_or_unknown, ask, command_of, grouped, time_to_ask


class Asked(Struct, frozen=True, kw_only=True):
    """One request of a caller."""

    key: str
    operation: str  # sale, authorize, capture, void, refund, increment, verify, continue, again
    reference: str | None
    minor: int | None = None
    final: bool = False
    payment: str | None = None
    details: dict[str, str] = {}


# --- keys ---


def earlier(w: Any, asked: Asked) -> tuple[Payment, str | None] | None:
    row = w.store.keys.get(asked.key)
    if row is None:
        return None
    p = w.store.payments.get(row.payment)
    if p is None:
        raise ReferenceExists("the reference exists already under another key")
    deadline = max(row.deadline_at, p.deadline_at)
    if running(p, row.attempt) and w.now < deadline:
        raise RequestInProgress("the first request with this key is still running", retry_after=1)
    return p, row.attempt


def running(p: Payment, attempt_id: str | None) -> bool:
    if attempt_id is None or p.attempt(attempt_id).operation in {Operation.AUTHORIZE, Operation.VERIFY}:
        return not p.answered
    return p.attempt(attempt_id).state is State.SENT


# --- authorize ---


def create(w: Any, asked: Asked) -> Steps:
    yield w.pause()
    route = choose(
        [Candidate(a.id, a.name, True, w.livemode, True) for a in w.route], w.livemode
    )  # fmt: skip
    p = Payment(
        id=w.new_id("pay"), merchant="mer_1", caller="clr_1", reference=asked.reference or "", minor=asked.minor or 0,
        currency="EUR", livemode=w.livemode, sale=asked.operation == "sale", accounts=route.accounts[1:],
        customer="user-1", instrument="ins_1", return_url="https://shop.example/r", created_at=w.now,
        incremental=w.wild and asked.operation == "authorize",
    )  # fmt: skip
    p, request = attempted(w, p, route.accounts[0])
    yield w.pause()
    w.reach("record.before")
    ask_at = time_to_ask(w, p.attempts[0])
    if not (yield from grouped(w, lambda: w.create(p, asked, request, ask_at))):
        return existing(w, asked)
    w.reach("record.after")
    return (yield from through(w, p, request)), p.attempts[0].id


def existing(w: Any, asked: Asked) -> tuple[Payment, str | None]:
    try:
        before = earlier(w, asked)
    except ReferenceExists:
        before = None
    if before is not None:
        return before
    raise ReferenceExists("this reference was used before, under another key")


def again(w: Any, asked: Asked) -> Steps:
    yield w.pause()
    before = earlier(w, asked)
    if before is not None:
        return before
    yield w.pause()
    current = w.store.read(asked.payment)
    accounts = tuple(a.id for a in w.route)
    try:
        after, request = attempted(w, structs.replace(current, accounts=accounts[1:], answered=False), accounts[0])
    except AuthorizationLive:
        before = earlier(w, asked)
        if before is None:
            raise
        return before
    attempt = after.attempts[-1]
    if asked.key in w.store.keys:
        return earlier(w, asked)
    w.reach("record.before")
    w.reach("record.written")
    w.store.claim_key(asked.key, asked.operation, after.id, attempt.id, after.deadline_at)
    w.must_save(current, after, {attempt.id: request})
    w.reach("record.after")
    after = structs.replace(after, version=current.version + 1)
    return (yield from through(w, after, request)), attempt.id


def through(w: Any, p: Payment, request: Request) -> Steps:
    tries = 0
    while True:
        tries += 1
        attempt = p.attempts[-1]
        endpoint = account_of(w, attempt).psp.connector.endpoints[attempt.operation]
        outcome = yield from ask(w, p, attempt.id, endpoint, request, True)
        verifies = attempt.operation is Operation.VERIFY  # It goes nowhere else.
        step = Stop("a verification") if verifies else next_step(outcome, tries, len(p.accounts))
        last = isinstance(step, Stop)
        after = yield from apply_or_unknown(w, p, attempt.id, outcome, last, True)
        ended = after.attempt(attempt.id).state in {State.DECLINED, State.REJECTED}
        if last or after.answered or not ended or after.version == p.version:
            return after
        yield w.pause()
        w.count("cascades")
        moved, request = attempted(w, structs.replace(after, accounts=after.accounts[1:]), after.accounts[0])
        w.reach("cascade.before")
        requests = {moved.attempts[-1].id: request}
        if not (yield from grouped(w, partial(w.save, after, moved, requests))):
            return w.store.read(p.id)
        w.reach("cascade.after")
        p = structs.replace(moved, version=after.version + 1)


def attempted(w: Any, p: Payment, account_id: str) -> tuple[Payment, Request]:
    number = len(p.attempts) + 1
    p = decide(
        p, Operation.AUTHORIZE if p.minor else Operation.VERIFY, None, id=w.new_id("att"), number=number, connector_account=account_id, sale=p.sale,
        reference=f"{p.id}-{number}", return_token=f"token{number}", sent_at=w.now,
    )  # fmt: skip
    attempt = p.attempts[-1]
    command = command_of(w, p, attempt, psp_token="token", return_url="https://scrooge.example/return/x")
    request = render(account_of(w, attempt).psp.connector, command)
    return structs.replace(p, deadline_at=w.now + TIMEOUT * SECOND + GRACE), request


# --- capture, void, refund ---


def modify(w: Any, asked: Asked) -> Steps:
    yield w.pause()
    before = earlier(w, asked)
    if before is not None:
        return before
    yield w.pause()  # From here to the commit the payment is locked.
    p = w.store.read(asked.payment)
    if asked.key in w.store.keys:
        return earlier(w, asked)
    operation, number = Operation(asked.operation), len(p.attempts) + 1
    check_reference(p, operation, asked.reference)
    authorization = authorization_of(p)
    room = ROOM[operation](p)
    after = decide(
        p, operation, asked.minor, id=w.new_id("att"), number=number, reference=f"{p.id}-{number}",
        connector_account=authorization.connector_account if authorization else "", caller_reference=asked.reference,
        final=operation is Operation.CAPTURE and asked.final, sent_at=w.now,
    )  # fmt: skip
    attempt = after.attempts[-1]
    connector = account_of(w, attempt).psp.connector
    check_increments(connector, p, attempt)
    check_capability(connector, attempt, room)
    request = render(connector, command_of(w, after, attempt))
    w.reach("record.before")
    w.reach("record.written")  # Until the commit nothing is there for others, nor after a crash.
    w.store.claim_key(asked.key, asked.operation, p.id, attempt.id, w.now + TIMEOUT * SECOND + GRACE)
    w.must_save(p, after, {attempt.id: request})
    w.reach("record.after")
    after = structs.replace(after, version=p.version + 1)
    outcome = yield from ask(w, after, attempt.id, connector.endpoints[operation], request, True)
    after = yield from apply_or_unknown(w, after, attempt.id, outcome, False, True)
    return after, attempt.id


# --- 3-D Secure ---


def come_back(w: Any, payment_id: str, details: dict[str, str]) -> Steps:
    """The payer's browser."""
    yield w.pause()
    p = w.store.read(payment_id)
    attempt = authorization_of(p)
    if attempt.state is State.ACTION_REQUIRED:
        p, _ = yield from continued(w, p, details, None)
    return p


def authenticate(w: Any, asked: Asked) -> Steps:
    """The same, told by the caller."""
    yield w.pause()
    p = w.store.read(asked.payment)
    before = earlier(w, asked)
    if before is not None:
        return before
    attempt = authorization_of(p)
    if attempt is None or attempt.state is not State.ACTION_REQUIRED:
        raise NothingToAuthenticate("the payment does not wait for the payer")
    p, _ = yield from continued(w, p, asked.details, asked)
    return p, attempt.id


def continued(w: Any, p: Payment, details: dict[str, str], asked: Asked | None) -> Steps:
    attempt_id = authorization_of(p).id
    for _ in range(3):
        attempt = p.attempt(attempt_id)
        connector = account_of(w, attempt).psp.connector
        request = connector.continuation.build(command_of(w, p, attempt, details=details))
        after = structs.replace(
            continuing(p, attempt_id, w.now), deadline_at=w.now + TIMEOUT * SECOND + GRACE, answered=False
        )
        yield w.pause()
        if w.store.read(p.id).version != p.version or (asked is not None and asked.key in w.store.keys):
            p = w.store.read(p.id)
            if p.attempt(attempt_id).state is not State.ACTION_REQUIRED:
                return p, False
            continue
        w.reach("continue.before")
        w.must_save(p, after, {attempt_id: request})
        if asked is not None:
            w.store.claim_key(asked.key, asked.operation, p.id, attempt_id, after.deadline_at)
        w.reach("continue.after")
        after = structs.replace(after, version=p.version + 1)
        outcome = yield from ask(w, after, attempt_id, connector.continuation, request, False)
        return (yield from apply_or_unknown(w, after, attempt_id, outcome, True, False)), True
    return p, False


def abandon(w: Any, p: Payment, attempt_id: str) -> Steps:
    attempt = p.attempt(attempt_id)
    connector = account_of(w, attempt).psp.connector
    if connector.abandon is None:
        gone = Reversed("the payer did not come back in time", ReversalKind.EXPIRED)
        after = hear(p, attempt_id, gone, w.now)
        yield w.pause()
        return structs.replace(after, version=p.version + 1) if w.save(p, after) else w.store.read(p.id)
    request = connector.abandon.build(command_of(w, p, attempt))
    outcome = yield from ask(w, p, attempt_id, connector.abandon, request, False)
    return (yield from apply(w, p, attempt_id, outcome))


DOORS: dict[str, Any] = {
    "sale": create, "authorize": create, "verify": create, "increment": modify, "again": again, "continue": authenticate,
    "capture": modify, "void": modify, "refund": modify,
}  # fmt: skip


def serve(w: Any, asked: Asked) -> Steps:
    """The API: (status, payment, attempt) or (status, problem, None)."""
    try:
        p, attempt = yield from DOORS[asked.operation](w, asked)
    except Problem as problem:
        return problem.status, problem, None
    w.reach("answer.before")
    w.reach("answer.after", ON_ITS_WAY)
    doubtful = any(a.state in {State.SENT, State.UNKNOWN} for a in p.attempts)
    return (202 if doubtful else 201), p, attempt
