"""The PostgreSQL that comes with Scrooge: real, durable, on a Unix socket, for one machine.

Every process that uses a server holds a shared lock on a file beside it, which the kernel drops
however the process ends; the last one to leave stops the server.
"""

import fcntl
import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

from scrooge.postgres.cluster import (
    TRIES,
    EmbeddedError,
    account,
    launch,
    let_through,
    let_use_binaries,
    make_cluster,
    make_database,
    running,
    sockets_of,
    stop_server,
)


class Embedded(Struct, frozen=True):
    """A running server that we use: `pid` is the postmaster's, `lease` our lock's descriptor."""

    url: str
    pid: int
    folder: Path
    lease: int

    def alive(self) -> bool:
        return running(self.folder) == self.pid

    def stop(self) -> None:
        """Leaves the server, and stops it unless another process uses it."""
        with turn(self.folder.parent):
            try:
                fcntl.flock(self.lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            else:
                stop_server(self.folder)
            finally:
                os.close(self.lease)


def start(data_dir: Path) -> Embedded:
    """Starts the server of `data_dir`, or joins it where it runs. Blocks a second or two.

    Raises EmbeddedError.
    """
    home = data_dir.expanduser().resolve()
    home.mkdir(parents=True, exist_ok=True)
    folder = home / "postgres"
    with turn(home):
        lease = os.open(home / "postgres.users", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lease, fcntl.LOCK_SH)
            user = account(folder)
            let_through(home, user)
            let_use_binaries(user)
            make_cluster(folder, user)
            pid = join(folder, user)
        except OSError as error:
            os.close(lease)
            raise EmbeddedError(f"the embedded PostgreSQL in {folder}: {error}") from error
        except BaseException:
            os.close(lease)
            raise
    return Embedded(url_of(folder), pid, folder, lease)


def join(folder: Path, user: pwd.struct_passwd | None) -> int:
    """The process id of a server that answers and has our database; starts one where none runs.

    A killed server still counts as running until the kernel has taken it away, and answers nobody.
    """
    for left in reversed(range(TRIES)):
        pid = running(folder) or launch(folder, user)
        try:
            make_database(folder, user)
        except (EmbeddedError, FileNotFoundError):
            if not left:
                raise
            time.sleep(1)
        else:
            break
    return pid


def url_of(folder: Path) -> str:
    """What asyncpg and psql connect with."""
    return f"postgresql://postgres@/scrooge?host={quote(str(sockets_of(folder)), safe='')}"


@contextmanager
def turn(home: Path) -> Iterator[None]:
    """One process at a time starts or stops the server of a data directory."""
    with (home / "postgres.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
