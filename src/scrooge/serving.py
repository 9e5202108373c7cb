"""How an ASGI program of ours starts and stops: what it needs is opened first, and closed after its last answer."""

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from scrooge.errors import Problem, SettingsError

log = structlog.get_logger()
SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)
GARBAGE = 20_000  # objects made between two looks for rings of garbage; 700 costs a tenth of the CPU
T = TypeVar("T")


class Serving(Generic[T]):
    """`opened` gives what `made` makes the application of. What it cannot open stops the start, in words."""

    def __init__(self, opened: Callable[[], AbstractAsyncContextManager[T]], made: Callable[[T], ASGIApp]) -> None:
        self.opened, self.made = opened, made
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
        else:
            assert self.app is not None, "requests come after the start"
            await self.app(scope, receive, send)

    async def live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with self.opened() as parts:
                self.app = self.made(parts)
                collect_less()
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except (SettingsError, Problem) as error:
            log.error("cannot_start", reason=str(error))
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


def collect_less() -> None:
    """For a process that is ready: what it has now stays, and of what comes next hardly anything forms rings."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


def end_with_parent(parent: int) -> None:
    """A process whose parent is killed gets SIGTERM: nobody would start it again, or stop it. At once where that has
    happened. Raises SystemExit."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(SET_PARENT_DEATH_SIGNAL, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(1)
