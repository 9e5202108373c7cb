"""A batch's input as it comes in: whole lines, piece by piece, each kept by a commit; never the file in memory.

What is kept is a prefix of the file, so an upload that broke goes on behind it, or is repeated from the start: what is
there is compared and not taken twice.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence

from scrooge.crash import reach
from scrooge.domain.batch import LINE_MAX, LINES_MAX, Act, Status
from scrooge.errors import InputDiffers, InputMoved, InputOutOfPlace, InputTooLarge, InvalidField, Problem
from scrooge.flows.batches.gathering import Gathered
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import bucket_in, buckets_of, hex_of
from scrooge.storage import batch_lines, batches
from scrooge.storage.batch_lines import Line, Piece, Wrong
from scrooge.storage.batches import Batch

PIECE = 1000  # lines; larger ones are no faster
A_SLICE = 250  # lines that are read before others on this process have their turn
INPUT_MAX = 2_000_000_000  # bytes
PIECES_A_READ = 500
WORKER = "worker"
Read = Callable[[bytes, Sequence[bytes]], list[Line | Wrong]]
TOO_LONG = b"x" * (LINE_MAX + 1)  # stands for one of which the bytes are not kept


async def upload(
    s: Scrooge, batch: Batch, body: AsyncIterator[bytes], read: Read, start: int, total: int | None
) -> Batch:
    """Takes in what of the input is not there yet, from byte `start` on; the batch is validated when it is whole.

    It is whole when it has `total` bytes or, where nobody says how many, at the end of the body. However the body ends,
    the whole lines before that are kept. Raises what the body raises, InputDiffers, InputOutOfPlace, InputMoved,
    InputTooLarge, InvalidField.
    """
    kept = batch.input_bytes
    if start not in {0, kept}:
        raise InputOutOfPlace(f"go on from byte {kept}, or from 0", expected=kept)
    if total is not None and total < kept:
        raise InputDiffers(f"{kept} bytes are kept, which is more", first_line=batch.lines + 1)
    known = Known(s, batch, start)
    intake = Intake(s, batch, read, INPUT_MAX if total is None else total)
    try:
        async for content in body:
            rest = await known.compare(content)
            if rest:
                await intake.take(rest)
        known.end()
    except BaseException:
        await intake.abandon()
        raise
    return await intake.end(whole=total is None or total == intake.place)


class Known:
    """Compares what comes with the pieces that are kept."""

    def __init__(self, s: Scrooge, batch: Batch, start: int) -> None:
        self.s, self.batch, self.place = s, batch, start
        self.ahead: list[Piece] = []
        self.digest = hashlib.sha256()

    async def compare(self, content: bytes) -> bytes:
        """What of it is beyond what is kept. Raises InputDiffers."""
        while content and self.place < self.batch.input_bytes:
            if not self.ahead:
                self.ahead = await batch_lines.pieces(self.s.db, self.batch.id, self.place, PIECES_A_READ)
            piece = self.ahead[0]
            end = piece.first_byte + piece.bytes
            part = content[: end - self.place]
            content = content[len(part) :]
            self.digest.update(part)
            self.place += len(part)
            if self.place == end:
                if self.digest.digest() != piece.digest:
                    raise InputDiffers("other bytes are kept from about this line on", first_line=piece.first_line)
                self.digest = hashlib.sha256()
                del self.ahead[0]
        return content

    def end(self) -> None:
        """The body is over. Raises InputDiffers where more than that is kept."""
        if self.place < self.batch.input_bytes:
            first = self.ahead[0].first_line if self.ahead else 1
            raise InputDiffers(f"{self.batch.input_bytes} bytes are kept, which is more", first_line=first)


class Intake:
    """Takes bytes in, from where the kept input ends. A piece is written while the next one is read."""

    def __init__(self, s: Scrooge, batch: Batch, read: Read, most: int) -> None:
        self.s, self.batch, self.read, self.most = s, batch, read, most
        self.where = f"{bucket_in(batch.id)}\t{hex_of(batch.id)}"
        self.bucket = buckets_of(batch.merchant, batch.caller)
        self.gathered = Gathered(self.where, self.bucket, batch.input_bytes, batch.lines + 1)
        self.rest = b""  # of a line that has not ended
        self.skipping = False  # that line is too long: its bytes are counted already, and it is not
        self.writing: asyncio.Task[None] | None = None

    @property
    def place(self) -> int:
        return self.gathered.next_byte + len(self.rest)

    async def take(self, content: bytes) -> None:
        if self.batch.status is not Status.DRAFT:
            raise InputDiffers("the input ended before this line", first_line=self.batch.lines + 1)
        if self.place + len(content) > self.most:
            raise InputTooLarge(f"no more than {self.most} bytes were to come")
        end = content.rfind(b"\n") + 1
        if end:
            lines, self.rest = self.rest + content[:end], content[end:]
            await self.add(lines)
        else:
            self.rest += content
        if self.skipping or len(self.rest) > LINE_MAX:
            self.gathered.add(self.rest, ())
            self.rest, self.skipping = b"", True

    async def add(self, content: bytes) -> None:
        """Whole lines."""
        if self.skipping:
            end = content.index(b"\n") + 1
            self.gathered.add(content[:end], self.read(b"", (TOO_LONG,)))
            content, self.skipping = content[end:], False
        while content:
            *lines, rest = content.split(b"\n", A_SLICE)
            part = content[: len(content) - len(rest)]
            self.gathered.add(part, self.read(part, lines))
            content = rest
            if self.gathered.next_line > LINES_MAX + 1:
                raise InputTooLarge(f"a batch has at most {LINES_MAX} lines")
            if len(self.gathered.rows) >= PIECE:
                await self.write()
            await asyncio.sleep(0)  # Somebody may be paying meanwhile.

    async def write(self) -> None:
        """Begins to keep what was gathered, once what was before it is kept."""
        done = self.gathered
        self.gathered = Gathered(self.where, self.bucket, done.next_byte, done.next_line)
        await self.written()
        if done.rows:
            self.writing = asyncio.ensure_future(self.keep(done))

    async def keep(self, done: Gathered) -> None:
        reach("intake.before")
        if not await batch_lines.keep(self.s.db, self.batch, done.piece(), done.rejected, done.rows, done.named):
            raise InputMoved("somebody else went on with this input, or closed it: read how far it is")
        reach("intake.after")

    async def written(self) -> None:
        if self.writing is not None:
            writing, self.writing = self.writing, None
            await writing

    async def abandon(self) -> None:
        """The body broke: whole lines are kept, and whoever waits hears of the break and not of this."""
        try:
            if not self.skipping and self.gathered.next_line <= LINES_MAX + 1:
                await self.write()
            await self.written()
        except Problem:
            return

    async def end(self, *, whole: bool) -> Batch:
        """The body came to its end; only of a whole input is what has no line's end a line."""
        if whole and self.skipping:
            self.gathered.add(b"", self.read(b"", (TOO_LONG,)))
        elif whole and self.rest:
            self.gathered.add(self.rest, self.read(self.rest, (self.rest,)))
        if whole or not self.skipping:
            await self.write()
        await self.written()
        batch = await batches.read(self.s.db, self.batch.id) or self.batch
        if whole and batch.status is Status.DRAFT:
            if not batch.lines:
                raise InvalidField("the input has no line")
            batch, _ = await batches.move(self.s.db, batch, Act.CLOSE, WORKER)
        return await settle(self.s, batch)


async def settle(s: Scrooge, batch: Batch) -> Batch:
    """The last part of validation, once the input is whole. Whoever begins it again does the rest."""
    if batch.status is not Status.VALIDATING:
        return batch
    await batch_lines.refuse_repeated(s.db, batch)
    reach("intake.checked")
    return (await batches.move(s.db, batch, Act.VALIDATE, WORKER))[0]
