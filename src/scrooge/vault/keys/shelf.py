"""What custodians brought, where every process of one vault finds it: in memory that they share, and nowhere else.

Anonymous memory without a name in any file system; a process is given it when it is started, and it ends with the last.
"""

import fcntl
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import assert_spawning
from multiprocessing.reduction import DupFd
from typing import Any

import msgspec
from msgspec import Struct

from scrooge.errors import SettingsError

SIZE = 1 << 16
LENGTH = 4  # bytes at the beginning that say how much follows; none while somebody writes


class Held(Struct):
    """Shares by number, each with the moment it came (of the machine's one clock) and the key-encryption key that it is
    of; and the secrets of those that shares have opened."""

    waiting_for: str = ""
    shares: dict[int, tuple[bytes, float]] = {}
    secrets: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"Held({len(self.shares)} shares)"


class Shelf:
    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = memory() if descriptor is None else descriptor
        self.space = mmap.mmap(self.descriptor, SIZE)

    def __repr__(self) -> str:
        return "Shelf()"

    def __reduce__(self) -> tuple[Callable[..., "Shelf"], tuple[Any]]:
        """For a process that is being started, and for nobody else. Raises RuntimeError, SettingsError."""
        assert_spawning(self)
        if self.descriptor < 0:
            raise SettingsError("SCROOGE_VAULT_PROCESSES: several share memory as only Linux has it; set it to 1")
        return given, (DupFd(self.descriptor),)

    def look(self) -> Held:
        with self.locked():
            return self.read()

    @contextmanager
    def changing(self) -> Iterator[Held]:
        """What is changed meanwhile is kept, and what was there before is overwritten. Not to be awaited in."""
        with self.locked():
            held = self.read()
            yield held
            content = msgspec.msgpack.encode(held)
            self.space[:LENGTH] = bytes(LENGTH)
            self.space[LENGTH:] = content.ljust(SIZE - LENGTH, b"\0")
            self.space[:LENGTH] = len(content).to_bytes(LENGTH)

    @contextmanager
    def locked(self) -> Iterator[None]:
        if self.descriptor < 0:
            yield  # Nobody else has it.
            return
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN)

    def read(self) -> Held:
        """Nothing, where one who wrote was ended in between: the custodians come again."""
        length = int.from_bytes(self.space[:LENGTH])
        return msgspec.msgpack.decode(self.space[LENGTH : LENGTH + length], type=Held) if length else Held()


def memory() -> int:
    """Its descriptor; less than 0 where the system has no such memory that could be given to others."""
    if not hasattr(os, "memfd_create"):
        return -1
    descriptor = os.memfd_create("scrooge")
    os.ftruncate(descriptor, SIZE)
    return descriptor


def given(descriptor: Any) -> Shelf:
    return Shelf(descriptor.detach())
