"""A JSON schema in words a person reads: the fields of an object, what each takes, and an example of it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct, structs

Schema = Mapping[str, Any]
DEPTH_MAX = 3
NOTHING = {"type": "null"}
# What the patterns of the structs mean. One that is not here is shown as it is.
PATTERNS = {
    r"^[^\u0000-\u001f\u007f]+$": "no control characters",
    r"^[^\u0000-\u001f\u007f]*$": "no control characters",
    r"^[^\u0000-\u001f]*$": "no control characters",
    r"^[0-9a-fA-F:.]+$": "an IPv4 or IPv6 address",
    r"^[!-~]+$": "printable ASCII without spaces",
    r"^[ -~]+$": "printable ASCII",
    r"^[ -~]{1,255}$": "printable ASCII",
    r"^[a-z][a-z0-9_]*$": "lower case letters, digits and _, a letter first",
    r"^[a-z0-9_]+$": "lower case letters, digits and _",
    r"^[a-z0-9][a-z0-9_-]{0,63}$": "lower case letters, digits, _ and -",
    r"^[A-Za-z0-9_-]+$": "letters, digits, _ and -",
    r"^[A-Za-z0-9 -]+$": "letters, digits, spaces and -",
    r"^https?://[A-Za-z0-9\[][!-~]*$": "an http or https address",
    r"^[a-z_]+(,[a-z_]+){0,31}$": "one or several names, with commas between",
    r"^(attempts|timeline|journals|routing|risk)(,(attempts|timeline|journals|routing|risk)){0,4}$": (
        "`attempts`, `timeline`, `journals`, `routing`, `risk` or several of them, with commas between"
    ),
}
# Patterns that say the length too.
EXACT = {
    r"^(?!0+(\.0+)?$)[0-9]{1,4}(\.[0-9]{1,3})?$": "more than zero, with up to three decimals",
    r"^[A-Z]{2}$": "two capital letters",
    r"^[0-9]{4}$": "four digits",
    r"^[0-9]{1,10}$": "one to ten digits",
    r"^[0-9]{6,8}$": "six to eight digits",
    r"^[0-9]{4}-(0[1-9]|1[0-2])$": "a month as YYYY-MM",
}
# Examples for fields whose schemas have none.
SAMPLES: dict[str, Any] = {
    "customer": "payer-17",
    "merchant_account": "acct_1Example",
    "credentials": {"api_key": "sk_test_example"},
}


class Field(Struct, frozen=True):
    """One field. `rule` and `kind` are plain text in which `backticks` mark what is literal."""

    name: str
    kind: str
    required: bool
    rule: str
    refers: str | None = None  # the object it holds


def fields_of(schema: Schema, components: Mapping[str, Schema], *, inner: bool, before: str = "") -> Iterator[Field]:
    """An object's fields; with `inner`, those of the objects in it too, as `amount.value`."""
    for name, given in schema.get("properties", {}).items():
        shown = f"{before}{name}"
        held, many = held_by(plain(given))
        about = components.get(held or "", {}).get("description")
        described = {**given, "description": about} if about and "description" not in plain(given) else given
        yield field_of(shown, described, required=name in schema.get("required", ()))
        if inner and held in components and shown.count(".") < DEPTH_MAX:
            within = fields_of(components[held], components, inner=True, before=f"{shown}{'[]' * many}.")
            yield from within if name in schema.get("required", ()) else (needed_with(f, shown) for f in within)


def needed_with(field: Field, outer: str) -> Field:
    """What an object must have is required only where the object itself is given."""
    if not field.required:
        return field
    return structs.replace(
        field, required=False, rule=f"Required with `{outer}`; {field.rule[:1].lower()}{field.rule[1:]}"
    )


def field_of(name: str, given: Schema, *, required: bool) -> Field:
    schema = plain(given)
    return Field(name, kind_of(schema), required, rule_of(schema, given), held_by(schema)[0])


def plain(schema: Schema) -> Schema:
    """Without the null that stands for a field left out."""
    options = [option for option in schema.get("anyOf", ()) if option != NOTHING]
    if len(options) != 1 or "properties" in schema:
        return schema
    return {**{k: v for k, v in schema.items() if k == "description"}, **options[0]}


def held_by(schema: Schema) -> tuple[str | None, bool]:
    """(name of the object that is referred to, whether many of it)."""
    target = schema.get("items", schema)
    if "$ref" not in target:
        return None, False
    return str(target["$ref"]).rpartition("/")[2], "items" in schema


def kind_of(schema: Schema) -> str:
    name, many = held_by(schema)
    if name:
        return f"list of {name}" if many else name
    if "enum" in schema:
        return "string"
    if schema.get("type") == "array":
        return f"list of {kind_of(plain(schema['items']))}s"
    if "additionalProperties" in schema and schema["additionalProperties"] is not False:
        return "object of strings"
    return str(schema.get("type", "any value"))


def rule_of(schema: Schema, given: Schema) -> str:
    rules = [str(schema.get("description", "")).rstrip("."), choice(schema), length(schema), pattern(schema)]
    rules += [between(schema), moment(schema)]
    if schema.get("writeOnly"):
        rules.append("never shown again")
    if given != schema and "default" not in given and NOTHING in given.get("anyOf", ()):
        rules.append("may be null")
    if given.get("default"):
        rules.append(f"`{as_text(given['default'])}` unless given")
    if schema.get("examples"):
        rules.append(f"for example `{as_text(schema['examples'][0])}`")
    said = "; ".join(rule for rule in rules if rule)
    return said[:1].upper() + said[1:]


def choice(schema: Schema) -> str:
    values = [f"`{as_text(value)}`" for value in schema.get("enum", ())]
    return f"one of {', '.join(values)}" if len(values) > 1 else f"always {values[0]}" if values else ""


def length(schema: Schema) -> str:
    if schema.get("pattern") in EXACT:
        return ""
    for what, units in (("Length", "characters"), ("Items", "entries"), ("Properties", "entries")):
        if f"max{what}" in schema:
            least = schema.get(f"min{what}")
            return f"{f'{least} to' if least else 'at most'} {schema[f'max{what}']} {units}"
    return ""


def pattern(schema: Schema) -> str:
    found = schema.get("pattern")
    return (EXACT | PATTERNS).get(found, f"matches `{found}`") if found else ""


def between(schema: Schema) -> str:
    return f"{schema['minimum']} to {schema['maximum']}" if {"minimum", "maximum"} <= set(schema) else ""


def moment(schema: Schema) -> str:
    formats = [option.get("format") for option in (schema, *schema.get("anyOf", ()))]
    words = {"date-time": "a moment as in RFC 3339", "date": "a date"}
    return " or ".join(words[name] for name in formats if name in words)


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


# --- examples -------------------------------------------------------------------------------


def example_of(schema: Schema, components: Mapping[str, Schema], name: str = "") -> Any:
    """A small body that would be taken, from the examples of the schema: what must be in it, and an amount."""
    schema = plain(schema)
    held, many = held_by(schema)
    if held:
        found = example_of(components[held], components)
        return [found] if many else found
    if schema.get("examples"):
        return schema["examples"][0]
    if "properties" in schema:
        wanted = {*schema["required"], "amount"} if schema.get("required") else set(list(schema["properties"])[:1])
        return {k: example_of(v, components, k) for k, v in schema["properties"].items() if k in wanted}
    if "enum" in schema:
        return schema["enum"][-1]
    return SAMPLES.get(name, name)


def address_example(path: str, parameters: list[Schema]) -> str:
    """The path with the examples of its parameters in it, and the query that it cannot do without."""
    found = {p["name"]: str(p["example"]) for p in parameters if p["in"] == "path"}
    asked = [f"{p['name']}={example_of(p['schema'], {}, p['name'])}"
             for p in parameters if p["in"] == "query" and p["required"]]  # fmt: skip
    return re.sub(r"{(\w+)}", lambda m: found[m.group(1)], path) + ("?" + "&".join(asked) if asked else "")
