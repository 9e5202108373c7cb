"""Canary cards: every flow has its own, so that a number found where none may be says which flow left it there."""

import hashlib

from msgspec import Struct

from scrooge.cards import luhn

# Of the sandbox's families (docs/sandbox.md); nothing but these tests knows what follows.
FAMILIES = {
    "approved": "4000009801", "declined": "4000009802", "elsewhere": "4000009803", "challenged": "4000009804",
}  # fmt: skip
ADYENS_CODE = "737"  # the only one its test cards have


class Canary(Struct, frozen=True):
    label: str
    number: str
    holder: str
    code: str

    def card(self, **other: object) -> dict[str, object]:
        return {
            "number": self.number, "exp_month": 11, "exp_year": 2031, "cvc": self.code, "holder": self.holder, **other,
        }  # fmt: skip


def canary(label: str, family: str = "approved", *, code: str | None = None) -> Canary:
    """The same for the same label, always."""
    digest = hashlib.sha256(label.encode()).hexdigest()
    body = FAMILIES[family] + f"{int(digest[:8], 16) % 100_000:05d}"
    number = next(body + digit for digit in "0123456789" if luhn(body + digit))
    letters = digest.translate(str.maketrans("0123456789", "ghijklmnop"))
    holder = f"Quo{letters[:6]} Vaz{letters[6:13]}"
    return Canary(label, number, holder, code or f"{300 + int(digest[8:14], 16) % 400}")
