"""Where our files meet those of others: clear cards come from a pipe and go into a pipe, and are on no disk."""

import hashlib
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from scrooge.errors import MoveRefused, SettingsError
from scrooge.vault.moving import parcel, shapes
from scrooge.vault.moving.parcel import PER_CHUNK, Chunk, Header, Parcel
from scrooge.vault.moving.records import Record

LINE_MAX = 8 * 1024  # characters; PER_CHUNK of them are less than a chunk may be


def packed(to: str, output: Path, shape: str, live: bool) -> dict[str, Any]:
    """Raises MoveRefused, SettingsError."""
    known(shape)
    recipient = parcel.recipient_of(parcel.recipient_text(to))
    if stat.S_ISREG(os.fstat(0).st_mode):
        raise MoveRefused("clear cards come from a pipe, not from a file: gpg -d FILE | scrooge vault pack ...")
    header = Header(secrets.token_hex(16), live, datetime.now(UTC).isoformat(timespec="seconds"))
    digest, cards = hashlib.sha256(), 0
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise SettingsError(f"{output} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            for content in framed(header, recipient, shapes.lines_from(shape, sys.stdin)):
                cards += content[1]
                digest.update(content[0])
                file.write(content[0])
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        output.unlink()
        raise
    return {"file": str(output), "cards": cards, "file_digest": digest.hexdigest()}


def framed(header: Header, recipient: Any, lines: Iterator[bytes]) -> Iterator[tuple[bytes, int]]:
    """The file in parts, each with how many cards are in it."""
    yield header.encoded(), 0
    number, first = 0, 1
    ahead = list(islice(lines, PER_CHUNK))
    while True:
        now, ahead = ahead, list(islice(lines, PER_CHUNK))
        if any(len(line) > LINE_MAX for line in now):
            raise MoveRefused("a line is longer than any card")
        yield parcel.frame(header, Chunk(number, first, now, not ahead), recipient), len(now)
        if not ahead:
            return
        number, first = number + 1, first + len(now)


def unpacked(path: Path, identity: Path, shape: str, account: str | None) -> int:
    """How many were written to stdout. Raises MoveRefused, SettingsError."""
    known(shape)
    kind = os.fstat(1).st_mode
    if not (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
        raise MoveRefused("clear cards go into a pipe, to no file and no terminal: ... | gpg -e -r PSP -o FILE")
    try:
        whole = Parcel(path, parcel.identities_of(identity))
        for _ in whole.chunks():
            pass  # Nothing is passed on of a file that is not whole.
        return shapes.write(shape, records(whole.chunks()), sys.stdout, account)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read, or nobody reads what it holds: {error.strerror}") from None


def records(chunks: Iterable[Chunk]) -> Iterator[Record]:
    for chunk in chunks:
        for line, content in enumerate(chunk.lines, chunk.first):
            try:
                yield msgspec.json.decode(content, type=Record)
            except msgspec.MsgspecError:
                raise MoveRefused(f"line {line} cannot be read") from None


def known(shape: str) -> None:
    if shape != shapes.OWN and shape not in shapes.SHAPES:
        raise SettingsError(f"--shape takes {', '.join((shapes.OWN, *shapes.SHAPES))}")
