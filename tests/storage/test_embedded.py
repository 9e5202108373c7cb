"""The embedded PostgreSQL on real processes: started, shared, killed and started again."""

import asyncio
import contextlib
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import psutil
import pytest

from scrooge.postgres import cluster, embedded

USER = """
import sys, pathlib
from scrooge.postgres import embedded
server = embedded.start(pathlib.Path(sys.argv[1]))
print(server.pid, flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture
def tmp_path():
    """Not in pytest's own directory, which every other pytest that starts closes to the server's user."""
    with tempfile.TemporaryDirectory(prefix="scrooge-", ignore_cleanup_errors=True) as place:
        yield Path(place).resolve()


@pytest.fixture
def data_dir(tmp_path):
    yield tmp_path / "data"
    folder = tmp_path / "data" / "postgres"
    if folder.exists():
        cluster.stop_server(folder)


def another_user(data_dir: Path) -> tuple[subprocess.Popen, int]:
    """Another process that uses the server until its input ends; and the postmaster it found."""
    child = subprocess.Popen(
        [sys.executable, "-c", USER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return child, int(child.stdout.readline())


def gone(pid: int) -> bool:
    """Ended, even where nobody has collected it yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def ask(url: str, sql: str):
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_it_is_a_durable_postgresql_that_only_this_machine_reaches(data_dir):
    server = embedded.start(data_dir)
    try:
        for setting, value in (
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("listen_addresses", ""),
            ("data_checksums", "on"),
            ("server_encoding", "UTF8"),
        ):
            assert await ask(server.url, f"SELECT current_setting('{setting}')") == value
        assert (data_dir / "postgres").stat().st_mode & 0o077 == 0
    finally:
        server.stop()
    assert gone(server.pid)


async def test_what_was_committed_survives_the_kill_of_every_process(data_dir):
    child, pid = another_user(data_dir)
    url = embedded.url_of(data_dir.resolve() / "postgres")
    await ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    processes = [psutil.Process(pid), *psutil.Process(pid).children()]
    child.kill()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # A child that went with its parent.
            process.kill()
    child.wait()
    server = embedded.start(data_dir)
    try:
        assert server.pid != pid
        assert await ask(server.url, "SELECT answer FROM kept") == 42
    finally:
        server.stop()


async def test_several_processes_share_it_and_the_last_one_stops_it(data_dir):
    children = [another_user(data_dir) for _ in range(2)]
    server = embedded.start(data_dir)
    assert {pid for _, pid in children} == {server.pid}
    server.stop()
    assert not gone(server.pid)
    for child, _ in children:
        child.communicate("")
    assert gone(server.pid)


async def test_a_killed_user_does_not_keep_it_running(data_dir):
    child, pid = another_user(data_dir)
    server = embedded.start(data_dir)
    child.kill()
    child.wait()
    server.stop()
    assert gone(pid)


async def test_two_processes_that_start_it_at_once_make_one_server(data_dir):
    first, second = await asyncio.gather(
        asyncio.to_thread(another_user, data_dir), asyncio.to_thread(another_user, data_dir)
    )
    assert first[1] == second[1]
    for child, _ in (first, second):
        child.communicate("")


async def test_a_process_id_that_somebody_else_has_now_is_not_taken_for_the_server(data_dir):
    server = embedded.start(data_dir)
    os.close(server.lease)
    os.kill(server.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(cluster.is_ours(pid, server.folder) for pid in psutil.pids()):
        assert time.monotonic() < deadline, "the server's children should have followed it"
        await asyncio.sleep(0.05)
    stale = server.folder / "postmaster.pid"
    lines = stale.read_text().splitlines()
    stale.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    again = embedded.start(data_dir)
    try:
        assert again.pid not in (server.pid, os.getpid())
        assert await ask(again.url, "SELECT 1") == 1
    finally:
        again.stop()


async def test_a_path_too_long_for_a_socket_gets_a_short_one(tmp_path):
    data_dir = tmp_path / ("long" * 20) / ("path" * 10)
    server = embedded.start(data_dir)
    try:
        sockets = cluster.sockets_of(server.folder)
        assert len(str(sockets / cluster.SOCKET_NAME)) < cluster.SOCKET_PATH_MAX
        assert sockets.stat().st_mode & 0o077 == 0
        assert await ask(server.url, "SELECT 1") == 1
    finally:
        server.stop()
        sockets.rmdir()


async def test_data_of_another_major_version_is_refused_by_name(data_dir):
    embedded.start(data_dir).stop()
    (data_dir / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(embedded.EmbeddedError, match="PostgreSQL 16, not 18"):
        embedded.start(data_dir)


def test_it_works_for_a_plain_user_too(tmp_path):
    """As root, a child becomes somebody else first; as a plain user the test is that user."""
    data_dir = tmp_path / "plain"
    data_dir.mkdir()
    plain = 65534 if os.geteuid() == 0 else os.geteuid()
    if os.geteuid() == 0:
        os.chown(data_dir, plain, plain)
        cluster.let_through(data_dir, pwd.getpwuid(plain))
        cluster.let_use_binaries(pwd.getpwuid(plain))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(plain)
                os.setuid(plain)
            embedded.start(data_dir).stop()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert (data_dir / "postgres").stat().st_uid == plain
