"""A small, true world: payments made by the domain and kept by the storage, without a PSP."""

import os
import signal
import sys
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest
from msgspec import structs

from scrooge.cli.main import main
from scrooge.connectors.connector import Request
from scrooge.domain.attempt import Attempt, Operation
from scrooge.domain.declines import Decline
from scrooge.domain.news import hear
from scrooge.domain.outcome import Approved, Declined, Outcome, Reversed
from scrooge.domain.payment import Payment, authorization_of, decide
from scrooge.flows.announce import announcement
from scrooge.ids import bucket_of, hex_of, new_id
from scrooge.ledger.postings import journal
from scrooge.postgres.database import Database, connect
from scrooge.storage import changes
from scrooge.storage.access import create_caller, create_merchant
from scrooge.storage.changes import Change, Guard

SECOND = 1_000_000
REQUEST = Request("POST", "/payments", b"{}")


class World:
    """`truth` is what a PSP would tell about what was made here."""

    def __init__(self, url: str, db: Database, merchant: str, caller: str, account: str) -> None:
        self.url, self.db = url, db
        self.merchant, self.caller, self.account = merchant, caller, account
        self.made = 0
        self.truth: list[dict] = []

    async def pay(
        self, outcome: Outcome | None, minor: int = 1000, currency: str = "EUR", *, sale: bool = True
    ) -> Payment:
        """A payment whose first attempt got this answer; None leaves it sent."""
        self.made += 1
        reference = f"order-{self.made}"
        bucket = bucket_of(self.merchant, self.caller, reference)
        payment_id = new_id("pay", bucket)
        attempt = Attempt(
            id=new_id("att", bucket), number=1, operation=Operation.AUTHORIZE, minor=minor, sale=sale,
            connector_account=self.account, reference=f"{payment_id}-1", sent_at=now(),
        )  # fmt: skip
        p = Payment(
            id=payment_id, merchant=self.merchant, caller=self.caller, reference=reference, minor=minor,
            currency=currency, sale=sale, attempts=(attempt,), created_at=now(), deadline_at=now(),
            metadata={},
        )  # fmt: skip
        guard = Guard(bucket, reference, bytes(32))
        assert await changes.create(self.db, [(p, guard, REQUEST, now() + 60 * SECOND)])
        return p if outcome is None else await self.hears(p, attempt.id, outcome)

    async def asks(
        self, p: Payment, operation: Operation, minor: int, outcome: Outcome | None, *, final: bool = False
    ) -> Payment:
        """A capture, void or refund, recorded and then answered."""
        parent = authorization_of(p)
        number = len(p.attempts) + 1
        after = decide(
            p, operation, minor, id=new_id("att", bucket_of(p.id)), number=number, final=final, sent_at=now(),
            connector_account=parent.connector_account, reference=f"{p.id}-{number}",
        )  # fmt: skip
        attempt = after.attempts[-1]
        p = await self.keeps(p, after, {attempt.id: REQUEST})
        return p if outcome is None else await self.hears(p, attempt.id, outcome)

    async def hears(self, p: Payment, attempt_id: str, outcome: Outcome) -> Payment:
        after = await self.keeps(p, hear(p, attempt_id, outcome, now()))
        a = after.attempt(attempt_id)
        told = {"approved": "approved", "declined": "declined", "reversed": "reversed"}.get(a.state)
        if told:
            self.truth.append(
                {
                    "n": len(self.truth) + 1,
                    "reference": a.reference,
                    "operation": "sale" if a.sale else str(a.operation),
                    "psp_reference": a.psp_reference or "",
                    "minor": a.minor,
                    "currency": p.currency,
                    "outcome": told,
                }
            )
        return after

    async def keeps(self, before: Payment, after: Payment, requests: dict | None = None) -> Payment:
        journals, events = [], []
        known = {a.id: a for a in before.attempts}
        for a in after.attempts:
            if a != known.get(a.id):
                posted = journal(before, after, a.id, {"psp": "stripe", "caller": "checkout"})
                event = announcement(after, known.get(a.id), a, "psp")
                journals += [posted] if posted else []
                events += [event] if event else []
        ask_at = {a.id: now() + 60 * SECOND for a in after.attempts}
        change = Change(before, after, tuple(journals), tuple(events), requests or {}, ask_at)
        assert await changes.save(self.db, [change])
        return structs.replace(after, version=before.version + 1)

    async def break_with(self, *statements: str) -> None:
        """As a superuser, past every trigger and foreign key."""
        connection = await asyncpg.connect(self.url)
        await connection.execute("SET session_replication_role = replica")
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    async def all_sorts(self) -> dict[str, Payment]:
        """One payment of each life there is."""
        held = await self.pay(ok("a"), 5000, sale=False)
        part = await self.asks(await self.pay(ok("b"), 5000, sale=False), Operation.CAPTURE, 3000, ok("c"), final=True)
        void = await self.asks(await self.pay(ok("d"), 700, "USD", sale=False), Operation.VOID, 700, ok("e"))
        back = await self.asks(await self.pay(ok("f"), 900), Operation.REFUND, 400, ok("g"))
        promised = await self.asks(await self.pay(ok("h"), 900), Operation.REFUND, 300, None)
        taken = await self.pay(ok("i"), 1250, "KWD")
        failed = await self.hears(taken, taken.attempts[0].id, Reversed("capture failed"))
        return {
            "sale": await self.pay(ok("j"), 1299),
            "yen": await self.pay(ok("k"), 1299, "JPY"),
            "declined": await self.pay(Declined(Decline.INSUFFICIENT_FUNDS, psp_reference="l")),
            "open": await self.pay(None),
            "held": held, "part": part, "void": void, "back": back, "promised": promised, "failed": failed,
        }  # fmt: skip


def now() -> int:
    return time.time_ns() // 1000


def ok(psp_reference: str) -> Approved:
    return Approved(psp_reference)


@pytest.fixture
async def world(fresh_database_url: str) -> AsyncIterator[World]:
    db = await connect(fresh_database_url, size=2)
    merchant = await create_merchant(db, "demo")
    caller = await create_caller(db, merchant, "checkout")
    account = new_id("con", 0)
    async with db.connection() as connection:
        await connection.execute(
            "INSERT INTO connector_accounts (id, merchant_id, name, connector, merchant_account, livemode,"
            " credentials, base_url) VALUES ($1, $2, 'stripe', 'stripe', 'acct_1', false, '', 'http://127.0.0.1:1')",
            hex_of(account), hex_of(merchant),
        )  # fmt: skip
    yield World(fresh_database_url, db, merchant, caller, account)
    await db.close()


@pytest.fixture
def scrooge(monkeypatch, capsys):
    """Runs a command in this process: (exit code, stdout, stderr)."""

    def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
        before = signal.getsignal(signal.SIGTERM)
        with monkeypatch.context() as patch:
            for name in [n for n in os.environ if n.startswith("SCROOGE_")]:
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["scrooge", *arguments])
            try:
                main()
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
            finally:
                signal.signal(signal.SIGTERM, before)
        out, err = capsys.readouterr()
        return code, out, err

    return run
