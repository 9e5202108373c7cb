"""Stripe's request bodies: form encoding whose names carry brackets, `a[b][]=c`."""

from typing import Any
from urllib.parse import parse_qsl

from .errors import Refused

Form = dict[str, Any]


def read(encoded: str) -> Form:
    """Nested dictionaries; list elements are numbered by position."""
    return nest(parse_qsl(encoded, keep_blank_values=True))


def nest(pairs: list[tuple[str, str]]) -> Form:
    """Names with brackets, opened up into dictionaries."""
    form: Form = {}
    for name, value in pairs:
        if "[" not in name:
            form[name] = value
            continue
        head, *rest = name.replace("]", "").split("[")
        node = form
        for part in rest:
            inner = node.setdefault(head, {})
            if not isinstance(inner, dict):
                raise Refused.invalid(name, f"Invalid parameter: {name}")
            node, head = inner, part or str(len(inner))
        node[head] = value
    return form


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
