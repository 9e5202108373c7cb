"""The edge of every simulated PSP: latency, idempotency keys, and the faults of the wire."""

import asyncio

from msgspec import structs
from starlette.types import Receive, Scope, Send

from .echo import read_card, with_card
from .faults import Fault
from .records import Answered
from .wire import Call, Dialect, Reply, cut, read_call, send_half, send_reply
from .world import World, token

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
_UNAVAILABLE = Reply(503, _HTML, {"retry-after": "1"}, keep=False, content_type="text/html")


class Edge:
    """One dialect served as an ASGI application."""

    def __init__(self, world: World, dialect: Dialect) -> None:
        self.world, self.dialect = world, dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        world, dialect = self.world, self.dialect
        prefix, public_url = f"/{dialect.name}", world.config.public_url
        try:
            call = await read_call(scope, receive, prefix, public_url)
        except ConnectionError:
            return  # Nobody is left to answer, and nothing was asked.
        if dialect.registers(call):
            await send_reply(send, self._executed(call, ""))
            return
        if self._strikes("outage"):
            await send_reply(send, _UNAVAILABLE)
            return
        if self._strikes("drop_request"):
            await cut(scope, receive)
            return
        slot = _slot(dialect, call)
        if slot in world.in_use:
            await send_reply(send, dialect.refuse_concurrent(call))
            return
        if slot:
            world.in_use.add(slot)
        try:
            await asyncio.sleep(world.latency_seconds())
            reply, dropped = self._answer(call, slot)
            if fault := self._strikes("slow"):
                await asyncio.sleep(world.faults.delay_seconds(fault))
        finally:
            world.in_use.discard(slot)
        if dropped:
            await cut(scope, receive)
        elif self._strikes("reset_midway"):
            await send_half(scope, receive, send, reply)
        else:
            await send_reply(send, self._spoiled(reply))

    def _strikes(self, kind: str) -> Fault | None:
        return self.world.faults.strikes(self.dialect.name, kind)

    def _answer(self, call: Call, slot: str) -> tuple[Reply, bool]:
        """The stored answer or a new one, and whether it is to be lost on its way."""
        stored = self.world.state.get(Answered, slot) if slot else None
        if stored is not None and not (self.dialect.moves_money(call) and self._strikes("broken_idempotency")):
            return self._replay(call, stored), False
        if self._strikes("500_before"):
            return self._stored(call, slot, self.dialect.broken()), False
        if not self.dialect.moves_money(call):
            return self._executed(call, slot), False
        if self._strikes("charge_then_500"):
            return self._crashed_after(call, slot), False
        reply = self._executed(call, slot)
        if self._strikes("charge_then_drop"):
            return reply, True
        if reply.status < 300 and self._strikes("wrong_amount"):
            # On the wire only: the stored answer, and the truth, keep the right amount.
            reply = structs.replace(reply, body=self.dialect.with_wrong_amount(reply.body))
        return reply, False

    def _replay(self, call: Call, stored: Answered) -> Reply:
        if stored.fingerprint != self.dialect.fingerprint(call):
            return self.dialect.refuse_changed(call)
        headers = self.dialect.headers(call, token(16))
        return Reply(stored.status, stored.body, headers | self.dialect.replayed(stored.request_id))

    def _executed(self, call: Call, slot: str) -> Reply:
        """Do it, and keep the answer in the same commit as the effect."""
        world = self.world
        world.echo = read_card(call.body) if self.dialect.moves_money(call) else None
        if world.echo is not None and not self._strikes("echo_card"):
            world.echo = None
        try:
            reply = self.dialect.answer(world, call)
            if world.echo is not None:
                reply = structs.replace(reply, body=with_card(reply.body, world.echo))
        finally:
            world.echo = None
        return self._stored(call, slot, reply)

    def _crashed_after(self, call: Call, slot: str) -> Reply:
        """The money moves, then the PSP falls over; what the key keeps is the PSP's own habit."""
        true_reply = self.dialect.answer(self.world, call)
        broken = self.dialect.broken()
        if broken.keep:
            return self._stored(call, slot, broken)
        self._stored(call, slot, true_reply)
        return broken

    def _stored(self, call: Call, slot: str, reply: Reply) -> Reply:
        request_id = token(16)
        if slot and reply.keep:
            kept = Answered(
                id=slot,
                fingerprint=self.dialect.fingerprint(call),
                request_id=request_id,
                status=reply.status,
                body=reply.body,
            )
            self.world.state.put(kept)
        self.world.state.commit()
        headers = self.dialect.headers(call, request_id)
        return structs.replace(reply, headers=headers | reply.headers)

    def _spoiled(self, reply: Reply) -> Reply:
        """The answer as it is, or with a 200 and nonsense for a body."""
        if not self._strikes("garbage"):
            return reply
        variants = (_HTML, reply.body[: len(reply.body) // 2], b"", b"{}")
        struck = sum(n for (_, kind), n in self.world.faults.struck.items() if kind == "garbage")
        return structs.replace(reply, status=200, body=variants[struck % len(variants)])


def _slot(dialect: Dialect, call: Call) -> str:
    """Where this request's answer is kept: its account and key; empty without a key."""
    key = call.headers.get("idempotency-key", "")
    if not key or call.method != "POST":
        return ""
    return f"{dialect.name}|{dialect.account(call)}|{key}"
