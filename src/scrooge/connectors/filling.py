"""Puts a card, or the network token that stands for one, into a request where its template says, and takes out of a
reply whatever looks like one. Pure."""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import msgspec
from msgspec import Struct

from scrooge.cards import CODE_NAMES, MASK, redacted
from scrooge.connectors.request import PLACEHOLDERS, CardTemplate, TokenTemplate
from scrooge.errors import TemplateMismatch

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
NEEDED = frozenset({"number", "exp_month", "exp_year"})
STANDING = frozenset(PLACEHOLDERS.values())


FIELDS_MAX, NAME_MAX = 500, 128
PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")  # in a form it is read as itself, and written as itself


class Place(Struct, frozen=True):
    """Where a field of the card goes, in a body that is ready for it."""

    field: str


class Ready(Struct, frozen=True):
    """A request's body that was looked at as a whole, and lacks only the card. `content` is the document, or the
    form's fields: a text, or the name of one with its place. `places`: the fields that have one."""

    kind: str
    content: Any
    places: frozenset[str]

    def __repr__(self) -> str:
        return "Ready()"

    def filled(self, values: Mapping[str, str]) -> bytes:
        """By the fields' names. What has no value is left out."""
        if self.kind == JSON:
            return msgspec.json.encode(with_values(self.content, values))
        done = []
        for part in self.content:
            if isinstance(part, str):
                done.append(part)
            elif value := values[part[1].field]:
                done.append(f"{part[0]}={quote_plus(value)}")
        return "&".join(done).encode()


def prepared(template: CardTemplate | TokenTemplate, body: str) -> Ready:
    """Raises TemplateMismatch, in which nothing of the body is repeated."""
    positions = {place: name for name in PLACEHOLDERS if (place := getattr(template, name, None))}
    match template.content_type:
        case "application/json":
            document, places = prepared_json(body, positions)
            return Ready(JSON, document, frozenset(places))
        case "application/x-www-form-urlencoded":
            parts, places = prepared_form(body, positions)
            return Ready(FORM, parts, frozenset(places))
        case _:
            raise TemplateMismatch("a card goes into forms and JSON only")


def prepared_form(body: str, positions: dict[str, str]) -> tuple[list[str | tuple[str, Place]], set[str]]:
    """Every field is read and written anew, so that nobody reads it otherwise than we did."""
    fields = body.split("&")
    if len(fields) > FIELDS_MAX:
        raise TemplateMismatch("the form has too many fields")
    parts: list[str | tuple[str, Place]] = []
    given: set[str] = set()
    for text in fields:
        given_name, equals, given_value = text.partition("=")
        try:
            name, written = (name_of if len(given_name) <= NAME_MAX else name_of.__wrapped__)(given_name)
            value = plain(given_value)
        except ValueError:
            raise TemplateMismatch("the body is not a form") from None
        if not equals:
            raise TemplateMismatch("the body is not a form")
        field = positions.get(name)
        if field is not None:
            check_place(field, value, given)
            parts.append((written, Place(field)))
        elif value in STANDING:
            raise TemplateMismatch("a placeholder stands where the template has no card")
        else:
            parts.append(f"{written}={quoted(value)}")
    check_whole(given)
    return parts, given


@lru_cache(maxsize=512)
def name_of(text: str) -> tuple[str, str]:
    """A form's name as it is, and as it is written. The same ones come with every payment. Raises ValueError."""
    name = plain(text)
    return name, quoted(name)


def plain(text: str) -> str:
    return text if PLAIN.fullmatch(text) else unquote_plus(text, errors="strict")


def quoted(text: str) -> str:
    return text if PLAIN.fullmatch(text) else quote_plus(text)


def prepared_json(body: str, positions: dict[str, str]) -> tuple[Any, set[str]]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TemplateMismatch("the body is not JSON") from None
    given: set[str] = set()

    def within(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            found = {}
            for name, inner in value.items():
                below = f"{path}.{name}" if path else name
                field = positions.get(below)
                if field is None:
                    found[name] = within(inner, below)
                else:
                    check_place(field, inner, given)
                    found[name] = Place(field)
            return found
        if isinstance(value, list):
            return [within(inner, f"{path}.{place}") for place, inner in enumerate(value)]
        if isinstance(value, str) and value in STANDING:
            raise TemplateMismatch("a placeholder stands where the template has no card")
        return value

    done = within(document, "")
    check_whole(given)
    return done, given


def with_values(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: values[inner.field] if isinstance(inner, Place) else with_values(inner, values)
            for name, inner in value.items()
            if not isinstance(inner, Place) or values[inner.field]
        }
    if isinstance(value, list):
        return [with_values(inner, values) for inner in value]
    return value


def check_place(field: str, value: object, given: set[str]) -> None:
    """In a card's place stands its placeholder, once, and nothing else."""
    if value != PLACEHOLDERS[field]:
        raise TemplateMismatch(f"where the card's {field} belongs there is no placeholder for it")
    if field in given:
        raise TemplateMismatch(f"the card's {field} is asked for twice")
    given.add(field)


def check_whole(given: set[str]) -> None:
    if not given >= NEEDED:
        raise TemplateMismatch(f"no placeholder for {', '.join(sorted(NEEDED - given))}")


# --- replies --------------------------------------------------------------------------------

NO_JSON = "[not JSON]"  # nor is this: the core reads it as little as what came
NOT_DIGITS = re.compile(r"[^0-9]+")


def clean(body: str, kept: Collection[str], number: str, also: tuple[str, ...] = ()) -> str:
    """A reply without card numbers, written anew: what we did not read, nobody reads. No connector reads but JSON.

    The PSP's own ids, at `kept`, stay, as long as the number itself is not in them. `also`: other texts that go.
    """
    if not body:
        return body
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return NO_JSON
    places = frozenset(kept)

    def within(value: Any, path: str, name: str) -> Any:
        match value:
            case dict():
                return {
                    clean_text(k, number, also): within(v, f"{path}.{k}" if path else k, k) for k, v in value.items()
                }  # fmt: skip
            case list():
                return [within(v, f"{path}.{place}", name) for place, v in enumerate(value)]
            case str() | int() if name.lower() in CODE_NAMES and str(value).isdigit():
                return MASK
            case str() if path in places:
                return MASK if repeats(value, number) else value
            case str():
                return clean_text(value, number, also)
            case int() | float() if not isinstance(value, bool) and abs(value) < 1e20:
                text = f"{value:.0f}"
                return value if clean_text(text, number) == text else MASK
            case _:
                return value

    return msgspec.json.encode(within(document, "", "")).decode()


def clean_text(text: str, number: str, also: tuple[str, ...] = ()) -> str:
    """Of this number even what no other text would be taken for: its digits with anything between them."""
    for secret in also:
        text = text.replace(secret, MASK)
    if not repeats(text, number):
        return redacted(text)
    masked = text.replace(number, MASK)
    return MASK if repeats(masked, number) else redacted(masked)


def repeats(text: str, number: str) -> bool:
    return len(text) >= len(number) and number in NOT_DIGITS.sub("", text)
