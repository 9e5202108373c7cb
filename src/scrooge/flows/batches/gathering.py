"""The lines of one piece of a batch's input, as they gather. Pure."""

import hashlib
from collections.abc import Callable, Sequence

from scrooge.storage.batch_lines import Line, Named, Piece, Wrong, text_of


class Gathered:
    """`where` as in `text_of`, `bucket` is a reference's; the piece begins at this byte with this line."""

    def __init__(self, where: str, bucket: Callable[[str], int], first_byte: int, first_line: int) -> None:
        self.where, self.bucket, self.first_byte, self.first_line = where, bucket, first_byte, first_line
        self.named = Named([], [], [])
        self.digest = hashlib.sha256()
        self.rows: list[str] = []
        self.bytes = self.rejected = 0

    def add(self, content: bytes, lines: Sequence[Line | Wrong]) -> None:
        """Bytes, and the lines that end in them."""
        self.digest.update(content)
        self.bytes += len(content)
        named = self.named
        for found in lines:
            if isinstance(found, Wrong):
                self.rejected += 1
            else:
                named.places.append(len(self.rows))
                named.buckets.append(self.bucket(found.reference))
                named.references.append(found.reference)
            self.rows.append(text_of(self.where, self.next_line, found))

    @property
    def next_line(self) -> int:
        return self.first_line + len(self.rows)

    @property
    def next_byte(self) -> int:
        return self.first_byte + self.bytes

    def piece(self) -> Piece:
        return Piece(self.first_byte, self.first_line, self.bytes, len(self.rows), self.digest.digest())
