"""The demo told: one document for programs, and a page that a person enjoys reading."""

from pathlib import Path
from statistics import quantiles

from msgspec import Struct
from rich.panel import Panel
from rich.table import Table

from scrooge.api.recovery_answers import RecoverySummary
from scrooge.cli.demo.outage import Outage
from scrooge.cli.demo.shop import Shop
from scrooge.cli.demo.traffic import Run
from scrooge.cli.output import STDERR
from scrooge.money import decimal, exponent_of
from scrooge.storage.condition import Activity
from scrooge.storage.export import LedgerBalance
from scrooge.storage.findings import Report


class Story(Struct, kw_only=True):
    """What `scrooge demo --json` prints. `check` is the document of `scrooge check`."""

    payments: int
    outcomes: dict[str, int]
    attempts: int
    unknowns: int
    resolved: int
    unresolved: int
    notifications: int
    latency_ms: dict[str, float]
    payments_per_second: float
    first_payment_seconds: float
    check: Report
    urls: dict[str, str | None]
    outage: Outage | None = None
    renewals: RecoverySummary | None = None


def told(
    run: Run,
    outcomes: dict[str, int],
    seen: Activity,
    check: Report,
    urls: dict[str, str | None],
    started: float,
    outage: Outage | None = None,
    renewals: RecoverySummary | None = None,
) -> Story:
    """`started` is the time.monotonic() of the demo's own start."""
    count = len(run.latencies_ms)
    return Story(
        payments=count,
        outcomes=outcomes,
        attempts=seen.attempts,
        unknowns=run.unknowns,
        resolved=max(0, run.unknowns - seen.open),
        unresolved=seen.open,
        notifications=seen.notifications,
        latency_ms=percentiles(run.latencies_ms),
        payments_per_second=round(count / run.seconds, 1) if run.seconds else 0.0,
        first_payment_seconds=round(run.first_at - started, 2) if run.first_at else 0.0,
        check=check,
        urls=urls,
        outage=outage,
        renewals=renewals,
    )


def percentiles(latencies_ms: list[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds."""
    if len(latencies_ms) < 2:
        return {name: round(sum(latencies_ms), 1) for name in ("p50", "p95", "p99")}
    cuts = quantiles(latencies_ms, n=100, method="inclusive")
    return {f"p{n}": round(cuts[n - 1], 1) for n in (50, 95, 99)}


def show(story: Story, balances: list[LedgerBalance]) -> None:
    """On stderr, where a person looks."""
    STDERR.print()
    STDERR.print(Panel(results(story), title="[bold]What happened", expand=False, padding=(0, 2)))
    if story.outage is not None:
        around = "[bold]An outage, routed around"
        STDERR.print(Panel(weathered(story.outage), title=around, expand=False, padding=(0, 2)))
    if story.renewals is not None and story.renewals.currencies:
        won = "[bold]Renewals that were declined"
        STDERR.print(Panel(renewed(story.renewals), title=won, expand=False, padding=(0, 2)))
    STDERR.print(Panel(books(balances), title="[bold]The books", expand=False, padding=(0, 2)))
    check = story.check
    verdict = (
        f"[green]The money is right[/green]: {check.payments} payments, {check.truth_lines} effects at the PSPs,"
        f" {check.double_charges} double charges, {check.lost} lost,"
        f" {check.unbalanced_journals} journals out of balance"
        if check.ok
        else "[red]The money is NOT right[/red]: " + "; ".join(check.findings[:5])
    )
    STDERR.print(verdict)


def results(story: Story) -> Table:
    table = Table.grid(padding=(0, 3))
    for _ in range(2):
        table.add_column(no_wrap=True)
    for status, count in story.outcomes.items():
        table.add_row(status.replace("_", " "), f"{count:,}", "█" * max(1, round(28 * count / story.payments)))
    table.add_row()
    latency = story.latency_ms
    for what, number in (
        ("attempts at PSPs", f"{story.attempts:,}"),
        ("lost answers found out", f"{story.resolved} of {story.unknowns}"),
        ("notifications", f"{story.notifications:,}"),
        ("payments per second", f"{story.payments_per_second:,.0f}"),
        ("latency p50, p95, p99", " ".join(f"{ms:,.0f}" for ms in latency.values()) + " ms"),
    ):
        table.add_row(what, number)
    return table


def weathered(o: Outage) -> Table:
    """What an outage of one PSP did: short enough for a terminal of 80 columns."""
    seen, back = o.noticed_seconds, o.back_seconds
    table = Table.grid(padding=(0, 3))
    for what, told in (
        (f"{o.psp} answered 503", f"for {o.seconds:.1f} s, on purpose"),
        ("payments meanwhile", f"{o.payments}, of which {o.approved} were approved"),
        ("sent there first", f"{o.sent_there} of them"),
        ("routed around it", "never" if seen is None else "at once" if seen < 0.1 else f"after {seen:.1f} s"),
        ("used again", "not yet" if back is None else f"{back:.1f} s after its end"),
    ):
        table.add_row(what, told)
    return table


def renewed(s: RecoverySummary) -> Table:
    """By currency: how many were declined, won back by a later retry, and what they are worth."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "declined", "recovered", "worth", "lost", "payer needed"):
        table.add_column(name, justify="left" if not name else "right")
    for of in s.currencies:
        t = of.all
        table.add_row(
            of.currency, str(t.declined.count), str(t.recovered.count), t.recovered.amount.value, str(t.lost.count),
            str(t.open.count),
        )  # fmt: skip
    return table


def books(balances: list[LedgerBalance]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=True)
    table.add_column("ledger account", "in balance" if in_balance(balances) else "[red]NOT in balance")
    table.add_column("currency")
    table.add_column("balance", justify="right")
    for b in balances:
        if b.minor:
            table.add_row(b.account, b.currency, decimal(b.minor, exponent_of(b.currency)))
    return table


def in_balance(balances: list[LedgerBalance]) -> bool:
    sums: dict[str, int] = {}
    for b in balances:
        sums[b.currency] = sums.get(b.currency, 0) + b.minor
    return not any(sums.values())


def invite(file: Path, shop: Shop, shop_url: str, run: str) -> None:
    """Where to go from here: every line works as pasted."""
    api, key = shop.api_url, shop.keys["checkout"]
    body = (
        f'{{"reference": "try-{run}", "amount": {{"value": "12.99", "currency": "EUR"}},'
        f' "instrument": "{shop.instruments["visa"][0]}", "customer": "payer-visa"}}'
    )
    lines = [
        f"[bold]Serving[/bold]  {api}/docs  {api}/openapi.json  {api}/metrics",
        f"[bold]Vault[/bold]    {shop.vault_url}",
        f"[bold]Shop[/bold]     {shop_url}  pay there with a card, in a browser",
        f"[bold]Keys[/bold]     {file}",
        "",
        "[bold]Try[/bold]",
        f"curl -s {api}/v1/payments -H 'Authorization: Bearer {key}' -H 'Idempotency-Key: try-{run}'"
        f" -H 'Content-Type: application/json' -d '{body}'",
        "",
        f"curl -s '{api}/v1/payments?limit=3' -H 'Authorization: Bearer {key}'",
        "",
        f"curl -s {api}/v1/ledger/trial-balance -H 'Authorization: Bearer {key}'",
        "",
        "Ctrl-C stops everything.",
    ]
    for line in lines:
        STDERR.print(line, soft_wrap=True, highlight=False)
