"""What an audit found: counts, and the first findings as sentences an operator can act on."""

from typing import Any

from msgspec import Struct

from scrooge.errors import UnknownCurrency
from scrooge.money import Money
from scrooge.postgres.rows import public

SHOWN = 20
WRONG_MAX = 10_000  # Rows fetched of one kind of fault; their number is counted in full.


class Report(Struct, kw_only=True):
    """Counts of what is wrong, and the first findings as sentences."""

    ok: bool = True
    payments: int = 0
    double_charges: int = 0
    lost: int = 0
    amount_mismatches: int = 0
    unbalanced_journals: int = 0
    unresolved: int = 0
    breaks: int = 0
    phantoms: int = 0
    ledger_differs: int = 0
    stored_value_differs: int = 0
    counters_differ: int = 0
    statuses_differ: int = 0
    events_missing: int = 0
    fees_differ: int = 0
    splits_differ: int = 0
    reversals_unheard: int = 0
    foreign: int = 0
    truth_lines: int = 0
    findings: list[str] = []


# Open questions and late news are no faults: everything else must be zero.
FAULTS = (
    "double_charges", "lost", "amount_mismatches", "unbalanced_journals", "phantoms", "ledger_differs",
    "stored_value_differs", "counters_differ", "statuses_differ", "events_missing", "fees_differ", "splits_differ",
)  # fmt: skip

# Which finding each query's rows become.
SENTENCES = {
    "unbalanced_journals": "journal {journal_id} of {payment} is out of balance by {minor} {currency} (minor units)",
    "ledger_differs": "{payment}: {account} holds {posted} {currency} (minor units), the attempts say {expected}",
    "stored_value_differs": "{account}: {what}",
    "events_missing": "{reference}: the {operation} is {state}, but no event said so",
    "splits_differ": "{payment}: {wrong}",
    "doubles_in_books": "{payment}: taken more than once by our own rows",
    "doubles_at_psp": "{payment}: the PSPs took the money {times} times",
    "lost": "{reference}: the PSP's {operation} {psp_reference} of {money} succeeded; ours: {state}",
    "amount_mismatches": "{reference}: the PSP's {operation} was {money}, ours {our_minor} {our_currency} (minor)",
    "phantoms": "{reference}: our {operation} of {money} is approved, but the PSP knows nothing of it",
    "reversals_unheard": "{reference}: the PSP took back the {operation} of {money}, we still call it approved",
}  # fmt: skip


def find(report: Report, query: str, rows: list[Any]) -> int:
    """Adds the first rows of a query as sentences; says how many there are in all."""
    for row in rows[: max(0, SHOWN - len(report.findings))]:
        words = dict(row)
        if "payment_id" in words:
            words["payment"] = public("pay", words["payment_id"])
        if "account_id" in words:
            words["account"] = public("sva", words["account_id"]) or "stored value"
        if "minor" in words and "currency" in words:
            words["money"] = money(words["minor"], words["currency"])
        report.findings.append(SENTENCES[query].format_map(words))
    return rows[0]["total"] if rows else 0


def money(minor: Any, currency: str) -> str:
    """Readable even where the row is so wrong that its currency is none."""
    try:
        return str(Money(int(minor), currency))
    except (UnknownCurrency, TypeError, ValueError):
        return f"{minor} {currency}"
