"""Several processes that are one vault: what they have in common is in their memory alone.

The process that listens makes it, and each process that it starts gets it through the pipe that it begins with: never
by a file, the environment or the database. One that ended is started again with what the others have by then.
"""

import os
import secrets
from multiprocessing.context import assert_spawning
from typing import Any

from scrooge.serving import end_with_parent
from scrooge.vault.audit import SHARDS
from scrooge.vault.codes import Codes
from scrooge.vault.hardening import harden
from scrooge.vault.keys.shelf import Shelf


class Common:
    """The keys of security codes, what custodians brought, and which of the audit's streams is the next process's."""

    def __init__(self, code_minutes: int) -> None:
        self.codes, self.shelf, self.shard = Codes(code_minutes), Shelf(), secrets.randbelow(SHARDS)

    def __repr__(self) -> str:
        return "Common()"

    def __getstate__(self) -> dict[str, Any]:
        """For a process that is being started, and for nobody else. Raises RuntimeError."""
        assert_spawning(self)
        self.codes.turn()
        self.shard = (self.shard + 1) % SHARDS
        return {**vars(self), "parent": os.getpid()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        harden()
        end_with_parent(state.pop("parent"))
        vars(self).update(state)
