"""Stripe's request bodies: form encoding whose names carry brackets, `a[b][]=c`."""

from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

from .errors import Refused

Form = dict[str, Any]


def read(encoded: str) -> Form:
    """Nested dictionaries of a query or a body; list elements are numbered by position."""
    form: Form = {}
    for pair in encoded.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            _set(form, name, unquote_plus(value) if "%" in value or "+" in value else value)
    return form


@lru_cache(4096)
def _path(name: str) -> tuple[str, ...]:
    """`a%5Bb%5D%5B%5D` is a, b and an empty part; the same few names come with every call."""
    return tuple(unquote_plus(name).replace("]", "").split("["))


def _set(form: Form, name: str, value: str) -> None:
    *parents, last = _path(name)
    node = form
    for part in parents:
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise Refused.invalid(name, f"Invalid parameter: {name}")
    node[last or str(len(node))] = value


def check_names(form: Form, allowed: frozenset[str]) -> None:
    """Raises Refused for the first name this call does not know."""
    for name in form:
        if name not in allowed:
            raise Refused(
                400,
                "invalid_request_error",
                f"Received unknown parameter: {name}",
                code="parameter_unknown",
                param=name,
            )


def required(form: Form, name: str) -> Any:
    """The value; raises Refused if it is missing or empty."""
    value = form.get(name)
    if value is None or value == "":
        raise Refused(
            400,
            "invalid_request_error",
            f"Missing required param: {name}.",
            code="parameter_missing",
            param=name,
        )
    return value


def text(form: Form, name: str, length_max: int = 5000) -> str | None:
    """A string; None where absent or unset by an empty value."""
    value = form.get(name)
    if isinstance(value, dict):
        raise Refused.invalid(name, f"Invalid string: {value}")
    if value is not None and len(value) > length_max:
        raise Refused.invalid(name, f"Invalid string: must be at most {length_max} characters", "invalid_characters")
    return value or None


def whole(form: Form, name: str, least: int) -> int | None:
    """An integer of at least `least`; None where absent."""
    value = form.get(name)
    if value is None:
        return None
    digits = value.removeprefix("-") if isinstance(value, str) else ""
    if not (digits.isascii() and digits.isdigit()):
        raise Refused.invalid(name, f"Invalid integer: {value}", "parameter_invalid_integer")
    if int(value) < least:
        raise Refused.invalid(
            name,
            f"This value must be greater than or equal to {least}.",
            "parameter_invalid_integer",
        )
    return int(value)


def flag(form: Form, name: str, default: bool = False) -> bool:
    """A boolean spelled `true` or `false`."""
    value = form.get(name, "true" if default else "false")
    if value not in ("true", "false"):
        raise Refused.invalid(name, f"Invalid boolean: {value}")
    return value == "true"


def one_of(form: Form, name: str, choices: tuple[str, ...], default: str | None) -> str | None:
    """One of these words; the default where absent."""
    value = form.get(name, default)
    if value is not None and value not in choices:
        raise Refused.invalid(name, f"Invalid {name}: must be one of {' or '.join(choices)}")
    return value


def mapping(form: Form, name: str) -> dict[str, Any]:
    """A nested object; empty where absent or unset by an empty value."""
    value = form.get(name, {})
    if value == "":
        return {}
    if not isinstance(value, dict):
        raise Refused.invalid(name, f"Invalid object: {value}")
    return value


def metadata(form: Form) -> dict[str, str]:
    """At most fifty keys of forty characters with values of five hundred (Stripe's limits)."""
    given = mapping(form, "metadata")
    if len(given) > 50:
        raise Refused.invalid("metadata", "You may only specify up to 50 metadata keys.")
    for key, value in given.items():
        if len(key) > 40 or not isinstance(value, str) or len(value) > 500:
            raise Refused.invalid(f"metadata[{key}]", "Metadata keys have up to 40 and values up to 500 characters.")
    return given


def expansions(form: Form) -> frozenset[str]:
    """The fields the caller wants expanded, list prefix removed."""
    return frozenset(str(path).removeprefix("data.") for path in mapping(form, "expand").values())
