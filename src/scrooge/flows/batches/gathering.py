"""The lines of one piece of a batch's input, as they gather. Pure."""

import hashlib
from collections.abc import Sequence

from scrooge.storage.batch_lines import Line, Piece, Wrong, text_of


class Gathered:
    """`where` as in `text_of`; the piece begins at this byte with this line."""

    def __init__(self, where: str, first_byte: int, first_line: int) -> None:
        self.where, self.first_byte, self.first_line = where, first_byte, first_line
        self.digest = hashlib.sha256()
        self.rows: list[str] = []
        self.bytes = self.rejected = 0

    def add(self, content: bytes, lines: Sequence[Line | Wrong]) -> None:
        """Bytes, and the lines that end in them."""
        self.digest.update(content)
        self.bytes += len(content)
        for found in lines:
            self.rows.append(text_of(self.where, self.next_line, found))
            self.rejected += isinstance(found, Wrong)

    @property
    def next_line(self) -> int:
        return self.first_line + len(self.rows)

    @property
    def next_byte(self) -> int:
        return self.first_byte + self.bytes

    def piece(self) -> Piece:
        return Piece(self.first_byte, self.first_line, self.bytes, len(self.rows), self.digest.digest())
