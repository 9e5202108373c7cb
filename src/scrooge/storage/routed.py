"""What counts in routing just now: the active policies, the prices, what is switched by hand.

All of it is in memory, so that no payment waits for it. Whoever changes something raises an epoch, and every process
looks at that a few times a second. While the database is away, or when something new cannot be read, the last known
goes on to count.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import structlog
from msgspec import structs

from scrooge.errors import RoutingUnavailable
from scrooge.ids import hex_of
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import microseconds, public
from scrooge.routing import tariff
from scrooge.routing.costs import Costs
from scrooge.routing.health import State
from scrooge.routing.policy import document
from scrooge.routing.policy.document import Policy
from scrooge.routing.policy.plan import Compiled
from scrooge.routing.switches import Manual
from scrooge.routing.tariff import Prices
from scrooge.routing.when import ANYTHING, When

log = structlog.get_logger()
Q = load(Path(__file__).with_suffix(".sql"))
LOOK_SECONDS = 0.4  # A change is seen within this and a read: less than a second.
NO_PRICES = Costs()

Whose = tuple[str, bool]  # merchant, livemode
Scope = tuple[str, bool, str | None]  # and the caller; None, everybody


class Routing:
    """Of one process. `epoch` moves with every change; -1 before anything was read."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.epoch = -1
        self.known: dict[str, Policy | None] = {}  # by id; None: this process cannot read it
        self.active: dict[Scope, str] = {}
        self.compiled: dict[Scope, Compiled | None] = {}
        self.made_of: dict[Scope, tuple[str, str | None]] = {}  # policies' ids, its own and the one around it
        self.priced: dict[str, Costs] = {}
        self.prices: dict[Whose, Costs] = {}
        self.switches: dict[Whose, dict[str, tuple[Manual, ...]]] = {}
        self.reading = asyncio.Lock()  # Or what was read earlier could come after what was read later.
        self.checking = asyncio.Semaphore(1)  # of policies, at once
        self.beside: list[Callable[[], Awaitable[None]]] = []  # what else is read when the epoch has moved

    # --- what counts ---

    def policy(self, merchant: str, caller: str, livemode: bool) -> Compiled | None:
        """The caller's own within the merchant's; None when nobody made one. Raises RoutingUnavailable."""
        scope = (merchant, livemode, caller)
        if scope not in self.active:
            scope = (merchant, livemode, None)
        if scope not in self.active:
            return None
        found = self.compiled.get(scope)
        if found is None:
            raise RoutingUnavailable("the active routing policy needs a newer version of this process", retry_after=5)
        return found

    def costs(self, merchant: str, livemode: bool) -> Costs:
        """By the accounts' ids."""
        return self.prices.get((merchant, livemode), NO_PRICES)

    def manual(self, merchant: str, livemode: bool) -> Mapping[str, Sequence[Manual]]:
        """By the accounts' ids; one whose time is over may still be there."""
        return self.switches.get((merchant, livemode), {})

    # --- reading it ---

    async def follow(self) -> None:
        """For ever. Nothing that goes wrong here ends it."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.refresh()
                await self.prepare()
            except Exception as error:
                log.warning("routing_not_read", error=type(error).__name__)

    async def prepare(self) -> None:
        """The prices of the day that begins next, before the first payment asks for them."""
        at = time.time_ns() // 1000
        for costs in [costs for costs in self.priced.values() if not costs.ready(at)]:
            await asyncio.to_thread(costs.prepare, at)

    async def refresh(self) -> None:
        """Reads what changed since the last time. Raises DatabaseUnavailable."""
        async with self.reading:
            await self.read()

    async def read(self) -> None:
        try:
            row = await run(self.db, Q["epoch"])
        except asyncpg.UndefinedTableError:
            return  # A new process before its migration: nobody can have made a policy.
        if row is None or row["epoch"] == self.epoch:
            return
        await self.read_policies()
        await self.read_prices()
        await self.read_switches()
        for read in self.beside:
            await read()
        self.epoch = row["epoch"]  # Last: what fails on the way is read again.

    async def read_policies(self) -> None:
        rows = await run(self.db, Q["active"])
        active = {scope_of(r): public("pol", r["policy_id"]) or "" for r in rows if r["policy_id"] is not None}
        missing = [hex_of(i) for i in active.values() if self.known.get(i) is None]
        for row in await run(self.db, Q["policies"], missing) if missing else ():
            policy_id = public("pol", row["id"]) or ""
            self.known[policy_id] = decoded(policy_id, row["document"])
        if active != self.active or missing:
            self.compiled, self.active = await asyncio.to_thread(self.compile, active), active
        self.known = {i: p for i, p in self.known.items() if i in active.values()}

    def compile(self, active: Mapping[Scope, str]) -> dict[Scope, Compiled | None]:
        """The merchants' own first: those of callers are within them. What cannot be read leaves the last known."""
        found: dict[Scope, Compiled | None] = {}
        made_of: dict[Scope, tuple[str, str | None]] = {}
        for scope in sorted(active, key=lambda s: s[2] is not None):
            merchant, livemode, caller = scope
            around = (merchant, livemode, None)
            within = caller is not None and around in active
            made_of[scope] = ids = active[scope], active[around] if within else None
            policy, outer = self.known.get(ids[0]), found[around] if within else None
            if self.made_of.get(scope) == ids and self.compiled.get(scope) is not None:
                found[scope] = self.compiled[scope]  # with all that it remembers
                continue
            made = None if policy is None or (within and outer is None) else compiled(ids[0], policy, outer)
            if made is None:
                del made_of[scope]
            found[scope] = made or self.compiled.get(scope)
        self.made_of = made_of
        return found

    async def read_prices(self) -> None:
        rows = await run(self.db, Q["tariffs"])
        newest = {whose(r): public("tar", r["id"]) or "" for r in rows}
        missing = [hex_of(i) for i in newest.values() if i not in self.priced]
        if missing:
            merchants = [hex_of(m) for m in {merchant for merchant, _ in newest}]
            names: dict[Whose, dict[str, str]] = {}
            for r in await run(self.db, Q["accounts"], merchants):
                names.setdefault(whose(r), {})[r["name"]] = public("con", r["id"]) or ""
            by_id = {i: w for w, i in newest.items()}
            for row in await run(self.db, Q["prices"], missing):
                tariff_id = public("tar", row["id"]) or ""
                ids = names.get(by_id[tariff_id], {})
                costs = await asyncio.to_thread(costs_of, tariff_id, row["document"], ids)
                if costs is not None:
                    self.priced[tariff_id] = costs
        self.prices = {w: self.priced[i] if i in self.priced else self.costs(*w) for w, i in newest.items()}
        self.priced = {i: c for i, c in self.priced.items() if i in newest.values()}

    async def read_switches(self) -> None:
        found: dict[Whose, dict[str, tuple[Manual, ...]]] = {}
        for r in await run(self.db, Q["switches"]):
            switch = switch_of(r)
            of = found.setdefault(whose(r), {})
            of[switch.account] = (*of.get(switch.account, ()), switch)
        self.switches = found


def whose(row: Any) -> Whose:
    return public("mer", row["merchant_id"]) or "", row["livemode"]


def scope_of(row: Any) -> Scope:
    return (*whose(row), public("clr", row["caller_id"]))


def decoded(policy_id: str, text: str) -> Policy | None:
    try:
        return document.from_json(text)
    except msgspec.MsgspecError as error:  # A word of a later version.
        log.error("routing_policy_unreadable", policy=policy_id, error=str(error))
        return None


def compiled(policy_id: str, policy: Policy, outer: Compiled | None) -> Compiled | None:
    """None for one that this process cannot use: the policies of others go on to be read."""
    try:
        return Compiled(policy, outer)
    except Exception as error:
        log.error("routing_policy_unusable", policy=policy_id, error=type(error).__name__, exc_info=True)
        return None


def switch_of(row: Any) -> Manual:
    """One whose condition is of a later version counts for all payments: rather too few go there than too many."""
    state, when = State(row["state"]), ANYTHING
    try:
        when = msgspec.json.decode(row["condition"], type=When)
    except msgspec.MsgspecError as error:
        log.error("routing_switch_unreadable", error=str(error))
        state = State.OFF if state is State.ON else state
    until = microseconds(row["expires_at"])
    account = public("con", row["connector_account_id"]) or ""
    return Manual(account=account, state=state, reason=row["reason"], until=until, when=when)


def costs_of(tariff_id: str, text: str, ids: Mapping[str, str]) -> Costs | None:
    """The prices by the accounts' ids."""
    try:
        prices = tariff.from_json(text)
        known = tuple(structs.replace(t, account=ids[t.account]) for t in prices.tariffs if t.account in ids)
        costs = Costs(Prices(schedules=prices.schedules, tariffs=known), tariff_id)
        costs.prepare(time.time_ns() // 1000)
        return costs
    except (msgspec.MsgspecError, ValueError) as error:
        log.error("routing_tariffs_unreadable", tariffs=tariff_id, error=str(error))
        return None
