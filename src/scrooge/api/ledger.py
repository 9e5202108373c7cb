"""The books, read only: balances by ledger account, entries, and the proof that it all adds up to zero."""

import re
import time
from itertools import groupby

from scrooge.api import bodies, pages, reports, show
from scrooge.api.call import Answer, Call
from scrooge.errors import NotFound
from scrooge.postgres.rows import instant
from scrooge.storage import books
from scrooge.storage.books import Balance

ACCOUNT = re.compile(r"([a-z0-9_.-]{1,200}):([A-Z]{3})", re.ASCII)


async def accounts(call: Call) -> Answer:
    who = call.principal
    found = [account_of(b) for b in await books.balances(call.s.db, who.merchant, who.livemode)]
    document = reports.LedgerAccountList(data=found, **pages.listed(call, None, more=False))
    return Answer(200, document)


async def trial_balance(call: Call) -> Answer:
    who = call.principal
    found = await books.balances(call.s.db, who.merchant, who.livemode)
    found.sort(key=lambda b: (b.currency, b.account))
    currencies = [of_currency(currency, list(group)) for currency, group in groupby(found, lambda b: b.currency)]
    document = reports.TrialBalance(
        object="trial_balance",
        as_of=instant(time.time_ns() // 1000),
        balanced=sum(abs(sum(b.minor for b in found if b.currency == c.currency)) for c in currencies) == 0,
        currencies=currencies,
    )
    return Answer(200, document)


def of_currency(currency: str, found: list[Balance]) -> reports.TrialBalanceCurrency:
    return reports.TrialBalanceCurrency(
        currency=currency,
        debits=show.amount(sum(b.debits for b in found), currency),
        credits=show.amount(sum(b.credits for b in found), currency),
        total=show.amount(sum(b.minor for b in found), currency),
        accounts=[account_of(b) for b in found],
    )


def account_of(b: Balance) -> reports.LedgerAccount:
    return reports.LedgerAccount(
        id=f"{b.account}:{b.currency}",
        object="ledger_account",
        account=b.account,
        currency=b.currency,
        balance=show.amount(b.minor, b.currency),
        debits=show.amount(b.debits, b.currency),
        credits=show.amount(b.credits, b.currency),
    )


async def entries(call: Call) -> Answer:
    """Newest first. A ledger account exists from its first posting on."""
    query: bodies.Page = call.query
    named = ACCOUNT.fullmatch(call.path["ledger_account"])
    if named is None:
        raise NotFound("no such ledger account")
    before = books.NEWEST
    if query.cursor:
        before = pages.position_of(call, query.cursor, "cursor", tuple[str, int])
    who = call.principal
    found, place = await books.entries(call.s.db, who.merchant, who.livemode, named[1], named[2], before, query.limit)
    if not found and place is None and not query.cursor:
        raise NotFound("no such ledger account")
    cursor = pages.cursor_of(call, list(place)) if place else None
    shown = [
        reports.LedgerEntry(
            object="ledger_entry",
            journal=e.journal,
            line=e.line,
            effect=e.effect,
            payment=e.payment,
            attempt=e.attempt,
            amount=show.amount(e.minor, named[2]),
            direction="debit" if e.minor > 0 else "credit",
            created_at=instant(e.created_at),
        )
        for e in found
    ]
    document = reports.LedgerEntryList(data=shown, **pages.listed(call, cursor, more=cursor is not None))
    return Answer(200, document, pages.link(call, cursor))
