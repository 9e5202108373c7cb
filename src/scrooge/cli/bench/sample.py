"""Payments' rows exactly as Scrooge writes them: what the limit is measured with."""

import hashlib
import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs

from scrooge.connectors.connector import Command, Request, render
from scrooge.connectors.stripe import STRIPE
from scrooge.domain.attempt import Operation
from scrooge.domain.news import hear
from scrooge.domain.outcome import Approved
from scrooge.domain.payment import Payment, decide
from scrooge.flows.announce import announcement
from scrooge.ids import bucket_of, new_id
from scrooge.ledger.postings import journal
from scrooge.money import Money
from scrooge.storage import changes
from scrooge.storage.changes import Change, Guard

SECOND = 1_000_000
PSP_REFERENCE = "pi_000000000000000000000001"
CARD = "pm_card_visa"


class Recorder:
    """Stands where a connection would, and keeps the statements instead of running them."""

    def __init__(self) -> None:
        self.said: list[tuple[str, tuple[Any, ...]]] = []

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        self.said.append((sql, args))
        return []


class Seller(Struct, frozen=True):
    """Ids of a merchant, a caller `checkout` and a connector account `stripe`."""

    merchant: str
    caller: str
    account: str


class Sample(Struct, frozen=True):
    """Payments that were captured at once, and the two statements (SQL, arguments) that wrote them all."""

    payments: list[Payment]
    record: tuple[str, tuple[Any, ...]]
    apply: tuple[str, tuple[Any, ...]]


async def sample(seller: Seller, references: Sequence[str]) -> Sample:
    """The same decisions as in flows/authorize.py, with everything approved."""
    recorder = Recorder()
    made = [sent(seller, reference) for reference in references]
    await changes.create(recorder, made)
    await changes.save(recorder, [approved(p) for p, *_ in made])
    record, applied = recorder.said
    return Sample([p for p, *_ in made], record, applied)


def sent(seller: Seller, reference: str) -> tuple[Payment, Guard, Request, int]:
    """A payment that is about to be asked for, with its key, its request and when to ask about it."""
    bucket, now = bucket_of(seller.merchant, seller.caller, reference), time.time_ns() // 1000
    p = Payment(
        id=new_id("pay", bucket), merchant=seller.merchant, caller=seller.caller, reference=reference, minor=1299,
        currency="EUR", sale=True, customer="payer-000", instrument=new_id("ins", 1),
        statement_descriptor="EXAMPLE*PREMIUM", metadata={"plan": "premium"}, created_at=now,
        deadline_at=now + 12 * SECOND,
    )  # fmt: skip
    p = decide(
        p, Operation.AUTHORIZE, None, id=new_id("att", bucket), number=1, connector_account=seller.account, sale=True,
        reference=f"{p.id}-1", return_token="0" * 32, sent_at=now,
    )  # fmt: skip
    command = Command(
        operation=Operation.AUTHORIZE, amount=Money(1299, "EUR"), reference=p.attempts[0].reference, payment=p.id,
        merchant_account="acct_bench", sale=True, customer=p.customer, psp_token=CARD,
        statement_descriptor=p.statement_descriptor,
    )  # fmt: skip
    request = render(STRIPE, command)
    guard = Guard(bucket_of(seller.caller, reference), reference, hashlib.sha256(request.body).digest())
    return p, guard, request, now + 12 * SECOND


def approved(p: Payment) -> Change:
    """What the PSP's approval changes."""
    [attempt] = p.attempts
    outcome = Approved(
        PSP_REFERENCE, Money(1299, "EUR"), network_transaction_id="000000000000001", psp_token=CARD,
        checks={"cvc": "pass"},
    )  # fmt: skip
    after = structs.replace(hear(p, attempt.id, outcome, time.time_ns() // 1000), answered=True)
    posted = journal(p, after, attempt.id, {"psp": "stripe", "caller": "checkout"})
    event = announcement(after, attempt, after.attempts[0], "stripe")
    assert posted is not None
    assert event is not None
    return Change(p, after, (posted,), (event,))
