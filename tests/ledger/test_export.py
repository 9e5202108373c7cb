"""The exported books pass the strictest checks of the programs they are written for."""

import csv
import io
import shutil
import subprocess
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrooge.ledger.export import (
    FORMATS,
    Chart,
    Entry,
    beancount_account,
    component,
    hledger_account,
    plain,
)  # fmt: skip
from scrooge.ledger.postings import Posting

NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,12}", fullmatch=True)
NASTY = 'a "quoted\\" one; , with:tag, and\nnew line\r\t=1+1 \u2028 end'


def entry(number: int, effect: str, *lines: tuple[str, int, str], reference: str = "order-1") -> Entry:
    return Entry(
        f"jrn_{number:026d}", "2026-11-21", "demo", "checkout", reference, f"pay_{number:026d}",
        f"att_{number:026d}", effect, tuple(Posting(*line) for line in lines),
    )  # fmt: skip


RECEIVABLE, CLEARING = "assets.psp_receivable.stripe_eu", "liabilities.order_clearing.checkout"
BOOKS = [
    entry(1, "sale_approved", (RECEIVABLE, 1299, "EUR"), (CLEARING, -1299, "EUR"), reference=NASTY),
    entry(2, "sale_approved", (RECEIVABLE, 1299, "JPY"), (CLEARING, -1299, "JPY")),
    entry(3, "sale_approved", (RECEIVABLE, 1250, "KWD"), (CLEARING, -1250, "KWD"), reference="=cmd()"),
    entry(4, "authorize_approved", ("memo.authorized", 5, "USD"), ("memo.contra", -5, "USD")),
    entry(5, "refund_sent", (CLEARING, 100, "EUR"), ("liabilities.refunds_pending", -100, "EUR")),
    entry(6, "refund_approved", ("liabilities.refunds_pending", 100, "EUR"), (RECEIVABLE, -100, "EUR")),
]


def written(form: str, entries: list[Entry]) -> str:
    chart = Chart(
        tuple(sorted({(p.account, e.merchant) for e in entries for p in e.postings})),
        tuple(sorted({p.currency for e in entries for p in e.postings})),
        min((e.date for e in entries), default="1970-01-01"),
    )
    return FORMATS[form].head(chart) + "".join(map(FORMATS[form].entry, entries))


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def hledger(tmp_path, text: str, *command: str) -> str:
    path = tmp_path / "books.journal"
    path.write_text(text)
    done = subprocess.run([needs("hledger"), "-f", str(path), *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def bean_check(tmp_path, text: str) -> None:
    path = tmp_path / "books.beancount"
    path.write_text(text)
    done = subprocess.run([needs("bean-check"), str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_hledger_passes_its_strictest_check(tmp_path):
    assert hledger(tmp_path, written("hledger", BOOKS), "check", "--strict") == ""


def test_hledger_adds_up_what_we_posted(tmp_path):
    text = hledger(tmp_path, written("hledger", BOOKS), "balance", "--flat", "-O", "csv", "receivable")
    assert '"assets:psp_receivable:stripe_eu:demo","11.99 EUR, 1299 JPY, 1.250 KWD"' in text


def test_hledger_finds_a_journal_by_its_ids(tmp_path):
    text = written("hledger", BOOKS)
    for tag in ("payment", "attempt"):
        assert "JPY" in hledger(tmp_path, text, "print", f"tag:{tag}={BOOKS[1].payment[4:]}$")


def test_beancount_passes_its_check(tmp_path):
    bean_check(tmp_path, written("beancount", BOOKS))


def test_empty_books_are_valid_in_every_format(tmp_path):
    assert hledger(tmp_path, written("hledger", []), "check", "--strict") == ""
    bean_check(tmp_path, written("beancount", []))
    assert written("csv", []).startswith("journal_id,line_no,posting_date,account,debit,credit,currency,memo")


def test_the_checks_would_notice_an_unbalanced_journal(tmp_path):
    broken = written("hledger", [entry(1, "sale_approved", (RECEIVABLE, 1299, "EUR"), (CLEARING, -1298, "EUR"))])
    path = tmp_path / "broken.journal"
    path.write_text(broken)
    done = subprocess.run([needs("hledger"), "-f", str(path), "check", "--strict"], capture_output=True, check=False)
    assert done.returncode != 0


def test_csv_has_a_line_for_each_posting_and_balances_by_journal():
    lines = list(csv.DictReader(io.StringIO(written("csv", BOOKS), newline="")))
    assert len(lines) == sum(len(e.postings) for e in BOOKS)
    for e in BOOKS:
        mine = [line for line in lines if line["journal_id"] == e.id]
        debits = sum(Decimal(line["debit"] or 0) for line in mine)
        assert debits == sum(Decimal(line["credit"] or 0) for line in mine) > 0
        assert [line["line_no"] for line in mine] == ["1", "2"]
    assert lines[4]["debit"] == "1.250"
    assert not any(cell.startswith(("=", "+", "-", "@")) for line in lines for cell in line.values())


@given(NAMES, NAMES)
def test_two_names_never_become_one_account(a, b):
    assert (component(a) == component(b)) == (a == b)


def test_memo_accounts_are_equity():
    assert hledger_account("memo.authorized", "demo") == "equity:memo:authorized:demo"
    assert beancount_account("memo.contra", "demo") == "Equity:Memo:Contra:Demo"


@given(st.text())
def test_a_reference_never_writes_a_line_of_its_own(text):
    assert len(plain(text).splitlines()) <= 1
