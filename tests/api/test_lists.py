"""Lists and feeds: everything once, in order, whatever happens between two pages."""

import asyncio
import re
import uuid
from itertools import chain
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from scrooge.ids import new_id
from scrooge.postgres.rows import key_of
from tests.world import World


async def pages(world: World, path: str, name: str = "cursor", key: str | None = None) -> list[list[Any]]:
    """Every page of a list, followed by its cursor."""
    found = []
    cursor = ""
    while True:
        _, page = await world.get(f"{path}&{name}={cursor}" if cursor else path, key=key)
        found.append(page["data"])
        cursor = page["next_cursor"]
        if not page["has_more"]:
            return found


@pytest.fixture(scope="module")
async def mine(world: World) -> list[str]:
    """Seven payments of one customer, oldest first; two of them were declined."""
    customer = f"lists-{uuid.uuid4().hex}"
    made = []
    for n in range(7):
        token = "pm_card_visa_chargeDeclined" if n in {2, 5} else "pm_card_visa"
        _, instrument = await world.post(
            "/v1/instruments",
            {"customer": customer, "credentials": [{"connector_account": "stripe", "psp_token": token}]},
        )
        body = {
            "reference": f"{customer}-{n}", "amount": {"value": "5.00", "currency": "EUR"},
            "instrument": instrument["id"],
        }  # fmt: skip
        status, p = await world.post("/v1/payments", body)
        assert status == 201, p
        made.append(p)
    return made


def ids(found: list[Any]) -> list[str]:
    return [p["id"] for p in found]


async def test_pages_hold_every_payment_once_newest_first(world: World, mine: list[Any]):
    found = await pages(world, f"/v1/payments?customer={mine[0]['customer']}&limit=3")
    assert [len(page) for page in found] == [3, 3, 1]
    assert ids(list(chain(*found))) == ids(mine)[::-1]


async def test_a_payment_made_between_two_pages_does_not_shift_them(world: World, mine: list[Any]):
    path = f"/v1/payments?customer={mine[0]['customer']}&limit=4"
    _, first = await world.get(path)
    await world.pay("stripe")
    _, second = await world.get(f"{path}&cursor={first['next_cursor']}")
    assert ids(first["data"] + second["data"]) == ids(mine)[::-1]


async def test_filters_combine(world: World, mine: list[Any]):
    customer = mine[0]["customer"]
    _, declined = await world.get(f"/v1/payments?customer={customer}&status=declined")
    assert ids(declined["data"]) == [mine[5]["id"], mine[2]["id"]]
    assert declined["query"] == {"customer": customer, "status": "declined"}
    middle = mine[3]["created_at"]
    for operator, expected in (("gte", mine[3:]), ("gt", mine[4:]), ("lt", mine[:3]), ("lte", mine[:4])):
        _, found = await world.get(f"/v1/payments?customer={customer}&created[{operator}]={quote(middle)}")
        assert ids(found["data"]) == ids(expected)[::-1], operator


async def test_a_reference_finds_its_payment(world: World, mine: list[Any]):
    _, found = await world.get(f"/v1/payments?reference={mine[4]['reference']}")
    assert ids(found["data"]) == [mine[4]["id"]]
    _, none = await world.get(f"/v1/payments?reference={mine[4]['reference']}&status=declined")
    assert (none["data"], none["has_more"], none["next_cursor"]) == ([], False, None)


async def test_the_link_header_leads_to_the_next_page(world: World, mine: list[Any]):
    url = f"{world.api_url}/v1/payments?customer={mine[0]['customer']}&limit=5"
    async with world.http.get(url, headers=world.headers()) as answer:
        [target] = re.findall(r'<(.+)>; rel="next"', answer.headers["Link"])
    _, page = await world.get(target)
    assert ids(page["data"]) == ids(mine)[1::-1]


async def test_other_merchants_see_nothing_of_it(world: World, mine: list[Any]):
    _, found = await world.get(f"/v1/payments?customer={mine[0]['customer']}", key=world.other_key)
    assert found["data"] == []
    _, page = await world.get("/v1/payments?limit=1")
    status, problem = await world.get(f"/v1/payments?limit=1&cursor={page['next_cursor']}", key=world.other_key)
    assert (status, problem["code"]) == (422, "invalid_field")


async def test_captures_refunds_and_voids_are_listed_with_their_payment(world: World):
    _, p = await world.pay("stripe", capture="manual", value="20.00")
    amount = {"value": "8.00", "currency": "EUR"}
    await world.post(f"/v1/payments/{p['id']}/captures", {"amount": amount, "reference": "ship-1", "final": True})
    await world.post(f"/v1/payments/{p['id']}/refunds", {"reference": "rma-1"})
    _, captures = await world.get(f"/v1/payments/{p['id']}/captures")
    _, refunds = await world.get(f"/v1/payments/{p['id']}/refunds")
    _, voids = await world.get(f"/v1/payments/{p['id']}/voids")
    [capture], [refund] = captures["data"], refunds["data"]
    assert (capture["object"], capture["reference"], capture["amount"]) == ("capture", "ship-1", amount)
    assert capture["payment"] == {"id": p["id"], "status": "refunded"}
    assert (refund["object"], refund["payment"], refund["amount"]) == ("refund", p["id"], amount)
    assert voids["data"] == []


# --- events ---------------------------------------------------------------------------------


async def feed(world: World, types: str = "") -> list[Any]:
    return list(chain(*await pages(world, f"/v1/events?limit=40{types}", "after")))


async def test_the_feed_has_every_event_of_a_payment_in_order(world: World):
    _, p = await world.pay("stripe", capture="manual", value="20.00")
    await world.post(f"/v1/payments/{p['id']}/captures", {})
    await world.post(f"/v1/payments/{p['id']}/refunds", {"reference": "rma-1"})
    await passed(world)
    events = [e for e in await feed(world) if e["payment"] == p["id"]]
    assert [e["type"] for e in events] == ["authorize_approved", "capture_approved", "refund_approved"]
    versions = [e["object_version"] for e in events]
    assert versions == sorted(set(versions))
    assert events[-1]["data"]["payment"]["status"] == "refunded"
    only = [e for e in await feed(world, "&types=capture_approved,refund_approved") if e["payment"] == p["id"]]
    assert [e["type"] for e in only] == ["capture_approved", "refund_approved"]


async def passed(world: World) -> None:
    """Until no transaction runs that began before now: until then the feed rightly waits."""
    connection = await asyncpg.connect(world.database_url)
    xid = await connection.fetchval("SELECT pg_current_xact_id()::text")
    for _ in range(1200):
        if await connection.fetchval("SELECT $1::text::xid8 < pg_snapshot_xmin(pg_current_snapshot())", xid):
            break
        await asyncio.sleep(0.05)
    await connection.close()


async def test_an_event_that_commits_late_is_never_skipped(world: World):
    """The trap of every feed ordered by a sequence or a clock: a slow transaction commits behind the reader."""
    _, p = await world.pay("stripe")
    connection = await asyncpg.connect(world.database_url)
    merchant = await connection.fetchval("SELECT merchant_id FROM payments WHERE id = $1", key_of(p["id"])[1])
    slow = connection.transaction()
    await slow.start()
    bucket, payment_id = key_of(p["id"])
    late = new_id("evt", bucket)
    await connection.execute(
        "INSERT INTO events (bucket, payment_id, id, merchant_id, livemode, attempt_id, type, object_version, content)"
        " VALUES ($1, $2, $3, $4, false, $3, 'late', 9, '{}')", bucket, payment_id, key_of(late)[1], merchant,
    )  # fmt: skip
    _, other = await world.pay("stripe")  # Committed while the slow one is still open.
    _, page = await world.get("/v1/events?limit=100")
    while page["has_more"]:
        _, page = await world.get(f"/v1/events?limit=100&after={page['next_cursor']}")
    cursor = page["next_cursor"]
    assert other["id"] not in {e["payment"] for e in page["data"]}, "shown only once nothing can come before it"
    await slow.commit()
    await connection.close()
    await passed(world)
    _, page = await world.get(f"/v1/events?limit=100&after={cursor}")
    shown = [e["payment"] for e in page["data"]]
    assert late in {e["id"] for e in page["data"]}
    assert other["id"] in shown


async def test_the_feed_always_says_where_to_go_on(world: World):
    _, empty = await world.get("/v1/events?types=void_reversed&limit=100")
    while empty["has_more"]:
        _, empty = await world.get(f"/v1/events?types=void_reversed&limit=100&after={empty['next_cursor']}")
    assert empty["data"] == []
    _, again = await world.get(f"/v1/events?types=void_reversed&after={empty['next_cursor']}")
    assert again["next_cursor"]


# --- the books ------------------------------------------------------------------------------


async def test_the_trial_balance_adds_up_to_zero_and_entries_add_up_to_the_balance(world: World):
    await world.pay("stripe")
    await world.pay("stripe", value="1299", currency="JPY")
    _, trial = await world.get("/v1/ledger/trial-balance")
    assert trial["balanced"]
    assert {c["currency"]: c["total"]["value"] for c in trial["currencies"]}["JPY"] == "0"
    _, accounts = await world.get("/v1/ledger/accounts")
    account = next(a for a in accounts["data"] if a["id"] == "assets.psp_receivable.stripe:JPY")
    found = list(chain(*await pages(world, f"/v1/ledger/accounts/{account['id']}/entries?limit=2")))
    assert sum(int(e["amount"]["value"]) for e in found) == int(account["balance"]["value"])
    assert [e["created_at"] for e in found] == sorted((e["created_at"] for e in found), reverse=True)
