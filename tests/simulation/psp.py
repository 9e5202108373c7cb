"""A simulated PSP: what it did is the truth. Its dialects are in stripe.py and adyen.py.

It keeps idempotency keys for as long as it promises, decides once per key, tells by notifications, and knows
nothing of Scrooge but the bytes that arrive.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.connectors.connector import Connector, Request
from tests.simulation.clock import SECOND, Clock
from tests.simulation.store import Violation


class Reply(Struct, frozen=True):
    status: int
    document: Any
    headers: dict[str, str] = {}

    @property
    def body(self) -> bytes:
        return self.document if isinstance(self.document, bytes) else msgspec.json.encode(self.document)


class Effect(Struct, frozen=True):
    """One thing that really happened to money. `reference` is the idempotency key it was asked under."""

    psp: str
    reference: str
    operation: str
    psp_reference: str
    minor: int
    currency: str
    outcome: str


class Key(Struct):
    request: bytes
    at: int
    reply: Reply | None = None  # None while the first request is still running


class Modification(Struct):
    id: str
    kind: str  # capture, void, refund, increment
    reference: str
    minor: int
    state: str = "running"  # done, failed


class Record(Struct):
    """One payment at the PSP."""

    id: str
    reference: str
    payment: str
    minor: int
    currency: str
    by_hand: bool
    seen_at: int  # an inquiry by reference finds it from then on
    state: str = "new"  # action, processing, authorized, succeeded, declined, canceled
    approved: int = 0
    code: str = ""
    cancellation: str = ""
    modifications: list[Modification] = []
    redirect: str = ""
    raised: str = ""  # by which increment, the last

    def total(self, kind: str, *states: str) -> int:
        return sum(m.minor for m in self.modifications if m.kind == kind and m.state in (states or ("done",)))


Fate = Callable[[str, bool], str]  # (operation, whether this is the first time it is asked) -> what becomes of it


class Psp:
    """`fate` decides what issuers say; the dialect gives `execute`, `busy`, `conflict` and the events' words."""

    connector: Connector
    retention_seconds: int
    secret = "5ec2e7"

    def __init__(self, name: str, clock: Clock, fate: Fate) -> None:
        self.name, self.clock, self.fate = name, clock, fate
        self.records: dict[str, Record] = {}
        self.keys: dict[str, Key] = {}
        self.truth: list[Effect] = []
        self.outbox: Callable[[Psp, bytes, str], None] = lambda psp, raw, kind: None
        self.dawdles = False
        self.forgetful = False  # broken_idempotency
        self.lag_seconds = 0.0  # inquiry_lag
        self.n = 0
        self.executed: dict[str, int] = {}

    def new_id(self, prefix: str) -> str:
        self.n += 1
        return f"{prefix}_{self.name}{self.n}"

    def handle(self, request: Request, stored_failure: bool = False) -> Reply:
        """A request arrived. The same key is executed once, and always answered alike, while it is kept."""
        key = request.idempotency_key
        if key is None:
            return self.execute(request)
        bytes_of = f"{request.path}\n".encode() + request.body
        kept = self.keys.get(key)
        if kept is not None and self.clock.now - kept.at > self.retention_seconds * SECOND:
            kept = None
        if kept is not None and not self.forgetful:
            if kept.request != bytes_of:
                raise Violation(f"other bytes under the key {key}")
            return self.busy() if kept.reply is None else self.again(kept.reply)
        kept = self.keys[key] = Key(bytes_of, self.clock.now)
        self.executed[key] = self.executed.get(key, 0) + 1
        kept.reply = self.failure() if stored_failure else self.execute(request)
        return kept.reply

    def begin(self, request: Request) -> None:
        """The request arrived and is worked on: until it is done its key is busy."""
        key = request.idempotency_key
        if key is not None and key not in self.keys:
            self.keys[key] = Key(f"{request.path}\n".encode() + request.body, self.clock.now)

    def finish(self, request: Request) -> None:
        key = request.idempotency_key
        kept = self.keys.get(key or "")
        if kept is None or kept.reply is not None:
            return
        kept.reply = self.execute(request)

    def happened(self, reference: str, operation: str, psp_reference: str, minor: int, r: Record, outcome: str) -> None:
        self.truth.append(Effect(self.name, reference, operation, psp_reference, minor, r.currency, outcome))

    # --- what every dialect shares: the acquirer's side ---

    def authorize(self, r: Record) -> None:
        self.decide(r, self.fate("authorize", True))

    def decide(self, r: Record, fate: str) -> None:
        """`fate`: approve, partial, decline:CODE, flip:CODE (declined, and later not), pending, challenge."""
        word, _, r.code = fate.partition(":")
        if word in {"approve", "partial"}:
            self.approve(r, r.minor if word == "approve" or not r.minor else max(1, r.minor * 6 // 10))
        elif word in {"decline", "flip"}:
            r.state = "declined"
            self.tell(r, "declined")
            if word == "flip":
                self.clock.later(self.clock.random.uniform(1, 90), lambda: self.flip(r))
        elif word == "pending":
            r.state = "processing"
            self.tell(r, "processing")
            self.clock.later(self.patience(), lambda: self.settle(r))
        else:
            assert word == "challenge", fate
            r.state = "action"

    def approve(self, r: Record, minor: int) -> None:
        r.approved = minor
        r.state = "authorized" if r.by_hand else "succeeded"
        what = "verify" if not r.minor else "authorize" if r.by_hand else "sale"
        self.happened(r.reference, what, r.id, minor, r, "approved")
        self.tell(r, "approved")

    def patience(self) -> float:
        """Seconds until what is pending ends; sometimes longer than we wait before we ask."""
        return self.clock.random.uniform(2, 100) + (self.connector.recovery.pending_after if self.dawdles else 0)

    def settle(self, r: Record) -> None:
        """A pending payment ends."""
        if r.state == "processing":
            if self.clock.random.random() < 0.7:
                self.approve(r, r.minor)
            else:
                r.state, r.code = "declined", self.soft_decline
                self.tell(r, "declined")

    def flip(self, r: Record) -> None:
        """The PSP had said no, and takes the money after all."""
        if r.state == "declined":
            self.approve(r, r.minor)

    def payer_acts(self, psp_reference: str, success: bool) -> dict[str, str]:
        """The payer finished the challenge at the PSP's page; what the browser brings back."""
        raise NotImplementedError

    def cancel(self, r: Record, reference: str, psp_reference: str, why: str) -> None:
        """What is authorized and not captured is released."""
        left = r.approved - r.total("capture", "done", "running") if r.state == "authorized" else 0
        r.state, r.cancellation = "canceled", why
        if left > 0:
            self.happened(reference, "void", psp_reference, left, r, "approved")

    # --- the dialect ---

    soft_decline = ""

    def execute(self, request: Request) -> Reply:
        raise NotImplementedError

    def busy(self) -> Reply:
        raise NotImplementedError

    def failure(self) -> Reply:
        raise NotImplementedError

    def again(self, reply: Reply) -> Reply:
        raise NotImplementedError

    def tell(self, r: Record, what: str, m: Modification | None = None, why: str = "") -> None:
        raise NotImplementedError

    def signed(self, raw: bytes, forged: bool) -> tuple[bytes, dict[str, str]]:
        """The body and headers of a notification; a forged one does not know our secret."""
        raise NotImplementedError
