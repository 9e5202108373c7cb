"""Puts a card into a request where its template says, and takes out of a reply whatever looks like one. Pure."""

from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from scrooge.cards import CODE_NAMES, MASK, redacted
from scrooge.connectors.connector import PLACEHOLDERS, CardTemplate
from scrooge.errors import TemplateMismatch
from scrooge.vault.checks import Card

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
FIELDS = ("number", "exp_month", "exp_year", "holder", "security_code")
NEEDED = frozenset({"number", "exp_month", "exp_year"})
STANDING = frozenset(PLACEHOLDERS.values())


def values_of(card: Card, code: str | None) -> dict[str, str]:
    return {
        "number": card.number,
        "exp_month": f"{card.exp_month:02d}",
        "exp_year": f"{card.exp_year:04d}",
        "holder": card.holder,
        "security_code": code or "",
    }


def filled(template: CardTemplate, body: str, card: Card, code: str | None) -> bytes:
    """Raises TemplateMismatch, in which nothing of the body is repeated."""
    positions = {getattr(template, name): name for name in FIELDS if getattr(template, name)}
    values = values_of(card, code)
    match template.content_type:
        case "application/json":
            return filled_json(body, positions, values)
        case "application/x-www-form-urlencoded":
            return filled_form(body, positions, values)
        case _:
            raise TemplateMismatch("a card goes into forms and JSON only")


def filled_form(body: str, positions: dict[str, str], values: dict[str, str]) -> bytes:
    try:
        pairs = parse_qsl(body, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=500)
    except ValueError:
        raise TemplateMismatch("the body is not a form") from None
    done, given = [], set()
    for name, value in pairs:
        field = positions.get(name)
        if field is None:
            if value in STANDING:
                raise TemplateMismatch("a placeholder stands where the template has no card")
            done.append((name, value))
            continue
        check_place(field, value, given)
        if values[field]:
            done.append((name, values[field]))
    check_whole(given)
    return urlencode(done).encode()


def filled_json(body: str, positions: dict[str, str], values: dict[str, str]) -> bytes:
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
                    if values[field]:
                        found[name] = values[field]
            return found
        if isinstance(value, list):
            return [within(inner, f"{path}.{place}") for place, inner in enumerate(value)]
        if isinstance(value, str) and value in STANDING:
            raise TemplateMismatch("a placeholder stands where the template has no card")
        return value

    done = within(document, "")
    check_whole(given)
    return msgspec.json.encode(done)


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


def clean(template: CardTemplate, body: str, card: Card) -> str:
    """A reply without card numbers. The PSP's own ids stay, as long as the card itself is not in them."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return clean_text(body, card)
    kept = frozenset(template.kept)

    def within(value: Any, path: str, name: str) -> Any:
        match value:
            case dict():
                return {
                    clean_text(k, card): within(v, f"{path}.{k}" if path else k, k) for k, v in value.items()
                }  # fmt: skip
            case list():
                return [within(v, f"{path}.{place}", name) for place, v in enumerate(value)]
            case str() if name.lower() in CODE_NAMES and value.isdigit():
                return MASK
            case str() if path in kept:
                return value if card.number not in value else MASK
            case str():
                return clean_text(value, card)
            case int() if not isinstance(value, bool):
                text = str(value)
                return value if clean_text(text, card) == text else MASK
            case _:
                return value

    cleaned = within(document, "", "")
    return body if cleaned == document else msgspec.json.encode(cleaned).decode()


def clean_text(text: str, card: Card) -> str:
    return redacted(text.replace(card.number, MASK))
