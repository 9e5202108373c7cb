"""A batch's input: whole or in parts, repeated or broken, every line is there once, and every wrong one is told."""

import asyncio
import json
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from scrooge.domain.batch import LINE_MAX
from scrooge.flows.batches.desk import uploading
from scrooge.ids import bucket_of, hex_of, new_id
from tests.batches.conftest import Desk, file_of, line


async def test_a_file_is_validated_and_ready(desk: Desk):
    file = file_of(await desk.mandates(3), 2500)
    batch = await desk.batch(window={"not_before": "2030-12-01T02:00:00Z", "deadline": "2030-12-01T10:00:00Z"})
    assert batch["status"] == "draft"
    got = await desk.put(batch["id"], *(file[n : n + 65_536] for n in range(0, len(file), 65_536)))
    assert got.status == 200, got.content
    found = await desk.read(batch["id"])
    assert found["status"] == "ready"
    assert found["input"] == {"bytes": len(file), "lines": 2500, "whole": True}
    assert {name: found["counts"][name] for name in ("total", "valid", "rejected", "queued")} == {
        "total": 2500, "valid": 2500, "rejected": 0, "queued": 2500,
    }  # fmt: skip
    assert [h["act"] for h in found["history"]] == ["close", "validate"]
    assert await desk.lines(batch["id"], "errors") == []


async def test_every_wrong_line_is_told_with_its_number_and_rule_and_stops_no_other(desk: Desk):
    good, capped, revoked = (await desk.mandates(1))[0], (await desk.mandates(1, max_minor=1299, currency="EUR"))[0], ""
    [revoked] = await desk.mandates(1)
    await desk.revoke(revoked)
    lines = [
        (line(good, "a"), None),
        (b'{"custom_id": "x", "reference": \n', "malformed_json"),
        (line(good, "b", value="12.9"), "amount_scale_mismatch"),
        (line(good, "c", value="0.00"), "amount_must_be_positive"),
        (line(good, "d", currency="XXX"), "unknown_currency"),
        (line(revoked, "e"), "mandate_revoked"),
        (line("man_01K9YH4V9GYB7T2D4Z8QW3M5N6", "f"), "unknown_mandate"),
        (line("mandate-7", "g"), "unknown_mandate"),
        (line(good, "a"), "duplicate_reference"),
        (line(capped, "h", value="13.00"), "mandate_maximum"),
        (line(capped, "i", value="12.99"), None),
        (line(capped, "j", value="5.00", currency="USD"), "mandate_currency"),
        (line(good, "4242 4242 4242 4242"), "pan_refused"),
        (line(good, "k", metadata={"card": "4242424242424242"}), "pan_refused"),
        (line(good, "l", referense="z"), "unknown_field"),
        (b'{"custom_id": "x", "reference": "m"}\n', "missing_field"),
        (line(good, "n" * 200), "invalid_field"),
        (b"\n", "empty_line"),
        (b'"' + b"x" * LINE_MAX + b'"\n', "line_too_long"),
        (
            b'{"custom_id": "x", "custom_id": "y", ' + line(good, "o")[1:].replace(b'"custom_id": "c:o", ', b""),
            "invalid_field",
        ),
        (line(good, "p").replace(b'"p"', b'"p\\u0000"'), "invalid_field"),
        (line(good, "q").replace(b'"q"', b'"\xff"'), "malformed_json"),
        (line(good, "r").replace(b'"r"', b'"\\ud800"'), "malformed_json"),
        (line(good, "s", metadata={"plan": 'a "quoted" \\ word', "ü": "ß"}, retry_until="2026-12-20T10:00:00Z"), None),
        (line(good, "t", retry_until="tomorrow"), "invalid_field"),
        (line(good, "u", retry_until=None), None),
        (b"[]\n", "invalid_field"),
        (line(good, "x").replace(b'"x"', b'"x\ty"'), "malformed_json"),
        (line(good, "y").replace(b'"y"', b'"y\x7f"'), "invalid_field"),
        (line(good, ""), "invalid_field"),
        (line(good, "v", value="99999999999999999.00"), "amount_out_of_range"),
        (line(good, "w", **{"a\0b\t": 1}), "unknown_field"),
    ]
    batch = (await desk.batch())["id"]
    got = await desk.put(batch, b"".join(raw for raw, _ in lines))
    assert got.status == 200, got.content
    assert await desk.wrong(batch) == {n: rule for n, (_, rule) in enumerate(lines, 1) if rule}
    counts = (await desk.read(batch))["counts"]
    assert counts["rejected"] == sum(rule is not None for _, rule in lines)
    assert counts["valid"] == counts["queued"] == sum(rule is None for _, rule in lines)
    told = await desk.lines(batch, "errors")
    assert [t["reference"] for t in told if t["line"] == 3] == ["b"], "a wrong line is named where that can be read"
    assert not [t for t in told if "4242" in json.dumps(t)], "but for what may be a card"


async def test_what_was_kept_of_a_line_is_what_it_said(desk: Desk):
    [mandate] = await desk.mandates()
    batch = (await desk.batch())["id"]
    more = {"metadata": {"a": 'x"\\y\u2028', "b": ""}, "retry_until": "2026-12-20T11:00:00+01:00"}
    await desk.put(batch, line(mandate, "back\\slash ü", value="1250", currency="JPY", **more))
    async with desk.api.s.db.connection() as connection:
        row = await connection.fetchrow(
            "SELECT *, metadata::text AS said FROM batch_lines WHERE reference = $1", "back\\slash ü"
        )
    assert (row["minor"], row["currency"], row["line"], row["custom_id"]) == (1250, "JPY", 1, "c:back\\slash ü")
    assert json.loads(row["said"]) == more["metadata"]
    assert row["retry_until"].isoformat() == "2026-12-20T10:00:00+00:00"


async def test_an_upload_that_breaks_goes_on_where_it_was(desk: Desk):
    file = file_of(await desk.mandates(5), 3210)
    batch = (await desk.batch())["id"]
    got = await desk.put(batch, file[:300_123], breaks=True)
    assert got.status == 408
    found = await desk.read(batch)
    assert found["status"] == "draft"
    kept = found["input"]["bytes"]
    assert kept == file.rindex(b"\n", 0, 300_123) + 1, "every whole line"
    assert not found["input"]["whole"]
    assert (await desk.put(batch, file[kept + 1 :], place=f"?from={kept + 1}")).document["expected"] == kept
    got = await desk.put(batch, file[kept:], place=f"?from={kept}")
    assert (got.status, got.document["status"]) == (200, "ready"), got.content
    assert got.document["counts"]["valid"] == 3210
    assert got.document["input"]["bytes"] == len(file)


async def test_the_same_bytes_from_the_start_are_harmless_at_any_time(desk: Desk):
    file = file_of(await desk.mandates(5), 2100)
    batch = (await desk.batch())["id"]
    await desk.put(batch, file[:200_000], breaks=True)
    for _ in range(2):
        got = await desk.put(batch, *(file[n : n + 10_007] for n in range(0, len(file), 10_007)))
        assert (got.status, got.document["status"]) == (200, "ready"), got.content
        assert got.document["counts"]["valid"] == 2100


@pytest.mark.parametrize("at", [10, 150_000, -3])
async def test_other_bytes_in_a_place_that_is_taken_are_refused(desk: Desk, at: int):
    file = file_of(await desk.mandates(5), 2100)
    batch = (await desk.batch())["id"]
    await desk.put(batch, file)
    other = bytearray(file)
    other[at] ^= 1
    for bad in (bytes(other), file[:100_000], file + file_of(await desk.mandates(1), 1, "more")):
        got = await desk.put(batch, bad)
        assert (got.status, got.document["code"]) == (409, "input_differs")
    assert (await desk.read(batch))["counts"]["valid"] == 2100


async def test_parts_of_a_file_may_come_one_by_one_where_its_size_is_known(desk: Desk):
    file = file_of(await desk.mandates(5), 1500)
    batch = (await desk.batch())["id"]
    got = await desk.put(batch, file[:100_000], place=f"?total={len(file)}")
    assert (got.status, got.document["status"]) == (200, "draft")
    kept = got.document["input"]["bytes"]
    assert (await desk.put(batch, file[kept:] + b"\n", place=f"?from={kept}&total={len(file)}")).status == 413
    kept = (await desk.read(batch))["input"]["bytes"]
    got = await desk.put(batch, file[kept:], place=f"?from={kept}&total={len(file)}")
    assert (got.document["status"], got.document["counts"]["valid"]) == ("ready", 1500)


async def test_a_last_line_needs_no_end(desk: Desk):
    file = file_of(await desk.mandates(1), 3).rstrip(b"\n")
    batch = (await desk.batch())["id"]
    for _ in range(2):
        got = await desk.put(batch, file)
        assert (got.document["status"], got.document["counts"]["valid"]) == ("ready", 3)
    assert got.document["input"]["bytes"] == len(file)


async def test_two_uploads_at_once_take_every_line_in_once(desk: Desk):
    file = file_of(await desk.mandates(5), 4000)
    batch = (await desk.batch())["id"]
    parts = [file[n : n + 20_000] for n in range(0, len(file), 20_000)]
    got = await asyncio.gather(*(desk.put(batch, *parts) for _ in range(4)))
    assert {g.status for g in got} <= {200, 409}
    last = await desk.put(batch, file)
    assert (last.status, last.document["status"]) == (200, "ready")
    assert last.document["counts"]["total"] == last.document["counts"]["valid"] == 4000
    async with desk.api.s.db.connection() as connection:
        assert await connection.fetchval("SELECT count(DISTINCT reference) FROM batch_lines l JOIN batches b ON b.id = l.batch_id WHERE b.merchant_id = (SELECT merchant_id FROM batches WHERE id = l.batch_id) AND reference LIKE 'sub%' AND b.input_bytes = $1", len(file)) == 4000  # fmt: skip


async def test_a_line_that_never_ends_is_one_wrong_line_and_no_memory(desk: Desk):
    [mandate] = await desk.mandates()
    batch = (await desk.batch())["id"]
    file = [line(mandate, "a"), *[b"x" * 65_536] * 40, b"\n", line(mandate, "b"), b"y" * (LINE_MAX + 1)]
    got = await desk.put(batch, *file)
    assert got.document["counts"]["valid"] == 2
    assert await desk.wrong(batch) == {2: "line_too_long", 4: "line_too_long"}
    assert got.document["input"]["bytes"] == sum(map(len, file))
    assert (await desk.put(batch, b"".join(file))).status == 200


async def test_a_break_within_a_line_that_is_too_long_keeps_none_of_it(desk: Desk):
    [mandate] = await desk.mandates()
    batch = (await desk.batch())["id"]
    file = line(mandate, "a") + b"x" * 100_000 + b"\n" + line(mandate, "b")
    await desk.put(batch, file[:50_000], breaks=True)
    kept = (await desk.read(batch))["input"]["bytes"]
    got = await desk.put(batch, file[kept:], place=f"?from={kept}")
    assert (got.document["counts"]["valid"], await desk.wrong(batch)) == (2, {2: "line_too_long"})


async def test_an_input_without_a_line_is_none(desk: Desk):
    batch = (await desk.batch())["id"]
    got = await desk.put(batch)
    assert (got.status, got.document["code"]) == (422, "invalid_field")
    assert (await desk.read(batch))["status"] == "draft"


async def test_compressed_lines_are_refused(desk: Desk):
    batch = (await desk.batch())["id"]
    assert (await desk.put(batch, b"\x1f\x8b", content_encoding="gzip")).status == 415


async def test_a_reference_that_was_used_is_told_before_anything_is_sent(desk: Desk):
    file = file_of(await desk.mandates(2), 2300, "used")
    used = {f"used_{n}:2026-12": new_id("pay", n) for n in (0, 7, 1203, 2299)}
    whose = desk.whose
    async with desk.api.s.db.connection() as connection:
        await connection.executemany(
            "INSERT INTO payment_references (bucket, merchant_id, caller_id, livemode, reference, payment_id)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            [
                (bucket_of(whose.merchant, whose.caller, name), hex_of(whose.merchant), hex_of(whose.caller), live,
                 name, hex_of(payment))
                for live, some in ((False, used), (True, {"used_3:2026-12": new_id("pay", 3)}))
                for name, payment in some.items()
            ],
        )  # fmt: skip
    batch = (await desk.batch())["id"]
    got = await desk.put(batch, file + line((await desk.mandates(1))[0], "used_7:2026-12"))
    assert (got.document["counts"]["existing"], got.document["counts"]["queued"]) == (4, 2300)
    assert await desk.wrong(batch) == {2301: "duplicate_reference"}, "and counts nowhere else"
    told = await desk.lines(batch, "existing")
    assert [(t["line"], t["reference"]) for t in told] == [(int(name[5:-8]) + 1, name) for name in used]
    assert [t["line"] for t in await desk.lines(batch, "existing", after=8)] == [1204, 2300]
    assert await desk.lines(batch, "existing", after=2300) == []


async def test_uploads_of_one_caller_beyond_the_bound_are_refused_and_another_callers_are_not(
    desk: Desk, database_url: str
):
    most, file = desk.api.s.settings.batch_uploads, file_of(await desk.mandates(1), 3)
    batches = [(await desk.batch())["id"] for _ in range(most + 1)]
    with ExitStack() as under_way:
        for _ in range(most):
            under_way.enter_context(uploading(desk.api.s, desk.whose))
        got = await desk.put(batches[0], file)
        assert (got.status, got.document["code"]) == (429, "too_many_uploads")
        assert int(got.headers["retry-after"]) > 0
        assert (await desk.read(batches[0]))["input"]["bytes"] == 0
        with uploading(desk.api.s, structs.replace(desk.whose, caller=new_id("clr", 1))):
            pass
    assert not desk.api.s.uploads
    assert (await desk.put(batches[0], file)).status == 200


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(cuts=st.lists(st.integers(1, 60_000), max_size=5), size=st.integers(1, 70_000), count=st.integers(1, 1100))
async def test_however_it_is_cut_and_broken_every_line_is_there_once(
    desk: Desk, cuts: list[int], size: int, count: int
):
    file = file_of(await desk.mandates(2), count, f"cut{count}")
    batch = (await desk.batch())["id"]
    for cut in cuts:
        kept = (await desk.read(batch))["input"]["bytes"]
        rest = file[kept : kept + cut]
        await desk.put(
            batch, *(rest[n : n + size] for n in range(0, len(rest), size)), place=f"?from={kept}", breaks=True
        )
    got = await desk.put(batch, *(file[n : n + size] for n in range(0, len(file), size)))
    assert (got.status, got.document["status"]) == (200, "ready"), got.content
    assert got.document["counts"]["valid"] == count
