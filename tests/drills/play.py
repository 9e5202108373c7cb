"""Runs a drill by itself: `python -m tests.drills.NAME` prints what happened as JSON, and ends with 3 if it went wrong."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from tests.drills.rig import Rig, rig


def play(drill: Callable[[Rig], Awaitable[dict[str, Any]]]) -> None:
    async def alone() -> dict[str, Any]:
        async with rig() as world:
            return await drill(world)

    show(alone())


def show(playing: Coroutine[Any, Any, dict[str, Any]]) -> None:
    result = asyncio.run(playing)
    print(json.dumps(result, indent=2))
    sys.exit(0 if result["ok"] else 3)
