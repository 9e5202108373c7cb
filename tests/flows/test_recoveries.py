"""A declined renewal is won back by the means that its reason allows, once, or is lost and says why; and it is counted."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from tests.flows.test_mandates import agreed, renew, revoke
from tests.flows.test_payments import until
from tests.flows.test_retries import POOR, card, in_days, its_time_comes, money_arrives, renewal
from tests.world import World

from scrooge.domain.recovery import BECOMES
from scrooge.ids import hex_of

EXPIRED = "pm_card_chargeDeclinedExpiredCard"


async def row(sql: asyncpg.Connection, payment: str) -> dict[str, Any]:
    found = await sql.fetch("SELECT * FROM recoveries WHERE payment_id = $1", hex_of(payment))
    assert len(found) == 1, found
    return dict(found[0])


async def test_a_renewal_that_waits_for_money_is_recovered_and_says_by_what(world: World, sql):
    instrument = await card(world, stripe=POOR["stripe"])
    p = await renewal(world, instrument)
    assert p["recovery"] == {
        "state": "open", "means": "wait", "reason": "insufficient_funds", "why": None, "need": None, "update_links": None,
        "next_at": p["retry"]["at"], "control": False,
    }  # fmt: skip
    kept = await row(sql, p["id"])
    assert (kept["state"], kept["minor"], kept["currency"], kept["retries"]) == ("open", 1299, "EUR", 0)
    await money_arrives(sql, instrument)
    await its_time_comes(sql, p["id"])
    p = await until(world, p["id"], lambda p: p["status"] == "captured")
    assert (p["recovery"]["state"], p["recovery"]["means"]) == ("recovered", "wait")
    assert (p["recovery"]["why"], p["recovery"]["reason"]) == (None, "insufficient_funds")
    kept = await row(sql, p["id"])
    assert (kept["state"], kept["retries"], kept["next_at"]) == ("recovered", 1, None)
    assert kept["ended_at"] >= kept["opened_at"]


async def test_who_was_not_declined_has_no_recovery(world: World, sql):
    p = await renewal(world, await card(world, stripe="pm_card_visa"))
    assert "recovery" not in p
    p = await renewal(world, await card(world, stripe="pm_card_visa_chargeDeclined", adyen="stored_visa"))
    assert (p["status"], "recovery" in p) == ("captured", False), "asked elsewhere at once"
    assert await sql.fetchval("SELECT count(*) FROM recoveries WHERE payment_id = $1", hex_of(p["id"])) == 0


async def test_what_only_the_payer_can_mend_is_told_once_and_lost_at_the_deadline(world: World, sql):
    p = await renewal(world, await card(world, stripe=EXPIRED), days=1)
    p = await until(world, p["id"], lambda p: p["recovery"]["means"] == "customer")
    assert (p["recovery"]["state"], p["recovery"]["need"], p["retry"]["status"]) == (
        "open", "update_card", "needs_customer",
    )  # fmt: skip
    told = [e for e in await world.events(p["id"], "customer_needed") if e["type"] == "customer_needed"]
    assert [(e["data"]["retry"]["need"], e["data"]["decline"]) for e in told] == [("update_card", "expired_card")]
    await sql.execute("UPDATE payments SET retry_until = now() WHERE id = $1", hex_of(p["id"]))
    await its_time_comes(sql, p["id"])
    p = await until(world, p["id"], lambda p: p["recovery"]["state"] == "lost")
    assert (p["recovery"]["why"], p["recovery"]["reason"], p["attempt_count"]) == ("deadline", "expired_card", 1)
    kept = await row(sql, p["id"])
    assert (kept["state"], kept["why"], kept["means"]) == ("lost", "deadline", "customer")


@pytest.mark.parametrize("how", ["cancel", "mandate"])
async def test_what_is_withdrawn_ends_at_once(world: World, sql, how: str):
    first = await agreed(world)
    await money_arrives(sql, first["instrument"]["id"], POOR["stripe"])
    _, p = await renew(world, first["mandate"], retry_until=in_days(20))
    assert p["recovery"]["state"] == "open"
    if how == "cancel":
        await world.post(f"/v1/payments/{p['id']}/retries/cancel", {})
    else:
        await revoke(world, first["mandate"])
        await its_time_comes(sql, p["id"])
    p = await until(world, p["id"], lambda p: p["recovery"]["state"] == "lost")
    assert (p["recovery"]["why"], p["attempt_count"]) == ("withdrawn", 1)
    assert (await row(sql, p["id"]))["why"] == "withdrawn"


async def test_the_database_makes_of_a_step_what_the_table_says(world: World, sql):
    for phase, becomes in BECOMES.items():
        assert await sql.fetchval("SELECT recovery_step($1)", phase) == becomes, phase


async def test_an_ended_recovery_stays_so_whoever_asks(world: World, sql):
    p = await renewal(world, await card(world, stripe=POOR["stripe"]))
    await world.post(f"/v1/payments/{p['id']}/retries/cancel", {})
    assert (await row(sql, p["id"]))["state"] == "lost"
    with pytest.raises(asyncpg.PostgresError, match="stays so"):
        await sql.execute(
            "UPDATE recoveries SET state = 'open', ended_at = NULL WHERE payment_id = $1", hex_of(p["id"])
        )


async def test_the_summary_counts_declined_recovered_and_lost_and_their_worth(world: World, sql):
    since = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    instrument = await card(world, stripe=POOR["stripe"])
    won = await renewal(world, instrument, value="10.00")
    await money_arrives(sql, instrument)
    await its_time_comes(sql, won["id"])
    await until(world, won["id"], lambda p: p["status"] == "captured")
    poor = await card(world, stripe=POOR["stripe"])
    await renewal(world, poor, value="3.00")
    await renewal(world, poor, value="500", currency="JPY")
    lost = await renewal(world, poor, value="7.00")
    await world.post(f"/v1/payments/{lost['id']}/retries/cancel", {})
    status, told = await world.get(f"/v1/recoveries/summary?created[gte]={since}")
    assert status == 200, told
    euro, yen = told["currencies"]
    assert {k: (v["count"], v["amount"]["value"]) for k, v in euro["all"].items()} == {
        "declined": (3, "20.00"), "recovered": (1, "10.00"), "lost": (1, "7.00"), "open": (1, "3.00"),
    }  # fmt: skip
    assert (yen["currency"], yen["all"]["open"]["amount"]) == ("JPY", {"value": "500", "currency": "JPY"})
    assert euro["by_means"]["wait"]["recovered"]["count"] == 1
    assert euro["by_reason"]["insufficient_funds"]["declined"]["count"] == 3
    assert euro["lost_by_why"] == {"withdrawn": {"count": 1, "amount": {"value": "7.00", "currency": "EUR"}}}
    assert (told["treated"]["of"], told["uplift"]) == (0, None), "nobody's time is over"
    status, page = await world.get(f"/v1/recoveries?created[gte]={since}&state=recovered")
    assert [(r["payment"], r["amount"]["value"], r["retries"]) for r in page["data"]] == [(won["id"], "10.00", 1)]
    status, page = await world.get(f"/v1/recoveries?created[gte]={since}&limit=3")
    assert (len(page["data"]), page["has_more"]) == (3, True)
    status, rest = await world.get(f"/v1/recoveries?created[gte]={since}&limit=3&cursor={page['next_cursor']}")
    assert (len(rest["data"]), rest["has_more"]) == (1, False)
    assert rest["data"][0]["payment"] == won["id"], "newest first"


async def test_uplift_counts_those_of_both_arms_whose_time_is_over(world: World, sql):
    await sql.execute(
        """INSERT INTO recoveries (bucket, payment_id, merchant_id, livemode, minor, currency, state, reason, means, control,
               retries, retry_until, opened_at, ended_at)
           SELECT n, gen_random_uuid(), (SELECT merchant_id FROM payments LIMIT 1), false, 100, 'SEK',
               CASE WHEN n % 10 < CASE WHEN n < 100 THEN 6 ELSE 3 END THEN 'recovered' ELSE 'lost' END, 'expired_card',
               'wait', n >= 100, 1, '2020-02-01', '2020-01-01', '2020-01-20'
             FROM generate_series(0, 199) n"""
    )
    _, told = await world.get(
        "/v1/recoveries/summary?created[gte]=2020-01-01T00:00:00Z&created[lt]=2020-02-01T00:00:00Z"
    )
    assert (told["treated"], told["control"]) == (
        {"recovered": 60, "of": 100, "rate": 0.6}, {"recovered": 30, "of": 100, "rate": 0.3},
    )  # fmt: skip
    assert told["uplift"]["difference"] == 0.3
    assert 0.1 < told["uplift"]["low"] < 0.3 < told["uplift"]["high"] < 0.5
