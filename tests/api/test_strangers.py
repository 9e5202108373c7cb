"""What belongs to one merchant and mode is not there for another, on any route; and a key opens what its scopes name."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import Struct

from scrooge.api.call import Route
from scrooge.api.routes import ROUTES
from scrooge.postgres.database import connect
from scrooge.storage.access import create_caller, create_key, create_merchant
from tests.world import World

RULE = {"name": "all", "type": "list", "of": "ip", "values": ["198.18.0.1"], "does": "review"}
BODIES: dict[str, dict[str, Any]] = {
    "refunds": {"reference": "x"},
    "increments": {"amount": {"value": "1.00", "currency": "EUR"}},
    "replay": {"from": "2026-01-01T00:00:00Z"},
    "activate": {"expect_active": None},
    "decisions": {"attempt": "att_x", "outcome": "declined", "evidence": "said by phone"},
    "webhook_endpoint": {"url": "https://shop.example/"},
    "account": {"credentials": {"api_key": "sk_test_other"}},
}


class Strangers(Struct):
    ids: dict[str, str]
    keys: dict[str, str]  # another merchant's; the same merchant's of the other mode; one that opens nothing here


@pytest.fixture(scope="module")
async def strangers(world: World) -> AsyncIterator[Strangers]:
    _, declined = await world.pay("stripe", token="pm_card_visa_chargeDeclined")
    policy = {"name": f"p-{uuid.uuid4().hex[:8]}", "accounts": {"stripe": {}, "adyen": {}}}
    made = {
        "policy": ("/v1/routing/policies", {"document": policy}),
        "risk_policy": ("/v1/risk/policies", {"document": {"name": "watching", "rules": [RULE]}}),
        "switch": ("/v1/routing/switches", {"connector_account": "stripe", "state": "drain", "reason": "tests",
                                            "when": {"currency": ["ISK"]}, "expires_in_seconds": 60}),
        "batch": ("/v1/batches", {"name": f"b-{uuid.uuid4().hex[:8]}"}),
        "webhook_endpoint": ("/v1/webhook-endpoints", {"url": "https://shop.example/hooks", "events": ["*"]}),
    }  # fmt: skip
    ids = {"payment": declined["id"], "instrument": await world.instrument(stripe="pm_card_visa"),
           "account": world.accounts["stripe"]["id"]}  # fmt: skip
    for name, (path, body) in made.items():
        status, answer = await world.post(path, body)
        assert status in {200, 201}, f"{path} {answer}"
        ids[name] = answer["id"]
    db = await connect(world.database_url, size=2)
    merchant = await create_merchant(db, "tests")
    caller = await create_caller(db, merchant, "strangers")
    keys = {"another merchant": world.other_key, "the other mode": (await create_key(db, caller, ["*"], True))[1]}
    keys["no scope"] = (await create_key(db, caller, ["ledger:read"], False))[1]
    await db.close()
    yield Strangers(ids, keys)
    async with world.http.delete(f"{world.api_url}/v1/routing/switches/{ids['switch']}", headers=world.headers()) as a:
        assert a.status == 200


def names_of(route: Route) -> list[str]:
    return [part[1:-1] for part in route.path.split("/") if part.startswith("{")]


def body_of(route: Route) -> dict[str, Any]:
    last = route.path.rpartition("/")[2].strip("{}")
    return BODIES.get(last, {})


async def answered(world: World, route: Route, path: str, key: str) -> tuple[int, str]:
    body = {"json": body_of(route)} if route.body is not None else {}
    async with world.http.request(route.method, world.api_url + path, headers=world.headers(key), **body) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("whose", ["another merchant", "the other mode"])
async def test_what_is_not_yours_is_not_there(world: World, strangers: Strangers, whose: str):
    found = []
    for route in ROUTES:
        names = names_of(route)
        if not names or route.scope is None or not set(names) <= strangers.ids.keys():
            continue
        status, text = await answered(world, route, route.path.format(**strangers.ids), strangers.keys[whose])
        unread = status == 422 and '"missing_field"' in text  # A body that BODIES does not know: nothing was looked up.
        if status != 404 and not unread:
            found.append((route.method, route.path, status, text[:200]))
    assert not found


async def test_a_key_opens_what_its_scopes_name(world: World, strangers: Strangers):
    found = []
    for route in ROUTES:
        if route.scope in {None, "ledger:read"} or not set(names_of(route)) <= strangers.ids.keys():
            continue
        status, text = await answered(world, route, route.path.format(**strangers.ids), strangers.keys["no scope"])
        if status != 403:
            found.append((route.method, route.path, route.scope, status, text[:200]))
    assert not found


async def test_lists_show_nobody_elses(world: World, strangers: Strangers):
    for route in ROUTES:
        if route.method == "GET" and route.scope is not None and not names_of(route):
            _, text = await answered(world, route, route.path, strangers.keys["another merchant"])
            assert not [one for one in strangers.ids.values() if one in text], route.path
