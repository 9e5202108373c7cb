"""The books as text that other programs verify: hledger, beancount, and journal lines as CSV.

Each journal is one transaction with its ids. What is only remembered, not owed (the memo accounts), goes under
Equity. A merchant's accounts end in the merchant's name, so that the books of several can share a file.
"""

import csv
import io
import re
from collections.abc import Callable, Sequence

from msgspec import Struct

from scrooge.ledger.postings import Posting
from scrooge.money import decimal, exponent_of

# The first part of a ledger account's name, and what accountants call it.
ROOTS = {"assets": "Assets", "liabilities": "Liabilities", "revenue": "Income", "expenses": "Expenses",
         "memo": "Equity:Memo"}  # fmt: skip
TYPES = {
    "assets": "A",
    "liabilities": "L",
    "income": "R",
    "expenses": "X",
    "equity": "E",
}  # hledger's one-letter account types
COLUMNS = (
    "journal_id", "line_no", "posting_date", "account", "debit", "credit", "currency", "memo", "effect",
    "merchant", "caller", "payment_id", "attempt_id",
)  # fmt: skip


class Entry(Struct, frozen=True):
    """A journal with what it is about. `date` is the UTC day it was posted, as 2026-11-21."""

    id: str
    date: str
    merchant: str
    caller: str
    reference: str  # the caller's, which may hold any character
    payment: str
    attempt: str
    effect: str
    postings: tuple[Posting, ...]


class Chart(Struct, frozen=True):
    """What the books use: (account, merchant) pairs, currencies, and the first day; sorted."""

    accounts: tuple[tuple[str, str], ...]
    currencies: tuple[str, ...]
    since: str


class Format(Struct, frozen=True):
    """`head` comes once and needs the chart; `entry` once for each journal. Both give whole lines."""

    head: Callable[[Chart], str]
    entry: Callable[[Entry], str]


def amount(p: Posting) -> str:
    return decimal(p.minor, exponent_of(p.currency))


def plain(text: str) -> str:
    """One line without control characters: nobody's reference may write lines of the books."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text)


# --- hledger (hledger.org/hledger.html) -----------------------------------------------------


def hledger_account(account: str, merchant: str) -> str:
    """assets.psp_receivable.stripe of demo is assets:psp_receivable:stripe:demo."""
    root, *rest = account.split(".")
    return ":".join([ROOTS[root].lower(), *rest, merchant])


def hledger_head(chart: Chart) -> str:
    lines = ["; Scrooge: the books, amounts in ISO 4217 scale", "decimal-mark .", ""]
    for currency in chart.currencies:
        scale = decimal(1000 * 10 ** exponent_of(currency), exponent_of(currency))
        lines.append(f"commodity {scale if '.' in scale else scale + '.'} {currency}")
    for account, merchant in chart.accounts:
        name = hledger_account(account, merchant)
        lines.append(f"account {name}  ; type:{TYPES[name.partition(':')[0]]}")
    return "\n".join(lines) + "\n"


def hledger_entry(e: Entry) -> str:
    lines = [
        f"{e.date} * ({e.id}) {e.effect}  ; payment:{e.payment}, attempt:{e.attempt}, effect:{e.effect}",
        f"    ; merchant:{e.merchant}, caller:{e.caller}",
        f"    ; reference:{plain(e.reference).replace(',', ' ')}",
    ]
    lines += [f"    {hledger_account(p.account, e.merchant)}  {amount(p)} {p.currency}" for p in e.postings]
    return "\n" + "\n".join(lines) + "\n"


# --- beancount 2 (beancount.github.io/docs/beancount_language_syntax.html) ------------------


def beancount_account(account: str, merchant: str) -> str:
    """assets.psp_receivable.stripe of demo is Assets:PspReceivable:Stripe:Demo."""
    root, kind, *names = account.split(".")
    chart_name = "".join(word.capitalize() for word in kind.split("_"))
    return ":".join([ROOTS[root], chart_name, *map(component, [*names, merchant])])


def component(name: str) -> str:
    """A name of ours (lower case, digits, - and _) as beancount takes it; no two names become one."""
    return (name[0].upper() + name[1:]).replace("_", "-U-")


def quoted(text: str) -> str:
    return '"' + plain(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def beancount_head(chart: Chart) -> str:
    lines = ['option "title" "Scrooge"', ""]
    lines += [f"{chart.since} commodity {currency}" for currency in chart.currencies]
    lines += [f"{chart.since} open {beancount_account(*pair)}" for pair in chart.accounts]
    return "\n".join(lines) + "\n"


def beancount_entry(e: Entry) -> str:
    meta = {
        "journal": e.id, "payment": e.payment, "attempt": e.attempt, "effect": e.effect, "merchant": e.merchant,
        "caller": e.caller, "reference": e.reference,
    }  # fmt: skip
    lines = [f'{e.date} * "{e.effect}" ^{e.payment}']
    lines += [f"  {name}: {quoted(value)}" for name, value in meta.items()]
    lines += [f"  {beancount_account(p.account, e.merchant)}  {amount(p)} {p.currency}" for p in e.postings]
    return "\n" + "\n".join(lines) + "\n"


# --- CSV (RFC 4180) -------------------------------------------------------------------------


def rows(table: Sequence[Sequence[str | int]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(table)
    return text.getvalue()


def csv_entry(e: Entry) -> str:
    """A line a posting. The memo begins with a word of ours, so that no spreadsheet takes it for a formula."""
    memo = f"{e.effect} {plain(e.reference)}"
    return rows([
        (
            e.id, number, e.date, p.account, amount(p) if p.minor > 0 else "",
            amount(Posting(p.account, -p.minor, p.currency)) if p.minor < 0 else "", p.currency, memo, e.effect,
            e.merchant, e.caller, e.payment, e.attempt,
        )
        for number, p in enumerate(e.postings, start=1)
    ])  # fmt: skip


FORMATS: dict[str, Format] = {
    "hledger": Format(hledger_head, hledger_entry),
    "beancount": Format(beancount_head, beancount_entry),
    "csv": Format(lambda _: rows([COLUMNS]), csv_entry),
}
