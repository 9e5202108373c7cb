"""Policies by the API: nothing that does not hold together counts, every version stays, and one history says which."""

import asyncio

import asyncpg
import pytest

from scrooge.ids import hex_of
from tests.steering.conftest import ACCOUNTS, Desk, key_of

NOBODY = "pol_01K9YH4V9GYB7T2D4Z8QW3M5N6"


async def test_a_draft_counts_when_it_is_activated_and_not_before(desk: Desk):
    made = await desk.drafted("stripe_eu", "adyen_eu")
    assert (made["version"], made["state"], made["activated_at"]) == (1, "draft", None)
    assert (await desk.explained())["policy"] is None
    active = await desk.activated(made)
    assert active["state"] == "active"
    found = await desk.explained()
    assert sorted(found["accounts"]) == ["adyen_eu", "stripe_eu"]
    assert found["excluded"] == {"stripe_us": "the policy does not name it"}
    assert found["policy"].startswith("first@")


async def test_the_same_document_is_the_same_version_however_often_it_is_sent(desk: Desk):
    first = await desk.drafted("stripe_eu")
    assert await desk.drafted("stripe_eu") == first
    assert (await desk.drafted("adyen_eu"))["version"] == 2


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"name": "p", "accounts": {"nobody": {}}}, "accounts.nobody"),
        ({"name": "p", "accounts": {}}, "accounts"),
        ({"name": "p", "accounts": {"stripe_eu": {}}, "rulez": []}, ""),
        ({"name": "p", "merchant": "another", "accounts": {"stripe_eu": {}}}, "merchant"),
        ({"name": "p", "caller": "nobody", "accounts": {"stripe_eu": {}}}, "caller"),
        (
            {"name": "p", "accounts": {"stripe_eu": {}, "adyen_eu": {}},
             "rules": [{"name": "r", "split": {"stripe_eu": "60", "adyen_eu": "30"}}]},
            "rules[0].split",
        ),
    ],
)  # fmt: skip
async def test_what_does_not_hold_together_is_refused_with_its_place(desk: Desk, document: dict, place: str):
    status, problem = await desk.ask("POST", "policies", {"document": document})
    assert (status, problem["code"]) == (422, "policy_refused")
    assert problem["findings"][0]["place"] == place
    assert (await desk.ask("GET", "policies"))[1]["data"] == []


async def test_a_policy_that_leaves_a_payment_without_a_route_is_refused_with_that_payment(desk: Desk):
    document = {"name": "p", "accounts": {"stripe_eu": {"takes": [{"currency": ["EUR"]}]}}}
    _, problem = await desk.ask("POST", "policies", {"document": document})
    shown = problem["findings"][0]["payment"]
    assert shown["amount"]["currency"] != "EUR"
    assert "no account may take this payment" in problem["detail"]


async def test_of_two_who_activate_at_once_one_hears_that_the_other_did(desk: Desk):
    one, two = await desk.drafted("stripe_eu"), await desk.drafted("adyen_eu")
    body = {"expect_active": None}
    paths = [f"policies/{p['id']}/activate" for p in (one, two)]
    answers = await asyncio.gather(*(desk.ask("POST", path, body) for path in paths))
    assert sorted(status for status, _ in answers) == [200, 409]
    lost = next(problem for status, problem in answers if status == 409)
    assert lost["code"] == "active_policy_changed"
    assert lost["active"] in {one["id"], two["id"]}
    _, history = await desk.ask("GET", "activations")
    assert [a["number"] for a in history["data"]] == [1]


async def test_an_activation_said_twice_is_one(desk: Desk):
    first = await desk.activated(await desk.drafted("stripe_eu"))
    assert await desk.activated(first) == first
    assert len((await desk.ask("GET", "activations"))[1]["data"]) == 1


async def test_a_rollback_goes_to_what_was_active_before_and_says_who_and_why(desk: Desk):
    one = await desk.activated(await desk.drafted("stripe_eu"))
    two = await desk.activated(await desk.drafted("adyen_eu"), one["id"])
    status, state = await desk.ask("POST", "rollback", {"to": one["id"], "reason": "approvals fell"})
    assert (status, state["policy"]["id"], state["policy"]["state"]) == (200, one["id"], "active")
    assert (await desk.explained())["accounts"] == ["stripe_eu"]
    latest = (await desk.ask("GET", "activations"))[1]["data"][0]
    assert (latest["kind"], latest["reason"]) == ("rollback", "approvals fell")
    assert (latest["policy"], latest["previous"]) == (one["id"], two["id"])
    assert latest["author"].startswith("key:key_")
    three = await desk.drafted("stripe_us")
    status, problem = await desk.ask("POST", "rollback", {"to": three["id"], "reason": "x"})
    assert (status, problem["param"]) == (422, "to")


async def test_a_rollback_to_nothing_routes_as_if_there_had_been_no_policy(desk: Desk):
    await desk.activated(await desk.drafted("stripe_eu"))
    status, state = await desk.ask("POST", "rollback", {"to": None, "reason": "all of it is wrong"})
    assert (status, state["policy"]) == (200, None)
    assert (await desk.explained())["policy"] is None


async def test_a_diff_shows_what_changes_and_which_payments_move(desk: Desk):
    one = await desk.activated(await desk.drafted())
    rule = {"name": "visa", "when": {"brand": ["visa"]}, "use": ["adyen_eu"]}
    two = await desk.drafted(rules=[rule])
    status, found = await desk.ask("GET", f"policies/{two['id']}/diff")
    assert (status, found["base"]) == (200, one["id"])
    assert [c["place"] for c in found["changes"]] == ["rules.order", "rules.visa"]
    assert [(m["payment"]["brand"], m["way_before"], m["way_after"]) for m in found["moved"]] == [
        ("visa", "scored", "listed")
    ]
    assert found["moved"][0]["accounts_after"] == ["adyen_eu"]
    assert (await desk.ask("GET", f"policies/{two['id']}/diff?base={NOBODY}"))[0] == 404


async def test_another_merchants_policies_are_not_there(desk: Desk):
    made = await desk.drafted("stripe_eu")
    stranger = Desk(desk.api, await key_of(desk, "stranger", "checkout", ["*"]))
    assert (await stranger.ask("GET", f"policies/{made['id']}"))[0] == 404
    assert (await stranger.ask("GET", "policies"))[1]["data"] == []
    assert (await stranger.ask("POST", f"policies/{made['id']}/activate", {"expect_active": None}))[0] == 404


async def test_who_may_only_look_changes_nothing(desk: Desk):
    looker = Desk(desk.api, await key_of(desk, "asgi", "looker", ["routing:read"]))
    assert (await looker.ask("GET", "policies"))[0] == 200
    assert (await looker.explained())["policy"] is None
    document = {"name": "p", "accounts": {"stripe_eu": {}}}
    assert (await looker.ask("POST", "policies", {"document": document}))[0] == 403
    assert (await looker.ask("POST", "rollback", {"to": None, "reason": "x"}))[0] == 403


async def test_a_callers_policy_is_within_the_merchants_and_for_its_payments_only(desk: Desk):
    shop = Desk(desk.api, await key_of(desk, "asgi", "shop", ["*"]))
    everybodys = await desk.activated(await desk.drafted("stripe_eu", "adyen_eu"))
    await desk.activated(await desk.drafted("adyen_eu", "stripe_us", name="shop's", caller="shop"))
    assert (await shop.explained())["accounts"] == ["adyen_eu"]
    assert sorted((await desk.explained())["accounts"]) == ["adyen_eu", "stripe_eu"]
    status, problem = await desk.ask(
        "POST", f"policies/{(await desk.drafted('stripe_eu'))['id']}/activate", {"expect_active": everybodys["id"]}
    )
    assert (status, problem["code"]) == (422, "policy_refused"), "the shop's payments would have no account left"
    assert "within" in problem["findings"][0]["problem"]


async def test_what_a_caller_made_of_its_own_does_not_keep_a_merchant_from_going_back(desk: Desk):
    shop = Desk(desk.api, await key_of(desk, "asgi", "shop", ["*"]))
    narrow = await desk.activated(await desk.drafted("stripe_eu"))
    wide = await desk.activated(await desk.drafted("stripe_eu", "adyen_eu"), narrow["id"])
    await desk.activated(await desk.drafted("adyen_eu", name="shop's", caller="shop"))
    path = f"policies/{narrow['id']}/activate"
    assert (await desk.ask("POST", path, {"expect_active": wide["id"]}))[0] == 422
    assert (await desk.ask("POST", "rollback", {"to": narrow["id"], "reason": "at once"}))[0] == 200
    found = await shop.explained()
    assert found["accounts"] == []
    assert found["excluded"]["adyen_eu"] == "the merchant's policy does not name it"


async def test_what_did_not_change_is_not_made_anew(desk: Desk):
    await desk.activated(await desk.drafted("stripe_eu"))
    routing = desk.api.s.routing
    before = dict(routing.compiled)
    await desk.activated(await desk.drafted("stripe_eu", name="checkout's", caller="checkout"))
    assert all(routing.compiled[scope] is policy for scope, policy in before.items())
    assert len(routing.compiled) == 2


async def test_no_version_and_no_line_of_the_history_can_be_changed(desk: Desk, fresh_database_url: str):
    made = await desk.activated(await desk.drafted("stripe_eu"))
    connection = await asyncpg.connect(fresh_database_url)
    try:
        for table in ("routing_policies", "routing_activations"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await connection.execute(f"UPDATE {table} SET author = 'somebody'")
        rows = await connection.fetch("SELECT action, object FROM audit WHERE action LIKE 'routing_%' ORDER BY id")
        assert [r["action"] for r in rows] == ["routing_policy_drafted", "routing_policy_activation"]
        assert {r["object"] for r in rows} == {made["id"]}
        assert hex_of(made["id"])
    finally:
        await connection.close()


async def test_a_page_of_versions_goes_on_where_the_last_one_ended(desk: Desk):
    made = [(await desk.drafted(name))["id"] for name in ACCOUNTS]
    _, first = await desk.ask("GET", "policies?limit=2")
    _, rest = await desk.ask("GET", f"policies?limit=2&cursor={first['next_cursor']}")
    assert [p["id"] for p in first["data"] + rest["data"]] == made[::-1]
    assert not rest["has_more"]
