"""The whole suite: a PostgreSQL, a few lanes beside each other, episodes until there are none left or time is over."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, field

from scrooge.postgres.embedded import Embedded, start
from scrooge.storage.migrate import migrate
from scrooge.vault.schema import migrate_vault
from tests.conftest import make_database
from tests.faults.cells import Cell
from tests.faults.cuts import Cuts, Where
from tests.faults.episode import Episode, Result, episodes_of
from tests.faults.lane import Lane
from tests.faults.outages import Outages
from tests.faults.processes import Nursery
from tests.faults.zombies import Zombies


class Stage(Struct):
    """What lanes need: the server, a migrated template, the nursery, a folder."""

    server: Embedded
    template: str
    vault_template: str
    nursery: Nursery
    folder: Path

    async def lane(self, name: str) -> Lane:
        url = await make_database(self.server.url, self.template)
        vault_url = await make_database(self.server.url, self.vault_template)
        folder = self.folder / name
        folder.mkdir()
        lane = Lane(self.nursery, url, vault_url, str(folder))
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
        vault_template = await make_database(server.url)
        await migrate_vault(vault_template)
        await nursery.open()
        yield Stage(server, urlsplit(template).path[1:], urlsplit(vault_template).path[1:], nursery, folder)
    finally:
        await nursery.close()
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Outcome(Struct):
    results: list[Result] = field(default_factory=list)
    left: int = 0  # episodes not begun: time was over
    seconds: float = 0.0


Make = Callable[[Lane], Episode]


def makers(cells: list[Cell], zombies: list[Cell], cuts: list[Where], seed: int) -> list[Make]:
    """Every episode as a function of the lane it will run in, the longest first."""
    made: list[Make] = []
    for kind, group in ((Zombies, zombies), (Episode, cells)):
        for (operation, behavior), mine in sorted(episodes_of(group).items(), key=lambda item: -len(item[1])):
            made.append(partial(kind, operation=operation, behavior=behavior, cells=mine, seed=seed))
    size = 60
    return [*(partial(Cuts, places=cuts[n : n + size], seed=seed) for n in range(0, len(cuts), size)), *made]


async def outages(seed: int) -> Result:
    """On a stage of its own: others must not lose their database."""
    async with stage() as place:
        lane = await place.lane("outages")
        try:
            episode = Outages(lane, place.server, seed)
            result = await judged(episode)
            place.server = episode.server
            return result
        finally:
            await lane.close()


async def run(place: Stage, due: list[Make], lanes: int, seconds: float, told: Callable[[Result], None]) -> Outcome:
    """Runs the episodes in so many lanes; begins none after `seconds`."""
    outcome, started, due = Outcome(), time.monotonic(), [*due]

    async def work(n: int) -> None:
        lane = await place.lane(f"lane-{n}")
        try:
            while due and time.monotonic() - started < seconds:
                episode = due.pop(0)(lane)
                result = await judged(episode)
                outcome.results.append(result)
                told(result)
                if result.violations or isinstance(episode, Cuts):
                    # What is wrong here would be found again by those who follow.
                    await lane.close()
                    lane = await place.lane(f"lane-{n}-{len(outcome.results)}")
        finally:
            await lane.close()

    await asyncio.gather(*(work(n) for n in range(min(lanes, len(due)))))
    outcome.left, outcome.seconds = len(due), time.monotonic() - started
    return outcome


async def judged(episode: Episode) -> Result:
    """That it cannot be run to its end is a violation too."""
    try:
        return await episode.run()
    except Exception as error:
        for task in episode.tasks:
            task.cancel()
        episode.result.violations.append(f"the episode broke: {error!r}")
        return episode.result
