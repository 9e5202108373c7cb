"""The smallest PSP that can be measured against: it approves every PaymentIntent, and remembers which.

Run as a process of its own. It speaks just enough of Stripe's dialect, sends no notifications and costs about
0.05 ms of CPU a call; what it remembers is what `scrooge check` compares our books with.
"""

import asyncio
import re
import sys
import time
from itertools import islice
from typing import cast

import msgspec
import uvloop

from scrooge.cli import lifeline

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
KEY = re.compile(rb"\r\nidempotency-key: *([^\r]+)", re.IGNORECASE)
FIELD = re.compile(rb"(?:^|&)(amount|currency|capture_method|metadata%5Breference%5D|metadata%5Bpayment%5D)=([^&]*)")
TRUTH_PAGE = 20_000
INTENT = (
    b'{"id":"%b","object":"payment_intent","amount":%b,"amount_capturable":%b,"amount_received":%b,'
    b'"capture_method":"%b","created":1790000000,"currency":"%b","last_payment_error":null,"latest_charge":{"id":"%b_c",'
    b'"object":"charge","captured":true,"payment_method_details":{"card":{"brand":"visa","checks":{'
    b'"address_line1_check":null,"address_postal_code_check":null,"cvc_check":"pass"},"country":"DE","exp_month":12,'
    b'"exp_year":2034,"funding":"credit","last4":"4242","network_transaction_id":"%b",'
    b'"three_d_secure":null},"type":"card"}},"livemode":false,"metadata":{"payment":"%b","reference":"%b"},'
    b'"next_action":null,"payment_method":"pm_card_visa","status":"%b"}'
)


class Effect(msgspec.Struct):
    """A payment that was taken: under which key, how often it was asked for, and our own time for it."""

    intent: bytes
    reference: bytes
    amount: bytes
    currency: bytes
    sale: bool
    calls: int = 0
    seconds: float = 0.0


class Psp:
    """What happened here. `fresh` are the payments of the round that is being measured."""

    def __init__(self, latency_ms: float) -> None:
        self.latency_seconds = latency_ms / 1000
        self.effects: dict[bytes, Effect] = {}
        self.fresh: dict[str, float] = {}

    def approve(self, head: bytes, body: bytes) -> tuple[bytes, bytes, Effect]:
        """The reply, the payment's id, and what was remembered. The same key is the same payment."""
        given = dict(FIELD.findall(body))
        key = KEY.search(head)
        reference, payment = given[b"metadata%5Breference%5D"], given[b"metadata%5Bpayment%5D"]
        name = key[1] if key else b"without a key %d" % len(self.effects)
        effect = self.effects.get(name)
        if effect is None:
            sale = given[b"capture_method"] == b"automatic"
            intent = b"pi_%024d" % len(self.effects)
            effect = Effect(intent, reference, given[b"amount"], given[b"currency"], sale)
            self.effects[name] = effect
        effect.calls += 1
        amount, none = effect.amount, b"0"
        status = b"succeeded" if effect.sale else b"requires_capture"
        taken, capturable = (amount, none) if effect.sale else (none, amount)
        method = b"automatic" if effect.sale else b"manual"
        network = effect.intent[-15:]
        reply = INTENT % (
            effect.intent, amount, capturable, taken, method, effect.currency, effect.intent, network, payment,
            reference, status,
        )  # fmt: skip
        return reply, payment, effect

    def told(self, path: bytes) -> tuple[bytes, bytes]:
        """Control: content type and body. `/times` are seconds by payment since it was last asked for."""
        if path.startswith(b"/latency/"):
            self.latency_seconds = float(path.removeprefix(b"/latency/")) / 1000
            return b"application/json", b"{}"
        if path == b"/times":
            times, self.fresh = self.fresh, {}
            return b"application/msgpack", msgspec.msgpack.encode(times)
        if path == b"/calls":
            calls = {"calls": sum(e.calls for e in self.effects.values()), "payments": len(self.effects)}
            return b"application/json", msgspec.json.encode(calls)
        if path.startswith(b"/truth?after="):
            return b"application/x-ndjson", self.truth(int(path.partition(b"=")[2]))
        return b"application/json", b'{"status":"ok"}'

    def truth(self, after: int) -> bytes:
        lines = []
        for n, effect in enumerate(islice(self.effects.values(), after, after + TRUTH_PAGE), after + 1):
            line = {
                "n": n, "connector": "stripe", "reference": effect.reference.decode(),
                "operation": "sale" if effect.sale else "authorize", "psp_reference": effect.intent.decode(),
                "minor": int(effect.amount), "currency": effect.currency.decode().upper(), "outcome": "approved",
            }  # fmt: skip
            lines.append(msgspec.json.encode(line) + b"\n")
        return b"".join(lines)


class Conversation(asyncio.Protocol):
    """One keep-alive connection: whole requests in, replies out."""

    def __init__(self, psp: Psp) -> None:
        self.psp = psp
        self.waiting = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        started = time.perf_counter()
        self.waiting += data
        while (end := self.waiting.find(b"\r\n\r\n")) >= 0:
            head = self.waiting[:end]
            length = LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self.waiting) < whole:
                return
            body, self.waiting = self.waiting[end + 4 : whole], self.waiting[whole:]
            self.hear(head, body, started)

    def hear(self, head: bytes, body: bytes, started: float) -> None:
        method, path, _ = head.split(b" ", 2)
        if method != b"POST":
            self.answer(*self.psp.told(path))
            return
        reply, payment, effect = self.psp.approve(head, body)
        if self.psp.latency_seconds:
            loop = asyncio.get_running_loop()
            loop.call_later(self.psp.latency_seconds, self.finish, reply, payment, effect, started)
        else:
            self.finish(reply, payment, effect, started)

    def finish(self, reply: bytes, payment: bytes, effect: Effect, started: float) -> None:
        self.answer(b"application/json", reply)
        effect.seconds = time.perf_counter() - started
        self.psp.fresh[payment.decode()] = effect.seconds

    def answer(self, kind: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
        self.transport.write(head % (kind, len(body)) + body)


async def serve(port: int, latency_ms: float) -> None:
    psp = Psp(latency_ms)
    server = await asyncio.get_running_loop().create_server(lambda: Conversation(psp), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    lifeline.hold()
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2])))
