"""Real processes of ours, born quickly: one process imports everything and forks `serve`, `worker`, `vault`
and `sandbox` from it.

Run as a program it takes one JSON line per birth and tells each death; it ends, with all its children, with its input.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import traceback
from typing import Any

DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG, prctl(2): nobody outlives a nurse that was killed


def live(order: dict[str, Any]) -> None:
    """What a newborn does with its life. Everything was imported before; only the settings are its own."""
    from scrooge import crash
    from scrooge.app import run_serve, run_worker
    from scrooge.cli.vault.command import run_vault
    from scrooge.sandbox.config import SandboxConfig
    from scrooge.sandbox.server import run
    from scrooge.settings import load
    from scrooge.vault.settings import load as load_vault

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    said = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND) if order["log"] else 2
    for number in (1, 2):
        os.dup2(said, number)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.environ.update(order["env"])
    crash.arm(order["env"].get("SCROOGE_CRASH_POINT", ""))
    if order["kind"] == "serve":
        run_serve(load(), 1)
    elif order["kind"] == "worker":
        run_worker(load())
    elif order["kind"] == "vault":
        run_vault(load_vault())
    elif order["kind"] == "command":
        command(**order["sandbox"])
    else:
        run(SandboxConfig(**order["sandbox"]))


def command(arguments: list[str], out: str, input: str | None = None) -> None:
    """`scrooge ARGUMENTS`, its result into a file and what it says otherwise into the log."""
    from scrooge.cli.main import main

    os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    if input is not None:
        os.dup2(os.open(input, os.O_RDONLY), 0)
    sys.argv = ["scrooge", *arguments]
    main()


def born(order: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL)
        live(order)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def nurse() -> None:
    """Until the input ends."""
    import uvicorn.lifespan.on
    import uvicorn.loops.uvloop
    import uvicorn.protocols.http.httptools_impl  # noqa: F401

    import scrooge.app
    import scrooge.cli.main
    import scrooge.cli.vault.work
    import scrooge.sandbox.server
    import scrooge.vault.app
    import scrooge.vault.moving.edge
    import scrooge.vault.moving.exporting
    import scrooge.vault.moving.importing  # noqa: F401

    fds: dict[int, int] = {}
    tell({"ready": os.getpid()})
    rest = b""
    while True:
        ready, _, _ = select.select([0, *fds], [], [])
        for fd in ready:
            if fd:
                pid = fds.pop(fd)
                os.close(fd)
                _, status = os.waitpid(pid, 0)
                tell({"pid": pid, "ended": os.waitstatus_to_exitcode(status)})
        if 0 in ready:
            read = os.read(0, 1 << 16)
            if not read:
                break
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                pid = born(json.loads(line))
                fds[os.pidfd_open(pid)] = pid
                tell({"born": pid})
    for pid in fds.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def tell(fact: dict[str, int]) -> None:
    sys.stdout.buffer.write(json.dumps(fact).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    nurse()
