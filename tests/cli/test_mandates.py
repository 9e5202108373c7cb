"""`scrooge mandates`: what a customer agreed to is shown, and ended for a reason, once."""

import asyncio
import json
from pathlib import Path

import pytest

from scrooge.domain.mandate import Mandate, Terms, Use
from scrooge.ids import new_id
from scrooge.postgres.database import connect
from scrooge.storage import mandates
from scrooge.storage.access import create_caller, create_merchant


@pytest.fixture
def database(fresh_database_url: str, tmp_path: Path) -> dict[str, str]:
    return {"SCROOGE_DATABASE_URL": fresh_database_url, "SCROOGE_DATA_DIR": str(tmp_path)}


@pytest.fixture
def agreed(database: dict[str, str]) -> Mandate:
    async def prepared() -> Mandate:
        db = await connect(database["SCROOGE_DATABASE_URL"], size=1)
        merchant = await create_merchant(db, "default")
        m = Mandate(
            id=new_id("man", 7), merchant=merchant, livemode=False, caller=await create_caller(db, merchant, "shop"),
            customer="user-1", instrument=new_id("ins", 9), use=Use.RECURRING,
            terms=Terms(max_minor=2000, currency="EUR", period="month"), consent_at=1_700_000_000_000_000,
        )  # fmt: skip
        await mandates.write(db, [m])
        await db.close()
        return m

    return asyncio.run(prepared())


def test_it_is_listed_shown_and_ended_once(scrooge, database, agreed: Mandate):
    code, out, _ = scrooge("mandates", "list", "user-1", "--json", **database)
    [told] = json.loads(out)["mandates"]
    assert (code, told["id"], told["status"], told["max_minor"]) == (0, agreed.id, "active", 2000)
    for reason in ("the payer called", "once more"):
        code, out, _ = scrooge(
            "mandates", "revoke", agreed.id, "--reason", reason, "--by", "customer", "--json", **database
        )
        told = json.loads(out)
        assert (code, told["status"], told["revoked"]["because"]) == (0, "revoked", "the payer called")
    code, out, _ = scrooge("mandates", "show", agreed.id, **database)
    assert code == 0
    assert "revoked" in out


def test_what_is_no_mandate_of_the_merchant_is_said(scrooge, database, agreed: Mandate):
    assert scrooge("mandates", "show", "nonsense", **database)[0] == 2
    assert scrooge("mandates", "show", new_id("man", 3), **database)[0] == 1
    assert scrooge("mandates", "show", agreed.id, "--live", **database)[0] == 1
    code, _, err = scrooge("mandates", "revoke", agreed.id, "--reason", " ", **database)
    assert code == 2
    assert "--reason" in err
