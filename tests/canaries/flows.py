"""What is played with canary cards: every operation, every fault of the wire, every death, every refusal."""

import asyncio
import contextlib
import json
import os
import urllib.parse
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import asyncpg

from tests.canaries.deck import ADYENS_CODE, Canary
from tests.canaries.stage import Stage, command

PSPS = ("stripe", "adyen")
QUICK = {"SCROOGE_PSP_TIMEOUT_SECONDS": "2"}
SERVE_POINTS = ("record.after", "send.written", "send.after", "apply.before")
VAULT_POINTS = ("vault.grant.after", "vault.send.written", "vault.send.after")
Flow = Callable[[Stage], Awaitable[None]]


def at(s: Stage, connector: str, label: str, family: str = "approved") -> Canary:
    """A card with a security code that this PSP accepts."""
    return s.canary(f"{label} at {connector}", family, **({"code": ADYENS_CODE} if connector == "adyen" else {}))


async def changed(s: Stage, payment: str, change: str) -> None:
    path, body = f"/v1/payments/{payment}/{change}", {"reference": uuid.uuid4().hex[:12]}
    status, answer = await s.world.post(path, body)
    assert status in {200, 201, 202}, answer


async def approved(s: Stage) -> None:
    """Authorized, captured, refunded; voided; and the same request once more."""
    for connector in PSPS:
        card = at(s, connector, "approved")
        p = await s.pay(card, connector, capture="manual")
        assert p["status"] == "authorized", p
        await changed(s, p["id"], "captures")
        await s.ended(p["id"])
        await changed(s, p["id"], "refunds")
        p = await s.pay(at(s, connector, "voided"), connector, capture="manual")
        await changed(s, p["id"], "voids")
        order, key = s.order(await s.tokenize(at(s, connector, "replayed")), connector), uuid.uuid4().hex
        first = await s.world.post("/v1/payments", order, idempotency=key)
        again = await s.world.post("/v1/payments", order, idempotency=key)
        assert first[1]["id"] == again[1]["id"]


async def declined(s: Stage) -> None:
    for connector in PSPS:
        p = await s.pay(at(s, connector, "declined", "declined"), connector)
        assert p["status"] == "declined", p
        assert p["attempts"][0]["state"] == "declined" if p.get("attempts") else True


async def cascaded(s: Stage) -> None:
    p = await s.pay(s.canary("cascaded", "elsewhere", code=ADYENS_CODE), None)
    p = await s.ended(p["id"])
    assert len(p["attempts"]) == 2, "declined at one PSP, asked at the other"


async def challenged(s: Stage) -> None:
    for connector in PSPS:
        p = await s.pay(at(s, connector, "challenged", "challenged"), connector)
        assert p["status"] == "requires_action", p
        page = p["next_action"]["url"]
        async with s.world.http.post(page, data={"result": "success"}, allow_redirects=False) as answer:
            back = answer.headers["location"]
        async with s.world.http.get(back, allow_redirects=False) as answer:
            s.world.hear(f"{dict(answer.headers)} {await answer.text()}")
        await s.ended(p["id"])


def lost(kind: str) -> Flow:
    async def flow(s: Stage) -> None:
        """The answer is lost, or worse; the worker finds out."""
        for connector in PSPS:
            await s.world.fault(kind, connector=connector, **({"delay_ms": 3000} if kind == "slow" else {}))
            status, p = await s.world.post(
                "/v1/payments", s.order(await s.tokenize(at(s, connector, kind)), connector)
            )  # fmt: skip
            assert status in {201, 202, 502, 503}, p
            await s.world.no_faults()
            if "attempts" in p or p.get("object") == "payment":
                await s.ended(p["id"])

    return flow


async def echoed(s: Stage) -> None:
    """The PSP repeats the card in its answer; then in its notification too, which the core has to read."""
    for connector in PSPS:
        await s.world.fault("echo_card", connector=connector)
        await s.world.fault("lost_notification", connector=connector)
        await s.pay(at(s, connector, "echoed in the answer"), connector)
        await s.pay(at(s, connector, "echoed in a refusal", "declined"), connector)
        await s.world.no_faults()
        await s.world.fault("echo_card", connector=connector)
        card = at(s, connector, "echoed in the news")
        s.strays.add(card.label)
        await s.pay(card, connector)
        await asyncio.sleep(1)
        await s.world.no_faults()


def serve_dies(point: str) -> Flow:
    async def flow(s: Stage) -> None:
        name = f"dying-{point}"
        url = await asyncio.to_thread(s.world.start_beside, name, SCROOGE_CRASH_POINT=point, **QUICK)
        order, key = s.order(await s.tokenize(s.canary(f"serve dies at {point}"))), uuid.uuid4().hex
        with contextlib.suppress(OSError, aiohttp.ClientError):
            await s.world.post("/v1/payments", order, idempotency=key, at=url)
        s.world.processes.pop(name).kill()
        p = await persisted(s, order, key)
        await s.ended(p["id"])

    return flow


async def persisted(s: Stage, order: dict[str, Any], key: str) -> dict[str, Any]:
    for _ in range(300):
        status, p = await s.world.post("/v1/payments", order, idempotency=key)
        if status in {201, 202}:
            return p
        await asyncio.sleep(0.2)
    raise AssertionError(p)


def vault_dies(point: str) -> Flow:
    async def flow(s: Stage) -> None:
        card = s.canary(f"vault dies at {point}")
        instrument = await s.tokenize(card)
        s.restart_vault(SCROOGE_CRASH_POINT=point)
        order, key = s.order(instrument), uuid.uuid4().hex
        await s.world.post("/v1/payments", order, idempotency=key)
        s.restart_vault()
        p = await persisted(s, order, key)
        await s.ended(p["id"])

    return flow


async def worker_dies(s: Stage) -> None:
    """In the middle of finding out."""
    await s.world.fault("charge_then_drop", connector="stripe")
    p = await s.pay(s.canary("worker dies"))
    s.world.kill("worker")
    await s.world.no_faults()
    s.world.start("worker")
    await s.ended(p["id"])


async def strayed(s: Stage) -> None:
    """Somebody sends a card number to the core, in every place that takes a text; and to the vault in wrong ones."""
    card = s.canary("stray at the core")
    s.strays.add(card.label)
    number, grouped = card.number, " ".join(card.number[n : n + 4] for n in range(0, 16, 4))
    made = await s.tokenize(s.canary("beside a stray"))
    order = s.order(made)
    for place in ("reference", "customer", "instrument", "purpose", "statement_descriptor", "connector_account"):
        for text in (number, grouped):
            status, _ = await s.world.ask("POST", "/v1/payments", json=order | {place: text})
            assert status in {400, 404, 409, 422}, place
    bodies: list[Any] = [
        order | {"metadata": {"note": f"card {grouped}"}}, order | {"metadata": {number: "x"}}, order | {"card": card.card()},
        order | {number: 1}, {"amount": int(number)}, [number], card.card(), order | {"return_url": f"https://x.example/{number}"},
    ]  # fmt: skip
    for body in bodies:
        status, _ = await s.world.ask("POST", "/v1/payments", json=body)
        assert status in {400, 422}, body.keys() if isinstance(body, dict) else body
    form = {"content-type": "application/x-www-form-urlencoded"}
    raw = urllib.parse.urlencode({"number": number, "cvc": card.code})
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/payments", {"data": raw, "headers": form}),
        ("POST", "/v1/payments", {"data": f'{{"number": "{number}', "headers": {"content-type": "application/json"}}),
        ("POST", "/v1/payments", {"json": order | {"reference": "x"}, "headers": {"Idempotency-Key": number}}),
        ("GET", f"/v1/payments/{number}", {}),
        ("GET", f"/v1/payments?reference={number}", {}),
        ("GET", f"/v1/{number}/{urllib.parse.quote(grouped)}", {}),
        ("GET", f"/return/{number}?card={number}", {}),
        ("POST", f"/notifications/{number}", {"json": {"number": number}}),
        ("POST", f"/notifications/{s.world.accounts['stripe']['id']}", {"json": {"number": number}}),
        ("GET", "/v1/events", {"headers": {"Authorization": f"Bearer {number}"}}),
        ("GET", "/v1/events", {"headers": {"User-Agent": number, "Request-Timeout": number}}),
    ]
    for method, path, more in requests:
        await s.world.ask(method, path, **more)


async def strayed_at_the_vault(s: Stage) -> None:
    card = s.canary("stray at the vault")
    good = {"type": "card", "customer": "user-1", "card": card.card()}
    wrong = card.number[:-1] + str((int(card.number[-1]) + 1) % 10)
    for body in (
        good | {"customer": card.number}, good | {"card": card.card(number=wrong)}, good | {"card": card.card(exp_year=2020)},
        good | {"card": card.card(cvc=card.number)}, good | {"card": card.card(holder=card.number)}, good | {card.number: 1},
        good | {"card": card.card(number=card.number * 3)}, good | {"type": card.number}, {"card": card.number},
        good | {"card": card.card(exp_month=card.number)},
    ):  # fmt: skip
        status, answer, _ = await s.house.ask("POST", "/v1/instruments", body)
        s.world.hear(repr(answer))
        assert status in {400, 422}, status
    for path, more in (
        ("/v1/instruments", {"body": good, "idempotency": card.number}),
        ("/v1/instruments", {"raw": json.dumps(good)[:-9].encode()}),
        ("/v1/instruments", {"body": good, "key": f"vk_test_{card.number}"}),
    ):
        _, answer, _ = await s.house.ask("POST", path, **more)
        s.world.hear(repr(answer))
    _, answer, _ = await s.house.ask("GET", f"/v1/instruments/{card.number}")
    s.world.hear(repr(answer))


async def by_network_token(s: Stage) -> None:
    """Saved at one PSP, paid with at the other, which repeats what it was sent; then an answer is lost."""
    instrument = await s.tokenize(s.canary("network token"))
    order = s.order(instrument, "stripe", save_for={"use": "on_demand"})
    status, p = await s.world.post("/v1/payments", order)
    assert (status, p["status"]) == (201, "captured"), p
    for _ in range(150):
        _, shown = await s.world.get(f"/v1/instruments/{instrument}")
        if any(c["type"] == "network_token" for c in shown["credentials"]):
            break
        await asyncio.sleep(0.2)
    else:
        raise AssertionError(shown)
    await s.world.fault("echo_card", connector="adyen")
    paid = [(await s.world.post("/v1/payments", s.order(instrument, "adyen")))[1]]
    assert paid[0]["status"] == "captured", paid
    await s.world.no_faults()
    await s.world.fault("charge_then_drop", connector="adyen")
    paid.append((await s.world.post("/v1/payments", s.order(instrument, "adyen")))[1])
    await s.world.no_faults()
    for p in paid:
        ended = await s.ended(p["id"])
        assert [a["status"] for a in ended["attempts"]] == ["approved"], ended
        await remember(s, f"{p['id']}-1")


async def remember(s: Stage, reference: str) -> None:
    """The provider says again what it said for an attempt."""
    connection = await asyncpg.connect(s.world.database_url)
    token = await connection.fetchval("SELECT token FROM network_tokens")
    await connection.close()
    async with s.world.http.post(
        f"{s.world.sandbox_url}/tsp/v1/network_tokens/{token}/cryptograms",
        data=json.dumps({"transaction_type": "customer"}, separators=(",", ":")),
        headers={"Authorization": f"Bearer {s.world.secrets['tsp']['api_key']}", "Idempotency-Key": reference},
    ) as answer:
        assert answer.headers["idempotent-replayed"] == "true", "else it is another one"
        told = await answer.json()
    s.numbers["network token's number"] = told["number"]
    s.cryptograms[f"cryptogram of {reference}"] = told["cryptogram"]


async def deleted(s: Stage) -> None:
    card = s.canary("deleted")
    instrument = await s.tokenize(card)
    p = (await s.world.post("/v1/payments", s.order(instrument)))[1]
    await s.ended(p["id"])
    status, _ = await s.world.ask("DELETE", f"/v1/instruments/{instrument}")
    assert status in {200, 202, 204}
    other = await s.tokenize(s.canary("deleted at the vault"))
    status, _, _ = await s.house.ask("DELETE", f"/v1/instruments/{other}")
    assert status == 200


async def kept_unused(s: Stage) -> None:
    """A card that waits for its payment: its security code is in the vault's table, sealed."""
    await s.tokenize(s.canary("kept unused"))


async def by_the_form(s: Stage) -> None:
    """What the hosted form sends; a mistake first, and the session once more when it is over."""
    card = s.canary("by the form")
    body = {"customer": "user-1", "origin": "https://shop.example", "security_code": True}
    status, session, _ = await s.house.ask("POST", "/v1/capture-sessions", body)
    assert status == 201, session
    path, headers = (
        f"{s.house.url}/v1/capture-sessions/{session['token']}/card",
        {"Origin": s.house.url, "Sec-Fetch-Site": "same-origin"},
    )
    async with s.world.http.get(f"{s.house.url}/form/{session['token']}") as answer:
        s.world.hear(await answer.text())
    made: dict[str, Any] = {}
    for other, expected in (({"exp_year": 2020}, 422), ({}, 201), ({}, 410)):
        async with s.world.http.post(path, json={"card": card.card(**other)}, headers=headers) as answer:
            s.world.hear(f"{dict(answer.headers)} {await answer.text()}")
            assert answer.status == expected, await answer.text()
            made = await answer.json() if answer.status == 201 else made
    status, p = await s.world.post("/v1/payments", s.order(made["id"]))
    assert p["status"] == "captured", p


async def keys_rotated(s: Stage) -> None:
    """Paid before and after, with whatever the commands say written down."""
    instrument = await s.tokenize(s.canary("keys rotated"))
    env = {**os.environ, **s.house.env}
    for words in ("rotate", "reencrypt", "retire --all", "status --json"):
        said = await asyncio.to_thread(command, "vault", "keys", *words.split(), env=env)
        s.world.hear(f"scrooge vault keys {words}: {said}")
        assert "Traceback" not in said, said
    status, p = await s.world.post("/v1/payments", s.order(instrument))
    assert (status, p["status"]) == (201, "captured"), p


SLICE: dict[str, Flow] = {
    "approved": approved,
    "declined": declined,
    "cascaded": cascaded,
    "challenged": challenged,
    "lost answers": lost("charge_then_drop"),
    "echoed": echoed,
    "strayed": strayed,
    "strayed at the vault": strayed_at_the_vault,
    "serve dies": serve_dies("send.written"),
    "vault dies": vault_dies("vault.send.written"),
    "worker dies": worker_dies,
    "by network token": by_network_token,
    "deleted": deleted,
    "by the form": by_the_form,
    "kept unused": kept_unused,
}
FAULTS = ("drop_request", "charge_then_500", "500_before", "slow", "reset_midway", "garbage", "wrong_amount", "outage")
CAMPAIGN: dict[str, Flow] = {
    **SLICE,
    "keys rotated": keys_rotated,
    **{f"fault: {kind}": lost(kind) for kind in FAULTS},
    **{f"serve dies at {point}": serve_dies(point) for point in SERVE_POINTS if point != "send.written"},
    **{f"vault dies at {point}": vault_dies(point) for point in VAULT_POINTS if point != "vault.send.written"},
}
