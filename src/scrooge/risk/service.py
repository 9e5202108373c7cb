"""What a risk service is asked, and what it may answer: version 1. Pure; docs/risk.md is the contract."""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

VERSION = 1
ANSWER_MOST = 16_384  # bytes
REASONS_MOST, REASON_MOST = 10, 160
DIGITS = re.compile(r"(?:\d[ -]?){12,}\d")  # What could be a card number is not kept, whoever sends it.
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Said(Struct, frozen=True):
    """What the service thinks. Members that we do not know are for a later version of us."""

    decision: Literal["allow", "review", "challenge", "block"]
    score: float | None = None
    reasons: Annotated[tuple[str, ...], Meta(max_length=100)] = ()


DECODER = msgspec.json.Decoder(Said)


class Garbled(ValueError):
    """It is no answer."""


def answer(body: bytes, payer: Mapping[str, str | None] | None = None) -> Said:
    """`payer`: what reasons are kept without, by name. Raises Garbled."""
    try:
        said = DECODER.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # The last: of what is nested too deep.
        raise Garbled("the answer could not be read") from error
    if said.score is not None and not math.isfinite(said.score):
        raise Garbled("the score is no number")
    reasons = (kept(without(words, payer or {})) for words in said.reasons[:REASONS_MOST])
    return Said(said.decision, said.score, tuple(reasons))


def without(words: str, payer: Mapping[str, str | None]) -> str:
    """Reasons stay for ever, and go far: an address of the payer does not."""
    for name, value in payer.items():
        if value:
            words = re.sub(re.escape(value), f"[{name}]", words, flags=re.IGNORECASE)
    return words


def kept(words: str) -> str:
    return DIGITS.sub("[digits]", CONTROL.sub(" ", words))[:REASON_MOST]


def question(check: str, at: str, livemode: bool, merchant: str, caller: str, **about: dict[str, Any]) -> bytes:
    """The body. Nothing about the card but what the API shows of it; what is not known is left out."""
    parts = {name: {k: v for k, v in part.items() if v not in (None, "", {})} for name, part in about.items()}
    document = {
        "version": VERSION, "type": "payment.check", "id": check, "created_at": at, "livemode": livemode,
        "merchant": merchant, "caller": caller, **parts,
    }  # fmt: skip
    return msgspec.json.encode(document)
