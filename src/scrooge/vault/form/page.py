"""The card form as a page for a browser: its parts, checked against the inventory of scripts, and its headers."""

import base64
import hashlib
from datetime import date
from html import escape
from pathlib import Path
from string import Template

import msgspec
from msgspec import Struct

from scrooge.cards import RANGES
from scrooge.errors import SettingsError

HERE = Path(__file__).parent


class Piece(Struct, frozen=True):
    """A script or style that a payer's browser is given, and why; PCI DSS 6.4.3 wants all of them known."""

    file: str
    served: str
    sha384: str
    why: str

    @property
    def integrity(self) -> str:
        """As a page of a shop asks for it. https://www.w3.org/TR/sri-2/"""
        return f"sha384-{self.sha384}"


class Tampered(SettingsError):
    """A script is not the one of the inventory: it is not served, and neither is anything else."""


def inventoried() -> dict[str, tuple[Piece, str]]:
    """Every piece and its text. Raises Tampered."""
    found = {}
    for piece in msgspec.json.decode((HERE / "inventory.json").read_bytes(), type=list[Piece]):
        content = (HERE / piece.file).read_bytes()
        digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
        if digest != piece.sha384:
            raise Tampered(f"{piece.file} has SHA-384 {digest}, but inventory.json says {piece.sha384}")
        found[piece.file] = (piece, content.decode())
    return found


PIECES = inventoried()
SCRIPT, STYLE, SHOP_SCRIPT = (PIECES[name][1] for name in ("form.js", "form.css", "scrooge.js"))
PAGE, CODE, GONE = (Template((HERE / name).read_text()) for name in ("page.html", "code.html", "gone.html"))
TEST_MODE = '<p class="mode">Test mode: no money moves. Use a test card.</p>\n'
FEATURES = ("camera", "display-capture", "geolocation", "microphone", "midi", "payment", "usb")


def source(text: str) -> str:
    """A script or style inside a page, as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def headers(origin: str | None) -> dict[str, str]:
    """Of a page that only `origin` may show inside its own; None: nobody may."""
    policy = {
        "default-src": "'none'",
        "script-src": source(SCRIPT),
        "style-src": source(STYLE),
        "connect-src": "'self'",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": origin or "'none'",
        "require-trusted-types-for": "'script'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",  # The address holds the token.
        "X-Content-Type-Options": "nosniff",
        "Permissions-Policy": ", ".join(f"{name}=()" for name in FEATURES),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "cross-origin",  # A shop that isolates itself may show the form.
        "Cross-Origin-Embedder-Policy": "require-corp",
    }


def form(*, origin: str, action: str, code: bool, livemode: bool, today: date) -> str:
    """`action` is the path that takes the card; `code`: the security code is asked for."""
    ranges = msgspec.json.encode(RANGES).decode()
    return PAGE.substitute(
        origin=escape(origin),
        action=escape(action),
        ranges=escape(ranges),
        today=f"{today:%Y-%m}",
        mode="" if livemode else TEST_MODE,
        code=CODE.substitute() if code else "",
        style=STYLE,
        script=SCRIPT,
    )


def gone(*, code: str, title: str, text: str, origin: str | None) -> str:
    """Instead of a form that cannot be used; the shop's page is told the problem's `code`."""
    return GONE.substitute(
        origin=escape(origin or ""),
        code=escape(code),
        title=escape(title),
        text=escape(text),
        style=STYLE,
        script=SCRIPT,
    )


def snippet(base: str) -> str:
    """What a shop puts into its page."""
    piece, _ = PIECES["scrooge.js"]
    return f'<script src="{escape(base)}/scrooge.js" integrity="{piece.integrity}" crossorigin="anonymous"></script>'
