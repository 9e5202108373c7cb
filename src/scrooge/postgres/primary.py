"""Which of several database servers to talk to: the primary, and of two that call themselves one the newer.

A promotion begins a new timeline. So an old primary that comes back is told apart from the promoted one even where
it would take writes, and is left alone.
"""

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import structlog

log = structlog.get_logger()
NEWEST: dict[str, int] = {}  # By URL, the newest timeline that this process has seen: what one pool learned, all know.
LOOK_SECONDS = 1.0  # A host that is switched off does not answer at all; the others are not kept waiting for it.
STANDING = """
SELECT CASE WHEN NOT pg_is_in_recovery()
            THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint END
"""


class NoPrimary(ConnectionError):
    """None of the servers in the URL is a primary that we may write to."""


class Primary:
    """Connects to where the writes go. With one host in the URL that host is believed."""

    def __init__(self, url: str) -> None:
        self.url, self.urls = url, one_each(url)

    async def connect(self, _url: str, **options: Any) -> asyncpg.Connection:
        """As asyncpg.connect does, and where the pool calls it."""
        if len(self.urls) == 1:
            return await asyncpg.connect(self.urls[0], **options)
        looking = [asyncio.ensure_future(look(url, options)) for url in self.urls]
        chosen = None
        try:
            done, late = await asyncio.wait(looking, timeout=LOOK_SECONDS)
            if late and newest(done)[0] < self.least():
                await asyncio.wait(late)
            timeline, chosen = newest(looking)
            if timeline < self.least():
                chosen = None
                log.error("no_primary", newest_timeline=NEWEST.get(self.url), found_timeline=timeline)
                raise why(looking)
            NEWEST[self.url] = timeline
            return chosen
        finally:
            for task in looking:
                task.cancel()
                if task.done() and not task.cancelled() and task.exception() is None and task.result()[1] is not chosen:
                    task.result()[1].terminate()

    def least(self) -> int:
        """A server on an older timeline than this is no primary any more; 0 is a standby."""
        return NEWEST.get(self.url, 1)


async def look(url: str, options: dict[str, Any]) -> tuple[int, asyncpg.Connection]:
    """A connection and its server's timeline; 0 for a standby."""
    connection = await asyncpg.connect(url, **options)
    try:
        return await connection.fetchval(STANDING) or 0, connection
    except BaseException:
        connection.terminate()
        raise


def newest(looking: Iterable["asyncio.Future[tuple[int, asyncpg.Connection]]"]) -> tuple[int, Any]:
    found = [t.result() for t in looking if t.done() and not t.cancelled() and t.exception() is None]
    return max(found, key=lambda pair: pair[0], default=(0, None))


def why(looking: Iterable["asyncio.Future[tuple[int, asyncpg.Connection]]"]) -> BaseException:
    """What a server said about who we are or what we want is worth more than that another is away."""
    errors = [t.exception() for t in looking if t.done() and not t.cancelled()]
    said = [e for e in errors if isinstance(e, asyncpg.PostgresError)]
    said.sort(key=lambda e: isinstance(e, asyncpg.CannotConnectNowError))
    return said[0] if said else NoPrimary("no server of SCROOGE_DATABASE_URL is the primary")


def one_each(url: str) -> list[str]:
    """A URL per host of one that names several."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    return [urlunsplit(parts._replace(netloc=f"{login}{at}{host}")) for host in hosts.split(",")]
