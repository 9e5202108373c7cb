"""A transfer of cards on record: looked at, asked for, approved by another, begun, done. What it counted."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.errors import MoveRefused
from scrooge.ids import encode, hex_of, new_id
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import instant, microseconds, public
from scrooge.vault import audit
from scrooge.vault.audit import Act
from scrooge.vault.moving.parcel import recipient_name

Q = load(Path(__file__).with_suffix(".sql"))
STREAM = "move"
APPROVAL_HOURS = 24
REFUSED_SHOWN = 20
NEW, KNOWN = "new", "known"
GOOD = (NEW, KNOWN, "exported")


class Mover(Struct, frozen=True):
    """The operator, by the name the operating system has for them, whose cards are moved, and in which mode."""

    operator: str
    merchant: str
    livemode: bool

    def act(self, name: str, on: str, outcome: str = "done", **detail: str | int | bool | None) -> Act:
        given = {"merchant": self.merchant, "live": self.livemode, **detail}
        return Act(who=f"operator:{self.operator}", act=name, object=on, outcome=outcome, origin="cli", detail=given)


class Tally:
    """Cards by what became of them, the first lines that were refused, and what else is to be said of some."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.remarks: Counter[str] = Counter()
        self.lines: list[tuple[int, str]] = []

    def refuse(self, line: int, reason: str) -> None:
        self.counts[reason] += 1
        if len(self.lines) < REFUSED_SHOWN:
            self.lines.append((line, reason))

    def add(self, content: str) -> None:
        """What `content` gave, of a part that was counted before."""
        found = msgspec.json.decode(content)
        self.counts.update(found["counts"])
        self.remarks.update(found["remarks"])
        self.lines.extend((line, reason) for line, reason in found["lines"][: REFUSED_SHOWN - len(self.lines)])

    def content(self) -> str:
        found = {"counts": dict(self.counts), "remarks": dict(self.remarks), "lines": self.lines}
        return msgspec.json.encode(found).decode()

    def report(self) -> dict[str, Any]:
        refused = {reason: count for reason, count in sorted(self.counts.items()) if reason not in GOOD}
        return {
            "cards": self.counts.total(),
            **{name: self.counts[name] for name in GOOD if name in self.counts},
            **({"remarks": dict(sorted(self.remarks.items()))} if self.remarks else {}),
            "refused": refused,
            "first_refused": [{"line": line, "reason": reason} for line, reason in self.lines],
        }


def new_transfer() -> str:
    return new_id("trf", 0)


async def note(db: Database, act: Act) -> None:
    async with db.transaction() as connection:
        await audit.append(connection, STREAM, [act])


async def request(db: Database, mover: Mover, customer: str | None, recipient: str) -> str:
    """Asks that what was looked at last be exported. Raises MoveRefused."""
    async with db.transaction() as connection:
        key = hex_of(mover.merchant), mover.livemode, customer, recipient, ["looked_at"], APPROVAL_HOURS
        row = await run(connection, Q["export_of"], *key)
        if row is None:
            raise MoveRefused("nothing with this merchant, mode, customer and recipient was looked at: --dry-run first")
        transfer = public("trf", row["id"]) or ""
        if await run(connection, Q["request"], row["id"], mover.operator) is None:
            raise MoveRefused("somebody else asked for it at this moment")
        name = recipient_name(recipient)
        act = mover.act("export_requested", transfer, recipient=name, digest=row["digest"].hex())
        await audit.append(connection, STREAM, [act])
    return transfer


async def approve(db: Database, transfer: str, operator: str) -> dict[str, Any]:
    """By another operator than the one who asked. Raises MoveRefused, and the refusal is on record."""
    row = await run(db, Q["transfer"], hex_of(transfer))
    if row is None or row["kind"] != "export":
        raise MoveRefused("there is no such export")
    mover = Mover(operator, public("mer", row["merchant_id"]) or "", row["livemode"])
    async with db.transaction() as connection:
        done = await run(connection, Q["approve"], row["id"], operator, APPROVAL_HOURS)
        detail = {"recipient": recipient_name(row["recipient"]), "digest": row["digest"].hex()}
        outcome = "done" if done is not None else "move_refused"
        await audit.append(connection, STREAM, [mover.act("export_approved", transfer, outcome, **detail)])
    if done is None and row["requested_by"] == operator:
        raise MoveRefused("who asked for an export does not approve it: another operator must")
    if done is None:
        raise MoveRefused(f"it waits for no approval (it is {row['state']}, or was asked for over a day ago)")
    return shown(await run(db, Q["transfer"], row["id"]))


async def listed(db: Database) -> list[dict[str, Any]]:
    return [shown(row) for row in await run(db, Q["transfers"])]


def shown(row: Any) -> dict[str, Any]:
    moments = ("looked_at", "requested_at", "approved_at", "finished_at")
    return {
        "id": encode("trf", row["id"].int),
        **{name: row[name] for name in ("kind", "livemode", "state", "customer", "recipient")},
        "merchant": public("mer", row["merchant_id"]),
        "digest": row["digest"].hex(),
        "report": msgspec.json.decode(row["report"]),
        **{name: row[name] for name in ("looked_at_by", "requested_by", "approved_by")},
        **{name: instant(microseconds(row[name]) or 0) if row[name] else None for name in moments},
        "file_digest": row["file_digest"].hex() if row["file_digest"] else None,
    }
