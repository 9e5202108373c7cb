"""A form is read and written anew, and only the card's places change: by the standard library's own reading. A reply
is written anew too, and nothing of the card is in it."""

import re
from urllib.parse import parse_qsl, quote_plus, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrooge.connectors.filling import NO_JSON, STANDING, prepared
from scrooge.connectors.registry import connectors
from scrooge.errors import TemplateMismatch
from scrooge.vault.checks import Card
from scrooge.vault.filling import clean, values_of

TEMPLATE = connectors()["stripe"].cards["authorize"]
PLACES = {
    TEMPLATE.number: ("{{number}}", "4242424242424242"),
    TEMPLATE.exp_month: ("{{exp_month}}", "03"),
    TEMPLATE.exp_year: ("{{exp_year}}", "2034"),
    TEMPLATE.holder: ("{{holder}}", "Joan & Søn"),
    TEMPLATE.security_code: ("{{security_code}}", ""),
}
CARD = Card("4242424242424242", 3, 2034, "Joan & Søn")
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12).filter(lambda text: text not in STANDING)
NAMES = TEXTS.filter(lambda name: name not in PLACES)


@given(st.lists(st.tuples(NAMES, TEXTS), max_size=8), st.randoms())
def test_every_field_but_the_cards_is_as_it_was(others, draw):
    fields = [*others, *((name, placeholder) for name, (placeholder, _) in PLACES.items())]
    draw.shuffle(fields)
    sent = prepared(TEMPLATE, urlencode(fields)).filled(values_of(CARD, None)).decode()
    wanted = [(name, PLACES[name][1] if name in PLACES else value) for name, value in fields]
    wanted = [(name, value) for name, value in wanted if name not in PLACES or value]
    assert parse_qsl(sent, keep_blank_values=True, strict_parsing=bool(sent)) == wanted
    assert sent == urlencode(wanted), "written as the standard library writes it: one reading and no other"


@given(st.text("%&=+{}number0123456789[]é \ud800", max_size=40))
def test_what_the_standard_library_cannot_read_is_no_form(text):
    body = text + "&" + "&".join(f"{quote_plus(name)}={quote_plus(p)}" for name, (p, _) in PLACES.items())
    try:
        pairs = parse_qsl(body, keep_blank_values=True, strict_parsing=True, errors="strict")
        body.encode()
    except ValueError:
        with pytest.raises((TemplateMismatch, UnicodeEncodeError)):
            prepared(TEMPLATE, body).filled(values_of(CARD, None))
        return
    if any(value in STANDING for name, value in pairs if name not in PLACES):
        return
    sent = prepared(TEMPLATE, body).filled(values_of(CARD, None)).decode()
    assert [p for p in parse_qsl(sent, keep_blank_values=True) if p[0] not in PLACES] == [
        p for p in pairs if p[0] not in PLACES
    ]


@pytest.mark.parametrize(
    "reply",
    [
        '{"id": "4242424242424242", "id": "x"}',  # of two of a name the second is read
        '{"\\u0069d": "\\u0034242424242424242", "id": "x"}',
        '{"n": 4242424242424242.0}',
        '{"n": 4.242424242424242e15}',
        '{"a": "4242+4242+4242+4242"}',
        '{"a": "4242.4242.4242.4242"}',
        '{"a": "4242\u200b4242\u200b4242\u200b4242"}',
        '{"id": "4242 4242 4242 4242"}',  # where the PSP's own id belongs
        '{"next_action": {"redirect_to_url": {"url": "https://psp.example/?n=4242-4242-4242-4242"}}}',
        "4\x002\x00" * 8,  # UTF-16
        "number=4242+4242+4242+4242&cvc=737",
        '{"cvc": 737}',
        '{"card": {"security_code": "737"}}',
    ],
)
def test_nothing_of_the_card_comes_back_in_a_reply(reply):
    cleaned = clean(TEMPLATE, reply, CARD)
    assert "4242424242424242" not in re.sub("[^0-9]", "", cleaned)
    assert not re.search("4[^0-9]*2[^0-9]*4[^0-9]*2[^0-9]*4[^0-9]*2", cleaned)
    assert "737" not in cleaned


def test_what_no_connector_can_read_stays_unreadable_and_what_is_empty_stays_empty():
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(NO_JSON)
    assert clean(TEMPLATE, "", CARD) == ""
