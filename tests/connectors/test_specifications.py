"""Our requests, and the replies that the cases claim, are what the PSPs' own specifications allow.

Skipped where the specifications are not beside the project; Stripe's library, which is newer, is always there.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import msgspec
import pytest
import stripe
import stripe.params
from msgspec import structs

from scrooge.connectors.adyen import ADYEN
from scrooge.connectors.connector import Command, Connector, Request, render
from scrooge.connectors.stripe import STRIPE, VERSION
from scrooge.domain.attempt import Operation
from scrooge.domain.mandate import USES, Use

from .cards import filled
from .cases.adyen import ADYEN_CASES
from .cases.adyen_news import NOTICES
from .cases.adyen_words import BACK
from .cases.adyen_words import SALE as ADYEN_SALE
from .cases.case import Ask, Item, endpoint_of
from .cases.stripe import STRIPE_CASES
from .cases.stripe_words import KNOWN
from .cases.stripe_words import SALE as STRIPE_SALE

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "specs"


@functools.cache
def specification(name: str) -> Any:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"the specification {name} is not here")
    return msgspec.json.decode(path.read_bytes())


def validate(document: Any, schema: Any, whole: Any) -> None:
    """References in a specification point to its own components."""
    jsonschema.Draft202012Validator({**schema, "components": whole["components"]}).validate(document)


def route(spec: Any, path: str, method: str) -> Any:
    """The operation of a concrete path; a literal path wins over a template."""
    parts = path.split("/")

    def fits(template: str) -> bool:
        known = template.split("/")
        return len(known) == len(parts) and all(
            k == p or (k.startswith("{") and p) for k, p in zip(known, parts, strict=True)
        )

    found = min((t for t in spec["paths"] if fits(t)), key=lambda t: t.count("{"))
    return spec["paths"][found][method.lower()]


# --- Stripe ---------------------------------------------------------------------------------

STRIPE_SPEC = "stripe/spec3_2023-08-16_payments.json"
PARAMS = {
    "/v1/payment_intents": stripe.params.PaymentIntentCreateParams,
    "/v1/payment_intents/pi_1/capture": stripe.params.PaymentIntentCaptureParams,
    "/v1/payment_intents/pi_1/cancel": stripe.params.PaymentIntentCancelParams,
    "/v1/payment_intents/pi_1/increment_authorization": stripe.params.PaymentIntentIncrementAuthorizationParams,
    "/v1/setup_intents": stripe.params.SetupIntentCreateParams,
    "/v1/refunds": stripe.params.RefundCreateParams,
}


def variants(command: Command) -> Iterator[Command]:
    yield command
    for use in (None, *Use):
        yield structs.replace(command, initiator="merchant", use=use)
    yield structs.replace(command, incremental=True)
    yield structs.replace(command, return_url=None, psp_customer="cus_1")
    yield structs.replace(command, statement_descriptor="EXAMPLE*PREMIUM")


def by_card(connector: Connector, sale: Command) -> list[Request]:
    """As the PSP gets them, with the card that the vault put in."""
    command = structs.replace(sale, psp_token=None, vault_card="ins_1")
    saved = [structs.replace(command, save=use) for use in USES]
    again = structs.replace(command, initiator="merchant", network_transaction_id="736000000000017")
    sent = [render(connector, v) for c in (command, *saved, again) for v in variants(c)]
    return [filled(request, connector.cards["authorize"]) for request in sent]


def stripe_posts() -> list[Request]:
    commands = [*STRIPE_CASES.commands.values(), STRIPE_SALE]
    sent = [render(STRIPE, v) for command in commands for v in variants(command)]
    assert STRIPE.abandon is not None
    return [*sent, *by_card(STRIPE, STRIPE_SALE), STRIPE.abandon.build(KNOWN)]


def stripe_gets() -> list[Request]:
    asked = [STRIPE.continuation.build(KNOWN)]
    for operation, endpoint in STRIPE.inquiries.items():
        command = STRIPE_CASES.commands[operation]
        asked += [endpoint.build(command), endpoint.build(structs.replace(command, psp_reference="x"))]
    return asked


def open_ended(schema: Any) -> Any:
    """Lists of values that Stripe itself marks as not checked are not whole: "card" is missing where it is taken."""
    if isinstance(schema, dict):
        left = {k: v for k, v in schema.items() if k != "enum" or not schema.get("x-stripeBypassValidation")}
        return {name: open_ended(value) for name, value in left.items()}
    return [open_ended(value) for value in schema] if isinstance(schema, list) else schema


def unbracketed(body: bytes, schema: Any) -> dict[str, Any]:
    """A form as the document it stands for, with the types that the schema wants."""
    found: dict[str, Any] = {}
    for name, text in parse_qsl(body.decode(), strict_parsing=True):
        outer, _, inner = name.partition("[")
        kind = schema["properties"].get(outer, {})
        types = {kind.get("type"), *(k.get("type") for k in kind.get("anyOf", []))}
        if inner == "]":
            found.setdefault(outer, []).append(text)
        elif inner:
            *path, last = inner.rstrip("]").split("][")
            place = found.setdefault(outer, {})
            for step in path:
                place = place.setdefault(step, {})
            place[last] = text == "true" if last == "enabled" else text
        elif "integer" in types:
            found[outer] = int(text)
        elif "boolean" in types and text in {"true", "false"}:
            found[outer] = text == "true"
        else:
            found[outer] = text
    return found


@pytest.mark.parametrize("request_", stripe_posts(), ids=lambda r: r.path)
def test_stripes_specification_allows_our_requests(request_: Request) -> None:
    spec = specification(STRIPE_SPEC)
    operation = route(spec, request_.path, "POST")
    schema = open_ended(operation["requestBody"]["content"][request_.content_type]["schema"])
    validate(unbracketed(request_.body, schema), schema, spec)


@pytest.mark.parametrize("request_", stripe_posts(), ids=lambda r: r.path)
def test_stripes_newest_library_knows_our_parameters(request_: Request) -> None:
    known = PARAMS[request_.path].__annotations__.keys() - stripe.RequestOptions.__annotations__.keys()
    assert "expand" in known
    assert {n.partition("[")[0] for n, _ in parse_qsl(request_.body.decode())} <= known


def test_stripes_newest_library_knows_the_fields_of_a_card() -> None:
    """Its types for an intent leave the card itself out; those for a payment method, which it makes of it, do not."""
    of_method, of_intent = stripe.params.PaymentMethodCreateParams, stripe.params.PaymentIntentCreateParams
    known = {
        "payment_method_data": stripe.params.PaymentIntentCreateParamsPaymentMethodData.__annotations__.keys()
        | {"card"},
        "payment_method_data[card]": stripe.params.PaymentMethodCreateParamsCard.__annotations__.keys(),
        "payment_method_data[billing_details]": stripe.params.PaymentMethodCreateParamsBillingDetails.__annotations__,
    }
    assert "card" in of_method.__annotations__
    assert "setup_future_usage" in of_intent.__annotations__
    for request in by_card(STRIPE, STRIPE_SALE):
        for name, _ in parse_qsl(request.body.decode()):
            outer, _, last = name.rstrip("]").rpartition("[")
            if outer.startswith("payment_method_data"):
                assert last in known[outer]


@pytest.mark.parametrize("request_", stripe_gets(), ids=lambda r: r.path)
def test_stripes_specification_allows_our_questions(request_: Request) -> None:
    asked = urlsplit(request_.path)
    operation = route(specification(STRIPE_SPEC), asked.path, "GET")
    known = {p["name"] for p in operation["parameters"] if p["in"] == "query"}
    assert {n.partition("[")[0] for n, _ in parse_qsl(asked.query)} <= known


def test_the_pinned_version_is_the_one_of_the_types_we_check_against() -> None:
    assert stripe.api_version == VERSION


def test_stripes_newest_library_knows_every_field_of_the_cases() -> None:
    classes = {"payment_intent": stripe.PaymentIntent, "refund": stripe.Refund, "charge": stripe.Charge}
    seen = set()

    def check(found: Any) -> None:
        if isinstance(found, list):
            for inner in found:
                check(inner)
        if isinstance(found, dict):
            kind = classes.get(str(found.get("object")))
            if kind:
                seen.add(kind)
                assert not found.keys() - kind.__annotations__.keys(), kind
            for inner in found.values():
                check(inner)

    for row in STRIPE_CASES.replies:
        check(row.body)
    for notice in STRIPE_CASES.notices:
        check(notice.document)
    assert seen >= {stripe.PaymentIntent, stripe.Refund}


# --- Adyen ----------------------------------------------------------------------------------

CHECKOUT, WEBHOOKS = "adyen/CheckoutService-v72.json", "adyen/Webhooks-v1.json"
STATUS = {Operation.AUTHORIZE: "200"}


def adyen_requests() -> list[Request]:
    commands = [*ADYEN_CASES.commands.values(), ADYEN_SALE]
    sent = [render(ADYEN, v) for command in commands for v in variants(command)]
    assert ADYEN.reversal is not None
    back = [ADYEN.reversal.build(c) for c in (ADYEN_SALE, structs.replace(ADYEN_SALE, psp_reference="AUTH1"))]
    return [*sent, *by_card(ADYEN, ADYEN_SALE), ADYEN.continuation.build(BACK), *back]


def body_schema(operation: Any) -> Any:
    return operation["requestBody"]["content"]["application/json"]["schema"]


@pytest.mark.parametrize("request_", adyen_requests(), ids=lambda r: r.path)
def test_adyens_specification_allows_our_requests(request_: Request) -> None:
    spec = specification(CHECKOUT)
    path = request_.path.removeprefix("/v72")
    assert request_.idempotency_key is not None
    assert len(request_.idempotency_key) <= 64
    schema = body_schema(route(spec, path, request_.method))
    validate(msgspec.json.decode(request_.body), schema, spec)


# What no specification allows, or gives no schema of.
INVENTED = {Item.UNREADABLE, Item.SERVER_ERROR}


@pytest.mark.parametrize(
    "row",
    [r for r in ADYEN_CASES.replies if isinstance(r.body, dict) and r.item not in INVENTED],
    ids=lambda row: row.claim,
)
def test_adyens_specification_allows_the_replies_of_the_cases(row: Any) -> None:
    spec = specification(CHECKOUT)
    asked = ADYEN.endpoints[row.command.operation] if row.ask is Ask.CONTINUE else endpoint_of(ADYEN, row)
    path = asked.build(row.command).path.removeprefix("/v72")
    reply = route(spec, path, "POST")["responses"][str(row.status)]
    validate(row.body, reply["content"]["application/json"]["schema"], spec)


@pytest.mark.parametrize("row", NOTICES, ids=lambda row: row.claim)
def test_adyens_specification_allows_the_notifications_of_the_cases(row: Any) -> None:
    spec = specification(WEBHOOKS)
    schema = body_schema(spec["webhooks"][f"/{row.expected.kind}"]["post"])
    validate(row.document, schema, spec)


def test_adyen_names_the_key_only_in_answers_that_it_keeps_for_it() -> None:
    """What `replayed` rests on."""
    replies = route(specification(CHECKOUT), "/payments", "POST")["responses"]
    named = {status for status, reply in replies.items() if "Idempotency-Key" in reply.get("headers", {})}
    assert named == {"200", "422"}
