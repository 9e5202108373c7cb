"""Connections cut at byte offsets, in both directions of all five links, and requests delivered twice."""

import asyncio
import copy
import time
import uuid
from collections.abc import Iterator
from random import Random
from typing import Any
from urllib.parse import unquote

from msgspec import Struct

from tests.faults.cells import CARDS, CONNECTORS, Cell
from tests.faults.driver import Order, drive, prepared
from tests.faults.episode import Episode
from tests.faults.lane import Lane
from tests.faults.proxy import Cut, Proxy

OPERATIONS = ("sale", "authorize", "capture", "void", "refund", "fresh")
LINKS = ("client-api", "api-psp", "api-database")
VAULT_LINKS = ("api-vault", "vault-psp")
AUTHORIZING = ("sale", "authorize", "fresh")
OFFSETS: dict[str, tuple[int, ...]] = {"up": (0, 1, 40, 200, 400), "down": (0, 1, 40, 150, 250)}
# What the statement says on the wire: words in the JSON of what is written. F08 is the commit whose answer is lost.
STATEMENTS = {"record": b'"request"', "apply": b'"psp_reference"', "commit": b"COMMIT"}
DEEPER = {"up": (0, 40, 400, 900, 1500), "down": (0, 1, 150, 600)}  # into a fill and its answer
IN_TRANSACTION = ("capture", "void", "refund", "fresh")  # the others' record is one statement


class Where(Struct, frozen=True):
    """A cut: on which link, toward which end, after how many bytes of what."""

    link: str
    toward: str
    after: int
    statement: str
    operation: str
    connector: str
    card: str = "token"

    def __str__(self) -> str:
        place = f"{self.statement or 'request'} {self.toward} {self.after if self.after >= 0 else 'twice'}"
        return " / ".join((self.link, place, self.operation, self.connector, self.card))


def places(seed: int) -> Iterator[Where]:
    """Every link and offset, spread over operations and PSPs; every statement with every operation."""
    draw = Random(seed)
    spots = [(link, toward, after) for link in LINKS[:2] for toward in OFFSETS for after in OFFSETS[toward]]
    spots += [("api-psp", "up", -1), ("client-api", "up", -1)]
    for link, toward, after in spots:
        for connector in CONNECTORS:
            for operation in draw.sample(OPERATIONS, 3):
                yield Where(link, toward, after, "", operation, connector)
    yield from vault_places()
    for statement in STATEMENTS:
        for toward, after in (("up", 0), ("down", 0), ("down", 5)):
            for n, operation in enumerate(IN_TRANSACTION if statement == "commit" else OPERATIONS):
                yield Where("api-database", toward, after, statement, operation, CONNECTORS[n % 2])


def vault_places() -> Iterator[Where]:
    """The way by the vault: the core to it, and it to the PSPs; cards with and without a code by turns."""
    spots = [(link, "up", -1) for link in VAULT_LINKS]
    for link in VAULT_LINKS:
        offsets = DEEPER if link == "api-vault" else OFFSETS
        spots += [(link, toward, after) for toward in offsets for after in offsets[toward]]
    for n, (link, toward, after) in enumerate(spots):
        yield Where(link, toward, after, "", AUTHORIZING[n % 3], "stripe", CARDS[1 + n % 2])
        yield Where(link, toward, after, "", AUTHORIZING[n % 2], "adyen", CARDS[1 + (n + 1) % 2])


class Cuts(Episode):
    """Everything of one lane goes through proxies: callers to us, us to the PSPs, the vault and PostgreSQL, the vault
    to the PSPs."""

    proxies: dict[str, Proxy]

    def __init__(self, lane: Lane, places: list[Where], seed: int) -> None:
        super().__init__(lane, "any", "cut connections", [], seed)
        self.places = places
        self.result.reached = {str(where): 0 for where in places}

    async def opened(self) -> None:
        lane = self.lane
        socket = f"{unquote(lane.database_url.partition('host=')[2])}/.s.PGSQL.5432"
        self.proxies = {
            "client-api": Proxy("127.0.0.1", lane.port),
            "api-psp": Proxy("127.0.0.1", lane.sandbox_port),
            "api-database": Proxy(path=socket),
            "api-vault": Proxy("127.0.0.1", lane.house.port),
        }
        ports = {link: await proxy.open() for link, proxy in self.proxies.items()}
        database = lane.database_url.partition("?")[0].replace("@/", f"@127.0.0.1:{ports['api-database']}/")
        self.proxies["vault-psp"] = self.proxies["api-psp"]  # One address; who comes there, the instrument decides.
        self.through = {
            "SCROOGE_DATABASE_URL": f"{database}?sslmode=disable",
            "SCROOGE_VAULT_URL": f"http://127.0.0.1:{ports['api-vault']}",
        }
        lane.house.env["SCROOGE_VAULT_TEST_URLS"] += f",http://127.0.0.1:{ports['api-psp']}"
        await lane.begin("vault")
        for name, account in lane.accounts.items():
            url = f"{lane.api_url}/v1/connector-accounts/{account['id']}"
            moved = {"base_url": f"http://127.0.0.1:{ports['api-psp']}/{name}"}
            async with lane.http.patch(url, json=moved, headers=lane.headers()) as answer:
                assert answer.status == 200, await answer.text()
        self.far = copy.copy(lane)  # The same lane, as callers see it from behind their proxy.
        self.far.api_url = f"http://127.0.0.1:{ports['client-api']}"

    async def run(self) -> Any:
        started = time.monotonic()
        await self.opened()
        self.calm.set()
        for _ in range(3):
            due = [where for where in self.places if not self.result.reached[str(where)]]
            if due:
                await self.tried_at(due)
        for proxy in self.proxies.values():
            proxy.cut = None
        self.through = {}
        await self.settle()
        for proxy in set(self.proxies.values()):
            await proxy.close()
        self.result.payments = len(self.orders)
        self.result.seconds = time.monotonic() - started
        return self.result

    async def tried_at(self, places: list[Where]) -> None:
        """A cut and an order at a time: what it strikes is known."""
        await self.lane.begin("serve", SCROOGE_PSP_TIMEOUT_SECONDS="15")
        made = {}
        for where in places:
            cell = Cell(str(where), where.operation, "normal", "retries", where.connector, where.card)
            made[where] = await prepared(self.lane, cell, f"cut-{uuid.uuid4().hex[:12]}")
        self.orders += made.values()
        await self.read_all()
        await self.lane.begin("serve", **self.through)
        await self.known(made)
        for where, order in made.items():
            await self.cut_at(where, order)

    async def known(self, made: dict[Where, Order]) -> None:
        """The core knows the cards, so that what it asks the vault next is to fill one."""
        for where, order in made.items():
            if where.link == "api-vault":
                await self.lane.get(f"/v1/instruments/{order.body['instrument']}")

    async def cut_at(self, where: Where, order: Order) -> None:
        proxy = self.proxies[where.link]
        proxy.cut = Cut(where.toward, where.after, STATEMENTS.get(where.statement, b""), twice=where.after < 0)
        task = asyncio.create_task(drive(self.far, order, self.calm, self.until))
        self.tasks.append(task)
        await self.until_true(lambda: struck(proxy.cut, task), 10)
        self.result.reached[str(where)] += proxy.cut.struck
        proxy.cut = None
        await asyncio.wait([task], timeout=1)  # So that what comes next strikes another.


async def struck(cut: Cut | None, task: asyncio.Task[None]) -> bool:
    return task.done() or (cut is not None and cut.struck)
