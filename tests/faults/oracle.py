"""What must be true when the faults have stopped and the worker has drained: money-safety's oracle, (i) to (vi)."""

import asyncio
import time
from collections import defaultdict
from typing import Any

from scrooge.cli.database import audited
from scrooge.postgres.database import connect
from scrooge.postgres.rows import public
from scrooge.sandbox.cards import TEST_CARDS
from scrooge.storage.findings import FAULTS
from scrooge.vault import audit
from tests.faults.driver import Order, Said
from tests.faults.lane import Lane

PAID = {"authorized", "captured", "partially_captured", "refunded", "partially_refunded", "voided", "expired"}
# What an answer that was certain may become by what others do later, and what may never be.
HOLDS = {
    "authorized": PAID, "captured": PAID | {"failed"}, "partially_captured": PAID, "voided": {"voided"},
    "refunded": {"refunded", "captured"}, "partially_refunded": PAID, "declined": {"declined"}, "failed": {"failed"},
}  # fmt: skip
FEED_SECONDS = 40.0
NUMBERS = sorted({card.number for card in TEST_CARDS})
TABLES = """SELECT format('%I', c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"""
CODED = """SELECT object, count(*) AS n FROM audit
            WHERE act = 'fill' AND outcome = 'done' AND detail LIKE '%"security_code":true%'
            GROUP BY object HAVING count(DISTINCT detail::jsonb ->> 'attempt') > 1"""
FINAL = {"approved", "declined", "rejected", "reversed"}


async def money(lane: Lane) -> list[str]:
    """(i) to (iv), and that nothing is left in doubt: `scrooge check --sandbox`, with unresolved zero."""
    report = await audited(lane.database_url, lane.sandbox_url)
    wrong = {name: getattr(report, name) for name in (*FAULTS, "unresolved") if getattr(report, name)}
    return [f"check: {wrong}; {' | '.join(report.findings[:6])}"] if wrong else []


async def cards(lane: Lane) -> list[str]:
    """No card number is in the core's database, the vault's audit is whole, and no security code went into two requests."""
    numbers = "|".join(NUMBERS)
    wrong = []
    for table in await lane.db.fetch(TABLES):
        found = await lane.row(f"SELECT count(*) AS n FROM {table['name']} t WHERE t::text ~ $1", numbers)
        wrong += [f"{found['n']} rows of {table['name']} have a card number"] if found["n"] else []
    vault = await connect(lane.house.database_url, size=1, role=None)
    try:
        checked = await audit.verify(vault)
        async with vault.connection() as connection:
            twice = await connection.fetch(CODED)
    finally:
        await vault.close()
    wrong += [f"the vault's audit, {b.stream} {b.seq}: {b.why}" for b in checked.broken]
    return wrong + [
        f"the security code of {row['object']} went into several requests, {row['n']} times" for row in twice
    ]


async def promises(lane: Lane, orders: list[Order]) -> list[str]:
    """(v) every 2xx still holds, one key has one answer, and a 5xx recorded nothing."""
    wrong: list[str] = []
    ids: dict[str, set[str]] = defaultdict(set)
    for order in orders:
        for said in order.said:
            if said.status >= 500:
                wrong += await recorded_anyway(lane, order, said)
            elif said.status < 300:
                ids[said.key].add(said.document["id"])
                wrong += await broken(lane, order, said)
        if order.cell.client != "new_key" and order.cell.operation != "continuation":
            wrong += [f"{order.reference}: the same key was refused: {said.document}" for said in order.refused]
    wrong += [f"one key, several answers: {found}" for found in ids.values() if len(found) > 1]
    return wrong


async def broken(lane: Lane, order: Order, said: Said) -> list[str]:
    told = said.document
    within = told.get("payment", told["id"])
    payment = within if isinstance(within, str) else within["id"]
    status, p = await lane.get(f"/v1/payments/{payment}?expand=attempts")
    if status != 200:
        return [f"{order.reference}: answered {said.status}, and is gone: {p}"]
    if told["object"] != "payment":
        [now] = [a for a in p["attempts"] if a["id"] == told["attempt"]]
        late = order.cell.behavior == "decline"  # A capture or a refund that fails later is no broken promise.
        good = told["status"] in {"succeeded", "verified"}
        if good and now["status"] != "approved" and not late:
            return [f"{order.reference}: answered {told['status']}, now {now['status']}"]
        return []
    if told["outcome_certainty"] == "unknown" or told["status"] not in HOLDS:
        return []
    more = p["attempt_count"] > told["attempt_count"]
    if p["status"] not in HOLDS[told["status"]] and not (more and told["status"] in {"declined", "failed"}):
        return [f"{order.reference}: answered {told['status']}, now {p['status']}"]
    return []


async def recorded_anyway(lane: Lane, order: Order, said: Said) -> list[str]:
    """Did the request that was answered 5xx leave a record behind? By the times: it is retried with other outcomes."""
    row = await lane.row(
        "SELECT count(*) AS n FROM attempts a JOIN payments p ON p.bucket = a.bucket AND p.id = a.payment_id"
        " WHERE p.reference = $1 AND a.sent_at BETWEEN to_timestamp($2) AND to_timestamp($3)",
        order.reference, said.started, said.ended,
    )  # fmt: skip
    story = [(s.status, s.document.get("code", "done"), round(s.started, 2), round(s.ended, 2)) for s in order.said]
    what = f"{order.cell}, {order.reference}: a {said.status} although it was recorded: {said.document}; {story}"
    return [what] if row["n"] else []


async def announced(lane: Lane, seen: dict[str, dict[str, Any]], cursor: str | None) -> tuple[list[str], str | None]:
    """(vi) every final state was announced; the feed has every event once."""
    wrong: list[str] = []
    until = time.monotonic() + FEED_SECONDS
    while True:  # It waits for transactions of connections that were cut, until PostgreSQL ends these.
        found, cursor = await lane.events(cursor)
        for event in found:
            if event["id"] in seen:
                wrong.append(f"the feed told {event['id']} twice")
            seen[event["id"]] = event
        row = await lane.row("SELECT count(*) AS n FROM events")
        if row["n"] == len(seen) or time.monotonic() > until:
            break
        await asyncio.sleep(0.5)
    if row["n"] != len(seen):
        wrong.append(f"the feed told {len(seen)} events of {row['n']}")
    told = {event["attempt"] for event in seen.values()}
    concluded = await lane.db.fetch("SELECT id FROM attempts WHERE state = ANY($1)", sorted(FINAL))
    silent = [a for a in (public("att", row["id"]) for row in concluded) if a not in told]
    return wrong + [f"{a}: concluded, and nobody was told" for a in silent[:5]], cursor
