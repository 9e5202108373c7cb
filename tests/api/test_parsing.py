"""Whatever bytes come: a struct or a problem that names the field, and never a word of what was sent."""

import json
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrooge import reading
from scrooge.api import bodies, parsing
from scrooge.errors import InvalidField, MalformedJson, MissingField, Problem, UnknownField

BODIES = [
    bodies.CreatePayment, bodies.AuthorizePayment, bodies.AuthenticatePayment, bodies.CapturePayment,
    bodies.VoidPayment, bodies.RefundPayment, bodies.CreateInstrument, bodies.CreateConnectorAccount,
    bodies.ChangeCredentials, bodies.Nothing,
]  # fmt: skip
QUERIES = [bodies.PaymentFilter, bodies.Expand, bodies.EventFilter, bodies.InstrumentFilter, bodies.Page]
GOOD = {
    "reference": "order-1", "amount": {"value": "12.99", "currency": "EUR"}, "instrument": "ins_1",
    "metadata": {"a": "1", "b": "2"},
}  # fmt: skip
NAMES = st.sampled_from(["reference", "amount", "value", "currency", "metadata", "credentials", "details", "card"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=8), inner, max_size=6),
    max_leaves=12,
)


def problem_of(parse: Callable[[], object]) -> Problem | None:
    try:
        parse()
    except Problem as problem:
        return problem
    return None


@given(st.binary(), st.sampled_from(BODIES))
def test_any_bytes_are_a_struct_or_a_problem(raw: bytes, kind: type[bodies.Body]):
    problem = problem_of(lambda: reading.decode(raw, kind))
    assert problem is None or isinstance(problem, MalformedJson | InvalidField | UnknownField | MissingField)


@given(JSON, st.sampled_from(BODIES))
def test_any_json_is_a_struct_or_a_problem(value: object, kind: type[bodies.Body]):
    problem = problem_of(lambda: reading.decode(json.dumps(value).encode(), kind))
    assert problem is None or problem.status in {400, 422}


@given(st.text("abc[]&=%+0123456789,:.", max_size=60), st.sampled_from(QUERIES))
def test_any_query_is_a_struct_or_a_problem(text: str, kind: type[bodies.Body]):
    problem = problem_of(lambda: parsing.query_of(text, kind))
    assert problem is None or problem.status == 422


SECRET = "Zq7-private-Zq7"
PLACES = ["reference", "instrument", "initiator", "capture", "purpose", "return_url", "metadata", "amount"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", [SECRET * 200, [SECRET], {SECRET[:3]: [SECRET]}, f"\x7f{SECRET}", f"{SECRET}\n"])
def test_a_refusal_never_repeats_a_value(place: str, value: object):
    with pytest.raises(Problem) as refused:
        reading.decode(json.dumps({**GOOD, place: value}).encode(), bodies.CreatePayment)
    assert SECRET not in refused.value.detail
    assert (refused.value.param or "").startswith(place)


def test_a_choice_that_does_not_exist_is_answered_with_those_that_do():
    with pytest.raises(InvalidField) as refused:
        reading.decode(json.dumps({**GOOD, "capture": "later"}).encode(), bodies.CreatePayment)
    assert refused.value.detail == "Expected one of automatic, manual"


@given(st.permutations(list(GOOD)), st.sampled_from([None, 1, 4]), st.booleans())
def test_order_and_spacing_are_no_other_payload(order: list[str], indent: int | None, escaped: bool):
    text = json.dumps({name: GOOD[name] for name in order}, indent=indent, ensure_ascii=escaped)
    same = reading.decode(text.encode(), bodies.CreatePayment)
    whole = reading.decode(json.dumps(GOOD).encode(), bodies.CreatePayment)
    assert parsing.fingerprint("POST", "/v1/payments", same) == parsing.fingerprint("POST", "/v1/payments", whole)


@given(st.sampled_from(["reference", "instrument"]), st.text(string.ascii_letters, min_size=1, max_size=20))
def test_another_value_is_another_payload(name: str, value: str):
    one, other = (
        reading.decode(json.dumps(body).encode(), bodies.CreatePayment) for body in (GOOD, {**GOOD, name: value})
    )
    prints = {parsing.fingerprint("POST", "/v1/payments", body) for body in (one, other)}
    assert len(prints) == 2
    assert parsing.fingerprint("POST", "/v1/other", one) not in prints


def test_a_name_given_twice_is_refused_at_any_depth():
    raw = json.dumps(GOOD).replace('"a": "1"', '"a": "1", "a": "2"').encode()
    with pytest.raises(InvalidField) as refused:
        reading.decode(raw, bodies.CreatePayment)
    assert refused.value.param == "a"
