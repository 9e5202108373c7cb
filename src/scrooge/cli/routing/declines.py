"""`routing declines`: what each code of a decline means and who says so, and the codes that nobody has mapped."""

from typing import Annotated, Any

import typer
from msgspec import structs

from scrooge.cli.output import Json, document, say, table
from scrooge.cli.routing.desk import Live, Merchant, at_desk
from scrooge.flows.scrooge import Scrooge
from scrooge.postgres.rows import instant
from scrooge.routing.declines.catalogue import catalogue, suggested
from scrooge.storage import unmapped
from scrooge.storage.policies import Desk
from scrooge.storage.unmapped import Row

SHOWN = 1000


def declines(
    tables: Annotated[bool, typer.Option("--tables", help="The tables only: asks no database.")] = False,
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Show the codes of declines that no table maps, and the tables: what each code means, and who says so."""

    async def work(s: Scrooge, desk: Desk) -> list[Row]:
        return await unmapped.page(s.db, desk.merchant, desk.livemode, SHOWN)

    heard = [] if tables else [seen(row) for row in at_desk(merchant, live, work)]
    known = list(meanings())
    if as_json:
        document({"unmapped": heard, "catalogue": known})
        return
    if heard:
        table(
            ("CONNECTOR", "CODE", "ISSUER", "BRAND", "DECLINES", "LAST SEEN", "SUGGESTION", "PAYMENT"),
            [(r["connector"], r["code"], r["network_code"], r["brand"], str(r["declines"]), r["last_seen"],
              r["mapped"] or r["suggestion"] or "", r["payment"]) for r in heard],
            right=("DECLINES",),
        )  # fmt: skip
        typer.echo("")
    elif not tables:
        say("Every decline that was heard is mapped.")
    table(
        ("SAYS", "CONNECTOR", "BRAND", "CODE", "REASON", "ADVICE", "READ ON", "SOURCE"),
        [(m["says"], m["connector"], m["brand"], m["code"], m["decline"] or m["note"], m["advice"] or "", m["checked"],
          m["source"]) for m in known],
    )  # fmt: skip


def seen(row: Row) -> dict[str, Any]:
    suggestion, mapped = suggested(row.connector, row.code, row.network_code, row.brand)
    moments = {"first_seen": instant(row.first_seen), "last_seen": instant(row.last_seen)}
    return structs.asdict(row) | moments | {"suggestion": suggestion, "mapped": mapped}


def meanings() -> list[dict[str, Any]]:
    return [
        {
            "says": says,
            "connector": connector,
            "brand": brand,
            "code": code,
            "decline": m.decline,
            "advice": m.advice or (m.decline.advice if m.decline else None),
            "note": m.note,
            "source": m.source,
            "checked": m.checked,
        }
        for (says, connector, brand, code), m in sorted(catalogue().meanings.items())
    ]
