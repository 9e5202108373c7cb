"""The load on a vault: fills as the core asks for them, or cards as merchants send them.

`python -m scrooge.cli.bench.vault.load fill` (or `tokenize`); a process of its own, as the load of payments is.
"""

import re
import sys

from scrooge.cards import luhn
from scrooge.cli.bench.load import Load, run
from scrooge.connectors.hop import FILLS
from scrooge.service import Identity, identity

INSTRUMENT = re.compile(rb'"id":"(ins_[0-9A-Z]{26})"')
REFERENCE = b"referencereferencereference"  # stands in a body for what each request has of its own
DIGITS = 10_000_000


class Fills(Load):
    """The plan's `instruments` are bodies with REFERENCE in them, its `key` the core's."""

    core: Identity

    def prepare(self) -> None:
        self.core = identity(self.plan.key, "the plan's key")
        self.bodies = [body.encode() for body in self.plan.instruments]

    def next(self) -> bytes:
        """Signed when it leaves: the vault refuses what was long on its way."""
        body = self.bodies[self.sent % len(self.bodies)].replace(REFERENCE, self.reference())
        self.sent += 1
        token, _ = self.core.token(f"POST {FILLS}", body)
        return asked(self, FILLS, token, body)

    def named(self, answer: bytes, end: int) -> str | None:
        good = answer[9:12] == b"200" and answer.find(b'"outcome":"answered"', end) > 0
        return str(self.seen.done) if good else None


class Cards(Load):
    """Another test card each time; the plan's `instruments` has one text, which they all begin with, the run's."""

    def prepare(self) -> None:
        self.first = int(self.plan.instruments[0])

    def next(self) -> bytes:
        body = card_body(self.first + self.sent)
        self.sent += 1
        return asked(self, "/v1/instruments", self.plan.key, body, b"Idempotency-Key: " + self.reference() + b"\r\n")

    def named(self, answer: bytes, end: int) -> str | None:
        found = INSTRUMENT.search(answer, end)
        return found[1].decode() if answer[9:12] == b"201" and found is not None else None


def asked(load: Load, path: str, bearer: str, body: bytes, more: bytes = b"") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {load.plan.host}:{load.plan.port}\r\nAuthorization: Bearer {bearer}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    return head.encode() + more + b"\r\n" + body


def card_body(n: int) -> bytes:
    return (
        b'{"type":"card","customer":"payer-%d","card":{"number":"%b","exp_month":12,"exp_year":2034,"cvc":"737",'
        b'"holder":"Joan Doe"}}' % (n, card_number(n).encode())
    )


def card_number(n: int) -> str:
    """The n-th number of a range that PSPs publish for tests."""
    head = f"40000000{n % DIGITS:07d}"
    return next(number for digit in range(10) if luhn(number := f"{head}{digit}"))


if __name__ == "__main__":
    run({"fill": Fills, "tokenize": Cards}[sys.argv[1]])
