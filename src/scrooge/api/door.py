"""From an HTTP request to a call of a handler, and back: the same steps, in the same order, for every route."""

from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from scrooge import reading
from scrooge.admission import Aside, Rank
from scrooge.api import parsing, streams
from scrooge.api.auth import authenticate
from scrooge.api.bodies import Body
from scrooge.api.call import Answer, Call, Cards, Route
from scrooge.api.pan import refuse_in_body
from scrooge.api.shell import Seen
from scrooge.crash import ON_ITS_WAY, reach
from scrooge.errors import DatabaseUnavailable, MethodNotAllowed, Problem, RequestInProgress
from scrooge.flows.keys import Keyed
from scrooge.flows.scrooge import Scrooge

JSON = "application/json"
JSON_BYTES = JSON.encode()


class Door:
    """One path. An object, not a function, so that every method of it comes here."""

    def __init__(self, s: Scrooge, cards: Cards, routes: list[Route]) -> None:
        self.s, self.cards = s, cards
        self.routes = {r.method: r for r in routes}
        if "GET" in self.routes:
            self.routes["HEAD"] = self.routes["GET"]
        self.path = routes[0].path
        self.ranks = {method: rank_of(route) for method, route in self.routes.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen: Seen = scope["seen"]
        seen.route = self.path
        route = self.routes.get(scope["method"])
        if route is None:
            raise MethodNotAllowed("this path does not take this method", allowed=sorted(self.routes))
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        until = parsing.until_of(headers)
        rank = self.ranks[route.method]
        await self.s.admission.enter(rank, until)
        finished = False
        try:
            call = await self.called(route, scope, receive, seen, headers, rank, until)
            answer = await answered(route, call)
            finished = True
        except Problem as problem:
            finished = problem.status < 500
            raise
        finally:
            self.s.admission.leave(rank, finished=finished)
        seen.payment = answer.payment or call.path.get("payment")
        if call.keyed is not None:
            reach("answer.before")
        if answer.parts is not None:
            await streams.tell(answer, answer.parts, scope, receive, send)
        else:
            await tell(answer, scope, receive, send)
        if call.keyed is not None:
            reach("answer.after", ON_ITS_WAY)

    async def called(
        self, route: Route, scope: Scope, receive: Receive, seen: Seen,
        headers: dict[str, str], rank: Rank, until: float | None,
    ) -> Call:  # fmt: skip
        principal = None
        if route.scope is not None:
            principal = await authenticate(self.s, headers, route.scope)
            seen.caller = principal.caller_name
        query, filters = None, {}
        text = scope["query_string"].decode("latin-1")
        if not route.raw:
            query, filters = parsing.query_of(text, route.query)
        raw, parts = b"", None
        if route.streamed:
            parts = streams.parts_of(receive)
        else:
            with Aside(self.s.admission, rank):
                raw = await reading.read_body(receive, headers, self.s.settings.body_max_bytes)
        key = reading.idempotency_key(headers, required=route.idempotent) if principal else ""
        body = None if route.raw else body_of(route, headers, raw)
        target: str = scope["path"]
        keyed = Keyed(key, parsing.fingerprint(route.method, target, body), until) if route.idempotent else None
        return Call(
            s=self.s, cards=self.cards, path=scope["path_params"], headers=headers,
            filters=filters, raw=raw, query=query, body=body, known=principal, keyed=keyed, target=target,
            query_text=text, parts=parts,
        )  # fmt: skip


def rank_of(route: Route) -> Rank:
    """Whatever may move money goes before what only looks; PSPs and probes have places of their own."""
    if route.path.startswith("/v1/"):
        return Rank.READ if route.method == "GET" else Rank.PAYMENT
    if route.path.startswith("/update/"):
        return Rank.READ
    return Rank.PAYMENT if route.path.startswith("/return/") else Rank.OUTSIDE


async def answered(route: Route, call: Call) -> Answer:
    """A record whose confirmation was lost may be there: asked once more, the key finds it, or it is made now.

    Where that fails too, nobody can say that nothing was done, as any other refusal would.
    """
    try:
        return await route.handler(call)
    except DatabaseUnavailable as problem:
        if call.keyed is None or not problem.unconfirmed:
            raise
    try:
        return await route.handler(call)
    except Problem as problem:
        raise RequestInProgress("it is not known yet what became of this request", retry_after=2) from problem


def body_of(route: Route, headers: dict[str, str], raw: bytes) -> Body | None:
    """A body in which every field may be left out may be left out itself."""
    if route.body is None:
        return None
    refuse_in_body(raw)
    if not raw and not any(f.required for f in msgspec.structs.fields(route.body)):
        return route.body()
    reading.require_json(headers)
    return reading.decode(raw, route.body)


async def tell(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    document: Any = answer.document
    content = document if isinstance(document, bytes) else msgspec.json.encode(document)
    if answer.media_type != JSON:
        await Response(content, answer.status, answer.headers, media_type=answer.media_type)(scope, receive, send)
        return
    headers = [(b"content-type", JSON_BYTES), (b"content-length", b"%d" % len(content))]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
