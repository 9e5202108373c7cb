"""Real books, exported from the database, as the programs of accountants see them."""

import asyncio
import json
import subprocess
from decimal import Decimal

import pytest
from tests.ledger.test_export import bean_check, hledger

from scrooge.domain.outcome import Approved
from scrooge.ledger.export import FORMATS
from scrooge.storage.export import export, trial_balance


async def written(url: str, form: str) -> tuple[str, int]:
    pieces: list[str] = []
    count = await export(url, FORMATS[form], pieces.append)
    return "".join(pieces), count


async def test_hledger_and_beancount_accept_the_books_of_all_sorts_of_payments(world, tmp_path):
    await world.all_sorts()
    text, count = await written(world.url, "hledger")
    assert hledger(tmp_path, text, "check", "--strict") == ""
    assert text.count("(jrn_") == count
    bean_check(tmp_path, (await written(world.url, "beancount"))[0])


async def test_hledger_adds_up_to_our_trial_balance(world, tmp_path):
    await world.all_sorts()
    text, _ = await written(world.url, "hledger")
    for b in await trial_balance(world.url):
        name = b.account.replace("memo.", "equity.memo.").replace(".", ":") + ":demo"
        shown = hledger(tmp_path, text, "balance", "-N", "--flat", "-E", f"^{name}$", f"cur:{b.currency}", "-O", "csv")
        theirs = shown.splitlines()[1].rsplit(",", 1)[1].strip('"').partition(" ")[0]
        assert Decimal(theirs).scaleb({"JPY": 0, "KWD": 3}.get(b.currency, 2)) == b.minor, b
        assert b.minor == b.debits - b.credits


async def test_test_books_and_live_books_are_never_mixed(world):
    await world.pay(Approved("a"), 700)
    live = await world.pay(Approved("b"), 500)
    await world.break_with(f"UPDATE payments SET livemode = true WHERE reference = '{live.reference}'")
    assert {b.debits for b in await trial_balance(world.url)} <= {500, 0}
    assert {b.debits for b in await trial_balance(world.url, live=False)} <= {700, 0}
    assert "7.00" not in (await written(world.url, "csv"))[0]


async def test_the_command_exits_3_when_debits_and_credits_differ(world):
    from tests.cli.test_commands import run_apart

    await world.pay(Approved("a"))
    place = {"SCROOGE_DATABASE_URL": world.url}
    code, out, _ = await asyncio.to_thread(run_apart, "ledger", "balances", "--json", **place)
    assert (code, json.loads(out)["in_balance"]) == (0, True)
    await world.break_with("UPDATE postings SET minor = minor + 1 WHERE minor > 0")
    code, out, _ = await asyncio.to_thread(run_apart, "ledger", "balances", **place)
    assert code == 3
    assert "debits do NOT equal credits" in out


@pytest.mark.parametrize("program", ["hledger"])
async def test_the_exported_file_is_what_the_program_reads(world, tmp_path, program):
    await world.all_sorts()
    path = tmp_path / "books.journal"
    from tests.cli.test_commands import run_apart

    place = {"SCROOGE_DATABASE_URL": world.url}
    arguments = ("ledger", "export", "--format", "hledger", "-o", str(path))
    assert (await asyncio.to_thread(run_apart, *arguments, **place))[0] == 0
    done = subprocess.run([program, "-f", str(path), "check", "--strict"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
