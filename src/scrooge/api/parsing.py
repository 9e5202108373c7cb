"""What the core's routes read from a request beside its body: the query, amounts, times, what makes two the same."""

import hashlib
import re
import time
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from scrooge.api.bodies import AmountAsked, Body
from scrooge.errors import (
    AmountMustBePositive,
    InvalidField,
    Problem,
    UnknownCurrency,
)
from scrooge.money import Money
from scrooge.reading import CONTROL, PARAM_MAX, refusal

SECONDS = re.compile(r"^(?!0+(\.0+)?$)[0-9]{1,4}(\.[0-9]{1,3})?$", re.ASCII)
INTEGER = re.compile(r"[0-9]{1,9}", re.ASCII)
B = TypeVar("B", bound=Body)


def query_of(text: str, kind: type[B]) -> tuple[B, dict[str, str]]:
    """The query as a struct, and its parameters as they came."""
    given: dict[str, str] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise InvalidField("the query is not readable as UTF-8, or has too many parameters") from None
    for name, value in pairs:
        if name in given:
            raise InvalidField("the parameter occurs twice", param=name[:PARAM_MAX])
        if CONTROL.search(value):
            raise InvalidField("a text has no control characters", param=name[:PARAM_MAX])
        given[name] = value
    values: dict[str, Any] = dict(given)
    limit = values.get("limit", "")
    if INTEGER.fullmatch(limit):  # The only parameter that is not a text.
        values["limit"] = int(limit)
    try:
        return msgspec.convert(values, kind), given
    except msgspec.ValidationError as error:
        raise refusal(str(error), kind) from None


def money_of(amount: AmountAsked, where: str = "amount") -> Money:
    """Raises UnknownCurrency, AmountScaleMismatch, AmountMustBePositive, AmountOutOfRange, with `param`."""
    try:
        money = Money.parse(amount.value, amount.currency)
    except Problem as problem:
        wrong = "currency" if isinstance(problem, UnknownCurrency) else "value"
        problem.param = f"{where}.{wrong}"
        raise
    if money.minor == 0:
        raise AmountMustBePositive("an amount is more than zero", param=f"{where}.value")
    return money


def address_of(ip: str | None) -> str | None:
    """Raises InvalidField."""
    try:
        return None if ip is None else str(ip_address(ip))
    except ValueError:
        raise InvalidField("an address like 203.0.113.7 or 2001:db8::7", param="payer.ip") from None


def until_of(headers: Mapping[str, str]) -> float | None:
    """When the caller stops waiting (monotonic seconds), if it says so. Raises InvalidField."""
    text = headers.get("request-timeout")
    if text is None:
        return None
    if not SECONDS.fullmatch(text):
        raise InvalidField("seconds, like 8 or 2.5", param="Request-Timeout")
    return time.monotonic() + float(text)


def fingerprint(method: str, path: str, body: Body | None) -> bytes:
    """SHA-256 of what was asked, whatever the order and spacing of the JSON."""
    canonical = b"" if body is None else msgspec.json.encode(body, order="sorted")
    return hashlib.sha256(b"\0".join((method.encode(), path.encode(), canonical))).digest()
