"""The sandbox as one application: PSPs, their challenge page, ground truth and faults."""

import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .adyen import deeds as adyen_deeds
from .adyen import notifications as adyen_notifications
from .adyen import records as adyen_records
from .adyen.dialect import ADYEN
from .alarms import Alarms
from .challenge import challenge_route
from .config import SandboxConfig
from .edge import Edge
from .faults import BadFault, Fault, read_fault
from .stripe import deeds as stripe_deeds
from .stripe import events as stripe_events
from .stripe import records as stripe_records
from .stripe.dialect import STRIPE
from .tsp import notifications as tsp_notifications
from .tsp import records as tsp_records
from .tsp.dialect import TSP
from .updates import BadUpdate, read_update, update
from .wire import TRANSPORT
from .world import World

DIALECTS = (STRIPE, ADYEN, TSP)
CONNECTORS = tuple(dialect.name for dialect in DIALECTS)


class Sandbox(Starlette):
    """Starlette for the sandbox's own routes; calls to a PSP go straight to its edge.

    That is cheaper, and it keeps the transport within reach for faults that cut it: Uvicorn's `send`
    is a method of the request cycle that owns the transport, until middleware wraps it.
    """

    edges: Mapping[str, Edge]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        edge = self.edges.get(_first(scope))
        if edge is None or scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope[TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await edge(scope, receive, send)


def create_app(config: SandboxConfig) -> Starlette:
    """A sandbox with its own state; its journal is replayed here, its deliveries start with it."""
    world = World(config, (*stripe_records.KINDS, *adyen_records.KINDS, *tsp_records.KINDS))
    posts = {"stripe": stripe_events.post, "adyen": adyen_notifications.post, "tsp": tsp_notifications.post}
    alarms = Alarms(world, posts, stripe_deeds.DEEDS | adyen_deeds.DEEDS)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        alarms.start()
        yield
        await alarms.stop()
        world.state.close()

    answered = {"stripe": stripe_deeds.challenged, "adyen": adyen_deeds.challenged}
    routes = [*control_routes(world), challenge_route(world, answered)]
    app = Sandbox(routes=routes, lifespan=lifespan)
    app.edges = {dialect.name: Edge(world, dialect) for dialect in DIALECTS}
    app.state.world = world
    return app


def _first(scope: Scope) -> str:
    """The first part of the path; empty for what is not a request."""
    return scope.get("path", "").lstrip("/").partition("/")[0]


def control_routes(world: World) -> list[Route]:
    """Truth, faults and health."""

    async def truth(request: Request) -> Response:
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit()):
            return _problem("after", "must be the number of lines already read")
        lines = world.truth[int(after) :]
        body = b"\n".join([*lines, b""]) if lines else b""
        return Response(body, media_type="application/x-ndjson")

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            world.faults.clear()
        elif request.method == "POST":
            try:
                raw = msgspec.json.decode(await request.body())
                world.faults.set(read_fault(raw, CONNECTORS))
            except msgspec.DecodeError:
                return _problem("body", "must be JSON")
            except BadFault as bad:
                return _problem(bad.field, bad.detail)
        return _json({"faults": world.faults.listed(), "struck": _struck(world)})

    async def updates(request: Request) -> Response:
        try:
            asked = read_update(msgspec.json.decode(await request.body()), CONNECTORS)
        except msgspec.DecodeError:
            return _problem("body", "must be JSON")
        except BadUpdate as bad:
            return _problem(bad.field, bad.detail)
        told = update(world, asked)
        world.state.commit()
        return Response(msgspec.json.encode({"updated": told}), media_type="application/json")

    async def healthz(_: Request) -> Response:
        return _json({"status": "ok"})

    return [
        Route("/truth", truth),
        Route("/faults", faults, methods=["GET", "POST", "DELETE"]),
        Route("/updates", updates, methods=["POST"]),
        Route("/healthz", healthz),
    ]


def _struck(world: World) -> list[dict[str, str | int]]:
    """How often each fault really struck: a test that hit nothing proves nothing."""
    return [
        {"connector": connector, "kind": kind, "times": times}
        for (connector, kind), times in sorted(world.faults.struck.items())
    ]


def _json(document: dict[str, str | list[Fault] | list[dict[str, str | int]]]) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")


def _problem(field: str, detail: str) -> Response:
    document = {
        "title": "Not a valid request",
        "status": 422,
        "detail": f"{field} {detail}",
        "param": field,
    }
    return Response(msgspec.json.encode(document), 422, media_type="application/problem+json")


def run(config: SandboxConfig) -> None:
    """Serve until SIGTERM or SIGINT, then end with exit code 0.

    Deliveries that are left wait in the journal, if there is one.
    """
    # Uvicorn stops gracefully and then raises the signal again for whoever handled it before.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        create_app(config),
        host=config.host,
        port=config.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,  # As PSPs do; a shorter one closes connections in the moment they are used again.
        timeout_graceful_shutdown=5,
    )
