"""Links to update a card without a browser: over, guessed, forged, raced, killed; a payment that is then tried again."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from scrooge.domain.mandate import Mandate, Terms, Use
from scrooge.domain.mandate import mandate_of as named
from scrooge.ids import bucket_in, hex_of, new_id
from scrooge.postgres.database import connect
from scrooge.postgres.rows import public
from scrooge.storage import mandates
from tests.checkout.conftest import Checkout
from tests.checkout.test_update import GOOD, POOR, agreed, link_for, mandate_of, vaulted
from tests.world import World

LATE = """ALTER TABLE update_links DISABLE TRIGGER append_only;
UPDATE update_links SET expires_at = now() WHERE id = '{}';
ALTER TABLE update_links ENABLE TRIGGER append_only"""
HTML = "text/html; charset=utf-8"


async def page_of(c: Checkout, url: str) -> tuple[int, str]:
    async with c.world.http.get(url) as answer:
        assert answer.headers["Content-Type"] == HTML
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        return answer.status, await answer.text()


async def leave(c: Checkout, url: str, instrument: str, **headers: str) -> str:
    """Where the browser is sent, after what the link is."""
    given = {"Origin": c.world.api_url, "Content-Type": "application/json", **headers}
    async with c.world.http.post(url, json={"instrument": instrument}, headers=given) as answer:
        go = (await answer.json())["go"].removeprefix(url.removeprefix(c.world.api_url))
        assert answer.status == 200 or (answer.status == 404 and not go), await answer.text()
        return go


async def sql(c: Checkout, text: str, *args: Any) -> None:
    connection = await asyncpg.connect(c.world.database_url)
    await connection.execute(text, *args)
    await connection.close()


async def test_a_link_that_is_over_or_was_never_good_says_one_and_the_same(stack: Checkout):
    m = await agreed(stack)
    used, revoked, expired, sound = [await link_for(stack, m) for _ in range(4)]
    card = await vaulted(stack, GOOD, m["customer"])
    assert await leave(stack, used["url"], card) == "?waited"
    status, found = await stack.world.post(f"/v1/update-links/{revoked['id']}/revoke", {})
    assert (status, found["status"]) == (200, "revoked")
    await sql(stack, LATE.format(hex_of(expired["id"])))
    other = await link_for(stack, await agreed(stack))
    forged = sound["url"].rpartition(".")[0] + "." + other["url"].rpartition(".")[2]
    nowhere = [f"{stack.world.api_url}/update/{t}" for t in ("x", new_id("ulk", 1) + ".x", sound["id"], "pay_1.2")]
    urls = [used["url"], revoked["url"], expired["url"], forged, *nowhere]
    pages = [await page_of(stack, url) for url in urls]
    assert {status for status, _ in pages} == {404}
    assert len({text for _, text in pages}) == 1, "nobody learns which it was"
    another = await vaulted(stack, GOOD, m["customer"])
    assert {await leave(stack, url, another) for url in urls} == {""}
    assert (await mandate_of(stack, m["id"], version=2))["instrument"] == card
    assert (await page_of(stack, sound["url"]))[0] == 200
    status, _ = await stack.world.post(f"/v1/mandates/{m['id']}/revoke", {"reason": "left"})
    assert await page_of(stack, sound["url"]) == pages[0]
    status, problem = await stack.world.post(f"/v1/mandates/{m['id']}/update-links", {})
    assert (status, problem["code"]) == (409, "mandate_revoked")


async def test_a_card_is_taken_from_the_page_itself_and_only_one_of_its_own_payer(stack: Checkout):
    m = await agreed(stack)
    link = await link_for(stack, m)
    card, strangers = await vaulted(stack, GOOD, m["customer"]), await vaulted(stack, GOOD, "somebody-else")
    assert await leave(stack, link["url"], card, Origin="https://evil.example") == ""
    assert await leave(stack, link["url"], card, **{"Sec-Fetch-Site": "cross-site"}) == ""
    assert await leave(stack, link["url"], strangers) == "?problem=later"
    assert (await mandate_of(stack, m["id"]))["instrument"] == m["instrument"]
    status, read = await stack.world.get(f"/v1/update-links/{link['id']}")
    assert (read["status"], read["tries"]) == ("open", 0)
    status, problem = await stack.world.get(f"/v1/update-links/{link['id']}", key=stack.world.other_key)
    assert (status, problem["code"]) == (404, "not_found")


async def test_five_cards_may_be_tried(stack: Checkout):
    m = await agreed(stack)
    link = await link_for(stack, m)
    for _ in range(5):
        await leave(stack, link["url"], await vaulted(stack, POOR, m["customer"]))
    assert (await page_of(stack, link["url"]))[0] == 404
    assert await leave(stack, link["url"], await vaulted(stack, GOOD, m["customer"])) == ""
    assert (await mandate_of(stack, m["id"]))["instrument"] == m["instrument"]


async def test_two_cards_at_once_are_one_and_a_card_sent_twice_is_asked_about_once(stack: Checkout):
    m = await agreed(stack)
    link = await link_for(stack, m)
    cards = [await vaulted(stack, GOOD, m["customer"]) for _ in range(2)]
    await asyncio.gather(*(leave(stack, link["url"], card) for card in cards * 3))
    now = await mandate_of(stack, m["id"], version=2)
    assert now["version"] == 2
    assert len(now["earlier"]) == 1
    connection = await asyncpg.connect(stack.world.database_url)
    rows = await connection.fetch("SELECT id FROM payments WHERE reference LIKE $1", f"{link['id']}:%")
    await connection.close()
    assert len(rows) == 1, "one verification"


@pytest.mark.parametrize("point", ["record.after", "send.after", "apply.after", "learn.written"])
async def test_whoever_dies_the_mandate_has_the_card_in_the_end_and_once(stack: Checkout, point: str):
    m = await agreed(stack)
    card = await vaulted(stack, GOOD, m["customer"])
    url = (await link_for(stack, m))["url"]
    name = f"dying-{point}"
    at = stack.world.start_beside(name, SCROOGE_CRASH_POINT=point)
    given = {"Origin": stack.world.api_url, "Content-Type": "application/json"}
    with pytest.raises(Exception, match="isconnect|reset"):
        await stack.world.http.post(url.replace(stack.world.api_url, at), json={"instrument": card}, headers=given)
    assert stack.world.processes[name].wait(60) != 0
    now = await mandate_of(stack, m["id"], version=2)
    assert (now["instrument"], now["version"], len(now["earlier"])) == (card, 2, 1)
    assert await leave(stack, url, card) == "", "it is used"
    events = await stack.world.events(m["consent"]["payment"], "mandate_updated")
    assert [e["type"] for e in events].count("mandate_updated") == 1


async def declining(world: World, customer: str, instrument: str, merchant: str, caller: str) -> str:
    """A mandate whose card has no money, as nobody could agree with one."""
    db = await connect(world.database_url, size=1)
    m = Mandate(
        id=named(new_id("pay", bucket_in(new_id("pay", 7)))), merchant=merchant, livemode=False, caller=caller,
        customer=customer, instrument=instrument, connector_account=world.accounts["adyen"]["id"], use=Use.RECURRING, terms=Terms(), consent_at=1_700_000_000_000_000,
    )  # fmt: skip
    await mandates.write(db, [m])
    await db.close()
    return m.id


async def test_the_payment_that_was_declined_is_tried_again_at_once_with_the_new_card(stack: Checkout):
    world, customer = stack.world, f"payer-{uuid.uuid4().hex[:8]}"
    connection = await asyncpg.connect(world.database_url)
    row = await connection.fetchrow(
        "SELECT merchant_id, c.id AS caller_id FROM callers c JOIN merchants m ON m.id = merchant_id WHERE m.name = 'tests'"
    )
    await connection.close()
    poor = await vaulted(stack, POOR, customer)
    mandate = await declining(
        world, customer, poor, public("mer", row["merchant_id"]) or "", public("clr", row["caller_id"]) or ""
    )
    until = (datetime.now(UTC) + timedelta(days=20)).isoformat()
    status, p = await world.post("/v1/payments", {
        "reference": uuid.uuid4().hex, "amount": {"value": "12.99", "currency": "EUR"}, "mandate": mandate,
        "retry_until": until, "connector_account": "adyen",
    })  # fmt: skip
    assert (status, p["status"]) == (201, "declined"), p
    status, link = await world.post(f"/v1/payments/{p['id']}/update-links", {})
    assert (status, link["payment"], link["mandate"]) == (201, p["id"], mandate), link
    assert "tried again" in (await page_of(stack, link["url"]))[1]
    assert await leave(stack, link["url"], await vaulted(stack, GOOD, customer)) == "?waited"
    for _ in range(300):
        _, p = await world.get(f"/v1/payments/{p['id']}?expand=attempts")
        if p["status"] == "captured":
            break
        await asyncio.sleep(0.1)
    assert p["status"] == "captured", p
    assert [a["status"] for a in p["attempts"]] == ["declined", "approved"]
    status, problem = await world.post(f"/v1/payments/{p['id']}/update-links", {"ttl_seconds": 1})
    assert (status, problem["code"], problem["param"]) == (422, "invalid_field", "ttl_seconds")
