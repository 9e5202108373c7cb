"""Capture sessions for a page of the core's own: asked for with the core's signature, once, and for nobody else."""

import uuid
from typing import Any

import msgspec
import pytest

from scrooge.postgres.database import connect
from scrooge.service import identity, new_seed
from scrooge.vault.schema import ROLE
from scrooge.vault.vault import vault_keys
from tests.vault.house import CARD, House

PATH = "/v1/core/capture-sessions"


def wanted(vault: House, **more: Any) -> dict[str, Any]:
    return {"merchant": vault.merchant, "live": False, "customer": "user-1", "origin": "http://localhost:8080", **more}


async def test_the_core_is_given_a_form_and_the_card_is_the_merchants(vault: House):
    status, session = await vault.core_asks("POST", PATH, wanted(vault))
    assert (status, session["object"], session["customer"]) == (201, "capture_session", "user-1"), session
    assert session["script"]["url"] == f"{vault.url}/scrooge.js"
    assert session["script"]["integrity"].startswith("sha384-")
    async with vault.http.get(session["url"]) as answer:
        assert answer.status == 200
        assert "frame-ancestors http://localhost:8080" in answer.headers["Content-Security-Policy"]
    take = f"/v1/capture-sessions/{session['token']}/card"
    body = {"card": CARD, "attempt": uuid.uuid4().hex}
    status, made, _ = await vault.ask("POST", take, body, key="", headers={"Origin": vault.url})
    assert status == 201, made
    status, read, _ = await vault.ask("GET", f"/v1/instruments/{made['id']}")
    assert (status, read["customer"]) == (200, "user-1"), "it is this merchant's"


async def test_nobody_else_is(vault: House):
    status, problem, _ = await vault.ask("POST", PATH, wanted(vault))
    assert (status, problem["code"]) == (401, "service_token_refused"), "a merchant's key opens other doors"
    stranger, _ = identity(new_seed(), "x").token(f"POST {PATH}", b"{}")
    status, problem = await vault.core_asks("POST", PATH, wanted(vault), token=stranger)
    assert (status, problem["code"]) == (401, "service_token_refused")
    content = wanted(vault)
    token, _ = vault.core.token(f"POST {PATH}", msgspec.json.encode(content))
    assert (await vault.core_asks("POST", PATH, content, token=token))[0] == 201
    status, problem = await vault.core_asks("POST", PATH, content, token=token)
    assert (status, problem["code"]) == (401, "service_token_refused"), "used once"


@pytest.mark.parametrize(("more", "code"), [
    ({"live": True}, "invalid_field"), ({"origin": "http://shop.example"}, "invalid_field"),
    ({"customer": "4242424242424242"}, "pan_refused"), ({"merchant": "somebody"}, "not_found"),
])  # fmt: skip
async def test_a_form_that_may_not_be_is_refused(vault: House, more: dict[str, Any], code: str):
    status, problem = await vault.core_asks("POST", PATH, wanted(vault, **more))
    assert (status // 100, problem["code"]) == (4, code)


async def test_the_key_on_which_they_hang_opens_nothing_and_is_not_listed(vault: House):
    [row] = await vault.fetch("SELECT * FROM vault_keys WHERE caller = 'core'")
    assert (row["scopes"], row["id"].int) == (["none"], 0)
    db = await connect(vault.database_url, size=1, role=ROLE)
    assert "core" not in {key["caller"] for key in await vault_keys(db)}
    await db.close()
