"""PostgreSQL servers of our own on loopback: a primary and its synchronous standby, to kill, promote and start again."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from scrooge.postgres import cluster
from tests.conftest import free_port

SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 120
shared_buffers = '64MB'
max_wal_size = '1GB'
wal_keep_size = '256MB'
hot_standby = on
wal_retrieve_retry_interval = '500ms'
timezone = 'UTC'
"""
STANDBY = """
primary_conninfo = 'host=127.0.0.1 port={port} user=postgres application_name=standby'
"""
DATABASE = "scrooge"


class Server:
    """One data directory and the server on it. SCROOGE_DRILL_POSTGRES names other programs than the embedded ones."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.user = cluster.account(folder)
        given = os.environ.get("SCROOGE_DRILL_POSTGRES")
        self.programs = Path(given) if given else cluster.binaries()
        if not given:
            cluster.let_use_binaries(self.user)
        cluster.let_through(folder.parent, self.user)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def run(self, program: str, *arguments: str, timeout: float = 120) -> str:
        """As the server's user; files and not pipes, which a server started here would keep open."""
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                [str(self.programs / program), *arguments], stdin=subprocess.DEVNULL, stdout=said,
                stderr=subprocess.STDOUT, cwd="/", timeout=timeout, check=False,
                user=self.user and self.user.pw_uid, group=self.user and self.user.pw_gid,
                extra_groups=None if self.user is None else [],
            )  # fmt: skip
            said.seek(0)
            words = said.read().decode(errors="replace").strip()
        assert done.returncode == 0, f"{program}: {words}"
        return words

    def make(self) -> None:
        self._place()
        self.run("initdb", "-D", str(self.folder), "-U", "postgres", "-A", "trust", "--encoding=UTF8", "--locale=C")
        self.configure(SETTINGS.format(port=self.port))

    def copy(self, primary: "Server") -> None:
        """A standby of a running primary."""
        self._place()
        self.run("pg_basebackup", "-D", str(self.folder), "-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres",
                 "-X", "stream", "-c", "fast")  # fmt: skip
        self.configure(SETTINGS.format(port=self.port) + STANDBY.format(port=primary.port))
        self.touch("standby.signal")

    def configure(self, text: str) -> None:
        with (self.folder / "postgresql.conf").open("a") as conf:
            conf.write(text)

    def touch(self, name: str) -> None:
        path = self.folder / name
        path.touch(mode=0o600)
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _place(self) -> None:
        self.folder.mkdir(mode=0o700)
        if self.user is not None:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)

    def start(self) -> None:
        self.touch("log")
        self.run("pg_ctl", "start", "-w", "-t", "60", "-D", str(self.folder), "-l", str(self.folder / "log"))

    def restart(self, mode: str) -> None:
        self.touch("log")
        self.run("pg_ctl", "restart", "-w", "-t", "60", "-m", mode, "-D", str(self.folder),
                 "-l", str(self.folder / "log"))  # fmt: skip

    def stop(self) -> None:
        if cluster.running(self.folder):
            self.run("pg_ctl", "stop", "-w", "-t", "60", "-m", "immediate", "-D", str(self.folder))

    def processes(self) -> list[psutil.Process]:
        pid = cluster.running(self.folder)
        if pid is None:
            return []
        postmaster = psutil.Process(pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def kill(self) -> None:
        """As a power cut does: every process at once, nothing said to anybody."""
        processes = self.processes()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(processes, timeout=30)

    def kill_a_backend(self) -> None:
        """One session's process; the server then restarts all of them."""
        for process in self.processes()[1:]:
            with contextlib.suppress(psutil.Error):
                if " scrooge 127.0.0.1" in " ".join(process.cmdline()):
                    process.send_signal(signal.SIGKILL)
                    return
        raise AssertionError("nobody is connected")

    def promote(self) -> None:
        self.run("pg_ctl", "promote", "-w", "-t", "60", "-D", str(self.folder))

    def sql(self, statement: str, database: str = "postgres") -> str:
        return self.run("psql", "-X", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database,
                        "-v", "ON_ERROR_STOP=1", "-Atqc", statement)  # fmt: skip

    def set(self, name: str, value: str) -> None:
        self.sql(f"ALTER SYSTEM SET {name} = '{value}'")
        self.sql("SELECT pg_reload_conf()")


def url_of(*servers: Server) -> str:
    return f"postgresql://postgres@{','.join(s.host for s in servers)}/{DATABASE}"


def until(true, seconds: float = 60) -> None:
    """Waits; for what PostgreSQL tells only when asked."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def follow(primary: Server, standby: Server) -> None:
    """From here on a commit counts when the standby has it too."""
    primary.set("synchronous_standby_names", "FIRST 1 (standby)")
    until(lambda: primary.sql("SELECT sync_state FROM pg_stat_replication") == "sync")


@contextlib.contextmanager
def primary_and_standby(disk: Path | None = None) -> Iterator[tuple[Server, Server]]:
    """Both running, in step; the primary has an empty database, on a file system of its own where one is given."""
    with tempfile.TemporaryDirectory(prefix="scrooge-drill-", ignore_cleanup_errors=True) as place:
        home = Path(place).resolve()
        primary, standby = Server((disk or home) / "one"), Server(home / "two")
        try:
            primary.make()
            primary.start()
            primary.sql(f"CREATE DATABASE {DATABASE}")
            standby.copy(primary)
            standby.start()
            follow(primary, standby)
            yield primary, standby
        finally:
            primary.stop()
            standby.stop()
