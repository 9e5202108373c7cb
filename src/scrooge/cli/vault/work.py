"""What `vault keys` does: with the vault's database and an open keyring. Needs the libraries of the extra `vault`."""

import asyncio
import getpass
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import typer

from scrooge.cli.operator import operator_name
from scrooge.cli.output import say
from scrooge.cli.vault.place import on_database, place, require_schema
from scrooge.errors import KeyInUse, SettingsError, ShareRefused
from scrooge.postgres.database import Database
from scrooge.vault.keys import health
from scrooge.vault.keys.acts import Acts, Operator
from scrooge.vault.keys.custodians import Ceremony, Custodians
from scrooge.vault.keys.health import Health
from scrooge.vault.keys.keyring import Keyring
from scrooge.vault.keys.named import of_uri
from scrooge.vault.keys.reencrypt import Reencryption
from scrooge.vault.keys.registry import State, Version
from scrooge.vault.keys.start import make_vault, open_keyring
from scrooge.vault.keys.wrapping import NewKek, active_kek, new_kek_id
from scrooge.vault.settings import VaultSettings, load

TOLD_EVERY_SECONDS = 2.0


class Work:
    """An open keyring, and who works with it."""

    def __init__(self, settings: VaultSettings, db: Database, keyring: Keyring) -> None:
        self.settings, self.db, self.keyring = settings, db, keyring
        self.by = operator()
        self.acts = Acts(db, keyring, settings.periods(), self.by)


def operator() -> Operator:
    return Operator(f"operator:{operator_name()}", "cli")


def with_keys(work: Callable[[Work], Awaitable[Any]]) -> Any:
    """On the vault's database and with its keys; custodians are asked for their shares where it takes them."""
    with place(load(), existing=True) as settings:

        async def opened(db: Database) -> Any:
            if await active_kek(db) is None:
                raise SettingsError("this vault has no keys yet: start it once, or hold a ceremony")
            keyring = await open_keyring(db, settings.kek_uri(), settings.periods(), operator())
            if keyring.sealed:
                await gather(Custodians(db, keyring))
            return await work(Work(settings, db, keyring))

        return on_database(settings, opened)


async def gather(custodians: Custodians) -> None:
    """Opens the keys of this command alone. A terminal asks; without one, lines of `NAME SHARE` come on stdin."""
    progress = await custodians.progress()
    while progress.sealed:
        say(f"share {progress.entered + 1} of {progress.needed}:")
        name, share = asked()
        try:
            progress = await custodians.enter(name, share, accepts=False, origin="cli")
        except ShareRefused as refused:
            say(f"refused: {refused.detail}")
            if not sys.stdin.isatty():
                raise


def asked() -> tuple[str, str]:
    if sys.stdin.isatty():
        return typer.prompt("custodian", err=True), getpass.getpass("share (not shown): ")
    name, _, share = sys.stdin.readline().strip().partition(" ")
    if not share:
        raise SettingsError("the keys are in shares: lines of a custodian's name and share are expected on stdin")
    return name, share


def status(*, migrated: bool = True) -> Health:
    """`migrated`: an embedded database may be brought up to date first. Raises MigrationError where it is behind."""
    with place(load(), existing=True, migrated=migrated) as settings:
        require_schema(settings)
        return on_database(settings, lambda db: health.look(db, settings.kek_uri()))


def rotate(purposes: list[str], emergency: bool) -> list[Version]:
    async def work(w: Work) -> list[Version]:
        wanted = [pair for pair in w.keyring.opened().active if not purposes or pair[0] in purposes]
        _, usable_at = await w.acts.prepare(wanted)
        say(f"{len(wanted)} new keys are made; they come into use when every process knows them")
        wait = (usable_at - await health.moment(w.db)).total_seconds()
        await asyncio.sleep(max(0.0, wait) + 0.1)
        return await w.acts.promote(wanted, emergency=emergency)

    return with_keys(work)


def reencrypt() -> tuple[int, int, float]:
    """How many cards were moved, how many do not open, and in how many seconds."""

    async def work(w: Work) -> tuple[int, int, float]:
        anew = Reencryption(w.db, w.keyring, w.by)
        say(f"{(await anew.left()).cards} cards to move")
        began, told, moved = time.monotonic(), 0.0, 0
        async for count in anew.run():
            moved += count
            seconds = time.monotonic() - began
            if seconds - told >= TOLD_EVERY_SECONDS:
                told, rate = seconds, moved / seconds
                left = (await anew.left()).cards
                say(f"{moved} moved, {left} left, {rate:,.0f} cards/s, about {left / rate:,.0f} s")
        return moved, anew.unopened, time.monotonic() - began

    return with_keys(work)


def retire(key_ids: list[int]) -> tuple[list[Version], list[str]]:
    """The keys that were destroyed, and why others were not; without ids, every key that is out of use."""

    async def work(w: Work) -> tuple[list[Version], list[str]]:
        done: list[Version] = []
        refused: list[str] = []
        for key_id in key_ids or [v.key_id for v in await health.versions(w.db) if v.state is State.DECRYPT_ONLY]:
            try:
                done.append(await w.acts.retire(key_id))
            except KeyInUse as problem:
                refused.append(f"{key_id}: {problem.detail}")
        return done, refused

    return with_keys(work)


def rewrap(uri: str) -> int:
    """How many keys are wrapped by it now."""

    async def work(w: Work) -> int:
        kek = of_uri(uri, make=True)
        assert kek is not None, "shares come by a ceremony"
        await w.acts.rewrap(NewKek(kek=kek, id=new_kek_id()))
        return sum(v.state is not State.DESTROYED for v in await health.versions(w.db))

    return with_keys(work)


def take(held: Ceremony) -> None:
    """The key of a ceremony comes into use: for the first keys of a new vault, or for those that there are."""
    with place(load()) as settings:
        made = on_database(settings, lambda db: make_vault(db, held.new, settings.periods(), operator()))
    if not made:
        with_keys(lambda w: w.acts.rewrap(held.new))
