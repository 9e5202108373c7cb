"""What happens to accounts beside payments: loads, adjustments, codes, expiry, closing; each once, whoever repeats it."""

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest

from scrooge.ids import hex_of
from scrooge.postgres.database import connect
from scrooge.storage.access import create_caller, create_key, create_merchant
from tests.stored_value.conftest import Wallets, amount
from tests.world import World


async def second_key(world: World, *scopes: str) -> str:
    db = await connect(world.database_url, size=1)
    merchant = await create_merchant(db, "tests")
    key = (await create_key(db, await create_caller(db, merchant, "checkout"), list(scopes) or ["*"], False))[1]
    await db.close()
    return key


async def codes(world: World, value: str = "10.00", count: int = 1, **more: Any) -> dict[str, Any]:
    body = {"reference": f"sold-{uuid.uuid4().hex}", "amount": amount(value), "count": count, **more}
    status, made = await world.post("/v1/stored-value-codes", body)
    assert status == 201, made
    return made


async def redeem(world: World, account: dict[str, Any], code: str, **more: Any) -> tuple[int, dict[str, Any]]:
    body = {"code": code, "reference": more.pop("reference", f"code-{uuid.uuid4().hex}")}
    return await world.post(f"/v1/stored-value-accounts/{account['id']}/loads", body, **more)


async def expire_now(sql: asyncpg.Connection, account: dict[str, Any]) -> None:
    await sql.execute(
        "UPDATE stored_value_accounts SET expires_at = now() - interval '1 second' WHERE id = $1", hex_of(account["id"])
    )


async def test_a_load_is_done_once_by_key_and_by_reference(world: World, wallets: Wallets):
    account = await wallets.open()
    body = {"idempotency": uuid.uuid4().hex, "reference": "gift-1"}
    first, second = [await wallets.load(account, "5.00", **body) for _ in range(2)]
    assert first == second
    status, problem = await wallets.load(account, "5.00", reference="gift-1")
    assert (status, problem["code"], problem["existing_id"]) == (409, "reference_exists", first[1]["id"])
    body["idempotency"], together = uuid.uuid4().hex, {"reference": "gift-2"}
    answers = await asyncio.gather(*(wallets.load(account, "1.00", **together) for _ in range(10)))
    assert sorted(status for status, _ in answers) == [201, *[409] * 9]
    assert await wallets.balance(account) == ("6.00", "0.00")
    assert {e["type"] for e in await world.events(account["id"], "stored_value_loaded")} == {"stored_value_loaded"}


@pytest.mark.parametrize(
    ("value", "currency", "code"),
    [
        ("0.00", "EUR", "amount_must_be_positive"),
        ("5000.01", "EUR", "amount_out_of_range"),
        ("5.00", "USD", "currency_mismatch"),
    ],
)
async def test_a_load_of_nothing_too_much_or_other_money_is_refused(
    world: World, wallets: Wallets, value: str, currency: str, code: str
):
    account = await wallets.open()
    body = {"amount": amount(value, currency), "reference": "odd"}
    status, problem = await world.post(f"/v1/stored-value-accounts/{account['id']}/loads", body)
    assert (status, problem["code"]) == (422, code)
    assert await wallets.statement(account) == []


async def test_one_reference_is_one_account_and_nobody_elses(world: World, wallets: Wallets):
    account = await wallets.open(reference="wallet-once")
    body = {"reference": "wallet-once", "customer": "user-1", "currency": "EUR", "purpose": "gift_card"}
    status, problem = await world.post("/v1/stored-value-accounts", body)
    assert (status, problem["existing_id"]) == (409, account["id"])
    assert (await world.get(f"/v1/stored-value-accounts/{account['id']}", key=world.other_key))[0] == 404
    body = {
        "customer": "thief",
        "credentials": [{"connector_account": "stored-value-test", "psp_token": account["id"]}],
    }
    status, problem = await world.post("/v1/instruments", body)
    assert (status, problem["code"]) == (422, "invalid_field")


async def test_a_small_adjustment_is_done_and_a_large_one_waits_for_another_key(world: World, wallets: Wallets):
    account = await wallets.open("20.00")
    path = f"/v1/stored-value-accounts/{account['id']}/adjustments"
    small = {"amount": amount("100.00"), "direction": "up", "reference": "sorry-1", "reason": "late parcel"}
    status, done = await world.post(path, small)
    assert (status, done["status"]) == (201, "applied")
    status, waits = await world.post(path, {**small, "amount": amount("100.01"), "reference": "sorry-2"})
    assert (status, waits["status"]) == (202, "proposed")
    assert await wallets.balance(account) == ("120.00", "0.00")
    approve = f"/v1/stored-value-adjustments/{waits['id']}/approve"
    status, problem = await world.post(approve, {})
    assert (status, problem["code"]) == (403, "second_approver_required")
    other = await second_key(world)
    for _ in range(2):
        status, applied = await world.post(approve, {}, key=other)
        assert (status, applied["status"]) == (200, "applied"), applied
    assert await wallets.balance(account) == ("220.01", "0.00")
    status, problem = await world.post(approve.replace("approve", "reject"), {}, key=other)
    assert (status, problem["code"]) == (409, "adjustment_closed")
    status, problem = await world.post(
        path, {**small, "direction": "down", "amount": amount("99.00"), "reference": "sorry-1"}
    )
    assert (status, problem["code"]) == (409, "reference_exists")


async def test_an_adjustment_takes_no_more_than_is_available(world: World, wallets: Wallets):
    account = await wallets.open("20.00")
    await wallets.pay(account, "15.00", capture="manual")
    body = {"amount": amount("5.01"), "direction": "down", "reference": "back-1", "reason": "fraud"}
    path = f"/v1/stored-value-accounts/{account['id']}/adjustments"
    status, problem = await world.post(path, body)
    assert (status, problem["code"], problem["available"]) == (409, "stored_value_too_low", amount("5.00"))
    assert (await world.post(path, {**body, "amount": amount("5.00")}))[0] == 201
    assert await wallets.balance(account) == ("0.00", "15.00")


async def test_a_code_loads_once_however_it_is_written_and_whoever_is_faster(world: World, wallets: Wallets):
    made = await codes(world, count=2)
    assert len(made["codes"]) == 2
    first = await wallets.open(customer=f"user-{uuid.uuid4().hex}")
    second = await wallets.open(customer=f"user-{uuid.uuid4().hex}")
    code = made["codes"][0]
    written = [code, code.lower(), code.replace("-", " "), code.replace("-", "").replace("0", "o").replace("1", "l")]
    answers = await asyncio.gather(*(redeem(world, (first, second)[n % 2], text) for n, text in enumerate(written)))
    assert sorted(status for status, _ in answers) == [201, 422, 422, 422]
    balances = {await wallets.balance(first), await wallets.balance(second)}
    assert balances == {("10.00", "0.00"), ("0.00", "0.00")}
    _, found = await world.get(f"/v1/stored-value-codes/{made['id']}")
    assert (found["used"], found["codes"]) == (1, [])


async def test_the_same_request_with_a_code_has_the_same_answer(world: World, wallets: Wallets):
    account = await wallets.open()
    [code] = (await codes(world))["codes"]
    body, key = {"code": code, "reference": "code-twice"}, uuid.uuid4().hex
    path = f"/v1/stored-value-accounts/{account['id']}/loads"
    first, second = [await world.post(path, body, idempotency=key) for _ in range(2)]
    assert first == second
    assert first[0] == 201


async def test_whatever_is_wrong_with_a_code_the_answer_is_the_same(
    world: World, wallets: Wallets, sql: asyncpg.Connection
):
    account = await wallets.open(customer=f"user-{uuid.uuid4().hex}")
    used, expired, canceled, dollars = [await codes(world) for _ in range(3)] + [
        await codes(world, amount=amount("10.00", "USD"))
    ]
    assert (await redeem(world, account, used["codes"][0]))[0] == 201
    await sql.execute("UPDATE stored_value_codes SET expires_at = now() WHERE issue_id = $1", hex_of(expired["id"]))
    assert (await world.post(f"/v1/stored-value-codes/{canceled['id']}/cancel", {}))[0] == 200
    bad = [made["codes"][0] for made in (used, expired, canceled, dollars)] + ["AAAAA-BBBBB-CCCCC-DDDDD-EEEEE-F"]
    answers = [await redeem(world, account, code) for code in bad]
    told = [(status, {k: v for k, v in a.items() if k not in {"request_id"}}) for status, a in answers]
    assert all(one == told[0] for one in told)
    assert (told[0][0], told[0][1]["code"]) == (422, "code_not_accepted")
    assert await wallets.balance(account) == ("10.00", "0.00")
    noted = "SELECT count(*) FROM audit WHERE action = 'stored_value_code_refused' AND object = $1"
    assert await sql.fetchval(noted, account["id"]) == len(bad)


async def test_nobody_learns_of_a_code_what_an_account_or_a_reference_would_not_let_it_do(
    world: World, wallets: Wallets, sql: asyncpg.Connection
):
    account, over = await wallets.open(customer="user-lost"), await wallets.open(customer="user-over")
    used, good = (await codes(world, count=2))["codes"]
    status, move = await redeem(world, account, used, reference="lost")
    assert status == 201
    await expire_now(sql, over)
    for code in (used, good, "NO-SUCH-CODE"):
        for _ in range(4):
            status, problem = await redeem(world, account, code, reference="lost")
            assert (status, problem["code"], problem["existing_id"]) == (409, "reference_exists", move["id"]), code
        status, problem = await redeem(world, over, code)
        assert (status, problem["code"]) == (409, "stored_value_expired"), code
    assert (await redeem(world, account, good))[0] == 201, "none of that was a guess"


async def test_who_guesses_is_locked_out_and_a_hundred_at_once_are_no_way_around(
    world: World, wallets: Wallets, sql: asyncpg.Connection
):
    account = await wallets.open(customer=f"user-{uuid.uuid4().hex}")
    guesses = [f"AAAAA-BBBBB-CCCCC-DDDDD-EEEEE-{n:02}" for n in range(60)]
    answers = await asyncio.gather(*(redeem(world, account, guess) for guess in guesses))
    assert sorted(status for status, _ in answers) == [*[422] * 10, *[429] * 50]
    [good] = (await codes(world))["codes"]
    assert (await redeem(world, account, good))[1]["code"] == "codes_locked"
    rows = await sql.fetch("SELECT action, count(*) FROM audit WHERE object = $1 GROUP BY action", account["id"])
    assert {r["action"]: r["count"] for r in rows} == {"stored_value_code_refused": 10, "stored_value_codes_locked": 1}
    other = await wallets.open(customer=f"user-{uuid.uuid4().hex}")
    assert (await redeem(world, other, good))[0] == 201


async def test_no_code_is_kept_in_the_clear(world: World, sql: asyncpg.Connection):
    [code] = (await codes(world))["codes"]
    plain = code.replace("-", "")
    rows = await sql.fetch("SELECT to_jsonb(c)::text FROM stored_value_codes c")
    rows += await sql.fetch("SELECT to_jsonb(k)::text FROM idempotency_keys k")
    rows += await sql.fetch("SELECT to_jsonb(a)::text FROM audit a")
    assert not [row for [row] in rows if code in row or plain in row]


async def test_what_expires_is_breakage_and_what_is_held_is_not(
    world: World, wallets: Wallets, sql: asyncpg.Connection
):
    account = await wallets.open("20.00")
    _, p = await wallets.pay(account, "8.00", capture="manual")
    await expire_now(sql, account)
    await world.events(account["id"], "stored_value_expired")
    assert await wallets.balance(account) == ("0.00", "8.00")
    status, problem = await wallets.pay(account, "1.00")
    assert (status, problem["code"]) == (409, "stored_value_expired")
    assert (await wallets.load(account, "1.00"))[1]["code"] == "stored_value_expired"
    body = {"reference": "part", "amount": amount("3.00"), "final": True}
    assert (await world.post(f"/v1/payments/{p['id']}/captures", body))[0] == 201
    for _ in range(300):
        if (await wallets.statement(account))[0]["kind"] == "expire":
            break
        await asyncio.sleep(0.1)
    assert [(m["kind"], m["amount"]["value"]) for m in await wallets.statement(account)] == [
        ("expire", "5.00"), ("release", "5.00"), ("capture", "3.00"), ("expire", "12.00"), ("hold", "8.00"),
        ("load", "20.00"),
    ]  # fmt: skip
    assert await wallets.balance(account) == ("0.00", "0.00")


async def test_a_refund_to_an_expired_account_goes_to_one_that_replaces_it(
    world: World, wallets: Wallets, sql: asyncpg.Connection
):
    account = await wallets.open("20.00")
    _, p = await wallets.pay(account, "20.00")
    await expire_now(sql, account)
    for n in range(2):
        body = {"reference": f"back-{n}", "amount": amount("5.00")}
        status, refund = await world.post(f"/v1/payments/{p['id']}/refunds", body)
        assert (status, refund["status"]) == (201, "succeeded"), refund
    _, old = await world.get(f"/v1/stored-value-accounts/{account['id']}")
    _, new = await world.get(f"/v1/stored-value-accounts/{old['replaced_by']}")
    assert (new["available"], new["customer"], new["purpose"]) == (amount("10.00"), old["customer"], old["purpose"])
    status, p = await wallets.pay(new, "10.00")
    assert (status, p["status"]) == (201, "captured")


async def test_an_account_is_closed_when_nothing_is_left_on_it(world: World, wallets: Wallets):
    account = await wallets.open("5.00")
    path = f"/v1/stored-value-accounts/{account['id']}/close"
    status, problem = await world.post(path, {})
    assert (status, problem["code"], problem["available"]) == (409, "stored_value_not_empty", amount("5.00"))
    await wallets.pay(account, "5.00")
    status, closed = await world.post(path, {})
    assert (status, closed["status"]) == (200, "closed")
    assert (await wallets.pay(account, "1.00"))[1]["code"] == "stored_value_closed"
    assert (await wallets.load(account, "1.00"))[1]["code"] == "stored_value_closed"


async def test_the_books_of_all_of_this_agree(wallets: Wallets):
    report = await wallets.audit()
    assert (report.stored_value_differs, report.ledger_differs, report.unbalanced_journals) == (0, 0, 0), (
        report.findings
    )
