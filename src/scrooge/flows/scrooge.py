"""What the flows need from the world. Built once, in app.py."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from weakref import WeakValueDictionary

import aiohttp

from scrooge.admission import Admission
from scrooge.connectors.connector import Connector
from scrooge.connectors.limits import Limits
from scrooge.connectors.vault_client import Vault
from scrooge.flows.learning import Learning
from scrooge.flows.risk_memory import Memory
from scrooge.postgres.database import Database, Part
from scrooge.routing.bins import Bins, no_table
from scrooge.settings import Settings
from scrooge.storage.directory import Directory
from scrooge.storage.instruments import Reader
from scrooge.storage.routed import Routing
from scrooge.storage.stored_value import mover
from scrooge.storage.writer import Writer
from scrooge.webhooks.sender import Sender


class Scrooge:
    """The running thing: settings, database, group commit, PSP client, connectors, directory."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        writer: Writer,
        http: aiohttp.ClientSession,
        connectors: Mapping[str, Connector],
        directory: Directory,
        schema_behind: Callable[[], Awaitable[list[str]]],
        sender: Sender,
        vault: Vault | None = None,
    ) -> None:
        self.settings, self.db, self.writer, self.http = settings, db, writer, http
        self.connectors, self.directory, self.schema_behind = connectors, directory, schema_behind
        self.sender, self.vault = sender, vault
        self.reader = Reader(db)
        self.moves = mover(db)
        self.routing = Routing(db)
        self.inbox = Part(db, max(1, settings.database_pool // 2))  # PSPs notify in crowds; payments come first.
        self.uploads: Counter[str] = Counter()  # of inputs of batches, by caller: those that come in now
        self.admission = Admission(settings.requests_at_work)
        self.limits = Limits(settings.psp_concurrency, self.admission, breaks=settings.psp_breaker,
                             ours=directory.is_ledger)  # fmt: skip
        self.learning = Learning()
        self.risk = Memory(db)
        self.routing.beside.append(self.risk.active.read)
        self.bins: Bins = no_table
        self.turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def patient(self) -> "Scrooge":
        """The same for payments that nobody waits for: what they write waits a little for company."""
        found = copy(self)
        found.writer = self.writer.patient()
        return found

    def turn(self, payment_id: str) -> asyncio.Lock:
        """One change of a payment at a time within this process: waiting here holds no database connection."""
        lock = self.turns.get(payment_id)
        if lock is None:
            lock = self.turns[payment_id] = asyncio.Lock()
        return lock


def now() -> int:
    """Unix microseconds."""
    return time.time_ns() // 1000
