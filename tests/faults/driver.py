"""Callers of every temper: what they send, how they hold out, and every answer they got."""

import asyncio
import time
import uuid
from typing import Any

import aiohttp
from msgspec import Struct, field

from scrooge.sandbox.cards import PUBLIC_TOKENS
from tests.faults.cells import Cell
from tests.faults.lane import Lane
from tests.world import TOKENS

OTHER = {"stripe": "adyen", "adyen": "stripe"}
DECLINED = {"stripe": "pm_card_visa_chargeDeclinedInsufficientFunds", "adyen": "stored_insufficient_funds"}
ELSEWHERE = {"stripe": "pm_card_sandbox_issuerUnavailable", "adyen": "stored_issuer_unavailable"}
CHALLENGED = {"stripe": "pm_card_authenticationRequired", "adyen": "stored_challenge_always"}
CHALLENGE_DECLINED = {"stripe": "pm_card_threeDSecureRequiredChargeDeclined", "adyen": "stored_challenge_declined"}
REFUND_FAILS = {"stripe": "pm_card_refundFail", "adyen": "stored_refund_fails"}
INCREMENT_FAILS = {"stripe": "pm_card_sandbox_incrementDeclined", "adyen": "stored_increment_declined"}
CAPTURE_FAILS = {"stripe": "pm_card_visa", "adyen": "stored_capture_fails"}
PATIENCE = {"waits": 15.0, "copies": 15.0, "retries": 0.4, "new_key": 0.9, "gives_up": 0.5}  # seconds for the first try
LATER = {"request_in_progress", "database_unavailable", "overloaded", "too_busy"}
AMOUNT = {"value": "12.99", "currency": "EUR"}


class Said(Struct, frozen=True):
    """An answer a caller got. Times are Unix seconds."""

    reference: str
    key: str
    status: int
    document: dict[str, Any]
    started: float
    ended: float


class Order(Struct):
    """One thing that a caller wants done once."""

    cell: Cell
    reference: str
    path: str
    body: dict[str, Any]
    payment: str | None = None
    page: str | None = None  # where the payer authenticates
    said: list[Said] = field(default_factory=list)
    refused: list[Said] = field(default_factory=list)
    lost: int = 0  # answers that never came


# --- what comes before ------------------------------------------------------------------------


def token_of(cell: Cell, connector: str) -> str:
    """The payer's token for the authorization that the cell is about."""
    tokens = {"decline": DECLINED, "challenge": CHALLENGED}.get(cell.behavior, TOKENS)
    return tokens[connector]


async def payer(lane: Lane, cell: Cell) -> str:
    """What the order is paid with."""
    c = cell.connector
    if cell.operation == "cascade":
        return await means(lane, cell, **{c: ELSEWHERE[c], OTHER[c]: token_of(cell, OTHER[c])})
    return await means(lane, cell, **{c: token_of(cell, c)})


async def means(lane: Lane, cell: Cell, **tokens: str) -> str:
    """An instrument with these tokens, or with the card that the first of them stands for."""
    if cell.card == "token":
        return await lane.instrument(**tokens)
    connector, token = next(iter(tokens.items()))
    return await lane.card(PUBLIC_TOKENS[connector][token], coded=cell.card == "coded")


def there(cell: Cell) -> dict[str, str]:
    """A card may go to any account; so it is told to which."""
    return {} if cell.card == "token" or cell.operation == "cascade" else {"connector_account": cell.connector}


async def prepared(lane: Lane, cell: Cell, reference: str) -> Order:
    """Everything that has to be true before the order is given, done while nothing is wrong."""
    c, operation = cell.connector, cell.operation
    if operation in {"authorize", "sale", "cascade"}:
        body = {
            "reference": reference, "amount": AMOUNT, "instrument": await payer(lane, cell), **there(cell),
            "capture": "manual" if operation == "authorize" else "automatic", "return_url": "https://shop.example/r",
        }  # fmt: skip
        return Order(cell, reference, "/v1/payments", body)
    if operation == "verify":
        checked = {"reference": reference, "currency": "EUR", "return_url": "https://shop.example/r", **there(cell)}
        return Order(cell, reference, verifications_of(await payer(lane, cell)), checked)
    first = {
        "capture": CAPTURE_FAILS if cell.behavior == "decline" else TOKENS,
        "void": TOKENS,
        "refund": REFUND_FAILS if cell.behavior == "decline" else TOKENS,
        "increment": INCREMENT_FAILS if cell.behavior == "decline" else TOKENS,
        "continuation": CHALLENGE_DECLINED if cell.behavior == "decline" else CHALLENGED,
        "fresh": DECLINED,
    }[operation]
    paid = Cell(cell.point, "fresh", cell.behavior, cell.client, c) if operation == "fresh" else cell
    status, p = await lane.pay(
        c, instrument=await means(lane, paid, **{c: first[c]}), reference=reference, **there(paid),
        capture="manual" if operation in {"capture", "void", "increment"} else "automatic",
        return_url="https://shop.example/r", **({"incremental": True} if operation == "increment" else {}),
    )  # fmt: skip
    assert status == 201, p
    path = {"continuation": "authentications", "fresh": "authorizations"}.get(operation, f"{operation}s")
    order = Order(cell, reference, f"/v1/payments/{p['id']}/{path}", {"reference": f"m-{reference}"}, p["id"])
    if operation == "increment":
        order.body["amount"] = {"value": "2.50", "currency": "EUR"}
    if operation == "fresh":
        order.body = {"instrument": await payer(lane, cell)}
    if operation == "continuation":
        order.page = p["next_action"]["url"]
    return order


def verifications_of(instrument: str) -> str:
    return f"/v1/instruments/{instrument}/verifications"


# --- the caller -------------------------------------------------------------------------------


async def drive(lane: Lane, order: Order, calm: asyncio.Event, until: float) -> None:
    """Gives an order as the cell's client would, until it is answered or `until` (monotonic) is over."""
    back = None
    if order.page is not None:
        back = await authenticated(lane, order.page, "fail" if order.cell.behavior == "challenge" else "success")
        order.body = {"details": dict(back.query)}
    client = order.cell.client
    if client == "copies":
        key = uuid.uuid4().hex
        said = (await asyncio.gather(*(persist(lane, order, key, calm, until) for _ in range(3))))[0]
    elif client == "gives_up":
        if back is not None and not order.cell.point.startswith("answer"):
            await come_back(lane, back, PATIENCE["gives_up"])
        else:
            await once(lane, order, uuid.uuid4().hex, PATIENCE["gives_up"])
        return
    else:
        said = await persist(lane, order, uuid.uuid4().hex, calm, until)
    if said is not None and "next_action" in said.document:
        back = await authenticated(lane, said.document["next_action"]["url"], "success")
        while time.monotonic() < until and not await come_back(lane, back, 15):
            await asyncio.sleep(0.2)
            await calm.wait()


async def persist(lane: Lane, order: Order, key: str, calm: asyncio.Event, until: float) -> Said | None:
    """Asks again until there is an answer; `calm` is cleared while it would only disturb."""
    patience = PATIENCE[order.cell.client]
    while time.monotonic() < until:
        said = await once(lane, order, key, patience)
        patience = 15.0
        if said is not None and said.status < 300:
            return said
        if said is not None and said.status < 500 and said.document.get("code") not in LATER:
            order.refused.append(said)
            return said
        if order.cell.client == "new_key":
            key = uuid.uuid4().hex
        await asyncio.sleep(0.15)
        await calm.wait()
    return None


async def once(lane: Lane, order: Order, key: str, seconds: float) -> Said | None:
    started = time.time()
    try:
        async with lane.http.post(
            lane.api_url + order.path, json=order.body, headers=lane.headers(idempotency=key),
            timeout=aiohttp.ClientTimeout(total=seconds),
        ) as answer:  # fmt: skip
            said = Said(order.reference, key, answer.status, await answer.json(), started, time.time())
    except (OSError, TimeoutError, aiohttp.ClientError):
        order.lost += 1
        return None
    order.said.append(said)
    return said


# --- the payer --------------------------------------------------------------------------------


async def authenticated(lane: Lane, page: str, result: str) -> Any:
    """The issuer's page, answered; the URL that leads back to us."""
    async with lane.http.post(page, data={"result": result}, allow_redirects=False) as answer:
        return answer.url.join(type(answer.url)(answer.headers["Location"]))


async def come_back(lane: Lane, back: Any, seconds: float) -> bool:
    try:
        async with lane.http.get(back, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=seconds)) as answer:
            return answer.status < 500
    except (OSError, TimeoutError, aiohttp.ClientError):
        return False
