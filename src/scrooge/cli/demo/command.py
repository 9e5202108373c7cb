"""`demo`: everything on this machine, real payments through the simulated PSPs, and then it keeps serving."""

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
import uvloop

from scrooge.api.recoveries import summed
from scrooge.api.recovery_answers import RecoverySummary
from scrooge.cli.database import audited
from scrooge.cli.demo import story
from scrooge.cli.demo.crew import Crew, CrewError, Job
from scrooge.cli.demo.outage import Weather, make_policy
from scrooge.cli.demo.ports import Addresses, Ports, addresses
from scrooge.cli.demo.shop import MERCHANT, Shop, open_shop, write_private
from scrooge.cli.demo.traffic import Traffic, clear_faults, planned, set_faults
from scrooge.cli.demo.vault import pair, seeds
from scrooge.cli.output import FAILED, FOUND_PROBLEMS, Json, document, say
from scrooge.cli.place import usable
from scrooge.errors import SettingsError
from scrooge.postgres.database import Database, connect
from scrooge.postgres.rows import microseconds
from scrooge.sandbox.shop.server import ShopConfig
from scrooge.settings import load
from scrooge.storage import condition, recoveries
from scrooge.storage.access import find_merchant
from scrooge.storage.export import trial_balance
from scrooge.storage.migrate import migrate
from scrooge.storage.recoveries import Filter
from scrooge.vault.form.page import snippet
from scrooge.vault.schema import migrate_vault

QUIET_SECONDS = 90.0
POLL_SECONDS = 0.25


def demo(
    payments: Annotated[int, typer.Option(min=0, max=1_000_000, help="How many payments to make.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the payments and the faults.")] = 1,
    data_dir: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path(".scrooge/demo"),
    ports: Annotated[Ports, typer.Option(help="auto: take free ports.")] = Ports.FIXED,
    exit_: Annotated[bool, typer.Option("--exit", help="Stop after the payments.")] = False,
    as_json: Json = False,
) -> None:
    """Start everything on this machine, make payments, say what happened, and keep serving."""
    started = time.monotonic()
    settings = load()
    if settings.database_url is not None:
        say("the demo uses its own embedded database, not SCROOGE_DATABASE_URL")
    folder = data_dir.expanduser().resolve()
    with ExitStack() as held:
        with usable(folder, "--data-dir"):
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(alone(folder))
            where = addresses(settings, folder, ports)
            say(f"starting PostgreSQL, the sandbox PSPs, the card vault, the API and the worker in {data_dir}")
            crew = Crew(folder, environment(os.environ, folder, where))
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                ok = runner.run(Demo(crew, where, started).whole(payments, seed, as_json, exit_))
        except asyncio.CancelledError:
            ok = True  # Told to stop, which is what we do.
        except CrewError as error:
            say(f"scrooge: {error}")
            raise typer.Exit(FAILED) from None
        finally:
            say("stopping")
            crew.stop()
    if not ok:
        raise typer.Exit(FOUND_PROBLEMS)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One demo in a directory at a time."""
    with (folder / "demo.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"a demo runs in {folder} already: stop it, or give another --data-dir") from None
        yield


def environment(outer: Mapping[str, str], folder: Path, where: Addresses) -> dict[str, str]:
    """What the children see: this demo's directory and ports, and PSPs that are given up on sooner."""
    own = ("SCROOGE_DATABASE_URL", "SCROOGE_EMBEDDED", "SCROOGE_SERVICE_KEY")
    kept = {k: v for k, v in outer.items() if k not in own and not k.startswith("SCROOGE_VAULT_")}
    return {
        "SCROOGE_PSP_TIMEOUT_SECONDS": "2",
        "SCROOGE_TEST_DAY_SECONDS": "1",  # A declined renewal is tried again while somebody looks.
        "SCROOGE_NETWORK_TOKENS": "mastercard",
        **kept,
        "SCROOGE_DATA_DIR": str(folder),
        "SCROOGE_HOST": where.host,
        "SCROOGE_PORT": str(where.port),
        "SCROOGE_SANDBOX_HOST": where.host,
        "SCROOGE_SANDBOX_PORT": str(where.sandbox_port),
    }


class Demo:
    """One run of the demo: the crew, and the places that `demo.json` tells."""

    def __init__(self, crew: Crew, where: Addresses, started: float) -> None:
        self.crew, self.where, self.started = crew, where, started
        self.run = format(time.time_ns() // 1_000_000, "x")
        self.api_key = self.vault_key = ""

    async def whole(self, payments: int, seed: int, as_json: bool, leave: bool) -> bool:
        """Whether the money was right. Ends early, cancelled, on SIGINT or SIGTERM."""
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        await migrate(self.crew.database.url)
        await migrate_vault(self.crew.vault_database.url)
        self.hire()
        await self.crew.ready()
        watch = asyncio.create_task(self.crew.watch())
        try:
            ok = await self.perform(payments, seed, as_json, leave)
            if not leave:
                await watch
        finally:
            watch.cancel()
        return ok

    def hire(self) -> None:
        folder, where = self.crew.folder, self.where
        state = ("--state", str(folder / "sandbox.state"))
        self.crew.start(Job("sandbox", ("sandbox", *state), f"{where.sandbox_url}/healthz"))
        known = seeds(folder, write_private)
        own = pair(where.vault_url, where.sandbox_url, folder, where.vault_port, known)
        self.crew.start(Job("vault", ("vault",), f"{where.vault_url}/readyz", own.vault))
        self.crew.start(Job("serve", ("serve",), f"{where.api_url}/healthz", own.core))
        self.crew.start(Job("worker", ("worker",), None, own.core))

    async def perform(self, payments: int, seed: int, as_json: bool, leave: bool) -> bool:
        """Payments with faults, then quiet, then the audit and its story."""
        url, where = self.crew.database.url, self.where
        db = await connect(url, size=2)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as http:
            urls = where.api_url, where.sandbox_url, where.vault_url
            shop = await open_shop(self.crew.folder, db, self.crew.vault_database.url, http, *urls)
            self.api_key, self.vault_key = shop.keys["checkout"], shop.vault_key
            since = datetime.now(UTC)
            await set_faults(http, where.sandbox_url, seed)
            await make_policy(shop, http)
            weather = Weather(shop, http, seed, payments)
            traffic = Traffic(shop, http, counted(payments), weather)
            run = await traffic.run(planned(shop, payments, seed, self.run))
            await clear_faults(http, where.sandbox_url)
        self.crew.start(checkout(shop, where, self.crew.folder))
        await self.crew.ready()
        seen = await self.quiet(db, since)
        outcomes = await condition.statuses(db, since)
        renewals = await won_back(db, since)
        await db.close()
        check = await audited(url, where.sandbox_url)
        told = story.told(run, outcomes, seen, check, self.places(), self.started, weather.told(), renewals)
        self.publish()
        self.crew.changed = self.publish
        if as_json:
            document(told)
        else:
            story.show(told, await trial_balance(url))
            if not leave:
                story.invite(self.crew.folder / "demo.json", shop, where.shop_url, self.run)
        return check.ok

    async def quiet(self, db: Database, since: datetime) -> condition.Activity:
        """Until nothing is open, nothing unread and no renewal waits for its retry, or long enough."""
        until = time.monotonic() + QUIET_SECONDS
        seen, waiting = await condition.activity(db, since), await recoveries.waiting(db)
        if seen.open or seen.unread or waiting:
            say(
                f"{seen.open} attempts and {seen.unread} notifications are being settled,"
                f" {waiting} declined renewals wait to be tried again"
            )
        while (seen.open or seen.unread or waiting) and time.monotonic() < until:
            await asyncio.sleep(POLL_SECONDS)
            seen, waiting = await condition.activity(db, since), await recoveries.waiting(db)
        return seen

    def places(self) -> dict[str, str | None]:
        return {
            "api_url": self.where.api_url,
            "console_url": None,
            "vault_url": self.where.vault_url,
            "sandbox_url": self.where.sandbox_url,
            "shop_url": self.where.shop_url,
        }

    def publish(self) -> None:
        """`demo.json`: where everything is, for programs."""
        content: dict[str, Any] = {
            **self.places(),
            "api_key": self.api_key,
            "vault_key": self.vault_key,
            "database_url": self.crew.database.url,
            "pids": self.crew.pids,
        }
        write_private(self.crew.folder / "demo.json", content)


async def won_back(db: Database, since: datetime) -> RecoverySummary:
    """What became of the renewals that were declined since then."""
    merchant = await find_merchant(db, MERCHANT)
    assert merchant is not None
    f = Filter(merchant=merchant, livemode=False, since=microseconds(since) or 0)
    return summed(await recoveries.summary(db, f), livemode=False)


def checkout(shop: Shop, where: Addresses, folder: Path) -> Job:
    """The sample shop for people with a browser, as its own server knows the world."""
    config = ShopConfig(
        host=where.host, port=where.shop_port, api_url=where.api_url, api_key=shop.keys["checkout"],
        vault_url=where.vault_url, vault_key=shop.vault_key, snippet=snippet(where.vault_url),
        accounts=shop.psps,
    )  # fmt: skip
    file = folder / "checkout.json"
    write_private(file, config)
    return Job("shop", ("shop", "--config", str(file)), f"{where.shop_url}/healthz")


def counted(total: int):
    """Says how far the payments are, about ten times."""
    step, done = max(1, total // 10), 0

    def one() -> None:
        nonlocal done
        done += 1
        if done % step == 0 or done == total:
            say(f"{done:,} of {total:,} payments")

    return one
