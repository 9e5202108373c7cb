"""Several processes are one vault: what one took in, each of them can do, and none is missed when it ends."""

import asyncio
import contextlib
import os
import pickle
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import parse_qs

import psutil
import pytest

from scrooge.postgres.database import connect
from scrooge.vault.audit import Verified, verify
from scrooge.vault.keys.custodians import ceremony
from scrooge.vault.keys.periods import Periods
from scrooge.vault.keys.shelf import LENGTH, Shelf
from scrooge.vault.keys.start import make_vault
from scrooge.vault.processes import Common
from scrooge.vault.schema import ROLE
from tests.vault.conftest import Psp
from tests.vault.house import CARD, House, house
from tests.vault.keyed import BY

CARDS = 16  # at once: most of the time either process gets some
CROSSED = """SELECT count(DISTINCT split_part(stream, ':', 2)) > 1 AS crossed FROM audit WHERE act IN ('tokenize', 'fill')
             AND object IN (SELECT object FROM audit GROUP BY object
                            HAVING count(DISTINCT split_part(stream, ':', 2)) > 1)"""  # each process has one


@pytest.fixture(scope="module")
async def pair(
    server_url: str, tmp_path_factory: pytest.TempPathFactory, psp_server: Psp
) -> AsyncIterator[House]:  # fmt: skip
    """Two processes, which wait for their custodians."""
    env = {"SCROOGE_VAULT_KEK": "shares:", "SCROOGE_VAULT_PROCESSES": "2"}
    async with house(server_url, tmp_path_factory.mktemp("pair"), psp_server.url, **env) as h:
        yield h


def workers(h: House) -> set[int]:
    """The vault's processes that serve, without the one that listens and what multiprocessing starts beside them."""
    assert h.process is not None
    return {p.pid for p in psutil.Process(h.process.pid).children() if serves(p)}


def serves(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):  # It has ended.
        return "spawn_main" in " ".join(process.cmdline())
    return False


async def open_by_custodians(h: House) -> None:
    held = ceremony(("alice", "bob"), 2)
    db = await connect(h.database_url, size=1, role=ROLE)
    assert await make_vault(db, held.new, Periods(), BY)
    await db.close()
    for name, share in held.texts:
        assert (await h.ask("POST", "/v1/unseal", {"custodian": name, "share": share, "accepts": True}))[0] == 200


async def until(found: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await found():
            await asyncio.sleep(0.05)


async def all_open(h: House) -> bool:
    return [(await h.ask("GET", "/readyz"))[0] for _ in range(12)] == [200] * 12


async def filled_with_code(h: House, psp: Psp, instruments: list[str]) -> int:
    """How many of the requests that reached the PSP had a security code."""
    psp.seen.clear()
    asked = (h.core_asks("POST", "/v1/fills", h.fill(instrument, psp.url)) for instrument in instruments)
    for status, sent in await asyncio.gather(*asked):
        assert (status, sent["outcome"]) == (200, "answered")
    return sum(parse_qs(body).get("payment_method_data[card][cvc]") == [CARD["cvc"]] for _, _, body in psp.seen)


async def test_what_one_process_took_another_uses_and_those_that_end_are_born_again_with_it(pair: House, psp: Psp):
    await open_by_custodians(pair)
    await until(lambda: all_open(pair))
    await until(lambda: crossed(pair, psp))
    made = await taken(pair)
    before = workers(pair)
    assert len(before) == 2
    one, other = before
    os.kill(one, signal.SIGSTOP)  # It takes no connection more, so that none ends with it.
    os.kill(one, signal.SIGKILL)
    made += await taken(pair)
    await until(lambda: reborn(pair, before, 1))
    os.kill(other, signal.SIGKILL)
    await until(lambda: reborn(pair, before, 2))
    await until(lambda: all_open(pair))
    assert await filled_with_code(pair, psp, made) == len(made)
    assert not (await audited(pair)).broken


async def taken(h: House) -> list[str]:
    return [made["id"] for made in await asyncio.gather(*(h.tokenize() for _ in range(CARDS)))]


async def crossed(h: House, psp: Psp) -> bool:
    """Cards are taken and filled until one process has filled what another took; every one has its code."""
    made = await taken(h)
    assert await filled_with_code(h, psp, made) == len(made)
    return (await h.fetch(CROSSED))[0]["crossed"]


async def reborn(h: House, before: set[int], count: int) -> bool:
    return len(workers(h) - before) == count


async def audited(h: House) -> Verified:
    db = await connect(h.database_url, size=1, role=ROLE)
    found = await verify(db)
    await db.close()
    return found


async def test_no_process_is_left_when_the_one_that_listens_is_killed(pair: House):
    mine = workers(pair)
    pair.stop(kill=True)
    await until(lambda: gone(mine))


async def gone(pids: set[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


def test_what_processes_have_in_common_leaves_only_for_one_that_is_being_started():
    with pytest.raises(RuntimeError):
        pickle.dumps(Common(10))


def test_what_is_taken_off_the_shelf_is_nowhere_on_it():
    shelf, secret = Shelf(), b"a share that nobody may find again"
    with shelf.changing() as held:
        held.shares[1] = (secret, 0.0)
    assert secret in shelf.space[:]
    with shelf.changing() as held:
        held.shares.clear()
    assert secret not in shelf.space[:]


def test_what_was_half_written_is_nothing():
    shelf = Shelf()
    with shelf.changing() as held:
        held.shares[1] = (b"whole", 0.0)
    shelf.space[:LENGTH] = bytes(LENGTH)
    assert shelf.look().shares == {}
