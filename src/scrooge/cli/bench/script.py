"""The limit's script for pgbench: our own two statements, with rows that differ only in what identifies them."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from scrooge.cli.bench.sample import PSP_REFERENCE, Sample
from scrooge.ids import hex_of

COMMENT = re.compile(r"--[^\n]*")
MARKER = re.compile(r'"@(\w+):number@"|@(\w+)@')
BUCKETS = {"bucket", "key_bucket"}
# A random number that no other payment has, and its bucket in the last ten bits, as in our ids: `low` is the second
# half of a UUIDv7. The first half is the time.
HEAD = """\\set bucket random(0, 1023)
\\set unique random(0, 4503599627370495)
\\set low -9223372036854775807 - 1 + :unique * 1024 + :bucket
"""
MILLISECONDS = "lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0')"
LOW = "to_hex(:low::bigint)"


def record_expressions() -> dict[str, str]:
    """What each marker is when a payment is recorded: its time is now."""
    return common(lambda kind: f"{MILLISECONDS} || '7{kind:03d}' || {LOW}")


def apply_expressions() -> dict[str, str]:
    """What each marker is when the news is applied: all from the id that the record returned."""
    return common(lambda kind: f"overlay(:made_id::text placing '7{kind:03d}' from 15 for 4)")


def common(uuid: Callable[[int], str]) -> dict[str, str]:
    public = f"'0' || right({LOW}, 15) || '0000000000'"
    return {
        "payment": uuid(1), "attempt": uuid(2), "journal": uuid(3), "event": uuid(4),
        "pay": public, "att": public, "reference": f"'b-' || right({LOW}, 15)", "psp": f"'pi_' || {LOW} || '00000000'",
        "bucket": ":bucket::int",
    }  # fmt: skip


def script(sample: Sample) -> str:
    """Of a sample of one: two statements, each a transaction of its own, as one payment is."""
    record = statement(sample, sample.record, record_expressions())
    apply = statement(sample, sample.apply, apply_expressions())
    return f"{HEAD}{record}\n\\gset made_\n{apply};\n"


def statement(sample: Sample, said: tuple[str, tuple[Any, ...]], expressions: dict[str, str]) -> str:
    sql, arguments = said
    text = COMMENT.sub("", sql)
    for number in range(len(arguments), 0, -1):
        text = text.replace(f"${number}", rendered(sample, arguments[number - 1], expressions))
    return "\n".join(line for line in text.splitlines() if line.strip())


def rendered(sample: Sample, argument: str, expressions: dict[str, str]) -> str:
    """A JSON argument as an SQL expression that makes the same text for another payment."""
    rows = msgspec.json.decode(argument)
    known = identities(sample, rows)
    marked = msgspec.json.format(msgspec.json.encode([marking(row, known) for row in rows]), indent=0).decode()
    # pgbench takes a colon before a word for a variable of its own, wherever it stands.
    text = re.sub(r":(?! )", r"\\u003a", marked.replace(":number@", "%number@")).replace("%number@", ":number@")
    used: list[str] = []

    def place(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in used:
            used.append(name)
        return f"\0{used.index(name) + 1}$s"

    text = MARKER.sub(place, text).replace("%", "%%").replace("\0", "%").replace("'", "''")
    return f"format('{text}'{''.join(f', {expressions[name]}' for name in used)})" if used else f"'{text}'"


def identities(sample: Sample, rows: list[dict[str, Any]]) -> dict[str, str]:
    """Every text that names this one payment, and the marker that takes its place."""
    [payment] = sample.payments
    [attempt] = payment.attempts
    found = {
        hex_of(payment.id): "@payment@", hex_of(attempt.id): "@attempt@",
        payment.id.partition("_")[2]: "@pay@", attempt.id.partition("_")[2]: "@att@",
        payment.reference: "@reference@", PSP_REFERENCE: "@psp@",
    }  # fmt: skip
    for row in rows:
        if "effect" in row:
            found[row["id"]] = "@journal@"
        if "journal_id" in row:
            found[row["journal_id"]] = "@journal@"
        if "object_version" in row:
            found[row["id"]] = "@event@"
    return found


def marking(value: Any, known: dict[str, str]) -> Any:
    match value:
        case dict():
            return {k: "@bucket:number@" if k in BUCKETS else marking(v, known) for k, v in value.items()}
        case list():
            return [marking(item, known) for item in value]
        case str():
            for text, marker in known.items():
                value = value.replace(text, marker)
            return value
        case _:
            return value
