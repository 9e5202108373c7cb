"""A card that is saved gets a network token, where the setting says so: once, whatever dies; and it ends with its card."""

import asyncio
import os
import re
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import asyncpg
import msgspec
import pytest
from aiohttp import web
from msgspec import structs
from tests.births import born
from tests.conftest import free_port, wait_for
from tests.instruments.conftest import opened
from tests.instruments.test_forgetting import turn
from tests.instruments.vaulted.test_saving import fill_of, kept, learned, pay
from tests.vault.house import House

from scrooge.connectors.connector import CardSeen, Provisioned, Request
from scrooge.connectors.network_token import filled
from scrooge.connectors.stripe import STRIPE
from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import Unknown
from scrooge.domain.payment import Payment
from scrooge.errors import NotificationRefused
from scrooge.flows import errands
from scrooge.flows.ask import ask
from scrooge.flows.receive import accept, apply_one
from scrooge.flows.resolve import resolve
from scrooge.flows.scrooge import Scrooge
from scrooge.postgres.rows import public
from scrooge.settings import Settings
from scrooge.storage import inbox, network_tokens, payments, work
from scrooge.storage.access import create_key
from scrooge.storage.directory import ConnectorAccount, Principal
from scrooge.storage.work import Lease


@pytest.fixture
def settings(empty_database_url: str, vault: House, tmp_path: Path) -> Settings:
    own = {name.removeprefix("SCROOGE_").lower(): value for name, value in vault.core_env.items()}
    return Settings(database_url=empty_database_url, data_dir=tmp_path, network_tokens="visa,mastercard", **own)


@pytest.fixture
async def provider(s: Scrooge, who: Principal, sandbox_url: str) -> ConnectorAccount:
    account = await s.directory.add_account(
        who.merchant, "tokens", "tsp", "requestor-1", False, {"api_key": f"tsp_test_{uuid.uuid4().hex}"},
        f"{sandbox_url}/tsp", "tests",
    )  # fmt: skip
    await s.directory.refresh()
    return account


async def provider_says(s: Scrooge, account: ConnectorAccount, path: str, method: str = "GET", **body: Any) -> Any:
    wire = s.directory.wire(account)
    headers = {"Authorization": f"Bearer {wire.credentials['api_key']}"}
    async with s.http.request(method, f"{wire.base_url}/v1/{path}", headers=headers, json=body or None) as answer:
        return await answer.json() if answer.status != 204 else None


async def with_token(s: Scrooge, who: Principal, card: str) -> str:
    """The card is paid with and saved: it gets a network token, whose name at the provider comes back."""
    p = await pay(s, who, card, save_for="subscription")
    assert p.attempts[0].state == "approved", p.attempts[0]
    await learned(s)
    token = (await kept(s, card)).network_token
    assert token is not None
    return token.token


async def cryptogram(s: Scrooge, account: ConnectorAccount, token: str) -> dict[str, str]:
    return await provider_says(s, account, f"network_tokens/{token}/cryptograms", "POST", transaction_type="merchant")


@asynccontextmanager
async def hearing(
    s: Scrooge, account: ConnectorAccount, sql: asyncpg.Connection
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """The provider's notifications come to us; the function waits for one and does everything it leads to."""
    came: asyncio.Queue[int] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        status, _ = await accept(s, account.id, await request.read(), headers)
        came.put_nowait(status)
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    made = await provider_says(s, account, "webhooks", "POST", url=f"http://127.0.0.1:{port}/")
    account = await s.directory.change_credentials(account, {"webhook_secret": made["secret"]}, None, "tests")

    async def heard() -> None:
        assert await asyncio.wait_for(came.get(), 20) == 200
        for row in await inbox.claim(s.db, 10):
            await apply_one(s, row)
        await turn(s, sql)
        await turn(s, sql)

    try:
        yield heard
    finally:
        await runner.cleanup()


async def happens(s: Scrooge, sandbox_url: str, kind: str, token: str) -> None:
    body = {"connector": "tsp", "kind": kind, "token": token}
    async with s.http.post(f"{sandbox_url}/updates", json=body) as answer:
        assert await answer.json() == {"updated": [token]}


async def status_of(s: Scrooge, card: str) -> str | None:
    found = (await kept(s, card)).network_token
    return found.status if found else None


async def sent_of(s: Scrooge, p: Payment, number: int = -1) -> Request:
    return (await payments.request_of(s.db, p.id, p.attempts[number].id))[0]


async def truth(s: Scrooge, sandbox_url: str, reference: str) -> list[dict[str, Any]]:
    async with s.http.get(f"{sandbox_url}/truth") as answer:
        lines = [msgspec.json.decode(line) for line in (await answer.read()).splitlines()]
    return [line for line in lines if line["reference"] == reference]


# --- it is made -------------------------------------------------------------------------------


async def test_a_saved_card_gets_a_network_token_and_the_core_never_has_its_number(
    s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount, provider: ConnectorAccount, vault: House,
    sql: asyncpg.Connection,
):  # fmt: skip
    token = await with_token(s, who, card)
    found = (await kept(s, card)).network_token
    at_provider = await provider_says(s, provider, f"network_tokens/{token}")
    assert found is not None
    assert (found.status, found.last4) == ("active", at_provider["last4"])
    assert at_provider["card"]["last4"] == "4242"
    assert ("fill", "done") in await vault.acts(card)
    secret = (await cryptogram(s, provider, token))["number"]
    for table in ("network_tokens", "errands", "attempts"):
        assert secret not in str(await sql.fetch(f"SELECT t::text FROM {table} t"))
    await pay(s, who, card, save_for="subscription")
    await learned(s)
    assert await sql.fetchval("SELECT count(*) FROM errands WHERE kind = 'make_network_token'") == 1, "once"


async def test_a_card_that_nobody_agreed_to_save_or_of_a_brand_that_is_not_set_gets_none(
    s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount, provider: ConnectorAccount, vault: House,
):  # fmt: skip
    await pay(s, who, card)
    key = await vault.new_key(who.merchant)
    body = {"type": "card", "customer": "user-1",
            "card": {"number": "378282246310005", "exp_month": 3, "exp_year": 2034}}  # fmt: skip
    _, amex, _ = await vault.ask("POST", "/v1/instruments", body, key=key)
    await pay(s, who, amex["id"], save_for="subscription")
    await learned(s)
    assert [(await kept(s, i)).network_token for i in (card, amex["id"])] == [None, None]


@pytest.mark.parametrize("point", ["errand.claimed", "errand.done"])
async def test_a_worker_that_dies_while_a_token_is_made_makes_one(
    point: str, settings: Settings, s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount,
    provider: ConnectorAccount, sql: asyncpg.Connection, vault: House,
):  # fmt: skip
    await pay(s, who, card, save_for="subscription")
    env = {
        **os.environ, **vault.core_env, "SCROOGE_DATABASE_URL": settings.database_url or "",
        "SCROOGE_DATA_DIR": str(settings.data_dir), "SCROOGE_LOG_LEVEL": "error",
        "SCROOGE_NETWORK_TOKENS": "visa",
    }  # fmt: skip
    dying = born("worker", env={**env, "SCROOGE_CRASH_POINT": f"{point}:2"})
    assert await asyncio.to_thread(dying.wait, 60) == -signal.SIGKILL
    await turn(s, sql)
    found = (await kept(s, card)).network_token
    assert found is not None
    assert (found.status, await sql.fetchval("SELECT count(*) FROM network_tokens")) == ("active", 1)


async def test_a_token_made_for_an_instrument_that_goes_meanwhile_is_ended(
    s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount, provider: ConnectorAccount,
    sql: asyncpg.Connection,
):  # fmt: skip
    """Its answer was lost, so that nobody here knows its name but by the errand's own."""
    token = await with_token(s, who, card)
    await sql.execute("UPDATE network_tokens SET status = 'requested', token = NULL")
    await sql.execute("UPDATE errands SET state = 'due', ended_at = NULL WHERE kind = 'make_network_token'")
    await errands.forget(s, who.merchant, card)
    await turn(s, sql)
    await turn(s, sql)
    assert (await provider_says(s, provider, f"network_tokens/{token}"))["error"]["code"] == "token_not_found"
    assert await sql.fetchval("SELECT count(*) FROM errands WHERE state <> 'done'") == 0


async def test_deleting_an_instrument_ends_its_token_at_the_provider(
    s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount, provider: ConnectorAccount,
    sql: asyncpg.Connection,
):  # fmt: skip
    token = await with_token(s, who, card)
    await errands.forget(s, who.merchant, card)
    await turn(s)
    assert (await provider_says(s, provider, f"network_tokens/{token}"))["error"]["code"] == "token_not_found"
    assert await sql.fetchval("SELECT count(*) FROM network_tokens") == 0
    assert await sql.fetchval("SELECT count(*) FROM errands WHERE psp_token IS NOT NULL OR state <> 'done'") == 0


# --- it is paid with --------------------------------------------------------------------------


@pytest.mark.parametrize("initiator", ["customer", "merchant"])
@pytest.mark.parametrize(("first", "second"), [("stripe", "adyen"), ("adyen", "stripe")])
async def test_another_psp_is_paid_by_the_network_token_past_the_vault(
    first: str, second: str, initiator: str, s: Scrooge, who: Principal, card: str, provider: ConnectorAccount,
    vault: House, sandbox_url: str,
):  # fmt: skip
    await opened(s, who, first, sandbox_url)
    await with_token(s, who, card)
    other = await opened(s, who, second, sandbox_url)
    fills = len(await vault.acts(card))
    p = await pay(s, who, card, connector_account=other.id, initiator=initiator)
    assert p.attempts[0].state == "approved", p.attempts[0]
    request = await sent_of(s, p)
    assert request.token is not None
    assert request.fill is None
    assert (b"cryptogram%7D%7D" in request.body or b"{{cryptogram}}" in request.body) is (initiator == "customer")
    assert len(await vault.acts(card)) == fills, "past the vault"
    assert len(await truth(s, sandbox_url, f"{p.id}-1")) == 1
    assert p.attempts[0].network_transaction_id
    if initiator == "merchant":
        ours = (await kept(s, card)).network_transaction_id or "none"
        assert ours.encode() in request.body


@pytest.mark.parametrize("psp", ["stripe", "adyen"])
async def test_what_pays_by_a_network_token_is_in_no_row_and_no_reply(
    psp: str, s: Scrooge, who: Principal, card: str, provider: ConnectorAccount, sandbox_url: str,
    sql: asyncpg.Connection, capfd: pytest.CaptureFixture[str],
):  # fmt: skip
    """The PSP repeats the number it was sent in its answer, in every form it knows."""
    await opened(s, who, "adyen" if psp == "stripe" else "stripe", sandbox_url)
    token = await with_token(s, who, card)
    number = (await cryptogram(s, provider, token))["number"]
    other = await opened(s, who, psp, sandbox_url)
    async with s.http.post(f"{sandbox_url}/faults", json={"connector": psp, "kind": "echo_card", "rate": 1}):
        p = await pay(s, who, card, connector_account=other.id)
    async with s.http.delete(f"{sandbox_url}/faults") as answer:
        assert (psp, "echo_card") in {(f["connector"], f["kind"]) for f in (await answer.json())["struck"]}
    assert p.attempts[0].state == "approved", p.attempts[0]
    wire, request = s.directory.wire(other), await sent_of(s, p)
    secret = await filled(s.http, wire, s.directory.wire(provider), request, p.attempts[0].reference, 5)
    assert number.encode() in secret.body
    assert secret.secret.cryptogram
    echo = f'{{"id": "x", "a": ["{number}", "card {number[:4]} {number[4:8]} {number[8:12]} {number[12:]}", {number}]}}'
    for said in (echo, f'{{"mpi": "{secret.secret.cryptogram}"}}', f"<Card pan={number}/>"):
        clean, headers = secret.without(said.encode(), {"x-trace": f"{number} {secret.secret.cryptogram}"})
        for text in (clean.decode(), str(headers)):
            assert number not in re.sub("[^0-9]", "", text)
            assert secret.secret.cryptogram not in text
    told = capfd.readouterr()
    everything = f"{told.out}{told.err}{secret!r}{secret.secret!r}{p!r}"
    for row in await sql.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        everything += str(await sql.fetch(f'SELECT t::text FROM "{row[0]}" t'))
    assert number not in everything
    assert secret.secret.cryptogram not in everything
    assert quote_plus(secret.secret.cryptogram) not in everything


async def test_a_suspended_token_is_not_used_until_it_is_resumed(
    s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount, provider: ConnectorAccount, sandbox_url: str,
    sql: asyncpg.Connection,
):  # fmt: skip
    token = await with_token(s, who, card)
    adyen = await opened(s, who, "adyen", sandbox_url)
    async with hearing(s, provider, sql) as heard:
        await happens(s, sandbox_url, "suspended", token)
        await heard()
        assert await status_of(s, card) == "suspended"
        p = await pay(s, who, card, connector_account=adyen.id)
        assert (p.attempts[0].state, await fill_of(s, p) is not None) == ("approved", True), "by the card in the vault"
        await happens(s, sandbox_url, "resumed", token)
        await heard()
    p = await pay(s, who, card, connector_account=adyen.id)
    assert (p.attempts[0].state, (await sent_of(s, p)).token is not None) == ("approved", True)


async def test_a_token_that_the_provider_will_not_have_used_is_not_sent_and_the_card_goes_instead(
    s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount, provider: ConnectorAccount, sandbox_url: str,
):  # fmt: skip
    """Suspended, and we have not heard of it yet."""
    token = await with_token(s, who, card)
    adyen = await opened(s, who, "adyen", sandbox_url)
    await happens(s, sandbox_url, "suspended", token)
    p = await pay(s, who, card, connector_account=adyen.id)
    assert [a.state for a in p.attempts] == ["rejected", "approved"]
    assert "token_suspended" in (p.attempts[0].reason or "")
    assert ((await sent_of(s, p, 0)).token is not None, await fill_of(s, p) is not None) == (True, True)
    assert len({a.connector_account for a in p.attempts}) == 1


async def test_a_provider_that_cannot_be_reached_is_in_no_payments_way(
    s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount, provider: ConnectorAccount, sandbox_url: str,
):  # fmt: skip
    await with_token(s, who, card)
    adyen = await opened(s, who, "adyen", sandbox_url)
    await s.directory.change_credentials(provider, {}, f"http://127.0.0.1:{free_port()}", "tests")
    p = await pay(s, who, card, connector_account=adyen.id)
    assert [a.state for a in p.attempts] == ["rejected", "approved"]
    assert await fill_of(s, p) is not None


async def test_a_provider_whose_credentials_cannot_be_opened_leaves_no_payment_in_doubt(
    s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount, provider: ConnectorAccount, sandbox_url: str,
):  # fmt: skip
    await with_token(s, who, card)
    adyen = await opened(s, who, "adyen", sandbox_url)
    s.directory.by_id[provider.id] = structs.replace(provider, sealed="not sealed by a key of ours")
    p = await pay(s, who, card, connector_account=adyen.id)
    assert [a.state for a in p.attempts] == ["rejected", "approved"]
    assert await fill_of(s, p) is not None


async def test_a_card_that_was_replaced_is_paid_with_by_its_token_alone(
    s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount, provider: ConnectorAccount, sandbox_url: str,
    sql: asyncpg.Connection,
):  # fmt: skip
    token = await with_token(s, who, card)
    adyen = await opened(s, who, "adyen", sandbox_url)
    async with hearing(s, provider, sql) as heard:
        await happens(s, sandbox_url, "number", token)
        await heard()
    found = await kept(s, card)
    assert (found.card_status, found.vault, found.last4 != "4242") == ("replaced", False, True)
    p = await pay(s, who, card, connector_account=adyen.id)
    assert (p.attempts[0].state, (await sent_of(s, p)).token is not None) == ("approved", True)


async def test_a_token_that_ends_at_the_provider_is_gone_and_a_new_expiry_is_the_vaults_too(
    s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount, provider: ConnectorAccount, sandbox_url: str,
    sql: asyncpg.Connection, vault: House,
):  # fmt: skip
    token = await with_token(s, who, card)
    async with hearing(s, provider, sql) as heard:
        await happens(s, sandbox_url, "expiry", token)
        await heard()
        assert (await vault.core_asks("GET", f"/v1/cards/{card}"))[1]["exp"] == "2038-03"
        await happens(s, sandbox_url, "closed", token)
        await heard()
    assert (await kept(s, card)).network_token is None


async def test_what_the_provider_did_not_sign_is_refused(s: Scrooge, provider: ConnectorAccount):
    await s.directory.change_credentials(provider, {"webhook_secret": "secret"}, None, "tests")
    raw = b'{"id": "ntf_1", "type": "network_token.deleted", "data": {"id": "nt_1"}}'
    for signature in ("", "t=1,v1=00", f"t={int(time.time())},v1={'0' * 64}"):
        with pytest.raises(NotificationRefused):
            await accept(s, provider.id, raw, {"tsp-signature": signature})


async def test_a_look_that_another_one_overtook_changes_nothing(
    s: Scrooge, who: Principal, card: str, stripe: ConnectorAccount, provider: ConnectorAccount, sandbox_url: str,
):  # fmt: skip
    """Else the earlier answer, "active", would stand after the later one, "suspended"."""
    token = await with_token(s, who, card)
    seen = await network_tokens.seen(s.db, card, token)
    assert seen is not None
    earlier = Provisioned(token, "active", "0000", "2030-01", CardSeen("4242", "2034-03"))
    later = Provisioned(token, "suspended", "0000", "2030-01", CardSeen("4242", "2034-03"))
    async with s.db.transaction() as connection:
        assert await network_tokens.look(connection, card, seen, later)
        assert not await network_tokens.look(connection, card, seen, earlier)
    assert await status_of(s, card) == "suspended"


# --- whatever dies ----------------------------------------------------------------------------


@pytest.mark.parametrize("psp", ["stripe", "adyen"])
@pytest.mark.parametrize("point", ["record.after", "send.before", "send.after"])
async def test_a_payment_whose_process_dies_is_made_once(
    point: str, psp: str, settings: Settings, s: Scrooge, who: Principal, card: str, provider: ConnectorAccount,
    sandbox_url: str, sql: asyncpg.Connection, vault: House,
):  # fmt: skip
    """The provider answers the attempt as it did before, so the PSP is sent the same bytes and knows its key."""
    await opened(s, who, "adyen" if psp == "stripe" else "stripe", sandbox_url)
    await with_token(s, who, card)
    other = await opened(s, who, psp, sandbox_url)
    key = (await create_key(s.db, who.caller, ["*"], livemode=False))[1]
    port = free_port()
    env = {
        **os.environ, **vault.core_env, "SCROOGE_DATABASE_URL": settings.database_url or "",
        "SCROOGE_DATA_DIR": str(settings.data_dir), "SCROOGE_LOG_LEVEL": "error", "SCROOGE_PORT": str(port),
        "SCROOGE_CRASH_POINT": point,
    }  # fmt: skip
    dying = born("serve", env=env)
    wait_for(f"http://127.0.0.1:{port}/healthz", dying)
    body = {
        "reference": uuid.uuid4().hex, "amount": {"currency": "EUR", "value": "12.99"}, "instrument": card,
        "connector_account": other.id,
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": uuid.uuid4().hex}
    with pytest.raises(aiohttp.ClientError):
        async with s.http.post(f"http://127.0.0.1:{port}/v1/payments", json=body, headers=headers) as answer:
            raise AssertionError(await answer.text())
    assert await asyncio.to_thread(dying.wait, 60) == -signal.SIGKILL
    found = await sql.fetchrow("SELECT bucket, id FROM payments WHERE reference = $1", body["reference"])
    payment = public("pay", found["id"]) or ""
    p = await payments.read(s.db, payment)
    assert p is not None
    await sql.execute("UPDATE attempts SET ask_at = now() WHERE state = 'sent'")
    lease = await work.claim_attempt(s.db, p.id, p.attempts[0].id, 30)
    assert lease is not None
    after = await resolve(s, Lease(p.id, p.attempts[0].id, other.id, lease))
    assert after is not None
    assert after.attempts[0].state == "approved", after.attempts[0]
    assert len(await truth(s, sandbox_url, after.attempts[0].reference)) == 1


async def test_what_can_not_be_repeated_is_asked_about_instead(
    s: Scrooge, who: Principal, card: str, adyen: ConnectorAccount, provider: ConnectorAccount, sandbox_url: str,
):  # fmt: skip
    """The token ended between the first send and the replay, so that its cryptogram is not to be had any more."""
    token = await with_token(s, who, card)
    stripe = await opened(s, who, "stripe", sandbox_url)
    p = await pay(s, who, card, connector_account=stripe.id)
    request = await sent_of(s, p)
    await happens(s, sandbox_url, "closed", token)
    attempt = p.attempts[0].id
    other = structs.replace(p.attempts[0], reference=f"{p.id}-9")
    outcome = await ask(
        s, structs.replace(p, attempts=(other,)), attempt, STRIPE.endpoints[Operation.AUTHORIZE], request, first=False,
        again=True,
    )  # fmt: skip
    assert isinstance(outcome, Unknown)
    assert outcome.unrepeatable
