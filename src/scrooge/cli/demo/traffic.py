"""The demo's payments: what payers and callers do, drawn by seed, through the real HTTP API."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from scrooge.cli.demo.outage import Weather
from scrooge.cli.demo.shop import CALLERS, Refused, Shop, authorized
from scrooge.money import Money

CLIENTS = 32
RETRIES = 40  # while a serving process is being replaced
RETRY_SECONDS = 0.25
PATIENCE_SECONDS = 30.0
# From, to and in steps of, in minor units. Stripe takes KWD in tens, and so must half of an amount be.
CURRENCIES = {"EUR": (99, 25_000, 1), "USD": (99, 25_000, 1), "JPY": (100, 30_000, 1), "KWD": (260, 90_000, 20)}
# A life of a payment, how many of a hundred live it, and the payers it happens to.
LIVES: dict[str, tuple[float, tuple[str, ...]]] = {
    "sale": (54.0, ("visa", "mastercard", "amex")),
    "renewal": (8.0, ("visa", "mastercard", "funds_later", "funds_later", "expired_card")),
    "declined": (
        10.0,
        ("insufficient_funds", "do_not_honor", "expired_card", "suspected_fraud", "issuer_unavailable"),
    ),
    "capture": (7.0, ("visa", "mastercard")),
    "partial_capture": (4.0, ("visa", "mastercard")),
    "void": (4.0, ("visa", "amex")),
    "partial_refund": (6.0, ("visa", "mastercard")),
    "full_refund": (2.0, ("visa", "amex")),
    "authenticated": (4.0, ("challenge",)),
    "not_authenticated": (1.0, ("challenge",)),
}
RUNS = 9973  # that differ from each other in what renewals come to
AUTHENTICATED = ("authenticated", "not_authenticated")
FAULTS = (  # kind, how often, and how long in milliseconds where it is about time
    ("charge_then_drop", 0.012, None),
    ("charge_then_500", 0.012, None),
    ("slow", 0.004, 3_000),
)


class Plan(Struct, frozen=True):
    """One payment to make."""

    reference: str
    life: str
    caller: str
    instrument: str
    save: bool
    customer: str
    money: Money


class Run(Struct):
    """What happened, as the callers saw it; latencies in milliseconds, of creating a payment."""

    latencies_ms: list[float] = []
    unknowns: int = 0
    seconds: float = 0.0
    first_at: float | None = None  # time.monotonic() of the first answered payment


def planned(shop: Shop, count: int, seed: int, run: str) -> Iterator[Plan]:
    """The same seed makes the same payments; `run` keeps their references apart from earlier ones, and what renewals
    come to, for an issuer remembers what it was asked."""
    draw = Random(seed)  # noqa: S311 - a simulation
    lives, weights = list(LIVES), [share for share, _ in LIVES.values()]
    for number in range(count):
        [life] = draw.choices(lives, weights)
        kind = draw.choice(LIVES[life][1])
        currency = draw.choices(list(CURRENCIES), (60, 25, 10, 5))[0]
        money = Money(draw.randrange(*CURRENCIES[currency]), currency)
        if life == "renewal":
            money = Money(money.minor + int(run, 16) % RUNS * CURRENCIES[currency][2], currency)
        caller, instrument = draw.choices(CALLERS, (6, 3, 1))[0], draw.choice(shop.instruments[kind])
        # Whose card is in the vault and is a Mastercard agrees to have it saved: it gets a network token.
        save = kind == "mastercard" and instrument == shop.instruments[kind][2]
        yield Plan(f"demo-{run}-{number}", life, caller, instrument, save, f"payer-{kind}", money)


class Traffic:
    """Callers of the API, a few dozen at a time."""

    def __init__(self, shop: Shop, http: aiohttp.ClientSession, progress: Callable[[], None], weather: Weather) -> None:
        self.shop, self.http, self.progress, self.weather = shop, http, progress, weather
        self.seen = Run(latencies_ms=[])

    async def run(self, plans: Iterator[Plan]) -> Run:
        started = time.monotonic()
        await asyncio.gather(*(self.client(plans) for _ in range(CLIENTS)))
        self.seen.seconds = time.monotonic() - started
        return self.seen

    async def client(self, plans: Iterator[Plan]) -> None:
        for plan in plans:
            await self.live(plan)
            self.progress()

    async def live(self, plan: Plan) -> None:
        started = await self.weather.next()
        payment = await self.create(plan)
        now = time.monotonic()
        self.weather.saw(started, payment)
        self.seen.latencies_ms.append((now - started) * 1000)
        self.seen.first_at = self.seen.first_at or now
        if plan.life in AUTHENTICATED and payment["status"] == "processing":
            payment = await self.found_out(plan, payment)
        money, status = plan.money, payment["status"]
        part = amount(Money(max(1, money.minor // 2), money.currency))
        path = f"/v1/payments/{payment['id']}"
        match plan.life, status:
            case "capture", "authorized":
                await self.move(plan, f"{path}/captures", {"reference": "shipped"})
            case "partial_capture", "authorized":
                once = payment["connector_account"].startswith("stripe")  # Adyen captures more than once.
                await self.move(plan, f"{path}/captures", {"amount": part, "reference": "part", "final": once})
            case "void", "authorized":
                await self.move(plan, f"{path}/voids", {"reference": "not-shipped"})
            case "partial_refund", "captured":
                await self.move(plan, f"{path}/refunds", {"amount": part, "reference": "returned-one"})
            case "full_refund", "captured":
                await self.move(plan, f"{path}/refunds", {"reference": "returned-all"})
            case _, "requires_action":
                await self.authenticate(payment, "fail" if plan.life == "not_authenticated" else "success")

    async def create(self, plan: Plan) -> dict[str, Any]:
        by_hand = plan.life in ("capture", "partial_capture", "void")
        body = {
            "reference": plan.reference,
            "amount": amount(plan.money),
            "instrument": plan.instrument,
            "customer": plan.customer,
            "capture": "manual" if by_hand else "automatic",
            "metadata": {"life": plan.life},
            **(renewing() if plan.life == "renewal" else {"return_url": "https://shop.example/return"}),
            **({"save_for": {"use": "on_demand"}} if plan.save else {}),
        }
        return await self.post("/v1/payments", body, plan.caller, plan.reference)

    async def move(self, plan: Plan, path: str, body: dict[str, Any]) -> None:
        await self.post(path, body, plan.caller, f"{plan.reference}-{body['reference']}")

    async def found_out(self, plan: Plan, payment: dict[str, Any]) -> dict[str, Any]:
        """The payer waits at the checkout until the lost answer is known."""
        url = f"{self.shop.api_url}/v1/payments/{payment['id']}"
        until = time.monotonic() + PATIENCE_SECONDS
        while payment["status"] == "processing" and time.monotonic() < until:
            await asyncio.sleep(RETRY_SECONDS)
            async with self.http.get(url, headers=authorized(self.shop, plan.caller)) as answer:
                answer.raise_for_status()
                payment = await answer.json()
        return payment

    async def post(self, path: str, body: dict[str, Any], caller: str, key: str) -> dict[str, Any]:
        """With an idempotency key, so that asking again after a broken connection is safe."""
        headers = {**authorized(self.shop, caller), "Idempotency-Key": key}
        left = RETRIES
        while True:
            left -= 1
            try:
                async with self.http.post(self.shop.api_url + path, json=body, headers=headers) as answer:
                    document = await answer.json()
                    if answer.status in (201, 202):
                        self.seen.unknowns += document["outcome_certainty"] == "unknown"
                        return document
                    again = answer.status in (409, 503) and "Retry-After" in answer.headers
                    if not (again and left):
                        raise Refused(f"POST {path} answered {answer.status}: {document.get('detail')}")
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
                if not left:
                    raise Refused(f"POST {path}: no answer from {self.shop.api_url}: {error}") from error
            await asyncio.sleep(RETRY_SECONDS)

    async def authenticate(self, payment: dict[str, Any], result: str) -> None:
        """What the payer's browser does: the bank's page, its button, and back to us."""
        action = payment["next_action"]
        async with self.http.request(action["method"], action["url"], data=action["fields"] or None) as page:
            page.raise_for_status()
            bank = page.url
        async with self.http.post(bank, data={"result": result}, allow_redirects=False) as answer:
            back = answer.headers["Location"]
        async with self.http.get(back, allow_redirects=False) as answer:
            answer.raise_for_status()


def renewing() -> dict[str, str]:
    """What a subscription asks for when nobody is there: tried again for a month, if need be."""
    until = datetime.now(UTC) + timedelta(days=30)
    return {"initiator": "merchant", "purpose": "subscription_renewal", "retry_until": until.isoformat()}


def amount(money: Money) -> dict[str, str]:
    return {"value": money.value, "currency": money.currency}


async def set_faults(http: aiohttp.ClientSession, sandbox_url: str, seed: int) -> None:
    for kind, rate, delay_ms in FAULTS:
        fault = {"connector": "*", "kind": kind, "rate": rate, "seed": seed}
        body = msgspec.json.encode(fault if delay_ms is None else {**fault, "delay_ms": delay_ms})
        headers = {"Content-Type": "application/json"}
        async with http.post(f"{sandbox_url}/faults", data=body, headers=headers) as answer:
            answer.raise_for_status()


async def clear_faults(http: aiohttp.ClientSession, sandbox_url: str) -> None:
    async with http.delete(f"{sandbox_url}/faults") as answer:
        assert answer.status < 300, await answer.text()
