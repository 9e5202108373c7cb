"""What operators decide, over the API: two keys, evidence, the same door as all news; and breaks, seen and closed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import asyncpg
import pytest
from tests.flows.test_payments import amount
from tests.world import World

from scrooge.ids import hex_of, new_id
from scrooge.postgres.database import connect
from scrooge.storage.access import create_caller, create_key, create_merchant

EVIDENCE = "Customer Area, case 1123"


class Keys(NamedTuple):
    one: str
    other: str
    reads: str
    live: str
    stranger: str


@pytest.fixture(scope="module")
async def keys(world: World) -> AsyncIterator[Keys]:
    """Two operators, one who may only read, and who has no business here; nobody asks the PSPs meanwhile."""
    world.processes["worker"].terminate()
    world.processes["worker"].wait(20)
    db = await connect(world.database_url, size=2)
    mine = await create_caller(db, await create_merchant(db, "tests"), "checkout")
    both = ["operations:read", "operations:write"]
    strange = await create_caller(db, await create_merchant(db, "strangers"), "strangers")
    yield Keys(
        (await create_key(db, mine, both, False))[1],
        (await create_key(db, mine, both, False))[1],
        (await create_key(db, mine, ["operations:read"], False))[1],
        (await create_key(db, mine, ["*"], True))[1],
        (await create_key(db, strange, ["*"], False))[1],
    )
    await db.close()
    world.start("worker")


async def rows(world: World, query: str, *args: Any) -> list[Any]:
    owner = await asyncpg.connect(world.database_url)
    try:
        return await owner.fetch(query, *args)
    finally:
        await owner.close()


async def lost(world: World, psp: str = "stripe", **more: Any) -> dict[str, Any]:
    """A payment whose answer was lost, as the API shows it."""
    await world.instrument(**{psp: {"stripe": "pm_card_visa", "adyen": "stored_visa"}[psp]})
    await world.fault("charge_then_drop", connector=psp)
    try:
        status, p = await world.pay(psp, **more)
    finally:
        await world.no_faults()
    assert (status, p["outcome_certainty"]) == (202, "unknown")
    return p


async def proposed(world: World, key: str, p: dict[str, Any], outcome: str = "approved", **more: Any) -> Any:
    body = {"attempt": p["latest_attempt"], "outcome": outcome, "evidence": EVIDENCE, **more}
    if outcome == "approved":
        body.setdefault("psp_reference", "pi_told_by_support")
    return await world.post(f"/v1/payments/{p['id']}/decisions", body, key=key)


async def approved(world: World, key: str, decision: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return await world.post(f"/v1/decisions/{decision['id']}/approve", {}, key=key)


async def read(world: World, p: dict[str, Any]) -> dict[str, Any]:
    return (await world.get(f"/v1/payments/{p['id']}?expand=attempts,journals"))[1]


@pytest.mark.parametrize(
    ("outcome", "status", "journals"),
    [
        ("approved", "captured", 1),
        ("declined", "declined", 0),
        ("not_processed", "failed", 0),
        ("reversed", "voided", 0),
    ],
)
async def test_what_two_keys_say_comes_true_with_books_and_a_trail(
    world: World, keys: Keys, outcome: str, status: str, journals: int
):
    p = await lost(world)
    made, d = await proposed(world, keys.one, p, outcome)
    assert (made, d["state"], d["payment"], d["evidence"]) == (201, "proposed", p["id"], EVIDENCE)
    assert (await read(world, p))["outcome_certainty"] == "unknown", "one key changes nothing"
    code, applied = await approved(world, keys.other, d)
    assert (code, applied["state"]) == (200, "applied")
    assert applied["decided_by"] not in {None, applied["proposed_by"]}
    after = await read(world, p)
    assert (after["status"], after["outcome_certainty"]) == (status, "certain")
    assert len(after["journals"]) == journals
    trail = await rows(world, "SELECT actor, action FROM audit WHERE object = $1 ORDER BY created_at", d["id"])
    assert [tuple(line) for line in trail] == [
        (f"key:{d['proposed_by']}", "decision_proposed"), (f"key:{applied['decided_by']}", "decision_applied"),
    ]  # fmt: skip
    told = [e["type"] for e in (await events(world)) if e["payment"] == p["id"]]
    assert told == ["sale_unknown", f"sale_{after['attempts'][0]['status']}"]
    assert (await approved(world, keys.other, d)) == (200, applied), "said twice, done once"


async def events(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        _, page = await world.get(f"/v1/events?limit=100{after}")
        found += page["data"]
        if not page["has_more"]:
            return found
        after = f"&after={page['next_cursor']}"


async def test_a_capture_whose_notification_was_lost_is_ended_by_two_keys(world: World, keys: Keys):
    """Adyen cannot be asked about it, so it would be pending for ever."""
    _, p = await world.pay("adyen", capture="manual")
    _, capture = await world.post(f"/v1/payments/{p['id']}/captures", {})
    assert capture["status"] == "pending"
    wanted = {**p, "latest_attempt": capture["attempt"]}
    status, refused = await proposed(world, keys.one, wanted, psp_reference="another")
    assert (status, refused["code"], refused["param"]) == (422, "invalid_field", "psp_reference")
    _, d = await proposed(world, keys.one, wanted, psp_reference=capture["psp_reference"])
    assert (await approved(world, keys.other, d))[0] == 200
    after = await read(world, p)
    assert (after["status"], after["amount_captured"]) == ("captured", amount("12.99"))


async def test_what_was_approved_for_less_counts_as_that(world: World, keys: Keys):
    p = await lost(world, capture="manual")
    _, d = await proposed(world, keys.one, p, amount=amount("10.00"))
    assert d["amount"] == amount("10.00")
    status, applied = await approved(world, keys.other, d)
    assert (status, applied["amount"]) == (200, amount("10.00"))
    after = await read(world, p)
    assert (after["status"], after["amount_authorized"], after["amount"]) == (
        "authorized", amount("10.00"), amount("12.99"),
    )  # fmt: skip
    _, told = await world.events(p["id"], "authorize_unknown", "authorize_approved")
    assert told["data"]["amount"] == amount("10.00")
    status, refused = await world.post(f"/v1/payments/{p['id']}/captures", {"amount": amount("10.01")})
    assert (status, refused["code"]) == (409, "amount_exceeds_room")


@pytest.mark.parametrize(
    ("outcome", "value", "currency", "param"),
    [
        ("approved", "13.00", "EUR", "amount.value"),
        ("approved", "0.00", "EUR", "amount.value"),
        ("approved", "10.00", "USD", "amount.currency"),
        ("declined", "10.00", "EUR", "amount"),
    ],
)
async def test_an_amount_that_cannot_have_been_approved_is_refused(
    world: World, keys: Keys, outcome: str, value: str, currency: str, param: str
):
    p = await lost(world)
    status, refused = await proposed(world, keys.one, p, outcome, amount={"value": value, "currency": currency})
    assert (status, refused["param"]) == (422, param), refused


async def test_whoever_proposed_cannot_approve_nor_can_a_key_without_the_scope(world: World, keys: Keys):
    p = await lost(world)
    status, refused = await proposed(world, keys.reads, p)
    assert (status, refused["code"]) == (403, "scope_missing")
    _, d = await proposed(world, keys.one, p)
    for key, expected in ((keys.one, "second_approver_required"), (keys.reads, "scope_missing")):
        status, refused = await approved(world, key, d)
        assert (status, refused["code"]) == (403, expected)
    assert (await world.get(f"/v1/decisions/{d['id']}", key=keys.reads))[1]["state"] == "proposed"
    assert (await read(world, p))["outcome_certainty"] == "unknown"


async def test_strangers_and_the_other_mode_find_nothing(world: World, keys: Keys):
    p = await lost(world)
    _, d = await proposed(world, keys.one, p)
    for key in (keys.stranger, keys.live):
        assert (await proposed(world, key, p))[0] == 404
        assert (await approved(world, key, d))[0] == 404
        assert (await world.post(f"/v1/decisions/{d['id']}/reject", {}, key=key))[0] == 404
        assert (await world.get(f"/v1/decisions/{d['id']}", key=key))[0] == 404
        assert d["id"] not in [x["id"] for x in (await world.get("/v1/decisions?limit=100", key=key))[1]["data"]]
    assert d["id"] in [x["id"] for x in (await world.get("/v1/decisions?limit=100", key=keys.reads))[1]["data"]]


async def test_only_what_is_in_doubt_is_decided_and_once_at_a_time(world: World, keys: Keys):
    _, sure = await world.pay()
    status, refused = await proposed(world, keys.one, sure, "declined")
    assert (status, refused["code"]) == (409, "attempt_not_in_doubt")
    p = await lost(world)
    status, refused = await proposed(world, keys.one, {**p, "latest_attempt": sure["latest_attempt"]})
    assert (status, refused["code"]) == (404, "not_found")
    status, refused = await proposed(world, keys.one, p, psp_reference=None)
    assert (status, refused["code"], refused["param"]) == (422, "missing_field", "psp_reference")
    answers = await asyncio.gather(*(proposed(world, key, p, "declined") for key in (keys.one, keys.other) * 4))
    assert sorted(a.get("code", "made") for _, a in answers) == ["decision_open"] * 7 + ["made"]


async def test_what_was_resolved_meanwhile_is_not_decided_over(world: World, keys: Keys):
    p = await lost(world)
    _, d = await proposed(world, keys.one, p, "not_processed")
    status, found = await world.post(f"/v1/payments/{p['id']}/sync", {})
    assert (status, found["status"]) == (200, "captured")
    status, refused = await approved(world, keys.other, d)
    assert (status, refused["code"]) == (409, "attempt_not_in_doubt")


async def test_while_the_psp_is_asked_nothing_is_decided(world: World, keys: Keys):
    p = await lost(world)
    _, d = await proposed(world, keys.one, p, "not_processed")
    lease = "UPDATE attempts SET leased_until = now() + interval '{}' WHERE payment_id = $1"
    await rows(world, lease.format("1 hour"), hex_of(p["id"]))
    status, refused = await approved(world, keys.other, d)
    assert (status, refused["code"]) == (409, "attempt_busy")
    await rows(world, lease.format("-1 second"), hex_of(p["id"]))
    assert (await approved(world, keys.other, d))[0] == 200


async def test_proposals_expire_and_can_be_dropped_by_either(world: World, keys: Keys):
    p = await lost(world)
    _, old = await proposed(world, keys.one, p)
    await rows(world, "UPDATE decisions SET expires_at = now() WHERE id = $1", hex_of(old["id"]))
    status, refused = await approved(world, keys.other, old)
    assert (status, refused["code"]) == (409, "decision_closed")
    for key in (keys.one, keys.other):
        status, d = await proposed(world, keys.one, p)
        assert status == 201
        status, dropped = await world.post(f"/v1/decisions/{d['id']}/reject", {"note": "wrong one"}, key=key)
        assert (status, dropped["state"], dropped["note"]) == (200, "rejected", "wrong one")
        status, refused = await approved(world, keys.other, d)
        assert (status, refused["code"]) == (409, "decision_closed")
    _, listed = await world.get(f"/v1/payments/{p['id']}/decisions", key=keys.reads)
    assert [d["state"] for d in listed["data"]] == ["rejected", "rejected", "expired"]
    _, found = await world.get("/v1/decisions?state=expired&limit=100", key=keys.reads)
    assert old["id"] in [d["id"] for d in found["data"]]
    assert {d["state"] for d in found["data"]} == {"expired"}


async def test_of_many_who_approve_at_once_one_does(world: World, keys: Keys):
    p = await lost(world)
    _, d = await proposed(world, keys.one, p)
    answers = await asyncio.gather(*(approved(world, k, d) for k in (keys.other, world.key, keys.one) * 4))
    [winner] = {a["decided_by"] for status, a in answers if status == 200}
    assert winner != d["proposed_by"]
    assert {a["code"] for status, a in answers if status != 200} == {"decision_closed", "second_approver_required"}
    assert len((await read(world, p))["journals"]) == 1
    trail = await rows(world, "SELECT 1 FROM audit WHERE object = $1 AND action = 'decision_applied'", d["id"])
    assert len(trail) == 1


# --- breaks ---------------------------------------------------------------------------------


async def opened(world: World, p: dict[str, Any], kind: str, n: int) -> list[str]:
    ids = []
    for _ in range(n):
        break_id = new_id("brk", 0)
        ids.append(break_id)
        await rows(
            world,
            "INSERT INTO breaks (bucket, id, kind, merchant_id, payment_id, connector_account_id, detail, natural_key)"
            " SELECT 0, $1, $2, merchant_id, id, $4, '{\"why\": \"a test\"}', $1::uuid::text FROM payments WHERE id = $3",
            hex_of(break_id), kind, hex_of(p["id"]), hex_of(world.accounts["stripe"]["id"]),
        )  # fmt: skip
    return sorted(ids, reverse=True)


async def test_breaks_are_listed_page_by_page_read_and_closed_once(world: World, keys: Keys):
    _, p = await world.pay()
    mine = await opened(world, p, "a_test", 5)
    seen, cursor = [], ""
    while True:
        _, page = await world.get(f"/v1/breaks?open=true&kind=a_test&limit=2{cursor}", key=keys.reads)
        seen += [b["id"] for b in page["data"]]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == mine
    _, found = await world.get(f"/v1/breaks/{mine[0]}", key=keys.reads)
    assert (found["payment"], found["detail"], found["closed_at"]) == (p["id"], {"why": "a test"}, None)
    path = f"/v1/breaks/{mine[0]}/close"
    status, refused = await world.post(path, {"note": "seen"}, key=keys.reads)
    assert (status, refused["code"]) == (403, "scope_missing")
    answers = await asyncio.gather(*(world.post(path, {"note": "seen"}, key=keys.one) for _ in range(6)))
    assert sorted(a.get("code", a.get("note")) for _, a in answers) == ["break_closed"] * 5 + ["seen"]
    assert len(await rows(world, "SELECT 1 FROM audit WHERE object = $1 AND action = 'break_closed'", mine[0])) == 1
    for still_open, expected in (("true", mine[1:]), ("false", mine[:1])):
        _, page = await world.get(f"/v1/breaks?open={still_open}&kind=a_test", key=keys.reads)
        assert [b["id"] for b in page["data"]] == expected


async def test_breaks_are_their_merchants_alone(world: World, keys: Keys):
    _, p = await world.pay()
    [mine] = await opened(world, p, "anothers_test", 1)
    for key in (keys.stranger, keys.live):
        assert (await world.get(f"/v1/breaks/{mine}", key=key))[0] == 404
        assert (await world.post(f"/v1/breaks/{mine}/close", {"note": "x"}, key=key))[0] == 404
        assert (await world.get("/v1/breaks?kind=anothers_test", key=key))[1]["data"] == []


async def test_a_break_about_no_connector_account_is_of_its_mode_alone(world: World, keys: Keys):
    _, p = await world.pay()
    [mine] = await opened(world, p, "an_endpoints_test", 1)
    query = "UPDATE breaks SET connector_account_id = NULL, livemode = false WHERE id = $1"
    await rows(world, query, hex_of(mine))
    path = f"/v1/breaks/{mine}"
    assert (await world.post(f"{path}/close", {"note": "x"}, key=keys.live))[0] == 404
    assert (await world.get("/v1/breaks?kind=an_endpoints_test", key=keys.live))[1]["data"] == []
    assert (await world.get(path, key=keys.reads))[1]["closed_at"] is None
    assert (await world.post(f"{path}/close", {"note": "x"}, key=keys.one))[0] == 200


async def test_a_decision_that_names_another_payment_than_the_psp_does_meanwhile_is_refused(world: World, keys: Keys):
    """Captures and refunds would go to that other one, and the PSP's own news would count as a second success."""
    p = await lost(world)
    _, decision = await proposed(world, keys.one, p, psp_reference="pi_told_by_support")
    where = hex_of(p["id"])
    await rows(world, "UPDATE attempts SET psp_reference = 'pi_named_by_stripe' WHERE payment_id = $1", where)
    status, refused = await approved(world, keys.other, decision)
    assert (status, refused["code"]) == (409, "contradictory_outcome"), refused
    [row] = await rows(world, "SELECT state, psp_reference FROM attempts WHERE payment_id = $1", where)
    assert (row["state"], row["psp_reference"]) == ("unknown", "pi_named_by_stripe")
    await rows(world, "UPDATE attempts SET psp_reference = NULL WHERE payment_id = $1", where)
