"""The whole suite: a PostgreSQL, a few lanes beside each other, episodes until there are none left or time is over."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, field
from tests.conftest import make_database
from tests.faults.cells import Cell
from tests.faults.episode import Episode, Result, episodes_of
from tests.faults.lane import Lane
from tests.faults.processes import Nursery

from scrooge.storage.embedded import Embedded, start
from scrooge.storage.migrate import migrate


class Stage(Struct):
    """What lanes need: the server, a migrated template, the nursery, a folder."""

    server: Embedded
    template: str
    nursery: Nursery
    folder: Path

    async def lane(self, name: str) -> Lane:
        url = await make_database(self.server.url, self.template)
        folder = self.folder / name
        folder.mkdir()
        lane = Lane(self.nursery, url, str(folder))
        await lane.open()
        return lane


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="scrooge-faults-"))
    server = start(folder)
    nursery = Nursery()
    try:
        template = await make_database(server.url)
        await migrate(template)
        await nursery.open()
        yield Stage(server, urlsplit(template).path[1:], nursery, folder)
    finally:
        await nursery.close()
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Outcome(Struct):
    results: list[Result] = field(default_factory=list)
    left: list[Cell] = field(default_factory=list)  # not tried: time was over
    seconds: float = 0.0


async def run(
    place: Stage, cells: list[Cell], seed: int, lanes: int, seconds: float, told: Callable[[Result], None]
) -> Outcome:
    """Runs the episodes of these cells in so many lanes; begins none after `seconds`."""
    outcome, started = Outcome(), time.monotonic()
    due = sorted(episodes_of(cells).items(), key=lambda item: -len(item[1]))

    async def work(n: int) -> None:
        lane = await place.lane(f"lane-{n}")
        try:
            while due and time.monotonic() - started < seconds:
                (operation, behavior), mine = due.pop(0)
                result = await judged(lane, operation, behavior, mine, seed)
                outcome.results.append(result)
                told(result)
        finally:
            await lane.close()

    await asyncio.gather(*(work(n) for n in range(min(lanes, len(due)))))
    outcome.left = [cell for _, mine in due for cell in mine]
    outcome.seconds = time.monotonic() - started
    return outcome


async def judged(lane: Lane, operation: str, behavior: str, cells: list[Cell], seed: int) -> Result:
    """One episode; that it cannot be run to its end is a violation too."""
    episode = Episode(lane, operation, behavior, cells, seed)
    try:
        return await episode.run()
    except Exception as error:
        for task in episode.tasks:
            task.cancel()
        episode.result.violations.append(f"the episode broke: {error!r}")
        return episode.result
