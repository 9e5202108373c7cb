"""Cards leave, encrypted for one recipient: looked at, asked for, approved by another, written a chunk at a time.

A chunk's record is committed before the chunk is in the file: nothing leaves that is not on record. A run that was cut
off keeps what of its file is whole and goes on behind it.
"""

import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from scrooge.crash import reach
from scrooge.errors import CannotOpen, MoveRefused
from scrooge.ids import hex_of
from scrooge.postgres.database import Database, run
from scrooge.postgres.rows import public
from scrooge.service import Identity
from scrooge.vault import audit
from scrooge.vault.keys.keyring import Keyring
from scrooge.vault.moving import parcel
from scrooge.vault.moving.parcel import LENGTH_BYTES, MAGIC, PER_CHUNK, Chunk, Header
from scrooge.vault.moving.records import Record, Unfit, judged, line_of
from scrooge.vault.moving.transfers import APPROVAL_HOURS, STREAM, Mover, Q, Tally, new_transfer, note
from scrooge.vault.sealing import opened

START = -1, "00000000-0000-0000-0000-000000000000"
PAGE = 2000


class Wanted(Struct, frozen=True):
    """Which cards, for whom."""

    mover: Mover
    customer: str | None
    recipient: str

    @property
    def key(self) -> tuple[str, bool, str | None, str]:
        return hex_of(self.mover.merchant), self.mover.livemode, self.customer, self.recipient


class Exporting:
    def __init__(self, db: Database, keyring: Keyring, wanted: Wanted) -> None:
        self.db, self.keyring, self.wanted = db, keyring, wanted
        self.name = parcel.recipient_name(wanted.recipient)

    async def page(self, until: datetime, after: tuple[int, Any], size: int) -> list[Any]:
        """The chosen cards in order, those that ended since among them."""
        merchant, live, customer, _ = self.wanted.key
        return await run(self.db, Q["chosen"], *after, merchant, live, customer, until, size)

    async def pages(self, until: datetime) -> AsyncIterator[list[Any]]:
        after = START
        while rows := await self.page(until, after, PAGE):
            yield rows
            after = rows[-1]["bucket"], rows[-1]["id"]

    async def record(self, row: Any) -> Record:
        """Raises Unfit."""
        mover, card_id = self.wanted.mover, public("ins", row["id"]) or ""
        try:
            card = await opened(self.keyring, card_id, mover.merchant, mover.livemode, row["sealed"])
        except CannotOpen:
            raise Unfit("cannot_open") from None
        return Record(
            id=card_id, customer=row["customer"], number=card.number, exp=card.exp, holder=card.holder,
            network_transaction_id=row["network_transaction_id"],
        )  # fmt: skip

    async def lines(self, rows: list[Any], first: int, tally: Tally) -> list[bytes]:
        """Of those that are still there and open."""
        found = []
        for place, row in enumerate(rows, first):
            try:
                if row["status"] != "active":
                    raise Unfit("ended_since")
                found.append(line_of(await self.record(row)))
            except Unfit as unfit:
                tally.refuse(place, unfit.reason)
            else:
                tally.counts["exported"] += 1
        return found

    # --- the dry run ---

    async def look(self) -> tuple[str, Tally, bytes]:
        """Opens and checks every card as another vault would. (transfer, what it found, digest of what was chosen)"""
        tally, today = Tally(), datetime.now(UTC).date()
        until = (await run(self.db, Q["moment"]))["at"]
        chosen = hashlib.sha256()
        seen: set[tuple[str, bytes]] = set()
        async for rows in self.pages(until):
            lines = await self.lines(rows, tally.counts.total() + 1, tally)
            for line in lines:
                try:
                    judged(line, self.wanted.mover.livemode, today)
                except Unfit as unfit:  # It is exported: what its recipient takes is the recipient's to say.
                    tally.remarks[unfit.reason] += 1
            for row in rows:
                chosen.update(row["id"].bytes)
                if row["fingerprint"] is not None:
                    same = row["customer"], row["fingerprint"]
                    tally.remarks["duplicates"] += same in seen
                    seen.add(same)
        transfer, digest, mover = new_transfer(), self.selection(until, chosen.digest()), self.wanted.mover
        async with self.db.transaction() as connection:
            await run(
                connection, Q["look_at_export"], hex_of(transfer), hex_of(mover.merchant), mover.livemode, digest,
                tally.content(), mover.operator, self.wanted.customer, self.wanted.recipient, until,
            )  # fmt: skip
            await audit.append(connection, STREAM, [self.act("export_looked_at", transfer, tally, digest)])
        return transfer, tally, digest

    def selection(self, until: datetime, chosen: bytes) -> bytes:
        mover = self.wanted.mover
        parts = (mover.merchant, mover.livemode, self.wanted.customer, self.wanted.recipient, until.isoformat())
        return hashlib.sha256(msgspec.json.encode(parts) + chosen).digest()

    # --- the file ---

    async def approved(self) -> Any:
        """The transfer to carry out. Raises MoveRefused, and the refusal is on record."""
        row = await run(self.db, Q["export_of"], *self.wanted.key, ["approved", "running"], APPROVAL_HOURS)
        why = None
        if row is None:
            why = "nobody has approved this: scrooge vault export --dry-run, then request, then approve by another"
        elif row["run_out"]:
            why = (
                f"the approval is older than {APPROVAL_HOURS} hours: look at it, ask for it and have it approved again"
            )
        else:
            chosen = hashlib.sha256()
            async for rows in self.pages(row["until"]):
                for found in rows:
                    chosen.update(found["id"].bytes)
            if self.selection(row["until"], chosen.digest()) != row["digest"]:
                why = "these are not the cards that the dry run saw: look again"
        if why is not None:
            on = self.wanted.mover.merchant if row is None else public("trf", row["id"]) or ""
            await note(self.db, self.wanted.mover.act("export", on, "move_refused", recipient=self.name))
            raise MoveRefused(why)
        return row

    async def export_all(self, path: Path, own: Identity) -> tuple[str, Tally, bytes]:
        """Raises MoveRefused. (transfer, what it counted, the file's digest)"""
        row = await self.approved()
        transfer = public("trf", row["id"]) or ""
        partial = path.with_name(f"{path.name}.partial")
        require_free(path, partial, transfer)
        if row["state"] == "approved":
            await note(self.db, self.act("export_begun", transfer, Tally(), row["digest"]))
        await run(self.db, Q["begin"], row["id"])
        with os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            done = await run(self.db, Q["chunks"], row["id"])
            header, kept = whole(file, transfer, own.public, [bytes(d["frame_digest"]) for d in done])
            if header is None:
                count = msgspec.json.decode(row["report"])["counts"].get("exported", 0)
                made_at = datetime.now(UTC).isoformat(timespec="seconds")
                header = Header(transfer, self.wanted.mover.livemode, made_at, count, own.public)
                file.write(header.encoded())
            await run(self.db, Q["drop_chunks"], row["id"], kept)
            await self.write(file, header, row, done[:kept])
            file.write(parcel.signature(own, digest_of(file)))
            file.flush()
            os.fsync(file.fileno())
            digest = digest_of(file)
        partial.rename(path)
        tally = Tally()
        for chunk in await run(self.db, Q["chunks"], row["id"]):
            tally.add(chunk["counts"])
        async with self.db.transaction() as connection:
            await run(connection, Q["finish"], row["id"], digest)
            await audit.append(connection, STREAM, [self.act("export_done", transfer, tally, digest)])
        return transfer, tally, digest

    async def write(self, file: BinaryIO, header: Header, row: Any, done: list[Any]) -> None:
        """The chunks that are not in the file yet."""
        recipient = parcel.recipient_of(self.wanted.recipient)
        after = (done[-1]["to_bucket"], done[-1]["to_id"]) if done else START
        number, first, place = len(done), sum(d["cards"] for d in done) + 1, PER_CHUNK * len(done) + 1
        last = bool(done) and done[-1]["is_last"]
        while not last:
            rows = await self.page(row["until"], after, PER_CHUNK + 1)
            last, rows = len(rows) <= PER_CHUNK, rows[:PER_CHUNK]
            tally = Tally()
            lines = await self.lines(rows, place, tally)
            framed = parcel.frame(header, Chunk(number, first, lines, last), recipient)
            after = (rows[-1]["bucket"], rows[-1]["id"]) if rows else after
            await self.record_chunk(row, number, rows, tally, hashlib.sha256(framed).digest(), after, last)
            reach("move.recorded")
            file.write(framed)
            file.flush()
            os.fsync(file.fileno())
            number, first, place = number + 1, first + len(lines), place + len(rows)

    async def record_chunk(
        self,
        transfer: Any,
        number: int,
        rows: list[Any],
        tally: Tally,
        digest: bytes,
        after: tuple[int, Any],
        last: bool,
    ) -> None:
        """Who left, before they do."""
        mover, name = self.wanted.mover, public("trf", transfer["id"]) or ""
        ids = [public("ins", r["id"]) or "" for r in rows if r["status"] == "active"]
        acts = [mover.act("export", card_id, transfer=name, recipient=self.name) for card_id in ids]
        async with self.db.transaction() as connection:
            await run(
                connection, Q["exported"], transfer["id"], number, tally.counts["exported"], tally.content(), digest,
                *after, last,
            )  # fmt: skip
            await audit.append(connection, STREAM, [*acts, self.act("export_chunk", name, tally, digest)])

    def act(self, name: str, transfer: str, tally: Tally, digest: bytes) -> audit.Act:
        counts: dict[str, Any] = dict(sorted(tally.counts.items()))
        return self.wanted.mover.act(name, transfer, recipient=self.name, digest=digest.hex(), **counts)


def require_free(path: Path, partial: Path, transfer: str) -> None:
    """A file that is whole, but not on record as that, is looked through again. Raises MoveRefused."""
    if not path.exists():
        return
    with path.open("rb") as file:
        header = header_in(file)
    if partial.exists() or header is None or header.file != transfer:
        raise MoveRefused(f"{path} exists")
    path.rename(partial)


def header_in(file: BinaryIO) -> Header | None:
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        return None
    try:
        return msgspec.json.decode(file.readline(parcel.HEADER_MAX), type=Header)
    except msgspec.MsgspecError:
        return None


def whole(file: BinaryIO, transfer: str, vault: str, digests: list[bytes]) -> tuple[Header | None, int]:
    """(the header, how many chunks are in the file as they were recorded); what follows them is cut off."""
    header = header_in(file)
    if header is None or (header.file, header.vault) != (transfer, vault):
        file.seek(0)
        file.truncate()
        return None, 0
    end, kept = len(header.encoded()), 0
    for digest in digests:
        file.seek(end)
        size = file.read(LENGTH_BYTES)
        framed = size + file.read(min(int.from_bytes(size), parcel.FRAME_MAX))
        if hashlib.sha256(framed).digest() != digest:
            break
        end, kept = end + len(framed), kept + 1
    file.seek(end)
    file.truncate()
    return header, kept


def digest_of(file: Any) -> bytes:
    """Of what the file holds now; leaves it at its end."""
    file.flush()
    file.seek(0)
    return hashlib.file_digest(file, "sha256").digest()
