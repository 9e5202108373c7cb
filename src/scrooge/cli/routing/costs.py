"""`routing costs`: what payments are expected to have cost, as it stands in the books."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer

from scrooge.cli.output import Json, document, say, table
from scrooge.cli.routing.desk import Live, Merchant, at_desk
from scrooge.errors import SettingsError
from scrooge.flows.scrooge import Scrooge
from scrooge.money import decimal, exponent_of
from scrooge.routing.reported import Line, after, reported, starts
from scrooge.routing.tariff import Prices, from_json
from scrooge.storage import accrued, policies
from scrooge.storage.policies import Desk

MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
NOTHING = (
    "No fees are in the books for these months. They accrue from when prices are said: scrooge routing tariffs FILE"
)
Month = typer.Option(metavar="MONTH", help="Like 2026-11 (UTC); this month unless given.")


def costs(
    since: Annotated[str | None, Month] = None,
    until: Annotated[str | None, Month] = None,
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Show expected fees by month, account, brand, region and currency; `--since` and `--until` are both included."""
    this = f"{datetime.now(UTC):%Y-%m}"
    first, last = month(since or until or this), month(until or this)
    if first > last:
        raise SettingsError(f"{first} is after {last}")

    async def work(s: Scrooge, desk: Desk) -> list[Line]:
        span = starts(first), starts(after(last))
        newest = await policies.tariffs(s.db, desk)
        prices = from_json(msgspec.json.encode(newest[0].document)) if newest else Prices()
        return reported(await accrued.posted(s.db, desk, *span), await accrued.captured(s.db, desk, *span), prices)

    lines = [shown(line) for line in at_desk(merchant, live, work)]
    if as_json:
        document({"since": first, "until": last, "livemode": live, "basis": "expected", "costs": lines})
        return
    if not lines:
        say(NOTHING)
        return
    table(
        ("MONTH", "ACCOUNT", "BRAND", "REGION", "CURRENCY", "CAPTURES", "CAPTURED", "FEES", "BPS", "OF WHICH"),
        [(x["month"], x["account"], x["brand"] or "-", x["region"], x["currency"], str(x["captures"]), x["captured"],
          x["fees"], "-" if x["bps"] is None else f"{x['bps']:.1f}",
          ", ".join(f"{name} {value}" for name, value in x["components"].items())) for x in lines],
        right=("CAPTURES", "CAPTURED", "FEES", "BPS"),
    )  # fmt: skip
    say("Expected, by your tariffs: what PSPs really took comes with their settlements.")


def month(text: str) -> str:
    """Raises SettingsError."""
    if not MONTH.fullmatch(text):
        raise SettingsError(f"expected a month like 2026-11, got {text!r}")
    return text


def shown(line: Line) -> dict[str, Any]:
    """Sums as decimal strings in the currency's scale; `bps` of what was captured, null where nothing was."""
    scale = exponent_of(line.part.currency)
    return {
        "month": line.part.month,
        "account": line.part.account,
        "brand": line.part.brand,
        "region": line.part.region,
        "currency": line.part.currency,
        "captures": line.captures,
        "captured": decimal(line.captured, scale),
        "fees": decimal(line.fees, scale),
        "bps": line.bps,
        "components": {name: decimal(minor, scale) for name, minor in sorted(line.components.items())},
    }
