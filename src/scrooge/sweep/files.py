"""Where bytes are read from to be searched: files, data directories of PostgreSQL, and the memory of a process."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from scrooge.sweep.finder import Finder, Hit, search

WINDOW = 16 * 1024 * 1024
OVERLAP = 64 * 1024  # what lies across two windows is seen whole in the second
WAL_NAME = re.compile(r"[0-9A-F]{24}")
PAGE, PAGE_HEADER, SEGMENT_HEADER = 8192, 24, 40  # bytes; access/xlog_internal.h
REGION = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (r[w-])\S+ \S+ \S+ (\d+) *(.*)")
NOT_MEMORY = ("[vvar]", "[vvar_vclock]", "[vsyscall]", "[vdso]")


def windows(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes)."""
    at, tail = 0, b""
    while read := file.read(WINDOW):
        yield at - len(tail), tail + read
        at += len(read)
        tail = read[-OVERLAP:]


def in_file(finder: Finder, path: Path, *, postgres: bool = False) -> list[Hit]:
    """Raises OSError. A large compressed file is searched unpacked too."""
    hits = []
    with path.open("rb") as file:
        for at, data in windows(file):
            hits += search(finder, data, str(path), at, postgres=postgres)
    if postgres and WAL_NAME.fullmatch(path.name):
        hits += search(finder, records(path.read_bytes()), f"{path}, without its pages", postgres=True)
    return hits + in_gzip(finder, path)


def in_gzip(finder: Finder, path: Path) -> list[Hit]:
    """What fits into a window was unpacked with it."""
    hits = []
    with path.open("rb") as file:
        large = file.read(3) == b"\x1f\x8b\x08" and path.stat().st_size > WINDOW
    if large:
        with gzip.open(path) as unpacked:
            for at, data in windows(unpacked):  # type: ignore[arg-type]
                hits += search(finder, data, f"{path}, unpacked", at)
    return hits


def records(segment: bytes) -> bytes:
    """A segment of the write-ahead log as one row of records: a record may go on behind the next page's header."""
    pages = range(0, len(segment), PAGE)
    return b"".join(segment[at + (PAGE_HEADER if at else SEGMENT_HEADER) : at + PAGE] for at in pages)


def in_folder(finder: Finder, folder: Path, *, postgres: bool = False) -> list[Hit]:
    """Every file below; what goes away meanwhile, or is no plain file, is passed over."""
    hits = []
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file() and not path.is_symlink():
                hits += in_file(finder, path, postgres=postgres)
        except FileNotFoundError:
            continue
    return hits


def in_memory(finder: Finder, pid: int) -> list[Hit]:
    """All that a process could have written to; raises PermissionError where the system does not let us look.

    It runs meanwhile: stop it first where that matters. What is mapped from files unchanged is in those files.
    """
    hits = []
    regions = Path(f"/proc/{pid}/maps").read_text().splitlines()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, name in filter(None, map(written, regions)):
            for at in range(start, end, WINDOW):
                try:
                    memory.seek(max(start, at - OVERLAP))
                    data = memory.read(min(end, at + WINDOW) - max(start, at - OVERLAP))
                except (OSError, ValueError):
                    continue  # gone meanwhile, or a device's
                hits += search(finder, data or b"", f"memory of {pid} {name}".strip(), at)
    return hits


def written(line: str) -> tuple[int, int, str] | None:
    found = REGION.match(line)
    if not found or found[5] in NOT_MEMORY or (found[4] != "0" and found[3] == "r-"):
        return None
    return int(found[1], 16), int(found[2], 16), found[5]
