"""What the vault's process forbids from its start: core dumps, and being looked into by others of the same user.

Root, or whoever has CAP_SYS_PTRACE, can still read all of it: against them only a machine of its own helps.
"""

import ctypes
import resource
import sys
from pathlib import Path

from msgspec import Struct

SET_DUMPABLE = 4  # prctl(2)


class Hardened(Struct, frozen=True):
    """What the kernel says it is now."""

    core_bytes: int
    dumpable: bool


def harden() -> Hardened:
    """Without an effect where the system has no such thing: then the answer says so."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # A core_pattern that is a pipe does not ask for the limit, but for this. It also gives /proc/PID to root.
        ctypes.CDLL(None, use_errno=True).prctl(SET_DUMPABLE, 0, 0, 0, 0)
    return state()


def state() -> Hardened:
    core, _ = resource.getrlimit(resource.RLIMIT_CORE)
    get_dumpable = 3
    dumpable = ctypes.CDLL(None).prctl(get_dumpable, 0, 0, 0, 0) != 0 if sys.platform == "linux" else True
    return Hardened(core, dumpable)


def allows_core(pid: int) -> bool:
    """Could that process leave a core file? Raises OSError where nobody may know."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max core file size"):
            return line.split()[4] != "0"
    return True
