"""Declines that no table maps: counted where they are committed, and kept for somebody who maps them.

Nothing waits for it: what a process has counted goes to the database with what it has learned.
"""

import re
from typing import Any

from scrooge.domain.attempt import Attempt
from scrooge.domain.declines import Decline
from scrooge.domain.payment import Payment
from scrooge.storage import unmapped
from scrooge.storage.unmapped import Code

# A code is short and has no blanks. What looks else is words, and words may hold anything: they stay with the attempt.
CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
NUMBERS = re.compile(r"[0-9]{9}")
WORDS = "(words)"
CODES_MOST = 1000  # that wait for a database that is away


class Unmapped:
    """Of one process."""

    def __init__(self) -> None:
        self.heard: dict[Code, tuple[int, str]] = {}

    def note(self, p: Payment, a: Attempt, brand: str) -> None:
        """An authorization was declined, and it was committed so."""
        if a.decline != Decline.UNMAPPED:
            return
        network = code_of(a.network_code or "")
        code = Code(p.merchant, p.livemode, a.connector_account, code_of(a.raw_code or ""), network, brand)
        if code in self.heard or len(self.heard) < CODES_MOST:
            self.heard[code] = self.heard.get(code, (0, ""))[0] + 1, p.id

    async def tell(self, db: Any) -> None:
        """What the database does not take is told again."""
        if not self.heard:
            return
        told, self.heard = self.heard, {}
        try:
            await unmapped.add(db, [(code, declines, payment) for code, (declines, payment) in told.items()])
        except BaseException:
            for code, (declines, payment) in told.items():
                self.heard[code] = declines + self.heard.get(code, (0, ""))[0], payment
            raise


def code_of(text: str) -> str:
    return text if not text or (CODE.fullmatch(text) and not NUMBERS.search(text)) else WORDS
