"""Several servers in the URL: what one pool of a process learned of a promotion, the others know."""

from urllib.parse import urlsplit, urlunsplit

import pytest

from scrooge.postgres import primary
from scrooge.postgres.primary import NoPrimary, Primary


def twice(url: str) -> str:
    """One server under two names."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}{at}{host},{host}"))


async def test_an_old_primary_is_left_alone_by_every_pool_of_a_process_that_saw_the_promotion(
    database_url: str, monkeypatch: pytest.MonkeyPatch
):
    url = twice(database_url)
    monkeypatch.setattr(primary, "NEWEST", {})
    monkeypatch.setattr(primary, "STANDING", "SELECT 1")
    pools = [Primary(url), Primary(url)]
    for pool in pools:
        await (await pool.connect(url)).close()
    monkeypatch.setattr(primary, "STANDING", "SELECT 2")
    await (await pools[0].connect(url)).close()
    monkeypatch.setattr(primary, "STANDING", "SELECT 1")  # The promoted one does not answer now, the old one does.
    with pytest.raises(NoPrimary):
        await pools[1].connect(url)
