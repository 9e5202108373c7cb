"""What the PSP took and nobody waited for goes back, by real PSPs' calls, and the audit agrees: books, rows and truth."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from tests.conftest import drop_database, make_database, sandbox
from tests.flows.test_payments import effects, until
from tests.flows.test_races import asked
from tests.world import TOKENS, World

from scrooge.app import open_scrooge
from scrooge.domain.attempt import State
from scrooge.domain.declines import Decline
from scrooge.domain.outcome import Declined
from scrooge.flows.perform import apply
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import hex_of
from scrooge.settings import Settings
from scrooge.storage import payments
from scrooge.storage.audit import audit
from scrooge.storage.truth import TruthLine

DECLINED = Declined(Decline.DO_NOT_HONOR, "05", "Do not honor")


@pytest.fixture(scope="module")
async def alone(server_url: str, template_url: str, tmp_path_factory: Any) -> AsyncIterator[World]:
    """A world of its own: its whole database is audited at the end."""
    url = await make_database(server_url, urlsplit(template_url).path[1:])
    with sandbox() as psps:
        world = World(url, psps, str(tmp_path_factory.mktemp("late")))
        try:
            await world.open()
            for psp in ("stripe", "adyen"):
                await world.instrument(**{psp: TOKENS[psp]})
            yield world
        finally:
            await world.close()
    await drop_database(server_url, url)


async def believed_declined(alone: World, s: Scrooge, psp: str, capture: str) -> str:
    """The PSP took it and its answer was lost; then somebody told us that it had been declined."""
    status, p = await alone.pay(psp, capture=capture)
    assert (status, p["outcome_certainty"]) == (202, "unknown")
    found = await payments.read(s.db, p["id"])
    assert found is not None
    await apply(s, found, found.attempts[0].id, DECLINED)
    return str(p["id"])


async def replayed(s: Scrooge, p_id: str) -> None:
    """One turn of the resolver: the PSP, which forgot the key, does it again under another name."""
    found = await payments.read(s.db, p_id)
    assert found is not None
    after = await asked(s, p_id, found.attempts[0].id)
    assert after is not None
    assert after.attempts[0].state is State.APPROVED


def undone(p: dict[str, Any]) -> bool:
    return all(a["status"] in {"approved", "declined", "reversed"} for a in p["attempts"])


async def test_the_money_goes_back_and_the_audit_agrees(alone: World):
    settings = Settings(
        database_url=alone.database_url, data_dir=Path(alone.env["SCROOGE_DATA_DIR"]), psp_timeout_seconds=2,
        port=alone.port,
    )  # fmt: skip
    both = [(psp, capture) for psp in ("stripe", "adyen") for capture in ("automatic", "manual")]
    # With no worker, what the PSPs tell waits in the inbox until everything is as it has to be.
    alone.processes["worker"].terminate()
    alone.processes["worker"].wait(20)
    await alone.fault("charge_then_drop")
    async with open_scrooge(settings) as s:
        late = {key: await believed_declined(alone, s, *key) for key in both}
        again = await believed_declined(alone, s, "adyen", "automatic")
        await alone.no_faults()
        body = {"instrument": await alone.instrument(stripe=TOKENS["stripe"])}
        status, _ = await alone.post(f"/v1/payments/{again}/authorizations", body)
        assert status == 201
        await alone.fault("charge_then_drop")
        twice = {key: (await alone.pay(key[0], capture=key[1]))[1]["id"] for key in both}
        await alone.no_faults()
        await alone.fault("broken_idempotency")
        for p_id in twice.values():
            await replayed(s, p_id)
        await alone.no_faults()
    alone.start("worker")
    ended = {name: await shown(alone, p_id) for name, p_id in [*late.items(), ("again", again)]}
    for (psp, capture), p in [(k, v) for k, v in ended.items() if k != "again"]:
        operation = "refund" if capture == "automatic" else "void"
        assert p["status"] == "voided", psp
        assert [(a["operation"], a["status"]) for a in p["attempts"]] == [
            ("authorize", "reversed"), (operation, "approved"),
        ]  # fmt: skip
        assert await kinds(alone, p) == ["late_success"]
    assert ended["again"]["status"] == "captured"
    assert [a["status"] for a in ended["again"]["attempts"]] == ["reversed", "approved", "approved"]
    for (psp, capture), p_id in twice.items():
        p = await shown(alone, p_id, attempts=3)
        assert p["status"] == ("captured" if capture == "automatic" else "authorized"), psp
        assert [a["status"] for a in p["attempts"]] == ["approved", "reversed", "approved"]
        assert await kinds(alone, p) == ["second_success"]
    await alone.no_faults()
    truth = await alone.truth()
    for (psp, capture), p_id in twice.items():
        took, gave = ("sale", "refund") if capture == "automatic" else ("authorize", "void")
        found = effects(truth, p_id)
        assert (found[took, "approved", 1299], found[gave, "approved", 1299]) == (2, 1), psp
    report = await audit(alone.database_url, {}, lines(truth))
    assert report.findings == []
    assert report.ok


async def shown(alone: World, p_id: str, attempts: int = 2) -> dict[str, Any]:
    return await until(alone, p_id, lambda p: len(p["attempts"]) >= attempts and undone(p), seconds=60)


async def kinds(alone: World, p: dict[str, Any]) -> list[str]:
    owner = await asyncpg.connect(alone.database_url)
    rows = await owner.fetch("SELECT kind FROM breaks WHERE payment_id = $1", hex_of(p["id"]))
    await owner.close()
    return [row["kind"] for row in rows]


async def lines(truth: list[dict[str, Any]]) -> AsyncIterator[TruthLine]:
    for line in truth:
        yield TruthLine(**{name: line[name] for name in TruthLine.__struct_fields__})
