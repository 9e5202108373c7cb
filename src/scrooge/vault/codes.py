"""Security codes while they wait for their authorization: sealed by keys that exist in the vault's memory alone.

PCI DSS 3.3.1: none is kept after authorization. The key moves on every few minutes by a one-way step, and those that no
waiting code needs are forgotten, so that not even the vault can open what is older. Processes that were given the same
key step by the same clock, the machine's own.
"""

import hashlib
import secrets
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PERIOD_SECONDS = 180


class Codes:
    def __init__(self, minutes: int) -> None:
        self.minutes = minutes
        self.period = now_period()
        self.keys = {self.period: secrets.token_bytes(32)}

    def __repr__(self) -> str:
        return "Codes()"

    def seal(self, context: bytes, code: str) -> bytes:
        self.turn()
        nonce = secrets.token_bytes(12)
        sealed = AESGCM(self.keys[self.period]).encrypt(nonce, code.encode(), context)
        return self.period.to_bytes(8) + nonce + sealed

    def open(self, context: bytes, sealed: bytes) -> str | None:
        """None: it is too old, or a vault sealed it that has the keys no more."""
        self.turn()
        key = self.keys.get(int.from_bytes(sealed[:8]))
        if key is None:
            return None
        try:
            return AESGCM(key).decrypt(sealed[8:20], sealed[20:], context).decode()
        except InvalidTag:
            return None

    def turn(self) -> None:
        """Steps to the key of this moment, and forgets those whose codes have run out."""
        present = now_period()
        while self.period < present:
            following = hashlib.sha256(b"scrooge security codes" + self.keys[self.period]).digest()
            self.period += 1
            self.keys[self.period] = following
        oldest = present - self.minutes * 60 // PERIOD_SECONDS - 1
        for period in [p for p in self.keys if p < oldest]:
            del self.keys[period]


def now_period() -> int:
    return int(time.monotonic()) // PERIOD_SECONDS
