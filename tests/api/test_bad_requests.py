"""What bad requests get: the table of docs/errors.md, line by line. A refusal leaves no trace."""

import asyncio
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from msgspec import Struct, structs

from scrooge.ids import new_id
from scrooge.postgres.database import connect
from scrooge.storage.access import create_caller, create_key, create_merchant
from tests.world import World

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "errors.md"
LINE = re.compile(r"^\| (.+?) \| (\d{3}) \| `(\w+)` \| (?:`(.+)`)? ?\|$", re.MULTILINE)
TABLE = {m[1]: (int(m[2]), m[3], m[4]) for m in LINE.finditer(DOCUMENT.read_text())}
CARD = "4242424242424242"
COUNTED = ("payments", "attempts", "idempotency_keys", "payment_references", "instruments", "connector_accounts",
           "inbox", "journals", "events")  # fmt: skip


class Ask(Struct, kw_only=True):
    """A request; what is not said is as in a good one. `key` None: the caller's own."""

    path: str = "/v1/payments"
    method: str = "POST"
    body: Any = None
    raw: bytes | None = None
    content_type: str = "application/json"
    key: str | None = None
    authorization: str | None = None
    idempotency: str | None = None
    headers: dict[str, str] = {}


class Scene(Struct, kw_only=True):
    """What the requests are made against: payments in every state that refuses something."""

    good: dict[str, Any]  # a body that would be accepted
    sale: str
    sale_body: dict[str, Any]
    sale_key: str
    authorized: str
    half_captured: str
    declined: str
    expired: str
    at_adyen: str
    others_payment: str
    others_instrument: str
    deleted: str
    weak_key: str
    other_key: str
    live_key: str
    cursor: str
    account: dict[str, Any]
    mandates: dict[str, str]  # by status


@pytest.fixture(scope="module")
async def scene(world: World) -> Scene:
    instrument = await world.instrument(stripe="pm_card_visa")
    good = {"reference": "r", "amount": {"value": "12.99", "currency": "EUR"}, "instrument": instrument}
    sale_key = uuid.uuid4().hex
    sale_body = {**good, "reference": f"order-{sale_key}"}
    _, sale = await world.post("/v1/payments", sale_body, idempotency=sale_key)
    _, authorized = await world.pay("stripe", capture="manual", value="20.00")
    _, half = await world.pay("stripe", capture="manual", value="20.00")
    for payment, value in ((half, "5.00"),):
        status, _ = await world.post(f"/v1/payments/{payment['id']}/captures", {"amount": amount(value), "final": True})
        assert status == 201
    status, _ = await world.post(f"/v1/payments/{sale['id']}/refunds", {"reference": "rma-1", "amount": amount("1.00")})
    assert status == 201
    _, declined = await world.pay("stripe", token="pm_card_visa_chargeDeclined")
    _, at_adyen = await world.pay("adyen", capture="manual", value="20.00")
    _, gone = await world.post(
        "/v1/instruments",
        {"customer": "user-1", "credentials": [{"connector_account": "stripe", "psp_token": "pm_card_visa"}]},
    )
    _, page = await world.get("/v1/payments?limit=1")
    scene = Scene(
        good=good, sale=sale["id"], sale_body=sale_body, sale_key=sale_key, authorized=authorized["id"],
        half_captured=half["id"], declined=declined["id"], expired=await expired(world),
        at_adyen=at_adyen["id"], others_payment="", others_instrument="", deleted=gone["id"], weak_key="",
        live_key="", other_key=world.other_key, cursor=page["next_cursor"], account=world.accounts["stripe"],
        mandates=await agreed(world),
    )  # fmt: skip
    async with world.http.delete(f"{world.api_url}/v1/instruments/{gone['id']}", headers=world.headers()) as answer:
        assert answer.status == 200
    await others(world, scene)
    return scene


async def agreed(world: World) -> dict[str, str]:
    """Mandates of 20.00 EUR a payment at most, one in each status."""
    terms = {"use": "recurring", "max": amount("20.00")}
    found = {}
    for status in ("active", "revoked", "pending"):
        token = "pm_card_authenticationRequired" if status == "pending" else "pm_card_visa"
        _, p = await world.pay("stripe", token=token, save_for=terms, return_url="https://shop.example/r")
        found[status] = p["mandate"]
        code, m = await world.get(f"/v1/mandates/{p['mandate']}")
        assert code == 200, m
    await world.post(f"/v1/mandates/{found['revoked']}/revoke", {"reason": "left"})
    return found


def under(status: str, **changed: Any) -> Callable[[Scene], Ask]:
    """A payment under a mandate of this status."""
    named = {"instrument": ..., **changed}
    return lambda s: fields(**{"mandate": s.mandates[status], **named})(s)


def of_mandate(status: str, what: str, body: Any = None) -> Callable[[Scene], Ask]:
    return lambda s: on(f"/v1/mandates/{s.mandates[status]}/{what}", body or {})(s)


def amount(value: str, currency: str = "EUR") -> dict[str, str]:
    return {"value": value, "currency": currency}


async def expired(world: World) -> str:
    """An authorization that lapsed: the PSP's evidence is put into the books by hand."""
    _, p = await world.pay("stripe", capture="manual", value="20.00")
    connection = await asyncpg.connect(world.database_url)
    await connection.execute(
        "UPDATE attempts SET closed = 'expired', closed_at = now(), voided_minor = authorized_minor"
        " WHERE reference = $1", f"{p['id']}-1",
    )  # fmt: skip
    await connection.close()
    return p["id"]


async def others(world: World, scene: Scene) -> None:
    """Another merchant with an account, an instrument and a payment of its own; and a key that may only read."""
    account = {
        "name": "stripe", "connector": "stripe", "merchant_account": "acct_others", "mode": "test",
        "credentials": {"api_key": f"sk_test_{uuid.uuid4().hex}"}, "base_url": f"{world.sandbox_url}/stripe",
    }  # fmt: skip
    status, made = await world.post("/v1/connector-accounts", account, key=world.other_key)
    assert status in {201, 409}, made
    credentials = [{"connector_account": "stripe", "psp_token": "pm_card_visa"}]
    _, instrument = await world.post(
        "/v1/instruments", {"customer": "user-1", "credentials": credentials}, key=world.other_key
    )
    body = {**scene.good, "reference": uuid.uuid4().hex, "instrument": instrument["id"]}
    status, payment = await world.post("/v1/payments", body, key=world.other_key)
    assert status == 201, payment
    scene.others_instrument, scene.others_payment = instrument["id"], payment["id"]
    db = await connect(world.database_url, size=2)
    caller = await create_caller(db, await create_merchant(db, "tests"), "auditors")
    scene.live_key = (await create_key(db, caller, ["*"], True))[1]
    scene.weak_key = (await create_key(db, caller, ["payments:read"], False))[1]
    await db.close()


def fields(**changed: Any) -> Callable[[Scene], Ask]:
    """A good body with some fields changed; `amount__value` reaches inward, ... takes a field away."""

    def build(scene: Scene) -> Ask:
        body = json.loads(json.dumps(scene.good))
        body["reference"] = f"bad-{uuid.uuid4().hex}"
        for name, value in changed.items():
            *outer, last = name.split("__")
            inner = body
            for step in outer:
                inner = inner.setdefault(step, {})
            if value is ...:
                del inner[last]
            else:
                inner[last] = value
        return Ask(body=body)

    return build


def raw(text: bytes, content_type: str = "application/json") -> Callable[[Scene], Ask]:
    return lambda scene: Ask(raw=text, content_type=content_type)


def get(path: str) -> Callable[[Scene], Ask]:
    return lambda scene: Ask(method="GET", path=path.format(s=scene))


def on(path: str, body: Any = None, **more: Any) -> Callable[[Scene], Ask]:
    return lambda scene: Ask(path=path.format(s=scene), body=body or {}, **more)


def good(**more: Any) -> Callable[[Scene], Ask]:
    """A good body in a bad envelope."""
    return lambda scene: Ask(body={**scene.good, "reference": uuid.uuid4().hex}, **more)


def account(**changed: Any) -> Callable[[Scene], Ask]:
    body = {
        "name": f"a-{uuid.uuid4().hex}", "connector": "stripe", "merchant_account": "acct_1", "mode": "test",
        "credentials": {"api_key": f"sk_test_{uuid.uuid4().hex}"}, **changed,
    }  # fmt: skip
    return lambda scene: Ask(path="/v1/connector-accounts", body=body)


def instrument(*accounts: str) -> Callable[[Scene], Ask]:
    credentials = [{"connector_account": a, "psp_token": "pm_card_visa"} for a in accounts]
    return on("/v1/instruments", {"customer": "user-1", "credentials": credentials})


BAD: dict[str, Callable[[Scene], Ask]] = {
    "a body that is not JSON": raw(b'{"reference": '),
    "a body that is not UTF-8": raw(b'{"reference": "\xff"}'),
    "a body nested ten thousand deep": raw(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "a body that is a list": raw(b"[]"),
    "an empty body": raw(b""),
    "a form instead of JSON": raw(b"reference=1", "application/x-www-form-urlencoded"),
    "JSON in another character set": raw(b"{}", "application/json; charset=latin-1"),
    "a body over 256 kB": raw(b'{"reference": "' + b"x" * 256 * 1024 + b'"}'),
    "a field that is misspelled": fields(capture_method="manual"),
    "a field that does not exist, inside the amount": fields(amount__scale=2),
    "no reference": fields(reference=...),
    "no currency": fields(amount__currency=...),
    "a reference that is a number": fields(reference=1),
    "an empty reference": fields(reference=""),
    "a reference of 129 characters": fields(reference="x" * 129),
    "a NUL in the reference": fields(reference="a\0b"),
    "half a surrogate pair": raw(rb'{"reference": "\ud800"}'),
    "the amount twice": lambda s: Ask(
        raw=json.dumps({**s.good, "reference": uuid.uuid4().hex})[:-1].encode()
        + b', "amount": {"value": "1.00", "currency": "EUR"}}'
    ),
    "an amount that is a JSON number": fields(amount__value=12.99),
    "one decimal of EUR": fields(amount__value="12.9"),
    "no decimals of EUR": fields(amount__value="1299"),
    "decimals of JPY": fields(amount=amount("1299.00", "JPY")),
    "two decimals of KWD": fields(amount=amount("1.25", "KWD")),
    "an amount in exponent form": fields(amount__value="1e3"),
    "zero": fields(amount__value="0.00"),
    "a negative amount": fields(amount__value="-12.99"),
    "more than the largest amount": fields(amount__value="10000000000000.00"),
    "an unknown currency": fields(amount__currency="EUX"),
    "a currency in lower case": fields(amount__currency="eur"),
    "gold": fields(amount__currency="XAU"),
    "an initiator that is neither": fields(initiator="bank"),
    "a return URL that is a script": fields(return_url="javascript:alert(1)"),
    "metadata that is not text": fields(metadata={"count": 1}),
    "51 pairs of metadata": fields(metadata={f"k{n}": "" for n in range(51)}),
    "a card number as the reference": fields(reference=CARD),
    "a card number with spaces in the metadata": fields(metadata={"note": "paid by 4242 4242 4242 4242, exp 12/29"}),
    "a card number as a name in the metadata": fields(metadata={CARD: "x"}),
    "a card number as a JSON number": fields(card=int(CARD)),
    "a card number in broken JSON": raw(b'{"reference": "4242-4242-4242-4242"'),
    "a card number in the Idempotency-Key": good(idempotency=CARD),
    "a card number in the path": get(f"/v1/payments/{CARD}"),
    "a card number in the query": get("/v1/payments?reference=4242%204242%204242%204242"),
    "no API key": good(authorization=""),
    "an API key that does not exist": good(key="sk_test_nobody"),
    "an API key of another kind": good(authorization="Basic c2s6"),
    "an API key without the scope": lambda s: Ask(body={**s.good, "reference": "x"}, key=s.weak_key),
    "no Idempotency-Key": good(headers={"Idempotency-Key": ...}),
    "an empty Idempotency-Key": good(idempotency=""),
    "an Idempotency-Key of 256 characters": good(idempotency="k" * 256),
    "the same key with another amount": lambda s: Ask(
        body={**s.sale_body, "amount": amount("13.00")}, idempotency=s.sale_key
    ),
    "the same key on another path": lambda s: Ask(
        path=f"/v1/payments/{s.sale}/refunds", body={"reference": "x"}, idempotency=s.sale_key
    ),
    "the same reference under another key": lambda s: Ask(body=s.sale_body),
    "an instrument that does not exist": fields(instrument=new_id("ins", 1)),
    "an instrument that is no id": fields(instrument="card-1"),
    "another merchant's instrument": lambda s: fields(instrument=s.others_instrument)(s),
    "an instrument that was deleted": lambda s: fields(instrument=s.deleted)(s),
    "an instrument of another customer": fields(customer="user-2"),
    "a connector account that does not exist": fields(connector_account="nowhere"),
    "a payment that does not exist": get(f"/v1/payments/{new_id('pay', 1)}"),
    "a payment that is no id": get("/v1/payments/42"),
    "another merchant's payment": get("/v1/payments/{s.others_payment}"),
    "a capture of another merchant's payment": on("/v1/payments/{s.others_payment}/captures"),
    "a path that does not exist": get("/v1/charges"),
    "a path with a slash too many": on("/v1/payments/"),
    "a method that the path does not take": lambda s: Ask(method="DELETE", path=f"/v1/payments/{s.sale}"),
    "more than was authorized": on("/v1/payments/{s.authorized}/captures", {"amount": amount("20.01")}),
    "a capture in another currency": on("/v1/payments/{s.authorized}/captures", {"amount": amount("1.00", "USD")}),
    "a capture of a sale": on("/v1/payments/{s.sale}/captures", {"amount": amount("1.00")}),
    "a void after the capture": on("/v1/payments/{s.half_captured}/voids"),
    "a refund of more than was captured": on(
        "/v1/payments/{s.half_captured}/refunds", {"reference": "x", "amount": amount("5.01")}
    ),
    "a refund of an authorization": on(
        "/v1/payments/{s.authorized}/refunds", {"reference": "x", "amount": amount("1.00")}
    ),
    "a refund without a reference": on("/v1/payments/{s.sale}/refunds", {"amount": amount("1.00")}),
    "a refund with a reference used before": on("/v1/payments/{s.sale}/refunds", {"reference": "rma-1"}),
    "a refund of a declined payment": on("/v1/payments/{s.declined}/refunds", {"reference": "x"}),
    "a capture of an expired authorization": on("/v1/payments/{s.expired}/captures"),
    "a capture that is partial and not final, at a PSP that captures once": on(
        "/v1/payments/{s.authorized}/captures", {"amount": amount("5.00")}
    ),
    "a void of a part, at a PSP that voids all or nothing": on(
        "/v1/payments/{s.at_adyen}/voids", {"amount": amount("5.00")}
    ),
    "a second authorization beside a live one": on("/v1/payments/{s.authorized}/authorizations"),
    "an authentication that nobody waits for": on("/v1/payments/{s.sale}/authentications"),
    "a payment under a mandate that does not exist": fields(mandate=new_id("man", 1), instrument=...),
    "a payment under a mandate that was revoked": under("revoked"),
    "a payment under a mandate that is not active yet": under("pending"),
    "a payment of more than its mandate allows": under("active", amount=amount("20.01")),
    "a payment in another currency than its mandate's": under("active", amount=amount("1.00", "USD")),
    "a payment under a mandate with another instrument": lambda s: under("active", instrument=s.others_instrument)(s),
    "a payment with which the payer agrees under a mandate": under("active", save_for={"use": "recurring"}),
    "a mandate for a use that does not exist": fields(save_for={"use": "always"}),
    "a mandate that is revoked without a reason": of_mandate("active", "revoke"),
    "a mandate that does not exist": get(f"/v1/mandates/{new_id('man', 1)}"),
    "a link to update the card of a revoked mandate": of_mandate("revoked", "update-links"),
    "a link to update a card where no vault is": of_mandate("active", "update-links"),
    "a link to update a card that is good for a second": of_mandate("active", "update-links", {"ttl_seconds": 1}),
    "a link to update the card of a payment under no mandate": on("/v1/payments/{s.sale}/update-links"),
    "a link to update a card that does not exist": get(f"/v1/update-links/{new_id('ulk', 1)}"),
    "an increment of what was captured": on("/v1/payments/{s.sale}/increments", {"amount": amount("1.00")}),
    "an increment of what was not made to be raised": on(
        "/v1/payments/{s.authorized}/increments", {"amount": amount("1.00")}
    ),
    "an increment of nothing": on("/v1/payments/{s.authorized}/increments", {"amount": amount("0.00")}),
    "a verification in a currency that does not exist": lambda s: on(
        f"/v1/instruments/{s.good['instrument']}/verifications", {"reference": "v", "currency": "ABC"}
    )(s),
    "a verification of a deleted instrument": on(
        "/v1/instruments/{s.deleted}/verifications", {"reference": "v", "currency": "EUR"}
    ),
    "a limit of 0": get("/v1/payments?limit=0"),
    "a limit of 101": get("/v1/payments?limit=101"),
    "a limit in words": get("/v1/payments?limit=many"),
    "a cursor that was cut": get("/v1/payments?cursor=AAAA"),
    "a cursor of another list": get("/v1/payments?status=captured&cursor={s.cursor}"),
    "a status that does not exist": get("/v1/payments?status=paid"),
    "a moment that is none": get("/v1/payments?created[gte]=yesterday"),
    "a query parameter that does not exist": get("/v1/payments?state=captured"),
    "a query parameter twice": get("/v1/payments?status=captured&status=declined"),
    "an expansion that does not exist": get("/v1/payments/{s.sale}?expand=secrets"),
    "an event type that does not exist": get("/v1/events?types=sale_approved,sale_aproved"),
    "a webhook endpoint for a type that does not exist": on(
        "/v1/webhook-endpoints", {"url": "http://127.0.0.1:9999/", "events": ["sale_*", "refunds_*"]}
    ),
    "an instrument without credentials": instrument(),
    "an instrument at an account that does not exist": instrument("nowhere"),
    "an instrument twice at one account": instrument("stripe", "stripe"),
    "a connector that is not installed": account(connector="nobody"),
    "credentials that lack the key": account(credentials={}),
    "live credentials by a test key": account(mode="live"),
    "live credentials where no key is set to seal them": lambda s: structs.replace(
        account(mode="live")(s), key=s.live_key
    ),
    "a connector account's name that is taken": account(name="stripe"),
    "a base URL that is a metadata service": account(base_url="https://169.254.169.254/"),
    "a base URL with half a bracket": account(base_url="https://[bad"),
    "a notification with a wrong signature": lambda s: Ask(
        path=f"/notifications/{s.account['id']}", raw=b"{}", headers={"Stripe-Signature": "t=1,v1=00"}
    ),
    "a notification for an account that does not exist": on(f"/notifications/{new_id('con', 0)}"),
    "a return nobody waits for": get(f"/return/{new_id('pay', 1)}.0123"),
    "a ledger account that does not exist": get("/v1/ledger/accounts/assets.nothing:EUR/entries"),
}  # fmt: skip


def test_the_document_and_the_tests_name_the_same_requests():
    assert list(TABLE) == list(BAD)


async def counted(world: World) -> dict[str, int]:
    connection = await asyncpg.connect(world.database_url)
    sums = ", ".join(f"(SELECT count(*) FROM {table}) AS {table}" for table in COUNTED)
    row = await connection.fetchrow(f"SELECT {sums}")
    await connection.close()
    return dict(row)


async def sent(world: World, ask: Ask) -> tuple[aiohttp.ClientResponse, bytes]:
    headers = {
        "Authorization": f"Bearer {ask.key or world.key}" if ask.authorization is None else ask.authorization,
        "Idempotency-Key": uuid.uuid4().hex if ask.idempotency is None else ask.idempotency,
        "Content-Type": ask.content_type,
        **ask.headers,
    }
    content = ask.raw if ask.raw is not None else json.dumps(ask.body).encode() if ask.method == "POST" else b""
    async with world.http.request(
        ask.method, world.api_url + ask.path, data=content,
        headers={name: value for name, value in headers.items() if value is not ...},
    ) as answer:  # fmt: skip
        return answer, await answer.read()


@pytest.mark.parametrize("request_", list(BAD))
async def test_a_bad_request_is_refused_and_leaves_no_trace(world: World, scene: Scene, request_: str):
    """A late notification of another test may be counted beside it, but not every time."""
    traces = []
    for _ in range(5):
        before = await counted(world)
        await refused(world, scene, request_)
        after = await counted(world)
        if after == before:
            return
        traces.append({name: after[name] - before[name] for name in after if after[name] != before[name]})
        await asyncio.sleep(0.5)
    raise AssertionError(traces)


async def refused(world: World, scene: Scene, request_: str) -> None:
    answer, content = await sent(world, BAD[request_](scene))
    problem = json.loads(content)
    assert (answer.status, problem["code"], problem.get("param")) == TABLE[request_], problem
    assert answer.content_type == "application/problem+json"
    assert problem["status"] == answer.status
    assert problem["request_id"] == answer.headers["Scrooge-Request-Id"]
    assert CARD not in content.decode()
    assert "4242 4242" not in content.decode()
