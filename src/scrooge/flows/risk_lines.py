"""What a process remembers of the risk services that it asks: whether each fails, and the secrets that sign."""

import time

from scrooge.connectors.breaker import Breaker
from scrooge.storage.sealing import Sealer

LINES_MOST = 1000
SECRET_SECONDS = 5.0  # for so long a secret is not read again


class Line:
    """To one URL, for one merchant and mode. `at_once`: the questions that are under way."""

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.at_once = 0


class Lines:
    """Of one process: by whose and which URL, and the secrets by the name of their file."""

    def __init__(self) -> None:
        self.by_name: dict[str, Line] = {}
        self.secrets: dict[str, tuple[float, str]] = {}

    def line(self, name: str) -> Line:
        if name not in self.by_name and len(self.by_name) >= LINES_MOST:
            self.by_name.clear()
        return self.by_name.setdefault(name, Line())

    def secret(self, sealer: Sealer, name: str) -> str:
        """Raises BadCredentials, OSError."""
        known = self.secrets.get(name)
        if known is None or time.monotonic() - known[0] > SECRET_SECONDS:
            known = self.secrets[name] = time.monotonic(), sealer.resolve(name)
        return known[1]
