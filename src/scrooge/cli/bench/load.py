"""The load: payments through the real HTTP API, by a client that costs as little as it can.

A process of its own. It reads its plan from standard input, says `ready`, waits for `go`, and writes what it saw.
With a rate it is an open loop: arrivals do not wait for answers, and latency counts from when a payment was due.
"""

import asyncio
import os
import re
import sys
import time
from collections import deque
from collections.abc import Callable
from random import Random
from typing import cast

import msgspec
import uvloop
from msgspec import Struct

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
PAYMENT = re.compile(rb'"id":"(pay_[0-9A-Z]{26})"')
PATIENCE_SECONDS = 30.0
LETTERS = str.maketrans("0123456789", "ghjkmnpqrs")


class Plan(Struct, kw_only=True):
    """`run` keeps references apart from those of other runs; `payments` ends a run sooner than `seconds`."""

    host: str
    port: int
    key: str
    instruments: list[str]
    run: str
    clients: int
    seconds: float
    rate: float | None = None
    payments: int | None = None


class Seen(Struct, kw_only=True):
    """`finished` counts answers within the time, `done` all of them; `took` is by payment, in seconds."""

    finished: int = 0
    done: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    errors: dict[str, int] = {}
    took: dict[str, float] = {}


class Load:
    """One run: makes the requests and keeps what came of them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seen = Seen(errors={}, took={})
        self.draw = Random(plan.run)  # noqa: S311 - a simulation
        self.sent = 0
        self.ends = 0.0
        self.ended = asyncio.Event()
        self.lines: set[Line] = set()
        self.idle: list[Line] = []
        self.due: deque[float] = deque()
        self.prepare()

    def prepare(self) -> None:
        """What can be made of the requests before the clock runs."""
        plan = self.plan
        head = (
            f"POST /v1/payments HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\nAuthorization: Bearer {plan.key}\r\n"
            "Content-Type: application/json\r\n"
        )
        self.requests = [self.request(head, instrument) for instrument in plan.instruments]

    def request(self, head: str, instrument: str) -> tuple[bytes, bytes, bytes]:
        """What stands before, between and behind the two references, which are of one length."""
        body = {
            "reference": "@", "amount": {"value": "12.99", "currency": "EUR"}, "instrument": instrument,
            "capture": "automatic", "statement_descriptor": "EXAMPLE*PREMIUM", "metadata": {"plan": "premium"},
        }  # fmt: skip
        first, last = msgspec.json.encode(body).split(b"@")
        length = len(first) + len(self.reference()) + len(last)
        return f"{head}Content-Length: {length}\r\nIdempotency-Key: ".encode(), b"\r\n\r\n" + first, last

    def reference(self) -> bytes:
        """In no order, as references and keys come; and without digits, which the API may take for a card number."""
        return f"{self.plan.run}-{self.draw.getrandbits(64):016x}".translate(LETTERS).encode()

    def next(self) -> bytes:
        """One more payment, as the bytes to send."""
        before, between, behind = self.requests[self.sent % len(self.requests)]
        reference = self.reference()
        self.sent += 1
        return before + reference + between + reference + behind

    def named(self, answer: bytes, end: int) -> str | None:
        """The payment that an answer tells of; None for one that tells of none. Its head ends at `end`."""
        payment = PAYMENT.search(answer, end)
        return payment[1].decode() if answer[9:12] == b"201" and payment is not None else None

    def over(self) -> bool:
        return time.perf_counter() >= self.ends or (self.plan.payments is not None and self.sent >= self.plan.payments)

    def freed(self, line: "Line") -> None:
        """A connection can take the next payment."""
        if self.plan.rate is None:
            if not self.over():
                line.ask(time.perf_counter())
                return
        elif self.due:
            line.ask(self.due.popleft())
            return
        self.idle.append(line)
        if len(self.idle) == len(self.lines) and self.over():
            self.ended.set()

    def lost(self, line: "Line", why: str) -> None:
        """A connection is gone; what it was asked is an error, and the run goes on without it."""
        self.lines.discard(line)
        if line.asked_at is not None:
            self.count_error(why)
        if not self.lines or (len(self.idle) == len(self.lines) and self.over()):
            self.ended.set()

    def count_error(self, why: str) -> None:
        self.seen.errors[why] = self.seen.errors.get(why, 0) + 1

    async def perform(self) -> Seen:
        plan, loop = self.plan, asyncio.get_running_loop()
        for _ in range(plan.clients):
            _, line = await loop.create_connection(lambda: Line(self), plan.host, plan.port)
            self.lines.add(line)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        cpu, started = time.process_time(), time.perf_counter()
        self.ends = started + plan.seconds
        if plan.rate is None:
            for line in list(self.lines):
                self.freed(line)
        else:
            self.idle = list(self.lines)
            await self.arrive(started, plan.rate)
        await asyncio.wait_for(self.ended.wait(), max(0.0, self.ends - time.perf_counter()) + PATIENCE_SECONDS)
        self.seen.cpu_seconds = time.process_time() - cpu
        self.seen.seconds = min(plan.seconds, time.perf_counter() - started)
        return self.seen

    async def arrive(self, started: float, rate: float) -> None:
        """Payments come when they come: independently of each other and of our answers."""
        at = started
        while not self.over():
            at += self.draw.expovariate(rate)
            wait = at - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            if self.idle:
                self.idle.pop().ask(at)
            else:
                self.due.append(at)
        if len(self.idle) == len(self.lines):
            self.ended.set()


class Line(asyncio.Protocol):
    """One keep-alive connection with one request at a time."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.waiting = b""
        self.asked_at: float | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def ask(self, due: float) -> None:
        self.asked_at = due
        self.transport.write(self.load.next())

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        end = self.waiting.find(b"\r\n\r\n")
        if end < 0:
            return
        length = LENGTH.search(self.waiting, 0, end)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self.waiting) < whole:
            return
        answer, self.waiting = self.waiting[:whole], self.waiting[whole:]
        self.hear(answer, end)

    def hear(self, answer: bytes, end: int) -> None:
        now, asked_at = time.perf_counter(), self.asked_at
        assert asked_at is not None, "an answer that nobody asked for"
        self.asked_at = None
        seen = self.load.seen
        seen.done += 1
        name = self.load.named(answer, end)
        if name is not None:
            seen.finished += now <= self.load.ends
            seen.took[name] = now - asked_at
        else:
            self.load.count_error(answer[9:12].decode())
        self.load.freed(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.load.lost(self, "connection lost")


async def main(kind: Callable[[Plan], Load]) -> Seen:
    plan = msgspec.json.decode(await asyncio.to_thread(sys.stdin.readline), type=Plan)
    load = kind(plan)
    try:
        return await load.perform()
    except TimeoutError:
        load.seen.errors["no answer"] = sum(line.asked_at is not None for line in load.lines)
        return load.seen


def run(kind: Callable[[Plan], Load]) -> None:
    """The whole life of a load's process."""
    saw = msgspec.msgpack.encode(uvloop.run(main(kind)))
    with os.fdopen(sys.stdout.fileno(), "wb", closefd=False) as out:
        out.write(saw)


if __name__ == "__main__":
    run(Load)
