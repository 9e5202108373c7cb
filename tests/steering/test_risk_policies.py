"""Risk policies by the API: drafted, activated, rolled back, known to every process; and what they are refused for."""

import json
from typing import Any

import pytest
from msgspec import structs

from scrooge.risk.policy import rules_of
from scrooge.storage import risk
from tests.api.asgi import asked
from tests.steering.conftest import Desk

LISTED = {"name": "no", "type": "list", "of": "ip", "values": ["203.0.113.7"], "does": "block", "mode": "enforce"}


async def ask(desk: Desk, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    sent = [b"" if body is None else json.dumps(body).encode()]
    got = await asked(desk.api, method, f"/v1/risk/{path}", sent)
    return got.status, got.document


async def drafted(desk: Desk, **document: Any) -> dict[str, Any]:
    status, made = await ask(desk, "POST", "policies", {"document": {"name": "first", **document}})
    assert status in (200, 201), made
    return made


async def activated(desk: Desk, one: dict[str, Any], expected: str | None = None) -> tuple[int, dict[str, Any]]:
    return await ask(desk, "POST", f"policies/{one['id']}/activate", {"expect_active": expected})


async def test_a_policy_goes_from_draft_to_active_and_back(desk: Desk):
    one = await drafted(desk)
    assert (one["version"], one["state"]) == (1, "draft")
    assert (await drafted(desk))["id"] == one["id"], "the same document is the same version"
    status, active = await activated(desk, one)
    assert (status, active["state"]) == (200, "active")
    two = await drafted(desk, mode="enforce", rules=[LISTED])
    status, refused = await activated(desk, two)
    assert (status, refused["code"], refused["active"]) == (409, "active_policy_changed", one["id"])
    assert (await activated(desk, two, one["id"]))[0] == 200
    [merchant] = desk.api.s.risk.active.active
    assert desk.api.s.risk.active.policy(*merchant).id == two["id"]
    status, state = await ask(desk, "POST", "rollback", {"to": one["id"], "reason": "too strict"})
    assert (status, state["policy"]["state"]) == (200, "active")
    status, state = await ask(desk, "POST", "rollback", {"to": None, "reason": "nothing for now"})
    assert (status, state["policy"]) == (200, None)
    assert desk.api.s.risk.active.policy(*merchant) is None
    status, found = await ask(desk, "GET", "activations")
    assert [a["kind"] for a in found["data"]] == ["rollback", "rollback", "activation", "activation"]
    status, found = await ask(desk, "GET", "policies")
    assert [p["version"] for p in found["data"]] == [2, 1]


async def test_one_that_was_never_active_is_not_gone_back_to(desk: Desk):
    one = await drafted(desk)
    status, refused = await ask(desk, "POST", "rollback", {"to": one["id"], "reason": "why not"})
    assert (status, refused["param"]) == (422, "to")


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"mode": "off"}, "mode"),
        ({"nothing": 1}, ""),
        ({"rules": [{**LISTED, "values": []}]}, "rules[0] 'no'"),
        ({"service": {"url": "https://risk.example/", "secret": "plain", "fail": "open"}}, "service.secret"),
        ({"service": {"url": "https://risk.example/", "secret": "secret:absent", "fail": "open"}}, "service.secret"),
        ({"service": {"url": "https://169.254.169.254/", "secret": "secret:absent", "fail": "open"}}, "service.url"),
        ({"service": {"url": "https://10.0.0.8/", "secret": "secret:absent", "fail": "open"}}, "service.url"),
        ({"service": {"url": "http://risk.example/", "secret": "secret:absent", "fail": "open"}}, "service.url"),
        ({"service": {"url": "http://127.0.0.1:9/", "secret": "secret:absent", "fail": "open"}}, "service.url"),
    ],
)
async def test_what_does_not_hold_together_is_refused_with_its_place(desk: Desk, document: dict, place: str):
    status, refused = await ask(desk, "POST", "policies", {"document": {"name": "first", **document}})
    assert (status, refused["code"]) == (422, "risk_policy_refused"), refused
    assert refused["findings"][0]["place"] == place, refused


async def test_a_policy_of_another_merchant_is_not_there(desk: Desk):
    status, _ = await ask(desk, "GET", "policies/rsk_01K9YH4V9GYB7T2D4Z8QW3M5N6")
    assert status == 404


async def test_what_this_process_cannot_read_leaves_the_last_known(desk: Desk):
    one = await drafted(desk)
    await activated(desk, one)
    s = desk.api.s
    [merchant] = s.risk.active.active
    two = await drafted(desk, mode="enforce", rules=[LISTED])
    unread = risk.counts_of
    risk.counts_of = lambda policy_id, text: None
    try:
        await activated(desk, two, one["id"])
        assert s.risk.active.policy(*merchant).id == one["id"]
    finally:
        risk.counts_of = unread
    await s.risk.active.read()
    found = s.risk.active.policy(*merchant)
    assert (found.id, found.rules) == (two["id"], rules_of(structs.replace(found.policy), two["id"]))
