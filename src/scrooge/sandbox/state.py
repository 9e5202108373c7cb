"""Tables in memory over an append-only journal file: a killed process finds its state again.

A frame is a four-byte length and a msgpack list of records, the latest version of each winning.
One commit is one frame is one write: an effect and the answer stored for it survive together or
not at all. There is no fsync: the file outlives the process, not the machine's power.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from .records import Record

R = TypeVar("R", bound=Record)


Decoder = msgspec.msgpack.Decoder[list[Any]]


def _frame_type(kinds: Sequence[type[Record]]) -> Any:
    """A list of any of these records, told apart by their tags."""
    anyone: Any = reduce(or_, kinds)
    return list[anyone]


class State:
    """Every record by type and id, with a hand-kept index for what is looked up otherwise."""

    def __init__(self, kinds: Sequence[type[Record]], path: Path | None) -> None:
        self.tables: dict[type[Record], dict[str, Any]] = {kind: {} for kind in kinds}
        self.index: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._frame: list[Record] = []
        self._encode = msgspec.msgpack.Encoder().encode
        self._file: int | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._replay(path, msgspec.msgpack.Decoder(_frame_type(kinds)))
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def get(self, kind: type[R], id_: str) -> R | None:
        """The record of this type with this id."""
        return self.tables[kind].get(id_)

    def need(self, kind: type[R], id_: str | None) -> R:
        """The record that has to be there; raises KeyError."""
        return self.tables[kind][id_ or ""]

    def all(self, kind: type[R]) -> Iterable[R]:
        """Every record of this type, oldest first."""
        return self.tables[kind].values()

    def put(self, record: Record) -> None:
        """Keep this version; it is on disk after the next `commit`."""
        self._remember(record)
        if self._file is not None:
            self._frame.append(record)

    def commit(self) -> None:
        """Write everything put since the last commit as one frame."""
        if not self._frame or self._file is None:
            return
        payload = self._encode(self._frame)
        self._frame.clear()
        os.write(self._file, len(payload).to_bytes(4, "big") + payload)

    def close(self) -> None:
        """Write what is left and let go of the file."""
        self.commit()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _remember(self, record: Record) -> None:
        table = self.tables[type(record)]
        if getattr(record, "done", False):
            table.pop(record.id, None)
            return
        before = table.get(record.id)
        known = before.index_keys() if before else ()
        for key in record.index_keys():
            if key not in known:
                self.index[key].append(record.id)
        table[record.id] = record

    def _replay(self, path: Path, decoder: Decoder) -> None:
        """Read the journal, and cut off a last frame that was never finished."""
        if not path.exists():
            return
        raw = path.read_bytes()
        start = 0
        while start + 4 <= len(raw):
            end = start + 4 + int.from_bytes(raw[start : start + 4], "big")
            if end > len(raw):
                break
            for record in decoder.decode(raw[start + 4 : end]):
                self._remember(record)
            start = end
        if start < len(raw):
            os.truncate(path, start)
