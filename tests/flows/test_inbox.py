"""The inbox: any order, any number, any crash, and the payment ends where it would have ended in order."""

import asyncio
import hmac
import random
import time
import uuid
from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from msgspec import structs
from tests.flows.test_crashes import persist
from tests.flows.test_payments import amount, effects, until
from tests.flows.test_races import s  # noqa: F401 - a fixture
from tests.world import TOKENS, World

from scrooge.connectors.connector import Notification
from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import Approved
from scrooge.flows.receive import LAST_TRY, PARK_TRIES, apply_one
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import hex_of
from scrooge.metrics import JOB_FAILURES
from scrooge.storage import inbox
from scrooge.storage.inbox import Unread, unread_of
from scrooge.workers.loop import loop
from scrooge.workers.table import Job, read_inbox

ORDERS = 8
LIVES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "stripe": [
        ("captures", {"amount": amount("8.00"), "final": True}),
        ("refunds", {"reference": "one", "amount": amount("2.00")}),
        ("refunds", {"reference": "two", "amount": amount("1.00")}),
    ],
    "adyen": [
        ("captures", {"amount": amount("5.00")}),
        ("captures", {"amount": amount("6.00")}),
        ("refunds", {"reference": "one", "amount": amount("3.00")}),
        ("voids", {}),
    ],
}


async def news(s: Scrooge, p: dict[str, Any]) -> list[Unread]:  # noqa: F811
    """What the PSP has told about one payment so far, read or not."""
    rows = await s.db.pool.fetch(
        "SELECT bucket, connector_account_id, event_id, kind, item::text, 1 AS tries FROM inbox"
        " WHERE state <> 'unhandled' AND strpos(convert_from(raw, 'UTF8'), $1) > 0 ORDER BY received_at",
        p["id"],
    )
    return [unread_of(row) for row in rows]


async def asked(world: World, psp: str, path: str, body: dict[str, Any], lost: bool) -> tuple[int, dict[str, Any]]:
    """One request; `lost`: the PSP does it and its answer does not arrive."""
    if lost:
        await world.fault("charge_then_drop", connector=psp)
    try:
        return await world.post(path, body) if path else await world.pay(psp, **body)
    finally:
        if lost:
            await world.no_faults()


class Life:
    """One payment from beginning to end, with its notifications applied as `chance` has it; without it, in order."""

    def __init__(self, s: Scrooge, world: World, psp: str, chance: random.Random | None) -> None:  # noqa: F811
        self.s, self.world, self.psp, self.chance = s, world, psp, chance
        self.todo = list(LIVES[psp])
        self.applied: Counter[str] = Counter()

    async def lived(self, told: int = 0) -> dict[str, Any]:
        """Until everything was done, and everything that is told about it (at least so much) has been applied."""
        made = {"capture": "manual", "value": "20.00"}
        _, self.p = await asked(self.world, self.psp, "", made, self.is_lost())
        for _ in range(3000):
            known = await news(self.s, self.p)
            unread = [row for row in known if not self.applied[row.event_id]]
            if not self.todo and not unread and len(known) >= told and (told or await self.concluded()):
                return self.p
            if self.chance is None or not self.todo:
                await self.apply(unread)
            elif known and self.chance.random() < 0.6:
                await self.apply([self.chance.choice(known)])
            if self.todo and (self.chance is None or self.chance.random() < 0.4):
                await self.go_on()
            elif not unread:
                await asyncio.sleep(0.02)
        raise AssertionError((self.todo, self.p))

    async def go_on(self) -> None:
        path, body = self.todo[0]
        status, _ = await asked(self.world, self.psp, f"/v1/payments/{self.p['id']}/{path}", body, self.is_lost())
        assert status in {201, 202, 409}, "409: not before the news of what was before"
        if status != 409:
            self.todo.pop(0)

    def is_lost(self) -> bool:
        return self.chance is not None and self.chance.random() < 0.5

    async def apply(self, rows: list[Unread]) -> None:
        if self.chance is not None:
            rows = rows + [row for row in rows if self.chance.random() < 0.5]
            self.chance.shuffle(rows)
        for row in rows:
            await apply_one(self.s, row)
            self.applied[row.event_id] += 1

    async def concluded(self) -> bool:
        _, p = await self.world.get(f"/v1/payments/{self.p['id']}?expand=attempts")
        return not {a["status"] for a in p["attempts"]} & {"sent", "unknown", "pending"}


async def ending(world: World, p: dict[str, Any]) -> dict[str, Any]:
    """Everything that must not depend on the order of news."""
    told = Counter(e["type"] for e in await world.events(p["id"], "refund_approved"))
    _, p = await world.get(f"/v1/payments/{p['id']}?expand=attempts,journals")
    books: dict[str, Decimal] = defaultdict(Decimal)
    for line in (line for journal in p["journals"] for line in journal["postings"]):
        books[line["account"]] += Decimal(line["amount"]["value"])
    return {
        "status": p["status"],
        "amounts": {name: p[name]["value"] for name in p if name.startswith("amount")},
        "attempts": Counter((a["operation"], a["status"], a["amount"]["value"]) for a in p["attempts"]),
        "journals": Counter(j["effect"] for j in p["journals"]),
        "books": dict(books),
        "events": {kind: n for kind, n in told.items() if kind.endswith("_approved")},
        "truth": effects(await world.truth(), p["id"]),
    }


@pytest.mark.parametrize("psp", list(LIVES))
async def test_in_any_order_and_any_number_news_ends_where_it_ends_in_order(s: Scrooge, world: World, psp: str):  # noqa: F811
    await world.instrument(**{psp: TOKENS[psp]})
    first = await Life(s, world, psp, None).lived()
    expected = await ending(world, first)
    assert (expected["status"], sum(expected["books"].values())) == ("partially_refunded", 0)
    await asyncio.sleep(1)  # What is told again of what is known already may still be on its way.
    told = len(await news(s, first))
    for seed in range(ORDERS):
        p = await Life(s, world, psp, random.Random(seed)).lived(told)
        assert await ending(world, p) == expected, f"seed {seed}"
        kept = await s.db.pool.fetchval("SELECT count(*) FROM breaks WHERE payment_id = $1", hex_of(p["id"]))
        assert kept == 0, f"seed {seed}: nothing of it is a contradiction"


@pytest.mark.parametrize("psp", list(LIVES))
async def test_news_that_overtakes_the_reply_counts_and_the_reply_changes_nothing(s: Scrooge, world: World, psp: str):  # noqa: F811
    await world.instrument(**{psp: TOKENS[psp]})
    reference = f"overtaken-{random.getrandbits(64):x}"
    await world.fault("slow", connector=psp, delay_ms=3_000)
    try:
        paying = asyncio.create_task(world.pay(psp, reference=reference))
        p = await found(world, reference)
        while not (rows := await news(s, p)):
            await asyncio.sleep(0.02)
        for row in rows:
            await apply_one(s, row)
        status, answer = await paying
    finally:
        await world.no_faults()
    assert (status, answer["status"], answer["outcome_certainty"]) == (201, "captured", "certain")
    _, p = await world.get(f"/v1/payments/{p['id']}?expand=journals")
    assert [j["effect"] for j in p["journals"]] == ["sale_approved"]


async def found(world: World, reference: str) -> dict[str, Any]:
    for _ in range(600):
        _, page = await world.get(f"/v1/payments?reference={reference}")
        if page["data"]:
            return page["data"][0]
        await asyncio.sleep(0.05)
    raise AssertionError("not recorded")


async def kept(s: Scrooge, account: str, event: str, **facts: Any) -> Unread:  # noqa: F811
    """A notification as it is stored when it came."""
    n = Notification(event_id=event, kind="K", operation=Operation.AUTHORIZE, outcome=Approved(**facts), **facts)
    assert await inbox.keep(s.db, account, [n], b"raw") == 1
    return await row_of(s, event)


async def row_of(s: Scrooge, event: str) -> Unread:  # noqa: F811
    return unread_of(await s.db.pool.fetchrow("SELECT *, item::text AS item FROM inbox WHERE event_id = $1", event))


async def state_of(s: Scrooge, event: str) -> str:  # noqa: F811
    return await s.db.pool.fetchval("SELECT state FROM inbox WHERE event_id = $1", event)


async def test_news_about_what_is_not_known_yet_waits_for_it(s: Scrooge, world: World):  # noqa: F811
    """It names the PSP's reference alone, and our record has none: the reply was lost."""
    _, p = await asked(world, "stripe", "", {}, lost=True)
    while not (rows := await news(s, p)):
        await asyncio.sleep(0.02)
    [reference] = {
        r.notification.psp_reference for r in rows if r.notification and r.notification.operation == "authorize"
    }
    early = await kept(s, world.accounts["stripe"]["id"], f"early-{p['id']}", psp_reference=reference)
    await apply_one(s, early)
    assert await state_of(s, early.event_id) == "unread"
    for row in rows:
        await apply_one(s, row)
    await apply_one(s, early)
    assert await state_of(s, early.event_id) == "applied"
    _, p = await world.get(f"/v1/payments/{p['id']}")
    assert p["status"] == "captured"


async def test_news_about_nothing_we_know_is_shown_to_an_operator_in_the_end(s: Scrooge, world: World):  # noqa: F811
    event = f"orphan-{random.getrandbits(64):x}"
    row = await kept(s, world.accounts["adyen"]["id"], event, psp_reference=event)
    await apply_one(s, structs.replace(row, tries=PARK_TRIES - 1))
    assert (await state_of(s, event), await breaks_of(s, event)) == ("unread", [])
    await apply_one(s, structs.replace(row, tries=PARK_TRIES))
    assert (await state_of(s, event), await breaks_of(s, event)) == ("unhandled", ["orphan_notification"])


async def breaks_of(s: Scrooge, event: str) -> list[str]:  # noqa: F811
    """Open ones, each of the account's merchant, who is asked about them."""
    rows = await s.db.pool.fetch("SELECT * FROM breaks WHERE natural_key LIKE '%:' || $1 AND closed_at IS NULL", event)
    assert all(row["merchant_id"] is not None for row in rows)
    return [row["kind"] for row in rows]


async def test_a_poisoned_notification_holds_up_nobody_and_is_given_up_where_it_is_seen(s: Scrooge, world: World):  # noqa: F811
    _, p = await asked(world, "stripe", "", {}, lost=True)
    poison = (await kept(s, world.accounts["stripe"]["id"], f"poison-{p['id']}", psp_reference="x")).event_id
    later = "UPDATE inbox SET item = '{}', tries = $2, due_at = now() - interval '1 day' WHERE event_id = $1"
    await s.db.pool.execute(later, poison, PARK_TRIES - 2)
    failed = JOB_FAILURES.labels("reading")._value.get()
    stop = asyncio.Event()
    running = asyncio.create_task(loop(s, Job("reading", 0.02, read_inbox), stop))
    await until(world, p["id"], lambda p: p["status"] == "captured")
    for _ in range(600):
        if JOB_FAILURES.labels("reading")._value.get() > failed:
            break
        await asyncio.sleep(0.05)
    assert JOB_FAILURES.labels("reading")._value.get() == failed + 1, "counted, and not due again at once"
    row = await s.db.pool.fetchrow("SELECT tries, due_at > now() AS waits FROM inbox WHERE event_id = $1", poison)
    assert (row["tries"], row["waits"], await breaks_of(s, poison)) == (PARK_TRIES - 1, True, [])
    await s.db.pool.execute(later, poison, PARK_TRIES - 1)
    for _ in range(600):
        if await state_of(s, poison) != "unread":
            break
        await asyncio.sleep(0.05)
    stop.set()
    await running
    assert (await state_of(s, poison), await breaks_of(s, poison)) == ("unhandled", ["poisoned_notification"])


async def test_one_that_kills_whoever_claims_it_is_not_looked_at_for_ever(s: Scrooge, world: World):  # noqa: F811
    event = f"killer-{random.getrandbits(64):x}"
    row = await kept(s, world.accounts["stripe"]["id"], event, psp_reference=event)
    await apply_one(s, structs.replace(row, tries=LAST_TRY + 1, notification=None))
    assert (await state_of(s, event), await breaks_of(s, event)) == ("unhandled", ["poisoned_notification"])


@pytest.mark.parametrize("point", ["inbox.before", "inbox.after", "receive.claimed", "receive.applied"])
async def test_a_crash_between_the_answer_to_the_psp_and_the_books_loses_nothing(world: World, point: str):
    who = "serve" if point.startswith("inbox") else "worker"
    _, p = await world.pay("adyen", capture="manual")
    await until_read(world, p)
    world.kill(who)
    await start_armed(world, who, point)
    capturing = asyncio.create_task(persist(world, {}, uuid.uuid4().hex, f"/v1/payments/{p['id']}/captures"))
    for _ in range(1200):
        if world.processes[who].poll() is not None:
            break
        await asyncio.sleep(0.05)
    assert world.processes[who].returncode == -9, "the crash point was not reached"
    world.start(who)
    await capturing
    await until(world, p["id"], lambda p: p["status"] == "captured")
    await until_read(world, p)
    _, p = await world.get(f"/v1/payments/{p['id']}?expand=journals")
    assert [j["effect"] for j in p["journals"]] == ["authorize_approved", "capture_approved"]


async def start_armed(world: World, who: str, point: str) -> None:
    """What PSPs send again about other payments may end it as soon as it listens: then it takes that first, unarmed."""
    for _ in range(20):
        try:
            world.start(who, SCROOGE_CRASH_POINT=point)
        except AssertionError:
            world.start(who)
            await asyncio.sleep(2)
            world.kill(who)
        else:
            return
    world.start(who)
    pytest.fail("it never came so far as to answer")


async def until_read(world: World, p: dict[str, Any]) -> None:
    """Until something was told about the payment and all of it is filed."""
    connection = await asyncpg.connect(world.database_url)
    sql = "SELECT state FROM inbox WHERE strpos(convert_from(raw, 'UTF8'), $1) > 0"
    for _ in range(1200):
        states = {row["state"] for row in await connection.fetch(sql, p["id"])}
        if states and "unread" not in states:
            break
        await asyncio.sleep(0.1)
    await connection.close()
    assert states and "unread" not in states


async def test_what_cannot_even_be_kept_as_it_was_read_is_kept_as_it_came(world: World):
    """PostgreSQL takes no NUL in a text; a PSP that is told "500" would send it for ever."""
    raw = b'{"id":"evt_nul\\u0000","object":"event","type":"payment_intent.succeeded","data":{"object":{"id":"pi_x"}}}'
    at = str(int(time.time()))
    signature = hmac.new(world.secrets["stripe"]["webhook_secret"].encode(), f"{at}.".encode() + raw, "sha256")
    url = f"{world.api_url}/notifications/{world.accounts['stripe']['id']}"
    headers = {"Stripe-Signature": f"t={at},v1={signature.hexdigest()}", "Content-Type": "application/json"}
    async with world.http.post(url, data=raw, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
    connection = await asyncpg.connect(world.database_url)
    [row] = await connection.fetch("SELECT kind, state FROM inbox WHERE raw = $1", raw)
    await connection.close()
    assert (row["kind"], row["state"]) == ("unreadable", "unhandled")
