"""From bytes to structs, strictly: what is not exactly as the contract says is refused, naming the field.

No message repeats a value that was sent: it may be a secret in the wrong field.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from scrooge.cards import holds_card_number
from scrooge.errors import (
    BodyTooLarge,
    IdempotencyKeyInvalid,
    IdempotencyKeyMissing,
    InvalidField,
    MalformedJson,
    MissingField,
    PanRefused,
    Problem,
    RequestTimeout,
    UnknownField,
    UnsupportedMediaType,
)

BODY_SECONDS = 10.0
PARAM_MAX = 100
MISSING = re.compile(r"Object missing required field `(.+?)`(?: - at `\$(.*)`)?", re.DOTALL)
UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`(?: - at `\$(.*)`)?", re.DOTALL)
OTHER = re.compile(r"(.*?)(?: - at (?:`key` in )?`\$(.*)`)?", re.DOTALL)
CONTROL = re.compile(r"[\x00-\x1f]")
KEY = re.compile(r"[ -~]{1,255}")
B = TypeVar("B", bound=Struct)


async def read_body(receive: Callable[[], Awaitable[Any]], headers: Mapping[str, str], limit: int) -> bytes:
    """The whole body. Raises BodyTooLarge as soon as that is known, RequestTimeout after ten seconds."""
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise BodyTooLarge(f"the largest body is {limit} bytes")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestTimeout("the connection ended before the body did")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise BodyTooLarge(f"the largest body is {limit} bytes")
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise RequestTimeout(f"the body did not arrive within {BODY_SECONDS:.0f} seconds") from None


def require_json(headers: Mapping[str, str]) -> None:
    kind, _, rest = headers.get("content-type", "").partition(";")
    charset = rest.partition("charset=")[2].strip(' "').lower()
    if kind.strip().lower() != "application/json" or charset not in {"", "utf-8"}:
        raise UnsupportedMediaType("send application/json in UTF-8")


def decode(raw: bytes, kind: type[B]) -> B:
    """Raises MalformedJson, InvalidField, UnknownField, MissingField."""
    try:
        body = msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise refusal(str(error), kind) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedJson("the body is not valid JSON in UTF-8") from None
    if b"\\" in raw:
        refuse_control_characters(raw)
    json.loads(raw, object_pairs_hook=distinct)
    return body


def refuse_control_characters(raw: bytes) -> None:
    """They only come escaped. PostgreSQL cannot keep NUL, and no field of ours has lines."""
    for path, text in leaves(msgspec.json.decode(raw), ""):
        if CONTROL.search(text):
            raise InvalidField("a text has no control characters", param=path[:PARAM_MAX] or None)


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers of a repeated name may see two amounts; so nobody may send one."""
    names = dict(pairs)
    if len(names) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise InvalidField("the name occurs twice in one object", param=twice[:PARAM_MAX])
    return names


def leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text and number of a JSON document with its dotted path; keys are texts of their parent."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield path, name
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from leaves(inner, f"{path}.{position}" if path else str(position))
    elif isinstance(value, float):
        yield path, f"{value:.0f}" if abs(value) < 1e20 else ""
    elif not isinstance(value, bool) and value is not None:
        yield path, str(value)


def refusal(message: str, kind: type[Struct]) -> Problem:
    """What msgspec says, as the problem it is."""
    if found := MISSING.fullmatch(message):
        param = dotted(found[2], found[1])
        return MissingField(f"{param} is required", param=param)
    if found := UNKNOWN.fullmatch(message):
        return UnknownField("no such field; was it misspelled?", param=dotted(found[2], found[1]))
    found = OTHER.fullmatch(message)
    assert found is not None
    param = dotted(found[2], "")
    said = found[1]
    if said.startswith("Invalid enum value"):
        said = f"Expected one of {', '.join(choices(kind, param))}"
    elif not said.startswith("Expected"):
        said = "The value is out of range"
    if param.endswith("amount.value") and "got" in said:
        said += ': an amount is a decimal string, like "12.99"'
    return InvalidField(said, param=param or None)


def dotted(path: str | None, name: str) -> str:
    """`$.credentials[0]` and `psp_token` as credentials.0.psp_token."""
    steps = re.sub(r"\[(\d+)\]", r".\1", (path or "").replace("[...]", "")).strip(".")
    return ".".join(step for step in (steps, name) if step)[:PARAM_MAX]


def choices(kind: type[Struct], param: str) -> list[str]:
    """The values a field may have; fields with choices are on the first level."""
    annotation = get_type_hints(kind).get(param)
    found = [annotation, *get_args(annotation)]
    return [value for a in found if get_origin(a) is Literal for value in get_args(a)]


def idempotency_key(headers: Mapping[str, str], *, required: bool) -> str:
    """Raises IdempotencyKeyMissing, IdempotencyKeyInvalid, PanRefused."""
    key = headers.get("idempotency-key")
    if key is None:
        if required:
            raise IdempotencyKeyMissing(
                "send a header Idempotency-Key, the same for every repetition of this request",
                param="Idempotency-Key",
            )
        return ""
    if holds_card_number(key):
        raise PanRefused("'Idempotency-Key' looks like a card number", param="Idempotency-Key")
    if not KEY.fullmatch(key):
        raise IdempotencyKeyInvalid("1 to 255 printable ASCII characters", param="Idempotency-Key")
    return key
