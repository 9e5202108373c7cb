"""The scanner sees: every encoding, planted in noise, is found; and it names no number itself."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrooge.cards import LENGTHS, luhn
from scrooge.sweep.decode import SMALL
from scrooge.sweep.finder import AnyCard, Planted, search
from tests.sweep.encodings import ENCODINGS, PACKED

NUMBER = "4000009912345678"  # in the sandbox's range
HOLDER, CODE = "Zyxwalda Quorvetti", "739"
FINDER = Planted({"card": NUMBER}, {"holder": HOLDER}, {"code": CODE})


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def labels(data: bytes, finder: Planted = FINDER, **how: bool) -> set[str]:
    return {hit.what for hit in search(finder, data, **how)}


@pytest.mark.parametrize("name", ENCODINGS | PACKED)
def test_a_number_is_found_in_every_encoding_anywhere_in_noise(name):
    written = (ENCODINGS | PACKED)[name](NUMBER)
    for n, before in enumerate((0, 1, 2, 3, 4999)):
        assert labels(noise(before, n) + written + noise(3000, n + 1)) == {"card"}, before


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_holder_is_found_in_every_encoding(name):
    if name in ("full width", "list of codes"):
        pytest.skip("the scanner reads digits only there")
    assert labels(noise(700) + ENCODINGS[name](HOLDER) + noise(700)) == {"holder"}


@pytest.mark.parametrize(
    "text",
    [
        '{"cvc":"%s"}',
        "card[cvc]=%s&amount=1",
        '"securityCode": "%s"',
        "card%%5Bcvc%%5D=%s",
        "cvv2=%s",
        '{\\"cvc\\": \\"%s\\"}',
        "security_code='%s'",
        "cardCvc: %s",
    ],
)
def test_a_security_code_is_found_in_its_field_and_nowhere_else(text):
    assert labels((text % CODE).encode()) == {"code"}
    assert labels((text % "738").encode()) == set()
    assert labels(f"amount={CODE}, {CODE} ms".encode()) == set()


@pytest.mark.parametrize("text", ["csc%s", "Xcvc-%s", "bUcsc/%s", "cvc123/%s", "the cvc was wrong, %s"])
def test_letters_that_stand_before_digits_by_chance_name_no_field(text):
    assert labels((text % CODE).encode()) == set()


OUTER = (
    "plain",
    "UTF-16 LE",
    "base64",
    "base64 of a text, URL-safe",
    "hex",
    "C escapes",
    "URL",
    "gzip",
    "zlib",
)
INNER = (
    "plain",
    "spaces",
    "dashes",
    "per character",
    "UTF-16 BE",
    "hex",
    "base64",
    "URL",
    "JSON escapes",
    "HTML entities",
)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_number_in_any_two_encodings_in_any_surroundings_is_found(data):
    prefix = data.draw(st.sampled_from(sorted(LENGTHS)))
    length = data.draw(st.sampled_from(sorted(LENGTHS[prefix])))
    body = prefix + data.draw(st.text("0123456789", min_size=length - 5, max_size=length - 5))
    number = next(body + digit for digit in "0123456789" if luhn(body + digit))
    outer, inner = data.draw(st.sampled_from(OUTER)), data.draw(st.sampled_from(INNER))
    before, after = data.draw(st.binary(max_size=64)), data.draw(st.binary(max_size=64))
    written = ENCODINGS[outer](ENCODINGS[inner](number).decode("latin-1"))
    finder = Planted({"this": number, "another": NUMBER})
    assert "this" in labels(before + b" " + written + b" " + after, finder), (outer, inner)


def test_nothing_is_found_where_nothing_was_planted():
    text = (
        b'{"at": "2026-11-21T21:54:58.123456Z", "id": "pay_01K9ABCDEFGHJKMNPQRSTVWXYZ", "number": 4000009912345679}\n'
    )
    for data in (noise(SMALL * 3), text * 500, b"\0" * 100_000, bytes(range(256)) * 99):
        assert search(FINDER, data) == []


def test_a_hit_says_where_and_how_and_never_the_number():
    hit = search(FINDER, ENCODINGS["base64 of gzip"](NUMBER), "log of serve", 5)[0]
    assert (hit.how, hit.where, hit.at) == ("base64 of gzip/zlib of text", "log of serve", 5)
    shown = msgspec.json.encode(search(AnyCard(), NUMBER.encode()))
    assert NUMBER.encode() not in shown
    assert b"400000...5678" in shown


@pytest.mark.parametrize(
    "name", [n for n in ENCODINGS if n not in ("backward", "per character, quoted", "no-break spaces")]
)
def test_any_card_number_is_found_without_being_known(name):
    found = {hit.what for hit in search(AnyCard(), b"card: " + ENCODINGS[name](NUMBER) + b" .")}
    assert found == {"400000...5678"}


def test_what_looks_like_a_number_and_is_none_is_left_alone():
    for text in (
        "4000009912345679",  # wrong check digit
        "1732226098123456",  # a timestamp in microseconds
        "00000000-0000-4000-8000-009912345678",
        "5555555555554444aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "40000099123456784000009912345678",  # a longer row of digits
    ):
        assert search(AnyCard(), f'"{text}"'.encode()) == [], text
    assert search(AnyCard(but={NUMBER}), NUMBER.encode()) == []
