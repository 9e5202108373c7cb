"""Cards of another vault or PSP come in: all looked at first, then kept a chunk at a time, each card exactly once."""

import csv
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.crash import reach
from scrooge.errors import MoveRefused
from scrooge.ids import bucket_of, hex_of, new_id
from scrooge.postgres.database import Database, redone, run
from scrooge.postgres.rows import key_of, public
from scrooge.vault import audit
from scrooge.vault.checks import Card
from scrooge.vault.keys.keyring import Keyring
from scrooge.vault.keys.keyset import key_id_of
from scrooge.vault.moving.parcel import Chunk, Parcel
from scrooge.vault.moving.records import Record, Unfit, judged
from scrooge.vault.moving.transfers import KNOWN, NEW, STREAM, Mover, Q, Tally, new_transfer, note
from scrooge.vault.sealing import sealed

PAGE = 5000


class Fit(Struct, frozen=True):
    """A card that may be kept. Two are the same if customer, number and expiry are."""

    line: int
    record: Record
    card: Card
    bucket: int
    fingerprint: bytes

    def __repr__(self) -> str:
        return f"Fit({self.line})"

    @property
    def same(self) -> tuple[str, bytes, str]:
        return self.record.customer, self.fingerprint, self.card.exp


class Importing:
    """One file, for one merchant, in one mode."""

    def __init__(self, db: Database, keyring: Keyring, parcel: Parcel, mover: Mover) -> None:
        self.db, self.keyring, self.parcel, self.mover = db, keyring, parcel, mover
        self.today: date = datetime.now(UTC).date()
        if parcel.header.livemode is not mover.livemode:
            kinds = {True: "live", False: "test"}
            raise MoveRefused(
                f"the file holds {kinds[parcel.header.livemode]} cards, and this is for {kinds[mover.livemode]} mode"
            )

    def fit(self, chunk: Chunk, tally: Tally) -> Iterator[Fit]:
        """The cards of a chunk that may be kept; of the others it is counted why not."""
        for line, content in enumerate(chunk.lines, chunk.first):
            try:
                record, card = judged(content, self.mover.livemode, self.today)
            except Unfit as unfit:
                tally.refuse(line, unfit.reason)
                continue
            bucket = bucket_of(self.mover.merchant, record.customer)
            print_ = self.keyring.fingerprint(self.mover.livemode, self.mover.merchant, card.number)
            yield Fit(line, record, card, bucket, print_)

    async def look(self) -> tuple[str, Tally]:
        """The dry run: everything is read and checked, nothing is kept but the report. Raises MoveRefused."""
        tally = Tally()
        ids: set[str] = set()
        seen: set[tuple[str, bytes, str]] = set()
        for chunk in self.parcel.chunks():
            await self.keyring.refresh()
            found = list(self.fit(chunk, tally))
            known = await self.known(self.db, found)
            for fit in found:
                if fit.record.id in ids:
                    tally.refuse(fit.line, "duplicate_id")
                    continue
                ids.add(fit.record.id)
                tally.counts[KNOWN if fit.same in known or fit.same in seen else NEW] += 1
                seen.add(fit.same)
        async with self.db.transaction() as connection:
            row = await run(
                connection, Q["look_at_import"], hex_of(new_transfer()), hex_of(self.mover.merchant),
                self.mover.livemode, self.parcel.digest, tally.content(), self.mover.operator,
            )  # fmt: skip
            transfer = public("trf", row["id"]) or ""
            await audit.append(connection, STREAM, [self.act("import_looked_at", transfer, tally)])
        return transfer, tally

    async def import_all(self) -> tuple[str, Tally]:
        """Keeps what the dry run of this very file found good. Goes on where an earlier run ended.

        Raises MoveRefused.
        """
        for _ in self.parcel.chunks():
            pass  # Whole, in order and unchanged, before the first card is kept.
        key = hex_of(self.mover.merchant), self.mover.livemode, self.parcel.digest
        row = await run(self.db, Q["import_of"], *key)
        if row is None:
            raise MoveRefused("no dry run has seen this file: scrooge vault import --dry-run first")
        transfer = public("trf", row["id"]) or ""
        if row["state"] != "done":
            if row["state"] == "looked_at":
                await note(self.db, self.mover.act("import_begun", transfer, file=self.parcel.digest.hex()))
            await run(self.db, Q["begin"], row["id"])
            done = {r["chunk"] for r in await run(self.db, Q["chunks"], row["id"])}
            for chunk in self.parcel.chunks():
                if chunk.number not in done:
                    await self.batch(transfer, chunk)
        tally = await self.counted(transfer)
        async with self.db.transaction() as connection:
            if await run(connection, Q["finish"], row["id"], self.parcel.digest) is not None:
                await audit.append(connection, STREAM, [self.act("import_done", transfer, tally)])
        return transfer, tally

    @redone
    async def batch(self, transfer: str, chunk: Chunk) -> None:
        """One chunk: its cards, their audit and that it is done, in one commit."""
        await self.keyring.refresh()
        tally = Tally()
        found = list(self.fit(chunk, tally))
        async with self.db.transaction() as connection:
            if await run(connection, Q["claim_chunk"], hex_of(transfer), chunk.number, len(chunk.lines)) is None:
                return
            ids = [fit.record.id for fit in found]
            mapped = {r["source_id"] for r in await run(connection, Q["mapped"], hex_of(transfer), ids)}
            known = await self.known(connection, found)
            new: dict[str, Fit] = {}
            rows: list[tuple[str, int, str, bool]] = []
            for fit in found:
                if fit.record.id in mapped:
                    tally.refuse(fit.line, "duplicate_id")
                    continue
                mapped.add(fit.record.id)
                is_new = fit.same not in known
                if is_new:
                    known[fit.same] = new_id("ins", fit.bucket)
                    new[known[fit.same]] = fit
                tally.counts[NEW if is_new else KNOWN] += 1
                rows.append((fit.record.id, *key_of(known[fit.same]), is_new))
            if new:
                columns = [self.columns(card_id, fit) for card_id, fit in new.items()]
                await run(connection, Q["add"], *map(list, zip(*columns, strict=True)))
            if rows:
                await run(connection, Q["map"], hex_of(transfer), *map(list, zip(*rows, strict=True)))
            await run(connection, Q["count_chunk"], hex_of(transfer), chunk.number, tally.content())
            acts = [self.mover.act("import", card_id, transfer=transfer) for card_id in new]
            await audit.append(connection, STREAM, [*acts, self.act("import_chunk", transfer, tally)])
            reach("move.before")
        reach("move.after")

    async def known(self, connection: Any, found: list[Fit]) -> dict[tuple[str, bytes, str], str]:
        """The instruments of cards that are here already."""
        rows = await run(
            connection, Q["known"], hex_of(self.mover.merchant), self.mover.livemode, [f.bucket for f in found],
            [f.fingerprint for f in found],
        )  # fmt: skip
        return {(r["customer"], r["fingerprint"], r["exp"]): public("ins", r["id"]) or "" for r in rows}

    def columns(self, card_id: str, fit: Fit) -> tuple[Any, ...]:
        live, merchant, card = self.mover.livemode, self.mover.merchant, fit.card
        content = sealed(self.keyring, card_id, merchant, live, card)
        return (
            *key_of(card_id), hex_of(merchant), live, fit.record.customer, card.brand, card.iin, card.last4, card.exp,
            content, key_id_of(content), fit.fingerprint, key_id_of(fit.fingerprint), fit.record.network_transaction_id,
        )  # fmt: skip

    async def counted(self, transfer: str) -> Tally:
        tally = Tally()
        for row in await run(self.db, Q["chunks"], hex_of(transfer)):
            tally.add(row["counts"])
        return tally

    def act(self, name: str, transfer: str, tally: Tally) -> audit.Act:
        counts: dict[str, Any] = dict(sorted(tally.counts.items()))
        return self.mover.act(name, transfer, file=self.parcel.digest.hex() or None, **counts)


async def write_mapping(db: Database, transfer: str, path: Path) -> int:
    """Which instrument each card is here, by the sender's name for it: no card data. How many."""
    count, after = 0, ""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("source_id", "instrument", "new"))
        while rows := await run(db, Q["mapping"], hex_of(transfer), after, PAGE):
            out.writerows((r["source_id"], public("ins", r["card_id"]), int(r["is_new"])) for r in rows)
            count, after = count + len(rows), rows[-1]["source_id"]
    return count
