"""A line of a batch's input, read as strictly as a request: what it asks for, or what is wrong with it."""

from functools import lru_cache

import msgspec

from scrooge import reading
from scrooge.api.batch_bodies import BatchLine
from scrooge.api.bodies import AmountAsked
from scrooge.api.pan import refuse_in_body
from scrooge.api.parsing import money_of
from scrooge.api.payments import retry_until
from scrooge.errors import MalformedId, PanRefused, Problem
from scrooge.ids import read_number
from scrooge.money import Money
from scrooge.reading import CONTROL
from scrooge.storage.batch_lines import MANDATES, Line, Wrong

DECODER = msgspec.json.Decoder(BatchLine)
QUOTES = 22  # of six names and five values, in a line without anything else
AMOUNTS = 4096  # renewals have few prices
TEXT_MAX = 128
EMPTY = Wrong("empty_line", "there is nothing in this line")


def read(raw: bytes) -> Line | Wrong:
    try:
        refuse_in_body(raw)
        return line_of(raw)
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


def line_of(raw: bytes) -> Line:
    """Raises Problem; MalformedId is of the mandate."""
    try:
        asked = DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        asked = reading.decode(raw, BatchLine)  # Says what is wrong.
    quotes = QUOTES + (4 if asked.retry_until else 0) + (2 + 4 * len(asked.metadata) if asked.metadata else 0)
    if b"\\" in raw or raw.count(b'"') != quotes:
        reading.decode(raw, BatchLine)  # A name that stands twice has quotes of its own.
    money = amount_of(asked.amount.value, asked.amount.currency)
    return Line(
        asked.reference, asked.custom_id, money.minor, money.currency, read_number(asked.mandate, "man"),
        None if asked.retry_until is None else retry_until(asked.retry_until), asked.metadata or None,
    )  # fmt: skip


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
