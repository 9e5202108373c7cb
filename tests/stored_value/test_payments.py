"""Payments from stored value, end to end: held, captured, released, refunded; once each, and never more than there is."""

import asyncio
from collections import Counter

import asyncpg
import pytest

from scrooge.ids import hex_of
from tests.stored_value.conftest import Wallets, amount
from tests.world import World


async def test_a_sale_takes_from_the_account_and_no_psp_hears_of_it(world: World, wallets: Wallets):
    account = await wallets.open("20.00")
    status, p = await wallets.pay(account, "12.99")
    assert (status, p["status"]) == (201, "captured"), p
    assert await wallets.balance(account) == ("7.01", "0.00")
    assert not [t for t in await world.truth() if t["reference"].startswith(p["id"])]
    [sale, load] = await wallets.statement(account)
    assert (sale["kind"], sale["amount"]["value"], sale["payment"], sale["number"]) == ("sale", "12.99", p["id"], 2)
    assert (load["kind"], load["available"]["value"]) == ("load", "20.00")


async def test_what_is_held_is_captured_in_parts_released_and_refunded(world: World, wallets: Wallets):
    account = await wallets.open("20.00")
    _, p = await wallets.pay(account, "15.00", capture="manual")
    assert (p["status"], await wallets.balance(account)) == ("authorized", ("5.00", "15.00"))
    path = f"/v1/payments/{p['id']}"
    assert (await world.post(f"{path}/captures", {"reference": "one", "amount": amount("4.00")}))[0] == 201
    assert (await world.post(f"{path}/captures", {"reference": "two", "amount": amount("5.00")}))[0] == 201
    assert await wallets.balance(account) == ("5.00", "6.00")
    assert (await world.post(f"{path}/voids", {"amount": amount("2.00")}))[0] == 201
    assert await wallets.balance(account) == ("7.00", "4.00")
    status, refund = await world.post(f"{path}/refunds", {"reference": "back", "amount": amount("9.00")})
    assert (status, refund["status"]) == (201, "succeeded")
    assert await wallets.balance(account) == ("16.00", "4.00")
    assert [m["kind"] for m in await wallets.statement(account)] == [
        "refund", "release", "capture", "capture", "hold", "load",
    ]  # fmt: skip


async def test_a_final_capture_releases_the_rest(world: World, wallets: Wallets):
    account = await wallets.open("20.00")
    _, p = await wallets.pay(account, "15.00", capture="manual")
    body = {"reference": "all", "amount": amount("4.00"), "final": True}
    status, capture = await world.post(f"/v1/payments/{p['id']}/captures", body)
    assert status == 201, capture
    assert await wallets.balance(account) == ("16.00", "0.00")
    assert [m["kind"] for m in await wallets.statement(account)] == ["release", "capture", "hold", "load"]


async def test_too_little_is_a_decline_and_moves_nothing(wallets: Wallets):
    account = await wallets.open("5.00")
    status, p = await wallets.pay(account, "5.01")
    assert (status, p["status"]) == (201, "declined")
    assert p["decline"]["category"] == "insufficient_funds"
    assert await wallets.balance(account) == ("5.00", "0.00")
    assert [m["kind"] for m in await wallets.statement(account)] == ["load"]


async def test_five_hundred_at_once_never_take_more_than_there_is(wallets: Wallets, sql: asyncpg.Connection):
    account = await wallets.open("100.00")
    answers = await asyncio.gather(*(wallets.pay(account, "0.70", capture="manual") for _ in range(500)))
    found = Counter((status, p["status"]) for status, p in answers)
    assert found == {(201, "authorized"): 142, (201, "declined"): 358}
    assert await wallets.balance(account) == ("0.60", "99.40")
    lows = "SELECT min(available_minor), max(held_minor), count(*) FILTER (WHERE declined IS NULL) FROM stored_value_moves WHERE account_id = $1"
    assert tuple(await sql.fetchrow(lows, hex_of(account["id"]))) == (60, 9940, 143)


async def test_the_moves_alone_are_in_the_books(world: World, wallets: Wallets, sql: asyncpg.Connection):
    account = await wallets.open("20.00")
    _, p = await wallets.pay(account, "12.00")
    body = {"reference": "back", "amount": amount("2.00")}
    assert (await world.post(f"/v1/payments/{p['id']}/refunds", body))[0] == 201
    _, full = await world.get(f"/v1/payments/{p['id']}?expand=journals")
    assert full["journals"] == []
    rows = await sql.fetch(
        "SELECT account, sum(p.minor)::int AS minor FROM postings p JOIN stored_value_moves m ON m.id = p.payment_id"
        " WHERE m.account_id = $1 GROUP BY 1",
        hex_of(account["id"]),
    )
    assert {r["account"]: r["minor"] for r in rows} == {
        "liabilities.stored_value": -1000, "liabilities.order_clearing.checkout": 1000,
    }  # fmt: skip


async def test_the_same_request_twice_moves_once(wallets: Wallets):
    account = await wallets.open("20.00")
    body = {"reference": "order-twice-stored", "idempotency": "twice-stored"}
    first, second = [await wallets.pay(account, "8.00", **body) for _ in range(2)]
    assert first[1]["id"] == second[1]["id"]
    assert await wallets.balance(account) == ("12.00", "0.00")


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"value": "500", "currency": "JPY"}, "currency_mismatch", "amount.currency"),
        ({"initiator": "merchant", "retry_until": "2026-12-20T10:00:00Z"}, "retries_refused", "retry_until"),
        ({"save_for": {"use": "recurring"}}, "unsupported_operation", "save_for"),
        ({"connector_account": "stripe"}, "no_route", None),
    ],
)
async def test_what_only_a_card_can_do_is_refused(wallets: Wallets, change: dict, code: str, param: str | None):
    account = await wallets.open("20.00")
    status, problem = await wallets.pay(account, change.pop("value", "8.00"), **change)
    if code == "no_route":
        assert (status, problem["status"], problem["failure"]["code"]) == (201, "failed", code)
    else:
        assert (problem["code"], problem.get("param")) == (code, param), problem
    assert await wallets.balance(account) == ("20.00", "0.00")


async def test_a_card_never_goes_to_the_account_of_stored_value(world: World, wallets: Wallets):
    await wallets.open("20.00")
    status, p = await world.pay("stripe")
    assert (status, p["status"]) == (201, "captured")
