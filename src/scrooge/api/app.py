"""The HTTP API as one ASGI application, made from the URL table."""

import re
from collections import OrderedDict
from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from scrooge.api.call import Cards
from scrooge.api.door import Door
from scrooge.api.openapi import pages
from scrooge.api.routes import ROUTES
from scrooge.api.shell import Shell
from scrooge.errors import NotFound
from scrooge.flows.scrooge import Scrooge

NAME = re.compile(r"\{(\w+)\}")


def create_api(s: Scrooge) -> ASGIApp:
    """Everything the contract's HTTP part names, and /openapi.json and /docs beside it."""
    cards: Cards = OrderedDict()
    table = (*ROUTES, *pages(ROUTES))
    paths = dict.fromkeys(route.path for route in table)
    return Shell(Paths({path: Door(s, cards, [r for r in table if r.path == path]) for path in paths}))


class Paths:
    """Finds the door of a path: by name, or by pattern where a part of it is an id. No path is redirected."""

    def __init__(self, doors: Mapping[str, Door]) -> None:
        self.doors = doors
        self.patterns = [(pattern_of(path), door) for path, door in doors.items() if "{" in path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        scope["path_params"] = {}
        door = self.doors.get(path) if "{" not in path else None
        if door is None:
            door = self.matching(path, scope)
        await door(scope, receive, send)

    def matching(self, path: str, scope: Scope) -> Door:
        """Raises NotFound."""
        for pattern, door in self.patterns:
            if found := pattern.fullmatch(path):
                scope["path_params"] = found.groupdict()
                return door
        raise NotFound("there is nothing at this path")


def pattern_of(path: str) -> re.Pattern[str]:
    return re.compile(NAME.sub(r"(?P<\1>[^/]+)", path))
