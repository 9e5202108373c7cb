"""`serve`, `worker`, `sandbox` and `shop`: the long-running processes.

Each imports what it runs when it runs, so that no command waits for the programs of the others.
"""

import errno
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from scrooge.cli import lifeline
from scrooge.cli.output import FAILED, Json, document, say
from scrooge.cli.place import place, require_schema, url_of
from scrooge.errors import SettingsError
from scrooge.settings import load

Host = Annotated[str | None, typer.Option(help="Address to listen on; loopback unless told otherwise.")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on.")]


def serve(
    host: Host = None,
    port: Port = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Serving processes.")] = 1,
    beside: Annotated[
        bool, typer.Option("--beside", help="Start although another serve is on the port: end that one afterwards.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Serve the API and the notifications endpoint."""
    from scrooge.app import run_serve

    lifeline.hold()
    adopt({"SCROOGE_HOST": host, "SCROOGE_PORT": port})
    with place(load()) as settings:
        require_schema(settings)
        if not beside:  # By mistake, two that work on different databases would share the requests.
            require_free(settings.host, settings.port, "SCROOGE_PORT")
        # Serving processes of their own read the environment, so what we found out goes there.
        adopt({"SCROOGE_DATABASE_URL": url_of(settings), "SCROOGE_EMBEDDED": "1" if settings.embedded else None})
        started({"api_url": f"http://{settings.host}:{settings.port}", "pid": os.getpid()}, as_json)
        ended_well(lambda: run_serve(settings, workers))


def worker(as_json: Json = False) -> None:
    """Run the background work: questions to PSPs, notifications, webhooks, partitions."""
    from scrooge.app import run_worker

    lifeline.hold()
    with place(load()) as settings:
        require_schema(settings)
        started({"pid": os.getpid()}, as_json)
        run_worker(settings)


def sandbox(
    host: Host = None,
    port: Port = None,
    state: Annotated[Path | None, typer.Option(help="Keep the PSPs' memory in this file.")] = None,
    seed: Annotated[int, typer.Option(help="Of the simulated latency.")] = 1,
    latency_ms: Annotated[float, typer.Option(min=0, help="Median time a PSP takes to answer.")] = 20.0,
    as_json: Json = False,
) -> None:
    """Run the simulated PSPs, with ground truth and faults."""
    from scrooge.sandbox.config import SandboxConfig
    from scrooge.sandbox.server import run

    lifeline.hold()
    adopt({"SCROOGE_SANDBOX_HOST": host, "SCROOGE_SANDBOX_PORT": port})
    settings = load()
    require_free(settings.sandbox_host, settings.sandbox_port, "SCROOGE_SANDBOX_PORT")
    url = f"http://{settings.sandbox_host}:{settings.sandbox_port}"
    started({"sandbox_url": url, "pid": os.getpid()}, as_json)
    config = SandboxConfig(
        host=settings.sandbox_host,
        port=settings.sandbox_port,
        state_path=state,
        seed=seed,
        latency_ms=latency_ms,
    )
    ended_well(lambda: run(config))


def shop(
    file: Annotated[Path, typer.Option("--config", help="What the shop knows: URLs and keys, as the demo writes it.")],
    as_json: Json = False,
) -> None:
    """Run the demo's sample shop: a checkout page with the vault's card form in it."""
    from scrooge.sandbox.shop.server import read_config, run

    lifeline.hold()
    config = read_config(file)
    require_free(config.host, config.port, "SCROOGE_SHOP_PORT")
    started({"shop_url": f"http://{config.host}:{config.port}", "pid": os.getpid()}, as_json)
    ended_well(lambda: run(config))


def adopt(settings: dict[str, str | int | None]) -> None:
    """Options of the command line win over the environment."""
    os.environ.update({name: str(value) for name, value in settings.items() if value is not None})


def require_free(host: str, port: int, variable: str) -> None:
    """Raises SettingsError, naming the setting, when the port is taken or the address is not ours."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "is in use" if taken else f"cannot be listened on ({error.strerror})"
        raise SettingsError(f"{variable}: {host}:{port} {why}; set it to another one") from None


def started(facts: dict[str, str | int], as_json: bool) -> None:
    if as_json:
        document(facts)
        sys.stdout.flush()
    else:
        say("scrooge: " + ", ".join(f"{name} {value}" for name, value in facts.items()))


def ended_well(run: Callable[[], None]) -> None:
    """uvicorn exits with codes of its own, which mean something else here."""
    try:
        run()
    except SystemExit as ended:
        if ended.code not in (None, 0, 128 + signal.SIGTERM):
            raise typer.Exit(FAILED) from None
