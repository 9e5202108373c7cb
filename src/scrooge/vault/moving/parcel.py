"""Cards under way, in one file: encrypted with age for its recipient, in chunks of bounded size.

Two lines say what it is; then come frames, each four bytes of length and an age file. What a frame holds begins with
the file it belongs to, its place, and whether it is the last one, so that a frame that is missing, moved or of another
file is noticed, and so is an end that was cut off. The vault that wrote it signs the whole.
"""

import hashlib
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyrage
from cryptography.exceptions import InvalidSignature
from msgspec import Struct

from scrooge.errors import MoveRefused, SettingsError
from scrooge.service import Identity, public_key

age: Any = pyrage  # compiled, without types
MAGIC = b"scrooge-cards 1\n"
PER_CHUNK = 500
HEADER_MAX, FRAME_MAX = 4096, 4 * 1024 * 1024
LENGTH_BYTES, SIGNATURE_BYTES = 4, 64
SIGNED = b"scrooge-cards 1 "


class Header(Struct, frozen=True):
    """`cards`: at most so many; how many there are the last chunk says. `vault`: the public key it is signed with."""

    file: str
    livemode: bool
    made_at: str
    cards: int | None = None
    vault: str | None = None

    def encoded(self) -> bytes:
        return MAGIC + msgspec.json.encode(self) + b"\n"


class Top(Struct, frozen=True):
    """What a chunk begins with; `of` is the digest of the file's header, `first` the number of its first card."""

    of: str
    chunk: int
    first: int
    cards: int
    last: bool


class Chunk(Struct, frozen=True):
    """`lines` are whole cards: it has no words for itself."""

    number: int
    first: int
    lines: list[bytes]
    last: bool

    def __repr__(self) -> str:
        return f"Chunk({self.number})"


def header_digest(header: Header) -> str:
    return hashlib.sha256(header.encoded()).hexdigest()


def frame(header: Header, chunk: Chunk, recipient: Any) -> bytes:
    top = Top(header_digest(header), chunk.number, chunk.first, len(chunk.lines), chunk.last)
    sealed = age.encrypt(b"\n".join([msgspec.json.encode(top), *chunk.lines]), [recipient])
    if len(sealed) > FRAME_MAX:
        raise MoveRefused(f"chunk {chunk.number} is larger than any card can make it")
    return len(sealed).to_bytes(LENGTH_BYTES) + sealed


def signature(own: Identity, digest: bytes) -> bytes:
    """`digest`: SHA-256 of everything before it."""
    return own.key.sign(SIGNED + digest)


# --- reading --------------------------------------------------------------------------------


class Parcel:
    """A file as it is read. Only after the last chunk `digest` is set, and everything before was whole."""

    def __init__(self, path: Path, identities: Sequence[Any]) -> None:
        self.path, self.identities = path, identities
        self.hash = hashlib.sha256()
        self.cards, self.digest = 0, b""
        with path.open("rb") as file:
            self.header = self.beginning(file)

    def beginning(self, file: BinaryIO) -> Header:
        """Raises MoveRefused."""
        if file.read(len(MAGIC)) != MAGIC:
            raise MoveRefused("this is no file of cards in the format scrooge-cards 1")
        try:
            return msgspec.json.decode(file.readline(HEADER_MAX), type=Header)
        except msgspec.MsgspecError:
            raise MoveRefused("the file's header cannot be read") from None

    def chunks(self) -> Iterator[Chunk]:
        """Every chunk in its place. Raises MoveRefused where the file is not whole."""
        self.hash, self.cards, self.digest = hashlib.sha256(), 0, b""
        of = header_digest(self.header)
        with self.path.open("rb") as file:
            written = file.read(len(self.header.encoded()))
            if written != self.header.encoded():
                raise MoveRefused("the file's header was changed")
            self.hash.update(written)
            number, last = 0, False
            while not last:
                chunk = self.chunk(file, number, of)
                self.cards += len(chunk.lines)
                number, last = number + 1, chunk.last
                if last:
                    self.ended(file)
                yield chunk

    def chunk(self, file: BinaryIO, number: int, of: str) -> Chunk:
        size = file.read(LENGTH_BYTES)
        length = int.from_bytes(size)
        if len(size) < LENGTH_BYTES:
            raise MoveRefused(f"the file ends before its last chunk: {number} chunks are here")
        sealed = file.read(length) if length <= FRAME_MAX else b""
        if len(sealed) != length or not length:
            raise MoveRefused(f"chunk {number} is not whole")
        self.hash.update(size + sealed)
        try:
            top_line, *lines = age.decrypt(sealed, self.identities).split(b"\n")
            top = msgspec.json.decode(top_line, type=Top)
        except age.DecryptError as error:
            why = "no identity given is its recipient's" if "matching" in str(error) else "it was damaged or changed"
            raise MoveRefused(f"chunk {number} cannot be opened: {why}") from None
        except msgspec.MsgspecError:
            raise MoveRefused(f"chunk {number} cannot be read") from None
        if top.of != of:
            raise MoveRefused(f"chunk {number} belongs to another file, or the header was changed")
        if (top.chunk, top.first, top.cards) != (number, self.cards + 1, len(lines)):
            raise MoveRefused(f"chunk {number} is not in its place: chunks were moved, repeated or left out")
        return Chunk(number, top.first, lines, top.last)

    def ended(self, file: BinaryIO) -> None:
        """Nothing but the signature follows, and it is good."""
        found = file.read(SIGNATURE_BYTES + 1)
        if self.header.vault is not None:
            key = public_key(self.header.vault, "the file's vault")
            try:
                key.verify(found, SIGNED + self.hash.digest())
            except InvalidSignature:
                raise MoveRefused("the signature is not that of the vault that is named in the header") from None
        elif found:
            raise MoveRefused("something follows the last chunk")
        self.hash.update(found)
        self.digest = self.hash.digest()


# --- whom it is for -------------------------------------------------------------------------


def recipient_of(text: str) -> Any:
    """An age recipient (age1...) or an SSH public key. Raises SettingsError."""
    kind = age.ssh.Recipient if text.startswith("ssh-") else age.x25519.Recipient
    try:
        return kind.from_str(text)
    except age.RecipientError:
        raise SettingsError("the recipient must be age1... or an SSH public key (ssh-ed25519, ssh-rsa)") from None


def recipient_text(text: str) -> str:
    """As it is kept and compared: without an SSH key's comment. Raises SettingsError."""
    recipient_of(text)
    return " ".join(text.split()[:2])


def recipient_name(text: str) -> str:
    """Short, for the record and for reading aloud."""
    return f"SHA256:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def identities_of(path: Path) -> list[Any]:
    """From an age identity file or an SSH private key. Raises SettingsError, in which nothing of it is repeated."""
    try:
        content = path.read_bytes()
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise SettingsError(f"others may read {path}: chmod 600 {path}")
    except OSError as error:
        raise SettingsError(f"the identity cannot be read: {error.strerror}") from None
    try:
        if b"PRIVATE KEY-----" in content:
            return [age.ssh.Identity.from_buffer(content)]
        lines = [line.strip() for line in content.decode().splitlines()]
        found = [age.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (age.IdentityError, UnicodeDecodeError, ValueError):
        found = []
    if not found:
        raise SettingsError(f"{path} holds no age identity (AGE-SECRET-KEY-1...) and no SSH private key")
    return found
