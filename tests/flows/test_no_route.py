"""A payment that nobody can take fails with its reasons: recorded once, announced once, and it may be tried again."""

import asyncio
import os
import subprocess
import sys
import uuid
from collections import Counter

import asyncpg
import msgspec
import pytest
from tests.flows.test_crashes import QUICK, persist
from tests.flows.test_payments import amount, effects
from tests.world import World

from scrooge.errors import PspUnavailable
from scrooge.flows import authorize
from scrooge.flows.authorize import Wanted
from scrooge.flows.keys import Keyed
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import bucket_in, hex_of
from scrooge.money import Money

WRONG = ("statuses_differ", "events_missing")  # Other tests of the same database may have left some.
EXPANDED = "?expand=attempts,timeline,journals,routing"


@pytest.fixture(scope="module")
async def spare(world: World) -> str:
    """An instrument that only an account which takes nothing any more knows."""
    account = {
        "name": "drained", "connector": "stripe", "merchant_account": "acct_spare", "mode": "test",
        "credentials": {"api_key": "sk_test_spare"}, "base_url": f"{world.sandbox_url}/stripe",
    }  # fmt: skip
    status, made = await world.post("/v1/connector-accounts", account)
    assert status in {201, 409}, made  # Tests that another worker took away may have made it before.
    await world.post("/v1/connector-accounts/drained/drain", {})
    instrument = await world.instrument(drained="pm_card_visa")
    await asyncio.sleep(1.1)  # Until every process knows.
    return instrument


def order(instrument: str, **more: object) -> dict[str, object]:
    return {"reference": uuid.uuid4().hex, "amount": amount("5.00"), "instrument": instrument, **more}


async def test_it_is_failed_with_the_reasons_and_nobody_was_asked(world: World, spare: str):
    status, failed = await world.post("/v1/payments", order(spare))
    assert (status, failed["status"], failed["outcome_certainty"]) == (201, "failed", "certain")
    assert failed["failure"] == {
        "code": "no_route", "detail": "no connector account can take this payment",
        "reasons": {"drained": "paused or draining"},
    }  # fmt: skip
    assert (failed["attempt_count"], failed["latest_attempt"], failed["connector_account"]) == (0, None, None)
    [event] = await world.events(failed["id"], "payment_failed")
    assert (event["type"], event["attempt"], event["object_version"]) == ("payment_failed", None, 1)
    assert event["data"]["failure"] == failed["failure"]
    assert event["data"]["payment"]["status"] == "failed"
    _, p = await world.get(f"/v1/payments/{failed['id']}{EXPANDED}")
    assert (p["attempts"], p["journals"], p["failure"]) == ([], [], failed["failure"])
    assert [row["type"] for row in p["timeline"]] == ["payment_created", "payment_failed"]
    [routing] = p["routing"]
    assert routing["attempt"] is None
    assert routing["decision"]["excluded"] == {"drained": "paused or draining"}
    assert "took" not in routing["decision"]
    assert effects(await world.truth(), failed["id"]) == {}
    _, page = await world.get("/v1/payments?status=failed&limit=100")
    assert failed["id"] in {p["id"] for p in page["data"]}


async def test_its_key_and_its_reference_are_used_up(world: World, spare: str):
    key, body = uuid.uuid4().hex, order(spare)
    answers = await asyncio.gather(*(world.post("/v1/payments", body, idempotency=key) for _ in range(50)))
    assert Counter(status for status, _ in answers) == {201: 50}
    assert len({p["id"] for _, p in answers}) == 1
    status, problem = await world.post("/v1/payments", {**body, "amount": amount("5.01")}, idempotency=key)
    assert (status, problem["code"]) == (422, "idempotency_key_reused")
    status, problem = await world.post("/v1/payments", body)
    assert (status, problem["code"], problem["existing_id"]) == (409, "reference_exists", answers[0][1]["id"])
    assert len(await world.events(answers[0][1]["id"], "payment_failed")) == 1


async def test_it_may_be_authorized_again_once_somebody_takes_it(world: World, spare: str):
    key, body = uuid.uuid4().hex, order(spare)
    _, failed = await world.post("/v1/payments", body, idempotency=key)
    path = f"/v1/payments/{failed['id']}"
    status, problem = await world.post(f"{path}/authorizations", {})
    assert (status, problem["code"]) == (422, "no_route")
    assert problem["considered"] == {"drained": "paused or draining"}
    _, p = await world.get(path)
    assert (p["version"], p["failure"]) == (1, failed["failure"])
    good = await world.instrument(stripe="pm_card_visa")
    status, paid = await world.post(f"{path}/authorizations", {"instrument": good})
    assert (status, paid["status"], paid["attempt_count"]) == (201, "captured", 1)
    assert "failure" not in paid
    assert effects(await world.truth(), failed["id"]) == {("sale", "approved", 500): 1}
    status, replayed = await world.post("/v1/payments", body, idempotency=key)
    assert (status, replayed["id"], replayed["status"]) == (201, failed["id"], "captured")
    _, p = await world.get(f"{path}{EXPANDED}")
    assert [r["attempt"] for r in p["routing"]] == [None, paid["latest_attempt"]]


async def test_there_is_nothing_to_take_give_back_or_ask_about(world: World, spare: str):
    _, failed = await world.post("/v1/payments", order(spare))
    path = f"/v1/payments/{failed['id']}"
    for what, body in (("captures", {}), ("voids", {}), ("refunds", {"reference": "r"})):
        status, problem = await world.post(f"{path}/{what}", body)
        assert (status, problem["code"]) == (409, "authorization_not_approved"), what
    status, problem = await world.post(f"{path}/authentications", {"details": {"payload": "x"}})
    assert (status, problem["code"]) == (409, "nothing_to_authenticate")
    status, p = await world.post(f"{path}/sync", {})
    assert (status, p["status"]) == (200, "failed")


async def test_what_cannot_be_meant_and_what_may_work_in_a_moment_is_not_recorded(
    world: World, spare: str, s: Scrooge, monkeypatch: pytest.MonkeyPatch, sql: asyncpg.Connection
):
    nobody = order("ins_01ARZ3NDEKTSV4RRFFQ69G5FAV"), order(spare, connector_account="nobody")
    for body, code in zip(nobody, ("unknown_instrument", "unknown_connector_account"), strict=True):
        status, problem = await world.post("/v1/payments", body)
        assert (status, problem["code"]) == (422, code)
    who = await s.directory.principal(world.key)
    assert who is not None
    monkeypatch.setattr(s.limits, "pressure", lambda _: "its circuit breaker is open")
    good = await world.instrument(stripe="pm_card_visa")
    wanted = Wanted(reference=uuid.uuid4().hex, amount=Money(500, "EUR"), instrument=good)
    with pytest.raises(PspUnavailable):
        await authorize.create(s, who, wanted, Keyed(uuid.uuid4().hex, uuid.uuid4().bytes))
    for reference in (wanted.reference, *(body["reference"] for body in nobody)):
        assert not await sql.fetch("SELECT FROM payment_references WHERE reference = $1", reference)


async def test_a_crash_around_the_record_leaves_it_once(world: World, spare: str):
    async def failed(point: str) -> None:
        name, body = uuid.uuid4().hex, order(spare)
        at = await asyncio.to_thread(world.start_beside, name, SCROOGE_CRASH_POINT=point, **QUICK)
        answer = await persist(world, body, uuid.uuid4().hex, "/v1/payments", at)
        assert world.processes.pop(name).wait() == -9, point
        assert (answer["status"], answer["attempt_count"]) == ("failed", 0)
        assert len(await world.events(answer["id"], "payment_failed")) == 1

    await asyncio.gather(
        *(failed(point) for point in ("record.before", "commit.before", "commit.after", "record.after"))
    )


async def test_the_audit_finds_it_right_and_says_when_it_is_not(world: World, spare: str, sql: asyncpg.Connection):
    _, failed = await world.post("/v1/payments", order(spare))
    before = await audited(world)
    number = hex_of(failed["id"])
    bucket = bucket_in(failed["id"])
    try:
        await sql.execute("UPDATE payments SET status = 'processing' WHERE bucket = $1 AND id = $2", bucket, number)
        await sql.execute("ALTER TABLE events DISABLE TRIGGER append_only")
        await sql.execute("UPDATE events SET type = 'lost' WHERE bucket = $1 AND payment_id = $2", bucket, number)
        found = await audited(world)
        assert {name: found[name] - before[name] for name in WRONG} == dict.fromkeys(WRONG, 1), found
        assert not found["ok"]
    finally:
        await sql.execute("UPDATE payments SET status = 'failed' WHERE bucket = $1 AND id = $2", bucket, number)
        words = "UPDATE events SET type = 'payment_failed' WHERE bucket = $1 AND payment_id = $2"
        await sql.execute(words, bucket, number)
        await sql.execute("ALTER TABLE events ENABLE TRIGGER append_only")
    assert {name: (await audited(world))[name] for name in WRONG} == {name: before[name] for name in WRONG}


async def audited(world: World) -> dict:
    env = {**os.environ, "SCROOGE_DATABASE_URL": world.database_url}
    command = [sys.executable, "-m", "scrooge", "check", "--json"]
    done = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, timeout=120)
    return msgspec.json.decode(done.stdout)
