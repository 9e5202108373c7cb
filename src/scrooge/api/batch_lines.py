"""A line of a batch's input, read as strictly as a request: what it asks for, or what is wrong with it."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from scrooge import reading
from scrooge.api.batch_bodies import BatchLine
from scrooge.api.bodies import AmountAsked
from scrooge.api.pan import no_card_number, refuse_in_body
from scrooge.api.parsing import money_of
from scrooge.api.payments import retry_until
from scrooge.domain.batch import LINE_MAX
from scrooge.errors import MalformedId, PanRefused, Problem
from scrooge.ids import read_number
from scrooge.money import Money
from scrooge.reading import CONTROL
from scrooge.storage.batch_lines import MANDATES, Line, Wrong

QUOTES = 22  # of six names and five values, in a line without anything else
AMOUNTS = 4096  # renewals have few prices
TEXT_MAX = 128
Short = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX)]
EMPTY = Wrong("empty_line", "there is nothing in this line")
TOO_LONG = Wrong("line_too_long", f"the longest line is {LINE_MAX} bytes")


class PlainAmount(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    value: str
    currency: str


class Plain(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """BatchLine where nothing is escaped: then no text has a control character, which costs much to look for."""

    custom_id: Short
    reference: Short
    amount: PlainAmount
    mandate: str


PLAIN = msgspec.json.Decoder(Plain)


def read(content: bytes, lines: Sequence[bytes]) -> list[Line | Wrong]:
    """Lines that stand together, and the bytes they stand in."""
    clear = no_card_number(content)
    return [read_one(raw, clear) for raw in lines]


def read_one(raw: bytes, clear: bool) -> Line | Wrong:
    if len(raw) > LINE_MAX:
        return TOO_LONG
    try:
        if not clear:
            refuse_in_body(raw)
        return plain(raw) or line_of(raw)
    except PanRefused as problem:
        return Wrong(problem.code, problem.detail, problem.param)  # And nothing of what it says is kept.
    except Problem as problem:
        if not raw.strip():
            return EMPTY
        names = named(raw)
        called = names.get("reference"), names.get("custom_id")
        if isinstance(problem, MalformedId):
            return Wrong("unknown_mandate", MANDATES["unknown_mandate"], "mandate", *called)
        return Wrong(problem.code, problem.detail, problem.param, *called)


def plain(raw: bytes) -> Line | None:
    """None: it needs a closer look. Raises Problem; MalformedId is of the mandate."""
    if b"\\" in raw or b"\x7f" in raw or raw.count(b'"') != QUOTES:  # A name that stands twice has quotes of its own.
        return None
    try:
        asked = PLAIN.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    money = amount_of(asked.amount.value, asked.amount.currency)
    return Line(asked.reference, asked.custom_id, money.minor, money.currency, read_number(asked.mandate, "man"))


def line_of(raw: bytes) -> Line:
    """Raises Problem; MalformedId is of the mandate."""
    asked = reading.decode(raw, BatchLine)
    money = amount_of(asked.amount.value, asked.amount.currency)
    return Line(
        asked.reference,
        asked.custom_id,
        money.minor,
        money.currency,
        read_number(asked.mandate, "man"),
        None if asked.retry_until is None else retry_until(asked.retry_until),
        asked.metadata or None,
    )


@lru_cache(maxsize=AMOUNTS)
def amount_of(value: str, currency: str) -> Money:
    return money_of(AmountAsked(value=value, currency=currency))


def named(raw: bytes) -> dict[str, str]:
    """What a wrong line calls itself, where that can be read and kept."""
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    found = {name: document.get(name) for name in ("reference", "custom_id")}
    return {
        name: value for name, value in found.items()
        if isinstance(value, str) and 0 < len(value) <= TEXT_MAX and not CONTROL.search(value) and "\x7f" not in value
    }  # fmt: skip
