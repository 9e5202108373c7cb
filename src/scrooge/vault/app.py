"""The vault as a program: its doors, and how it starts and stops."""

import os

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from scrooge import logs, metrics
from scrooge.cards import redacted
from scrooge.errors import MethodNotAllowed, NotFound
from scrooge.ids import new_id
from scrooge.serving import Serving
from scrooge.vault import fills, instruments, records, unsealing
from scrooge.vault.doors import HEADERS, door, json_answer
from scrooge.vault.form import sessions
from scrooge.vault.hardening import harden
from scrooge.vault.processes import Common
from scrooge.vault.schema import migrate_vault
from scrooge.vault.settings import load
from scrooge.vault.vault import Vault, open_vault


def create_app(v: Vault) -> ASGIApp:
    one, card = "/v1/instruments/{instrument}", "/v1/cards/{instrument}"
    app = Starlette(
        routes=[
            Route("/v1/instruments", door("tokenize", instruments.create), methods=["POST"]),
            Route(one, door("instrument_read", instruments.read), methods=["GET"]),
            Route(one, door("delete", instruments.delete), methods=["DELETE"]),
            Route("/v1/capture-sessions", door("session", sessions.create), methods=["POST"]),
            Route("/v1/core/capture-sessions", door("core_session", sessions.create_for_core), methods=["POST"]),
            Route("/v1/capture-sessions/{token}/card", door("session_card", sessions.take), methods=["POST"]),
            Route("/form/{token}", door("form", sessions.show), methods=["GET"]),
            Route("/scrooge.js", sessions.script, methods=["GET"]),
            Route("/v1/fills", door("fill", fills.fill), methods=["POST"]),
            Route("/v1/changes", door("changes_read", records.changes), methods=["GET"]),
            Route(card, door("card_read", records.read), methods=["GET"]),
            Route(card, door("card_changed", records.change), methods=["PATCH"]),
            Route(card, door("card_deleted", records.delete), methods=["DELETE"]),
            Route("/v1/unseal", door("unseal", unsealing.enter), methods=["POST"]),
            Route("/healthz", alive),
            Route("/readyz", ready),
            Route("/metrics", counts),
        ]
    )
    app.router.redirect_slashes = False
    app.add_exception_handler(HTTPException, nothing_there)
    app.state.vault = v
    return app


async def nothing_there(request: Request, error: Exception) -> Response:
    """What no route takes, as the problem it is."""
    wrong_method = isinstance(error, HTTPException) and error.status_code == 405
    kind = MethodNotAllowed if wrong_method else NotFound
    problem = kind("there is nothing at this path for this method" if wrong_method else "there is nothing at this path")
    document = problem.document(redacted(request.url.path[:200]), new_id("req", 0))
    return Response(msgspec.json.encode(document), problem.status, HEADERS, media_type="application/problem+json")


async def alive(_: Request) -> Response:
    return json_answer(200, {"status": "ok"})


async def ready(request: Request) -> Response:
    """Can it keep and open cards: database, schema, keys."""
    v: Vault = request.app.state.vault
    try:
        async with v.db.connection() as connection:
            await connection.fetchval("SELECT 1")
        behind = (await migrate_vault(v.settings.database_url or "", check=True)).behind
    except Exception as error:
        return json_answer(503, {"status": "unavailable", "reason": type(error).__name__})
    if behind:
        return json_answer(503, {"status": "unavailable", "reason": "scrooge vault migrate"})
    if v.keyring.sealed:
        return json_answer(503, {"status": "sealed", "reason": "scrooge vault unseal"})
    return json_answer(200, {"status": "ok"})


async def counts(_: Request) -> Response:
    return Response(metrics.told(), media_type=metrics.MEDIA_TYPE)


def serving(common: Common) -> Serving[Vault]:
    """The ASGI application of one process, from the environment and what it has in common with others."""
    harden()
    settings = load(os.environ)
    logs.configure(settings.log_level, settings.log_format)
    return Serving(lambda: open_vault(settings, common), create_app)
