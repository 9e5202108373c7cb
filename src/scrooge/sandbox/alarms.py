"""What happens by itself: tasks of the PSP, and notifications delivered until somebody takes them.

Delivery is at least once: a notice is struck off only after a 2xx, waits longer after every failed
try, and is found again after a restart.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

import aiohttp
import msgspec
from msgspec import structs

from .records import Notice, Task
from .world import World

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_TRIES_MAX = 40
_PAUSE_MAX_SECONDS = 30.0


class Posting(msgspec.Struct, frozen=True):
    """Where and how a notice is posted; headers are made per try, for they may carry the time."""

    url: str
    headers: dict[str, str]


Post = Callable[[World, Notice], Posting | None]
Deed = Callable[[World, str], None]


class Alarms:
    """Runs tasks and deliveries when they are due."""

    def __init__(self, world: World, posts: Mapping[str, Post], deeds: Mapping[str, Deed]) -> None:
        self._world, self._posts, self._deeds = world, posts, deeds
        self._running: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._http: aiohttp.ClientSession | None = None

    def start(self) -> None:
        """Take up what a former process left; call it inside the event loop."""
        connector = aiohttp.TCPConnector(limit=0, limit_per_host=64)
        self._http = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
        self._world.alarm = self._set
        for item in [*self._world.state.all(Task), *self._world.state.all(Notice)]:
            self._set(item)

    async def stop(self) -> None:
        """Leave what is not delivered for the next process."""
        self._world.alarm = lambda _: None
        for timer in self._timers:
            timer.cancel()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    def _set(self, item: Task | Notice) -> None:
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle

        def ring() -> None:
            self._timers.discard(timer)
            if isinstance(item, Task):
                self._perform(item)
            else:
                running = loop.create_task(self._deliver(item))
                self._running.add(running)
                running.add_done_callback(self._running.discard)

        timer = loop.call_later(max(0.0, item.due_at - time.time()), ring)
        self._timers.add(timer)

    def _perform(self, task: Task) -> None:
        self._world.state.put(structs.replace(task, done=True))
        self._deeds[task.name](self._world, task.subject)
        self._world.state.commit()

    async def _deliver(self, notice: Notice) -> None:
        posting = self._posts[notice.connector](self._world, notice)
        taken = posting is None or await self._post(posting, notice.body)
        tries = notice.tries + 1
        if taken or tries >= _TRIES_MAX:
            self._world.state.put(structs.replace(notice, done=True, body=b""))
        else:
            pause = min(0.5 * 2 ** (tries - 1), _PAUSE_MAX_SECONDS)
            again = structs.replace(notice, tries=tries, due_at=time.time() + pause)
            self._world.state.put(again)
            self._set(again)
        self._world.state.commit()

    async def _post(self, posting: Posting, body: bytes) -> bool:
        """Was it taken? Anything but a 2xx, an unreachable target included, is a no."""
        assert self._http is not None, "deliveries start after start()"
        try:
            async with self._http.post(
                posting.url, data=body, headers=posting.headers, allow_redirects=False
            ) as answer:
                await answer.read()
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
