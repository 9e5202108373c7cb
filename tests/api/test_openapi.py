"""The OpenAPI document is valid, complete, and true: a fuzzer that believes it finds nothing wrong."""

import re
import uuid
from html import escape
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode

from scrooge import errors
from scrooge.api.docs import anchor, page, row
from scrooge.api.fields import example_of, fields_of
from scrooge.api.openapi import document
from scrooge.api.parsing import SECONDS
from scrooge.api.responses import every_problem, problems_of
from scrooge.api.routes import ROUTES
from scrooge.storage.directory import SCOPES
from tests.world import World

DOCUMENT = msgspec.json.decode(msgspec.json.encode(document(ROUTES)))
PAGE = page(ROUTES, DOCUMENT)
OPERATIONS = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]
EXAMPLES = settings.default.max_examples // 10  # An example here is several requests.


def test_the_document_is_valid_openapi_3_1():
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_operation_is_named_once_and_says_what_it_does():
    operations = [DOCUMENT["paths"][path][method] for path, method in OPERATIONS]
    assert len({o["operationId"] for o in operations}) == len(operations)
    assert all(o["summary"] for o in operations)


def test_every_scope_that_a_key_can_have_opens_something():
    assert {r.scope for r in ROUTES if r.scope} | {"*"} == SCOPES


def test_whatever_can_move_money_asks_for_an_idempotency_key():
    for route in ROUTES:
        moves = route.method == "POST" and (
            route.scope in {"payments:write", "refunds:write", "stored_value:write"} or route.path == "/v1/batches"
        )
        assert route.idempotent == (
            moves and not route.path.endswith(("/sync", "/retries/cancel", "/close", "/cancel"))
        ), route.path


def test_every_problem_can_be_met_somewhere():
    met = {problem for route in ROUTES for problem in problems_of(route)}
    met |= {errors.MalformedId, errors.ContradictoryOutcome}  # Not found under its other name; kept as a break.
    assert set(every_problem(errors.Problem)) == met


async def test_the_document_is_served_and_so_is_a_page_for_people(world: World):
    status, served = await world.get("/openapi.json")
    assert (status, served) == (200, DOCUMENT)
    async with world.http.get(f"{world.api_url}/docs") as answer:
        shown = await answer.text()
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert shown == PAGE
    assert "<script" not in shown
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")


async def test_the_front_door_leads_to_the_page_for_people(world: World):
    async with world.http.get(f"{world.api_url}/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/docs")


def test_the_page_has_every_operation_field_scope_and_problem():
    articles = dict(re.findall(r'<article id="([a-z0-9-]+)">(.*?)</article>', PAGE, re.DOTALL))
    for route in ROUTES:
        article = articles[anchor(route)]
        wanted = [
            route.path,
            escape(route.summary, quote=False),
            *(p.code for p in route.problems),
            *filter(None, [route.scope]),
        ]
        if route.body:
            wanted += [f.encode_name for f in msgspec.structs.fields(route.body)]
        assert [word for word in wanted if word not in article.replace("<code>", "").replace("</code>", "")] == []
        assert all(f"<code>{status}</code>" in article for status in route.answers)
    shared = PAGE.partition('<section id="problems">')[2]
    met = {p for route in ROUTES for p in problems_of(route) if p not in route.problems}
    assert all(f"<code>{p.code}</code>" in shared for p in met)


def test_every_link_of_the_page_leads_somewhere_and_no_name_is_given_twice():
    ids = re.findall(r' id="([^"]+)"', PAGE)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'href="#([^"]+)"', PAGE)) <= set(ids)
    assert set(re.findall(r'(?:href|src)="([^#"][^"]*)"', PAGE)) == {"/openapi.json"}


def test_every_example_of_the_page_is_a_body_that_is_taken():
    components = DOCUMENT["components"]["schemas"]
    for route in ROUTES:
        if route.body is not None:
            example = example_of(components[route.body.__name__], components)
            assert isinstance(msgspec.convert(example, route.body), route.body)
            if example:
                assert escape(msgspec.json.format(msgspec.json.encode(example)).decode(), quote=False) in PAGE


def test_the_page_shows_words_as_words_and_never_as_markup():
    named = {"properties": {"<b>": {"type": "string", "description": "<i>&`<u>`", "enum": ['"', "'"]}}}
    shown = "".join(row(field) for field in fields_of(named, {}, inner=True))
    assert "<code>&lt;b&gt;</code>" in shown
    assert "&lt;i&gt;&amp;<code>&lt;u&gt;</code>" in shown


def test_an_amount_that_may_be_left_out_requires_nothing():
    components = DOCUMENT["components"]["schemas"]
    found = {f.name: f for f in fields_of(components["CapturePayment"], components, inner=True)}
    assert not any(f.required for f in found.values())
    assert found["amount.value"].rule.startswith("Required with `amount`")


def test_every_pattern_of_a_body_is_said_in_words():
    assert "matches <code>" not in PAGE


# --- fuzzing --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checks() -> list[Any]:
    load_all_checks()
    names = [
        "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
        "response_headers_conformance", "negative_data_rejection", "missing_required_header", "ignored_auth",
        "unsupported_method",
    ]  # fmt: skip
    return schemathesis.checks.CHECKS.get_by_names(names)


@pytest.fixture(scope="module")
async def real(world: World) -> dict[str, str]:
    """Objects that exist, of the fuzzer's own: it would never guess their ids, and it spoils them."""
    _, payment = await world.pay("adyen", capture="manual", value="100.00")
    name = f"fuzzed-{uuid.uuid4().hex[:8]}"  # Tests that another worker took away may have made it twice.
    spare = {
        "name": name, "connector": "stripe", "merchant_account": "acct_fuzzed", "mode": "test",
        "credentials": {"api_key": "sk_test_fuzzed"}, "base_url": f"{world.sandbox_url}/stripe",
    }  # fmt: skip
    status, _ = await world.post("/v1/connector-accounts", spare)
    assert status == 201
    credentials = [{"connector_account": "stripe", "psp_token": "pm_card_visa"}]
    _, instrument = await world.post("/v1/instruments", {"customer": "fuzzed", "credentials": credentials})
    return {
        "payment": payment["id"], "instrument": instrument["id"], "account": name,
        "ledger_account": "memo.authorized:EUR",
    }  # fmt: skip


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
async def test_a_fuzzer_finds_nothing_wrong(
    world: World, checks: list[Any], real: dict[str, str], path: str, method: str, mode: GenerationMode
):
    schema = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig())
    schema.config.update(base_url=world.api_url)
    strategy = schema[path][method].as_strategy(generation_mode=mode)

    @given(case=strategy, existing=st.booleans())
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def finds_nothing_wrong(case: schemathesis.Case, existing: bool) -> None:
        if existing and mode is GenerationMode.POSITIVE:
            named = {n: real[n] for n in case.path_parameters if n in real}
            if named:  # What is set is checked anew, by its length when encoded.
                case.path_parameters |= named
            if isinstance(case.body, dict) and "instrument" in case.body:
                case.body["instrument"] = real["instrument"]
        if SECONDS.fullmatch(str(case.headers.get("Request-Timeout", ""))):
            case.headers["Request-Timeout"] = "60"  # With less, 503 is the right answer; tests/flows/test_deadlines.py.
        key = {"Authorization": f"Bearer {world.key}"}
        case.headers.update(key)  # Or a case whose only fault was that it had none would seem accepted with that fault.
        case.call_and_validate(checks=checks, headers=key, timeout=10)

    try:
        finds_nothing_wrong()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # Nothing to send, so nothing to send wrongly.
