"""`recoveries list`, `recoveries summary`: declined renewals, what is done about them, and what it came to."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import typer

from scrooge.api.recoveries import shown, summed
from scrooge.api.recovery_answers import RecoverySummary, Told
from scrooge.cli.output import Json, document, say, table
from scrooge.cli.routing.desk import Live, Merchant, at_desk
from scrooge.domain.recovery import Recovery
from scrooge.errors import SettingsError
from scrooge.flows.scrooge import Scrooge
from scrooge.postgres.rows import microseconds
from scrooge.storage import recoveries
from scrooge.storage.policies import Desk
from scrooge.storage.recoveries import Filter

app = typer.Typer(no_args_is_help=True, help="Declined renewals that are won back, or not.")
Days = Annotated[int, typer.Option(min=1, max=3650, help="Those that were declined so many days ago at most.")]
SHOWN = 1000


def filter_of(desk: Desk, days: int, state: Recovery | None = None) -> Filter:
    since = microseconds(datetime.now(UTC) - timedelta(days=days)) or 0
    return Filter(merchant=desk.merchant, livemode=desk.livemode, since=since, state=state)


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(help="open, recovered or lost; all otherwise.")] = "",
    days: Days = 60,
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Show the newest declined renewals, at most a thousand: what is done about each, and when."""
    if state and state not in {*Recovery}:
        raise SettingsError(f"--state: one of {', '.join(Recovery)}")

    async def work(s: Scrooge, desk: Desk) -> list[recoveries.Row]:
        return (await recoveries.page(s.db, filter_of(desk, days, Recovery(state) if state else None), None, SHOWN))[0]

    found = [msgspec.to_builtins(shown(r)) for r in at_desk(merchant, live, work)]
    if as_json:
        document({"recoveries": found})
        return
    names = ("payment", "amount", "state", "reason", "means", "why", "retries", "next_at")
    for one in found:
        one["amount"] = f"{one['amount']['value']} {one['amount']['currency']}"
    table(names, ([str(one[name] or "") for name in names] for one in found), right=("amount", "retries"))


@app.command()
def summary(days: Days = 60, merchant: Merchant = "default", live: Live = False, as_json: Json = False) -> None:
    """Show how many were declined, recovered and lost, what they are worth, and what that owes to more than waiting."""

    async def work(s: Scrooge, desk: Desk) -> RecoverySummary:
        return summed(await recoveries.summary(s.db, filter_of(desk, days)), desk.livemode)

    found = at_desk(merchant, live, work)
    if as_json:
        document(found)
    else:
        show(found)


def show(s: RecoverySummary) -> None:
    """For the eye: a line for each currency, reason and means."""
    lines: list[list[str]] = []
    for of in s.currencies:
        lines += [line(of.currency, "all", of.all)]
        lines += [line(of.currency, f"declined: {reason}", told) for reason, told in of.by_reason.items()]
        lines += [line(of.currency, f"means: {means}", told) for means, told in of.by_means.items()]
    names = ("currency", "what", "declined", "recovered", "worth", "lost", "open", "worth open")
    table(names, lines, right=names[2:])
    say(told_uplift(s))


def line(currency: str, what: str, t: Told) -> list[str]:
    counts = [str(n) for n in (t.declined.count, t.recovered.count)]
    return [
        currency, what, *counts, t.recovered.amount.value, str(t.lost.count), str(t.open.count), t.open.amount.value,
    ]  # fmt: skip


def told_uplift(s: RecoverySummary) -> str:
    if s.uplift is None or s.treated.rate is None or s.control.rate is None:
        return f"no uplift yet: of {s.treated.of} treated and {s.control.of} in the control arm the time is over"
    u = s.uplift
    return (
        f"recovered: {s.treated.rate:.1%} of {s.treated.of}; by the timetable alone {s.control.rate:.1%} of"
        f" {s.control.of}; uplift {100 * u.difference:+.1f} points ({100 * u.low:+.1f} to {100 * u.high:+.1f})"
    )
