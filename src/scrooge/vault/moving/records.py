"""One card as it travels, and whether it may be kept here: the same checks as for one that is tokenized. Pure."""

from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from scrooge.cards import holds_card_number
from scrooge.errors import Problem
from scrooge.vault.checks import Card, checked

Word = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\u0000-\u001f\u007f]+$")]


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """`id` is what the sender calls it. A security code may not travel: there is no field for it, and none is taken."""

    id: Word
    customer: Word
    number: Annotated[str, Meta(max_length=40)]
    exp: Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
    holder: Annotated[str, Meta(max_length=200)] = ""
    network_transaction_id: Annotated[str, Meta(pattern=r"^[!-~]{1,64}$")] | None = None

    def __repr__(self) -> str:
        return "Record()"


class Unfit(Exception):
    """`reason` is a problem's code or a word of ours; nothing of the card is in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def line_of(record: Record) -> bytes:
    return msgspec.json.encode(record)


def judged(line: bytes, live: bool, today: date) -> tuple[Record, Card]:
    """Raises Unfit."""
    try:
        record = msgspec.json.decode(line, type=Record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Unfit("malformed") from None
    if holds_card_number(record.id) or holds_card_number(record.customer):
        raise Unfit("pan_refused")
    year, month = map(int, record.exp.split("-"))
    try:
        return record, checked(record.number, month, year, record.holder, live=live, today=today)
    except Problem as problem:
        raise Unfit(problem.code) from None
