"""Card numbers are refused wherever they stand; what only looks long is not."""

import json
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrooge.api.pan import refuse_in_body, refuse_in_target
from scrooge.cards import RANGES, holds_card_number
from scrooge.errors import PanRefused
from scrooge.ids import PREFIXES, new_id
from scrooge.postgres.rows import moment


def with_check_digit(digits: str) -> str:
    """Luhn, written out the slow way."""
    total = 0
    for place, digit in enumerate(reversed(digits), start=1):
        n = int(digit) * (2 if place % 2 else 1)
        total += n - 9 if n > 9 else n
    return digits + str(-total % 10)


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    low, high, lengths, _ = draw(st.sampled_from(RANGES))
    prefix = draw(st.integers(low, high))
    length = draw(st.sampled_from(lengths))
    rest = draw(st.text("0123456789", min_size=length - 5, max_size=length - 5))
    return with_check_digit(f"{prefix}{rest}")


@st.composite
def separated(draw: st.DrawFn) -> str:
    """A card number as people write it: with spaces or dashes wherever they like."""
    number = draw(card_numbers())
    gaps = draw(st.lists(st.sampled_from(["", "", " ", "-", " - ", "\u00a0", "\u2013"]),
                         min_size=len(number) - 1, max_size=len(number) - 1))  # fmt: skip
    return number[0] + "".join(gap + digit for gap, digit in zip(gaps, number[1:], strict=True))


@given(card_numbers(), st.sampled_from([" ", "-", ""]), st.integers(1, 6))
def test_every_card_number_is_found_with_regular_separators(number: str, gap: str, size: int):
    assert holds_card_number(gap.join(number[i : i + size] for i in range(0, len(number), size)))


@given(separated(), st.sampled_from(["", "card ", "card:", "x", "12/29, "]), st.sampled_from(["", " exp 12/29", "y"]))
def test_every_card_number_is_found_in_text(number: str, before: str, after: str):
    assert holds_card_number(before + number + after)


@given(separated(), st.booleans())
def test_every_card_number_is_refused_in_a_body_escaped_or_not(number: str, escaped: bool):
    raw = json.dumps({"metadata": {"note": number}}, ensure_ascii=escaped).encode()
    with pytest.raises(PanRefused) as refused:
        refuse_in_body(raw)
    assert refused.value.param == "metadata.note"
    assert number not in refused.value.detail


@given(card_numbers())
def test_every_card_number_is_refused_as_a_json_number(number: str):
    with pytest.raises(PanRefused):
        refuse_in_body(f'{{"card": [1, {number}]}}'.encode())


@given(card_numbers())
def test_every_card_number_is_refused_in_the_path_and_the_query(number: str):
    for path, query in ((f"/v1/payments/{number}", ""), ("/v1/payments", f"reference={'%20'.join(number)}")):
        with pytest.raises(PanRefused):
            refuse_in_target(path, query)


@given(card_numbers(), st.integers(1, 9))
def test_a_wrong_check_digit_is_no_card_number(number: str, more: int):
    assert not holds_card_number(number[:-1] + str((int(number[-1]) + more) % 10))


@given(st.uuids(version=4), st.sampled_from([str, lambda u: str(u).upper(), lambda u: u.hex, lambda u: f"order-{u}"]))
@settings(max_examples=500)
def test_a_uuid_is_no_card_number(value: uuid.UUID, written):
    assert not holds_card_number(written(value))


@given(st.integers(0, 2**128 - 1))
@settings(max_examples=300)
def test_a_digest_is_no_card_number(value: int):
    assert not holds_card_number(f"{value:032x}{value:032x}")


@given(st.sampled_from(sorted(PREFIXES)), st.integers(0, 1023))
@settings(max_examples=300)
def test_an_id_of_ours_is_no_card_number(prefix: str, bucket: int):
    assert not holds_card_number(new_id(prefix, bucket))


@given(st.integers(946_684_800_000_000, 2_177_452_800_000_000))  # Microseconds: 2000 to 2038.
def test_a_timestamp_is_no_card_number(microseconds: int):
    at = moment(microseconds)
    units = [str(microseconds // unit) for unit in (1, 1_000, 1_000_000)]
    for text in (*units, at.isoformat(), at.strftime("%Y%m%d%H%M%S"), at.strftime("%Y-%m-%d %H:%M:%S.%f")):
        assert not holds_card_number(text), text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "order-9912",
        "+49 30 1234567",
        "DE89 3704 0044 0532 0130 00",
        "12.99",
        "sub_8123:2026-12",
        "4242 4242",
        "4" * 9000,
    ],
)
def test_what_people_send_every_day_is_no_card_number(text: str):
    assert not holds_card_number(text)


@pytest.mark.parametrize("text", ["4 " * 120_000, "4111 1111 1111 1112 " * 12_000])
def test_a_body_made_to_be_slow_is_refused_unread(text: str):
    """Looking at every way to read the last one took seconds."""
    with pytest.raises(PanRefused):
        refuse_in_body(json.dumps({"a": text}).encode())


@pytest.mark.parametrize(
    "text",
    [
        "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢",
        "4242\u200b4242\u200b4242\u200b4242",
        "4242.4242.4242.4242",
        "４２４２ ４２４２ ４２４２ ４２４２",
        "४२४२४२४२४२४२४२४२",
    ],
)
def test_a_number_in_other_digits_or_with_what_nobody_sees_between_is_found(text):
    assert holds_card_number(text)
    with pytest.raises(PanRefused):
        refuse_in_body(json.dumps({"metadata": {"note": text}}).encode())
    with pytest.raises(PanRefused):
        refuse_in_body(json.dumps({"metadata": {"note": text}}, ensure_ascii=False).encode())
