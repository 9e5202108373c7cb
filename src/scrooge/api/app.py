"""The HTTP API as one ASGI application, made from the URL table."""

from collections import OrderedDict

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.routing import Route as Path

from scrooge.api.call import Cards
from scrooge.api.door import Door
from scrooge.api.openapi import pages
from scrooge.api.routes import ROUTES
from scrooge.api.shell import Shell, not_served
from scrooge.flows.scrooge import Scrooge


def create_api(s: Scrooge) -> Starlette:
    """Everything the contract's HTTP part names, and /openapi.json and /docs beside it."""
    cards: Cards = OrderedDict()
    table = (*ROUTES, *pages(ROUTES))
    paths = dict.fromkeys(route.path for route in table)
    doors: list[BaseRoute] = [Path(path, Door(s, cards, [r for r in table if r.path == path])) for path in paths]
    app = Starlette(routes=doors, middleware=[Middleware(Shell)], exception_handlers={HTTPException: not_served})
    app.router.redirect_slashes = False  # A redirected POST would be sent twice.
    return app
