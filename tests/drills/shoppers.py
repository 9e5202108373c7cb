"""Callers who do as the documentation says: the same request with the same key until it has an answer."""

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from msgspec import Struct, field

from tests.drills.rig import Rig

GAVE_UP = 90.0  # seconds; nothing takes so long
FINE = {200, 201, 202}
AGAIN = {409, 429, 502, 503, 504}


class Told(Struct):
    """What callers heard. `certain` has the last certain status of each payment, capture and refund; `doubtful` those
    with a 202 only."""

    certain: dict[str, str] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)  # of refusals
    broken: Counter[str] = field(default_factory=Counter)  # connections: how they ended
    lost_answers: int = 0  # requests that had been accepted, and whose connection ended without an answer
    given_up: int = 0
    slowest: float = 0.0
    last_good: float = 0.0  # monotonic
    longest_gap: float = 0.0  # between two good answers of anybody

    def good(self) -> None:
        now = time.monotonic()
        if self.last_good:
            self.longest_gap = max(self.longest_gap, now - self.last_good)
        self.last_good = now

    def hear(self, document: dict[str, Any]) -> None:
        if document["outcome_certainty"] == "certain":
            self.certain[document["id"]] = document["status"]
            self.doubtful.discard(document["id"])
        elif document["id"] not in self.certain:
            self.doubtful.add(document["id"])

    def summary(self) -> dict[str, Any]:
        return {
            "acknowledged": len(self.certain) + len(self.doubtful), "in_doubt_when_answered": len(self.doubtful),
            "statuses": {str(k): v for k, v in sorted(self.statuses.items())}, "refusals": dict(self.codes),
            "broken_connections": dict(self.broken), "lost_answers": self.lost_answers, "given_up": self.given_up,
            "slowest_seconds": round(self.slowest, 2), "longest_gap_seconds": round(self.longest_gap, 2),
        }  # fmt: skip


class Shopper:
    def __init__(self, rig: Rig, told: Told, seed: int) -> None:
        self.rig, self.told = rig, told
        self.random = random.Random(seed)
        self.http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        # Otherwise the client would repeat a GET by itself, and hide what we look for.
        self.http._retry_connection = False

    async def shop(self, stop: asyncio.Event) -> None:
        async with self.http:
            while not stop.is_set():
                await self.journey()

    async def journey(self) -> None:
        """A payment, and what comes after it."""
        poor, manual = self.random.random() < 0.1, self.random.random() < 0.3
        body = {
            "reference": f"drill-{uuid.uuid4().hex}", "amount": {"value": "7.50", "currency": "EUR"},
            "instrument": self.rig.cards["no money" if poor else "fine"], "capture": "manual" if manual else "automatic",
        }  # fmt: skip
        p = await self.persist("/v1/payments", body)
        if p and p["status"] == "authorized":
            await self.persist(f"/v1/payments/{p['id']}/captures", {})
        elif p and p["status"] == "captured" and self.random.random() < 0.2:
            await self.persist(f"/v1/payments/{p['id']}/refunds", {"reference": "r-1"})

    async def persist(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """What was answered; None when it was refused for good or is in doubt."""
        key, began, hung_up = uuid.uuid4().hex, time.monotonic(), False
        while time.monotonic() < began + GAVE_UP:
            try:
                async with self.http.post(
                    self.rig.api_url + path, json=body, headers=self.rig.headers(idempotency=key)
                ) as answer:
                    document = await answer.json()
                    replayed = "Idempotent-Replayed" in answer.headers
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                self.told.broken[type(error).__name__] += 1
                hung_up = hung_up or not isinstance(error, aiohttp.ClientConnectorError)
                await asyncio.sleep(0.05)
                continue
            self.told.statuses[answer.status] += 1
            if answer.status in FINE:
                self.told.good()
                self.told.lost_answers += hung_up and replayed
                self.told.slowest = max(self.told.slowest, time.monotonic() - began)
                self.told.hear(document)
                return document if answer.status != 202 else None
            self.told.codes[document.get("code", "?")] += 1
            if answer.status not in AGAIN:
                return None
            await asyncio.sleep(0.05 + 0.1 * self.random.random())
        self.told.given_up += 1
        return None


@asynccontextmanager
async def shoppers(rig: Rig, number: int, told: Told | None = None) -> AsyncIterator[Told]:
    """So many shop at once while the body runs; at its end each finishes what was begun."""
    told, stop = told or Told(), asyncio.Event()
    tasks = [asyncio.create_task(Shopper(rig, told, seed).shop(stop)) for seed in range(number)]
    try:
        yield told
    finally:
        stop.set()
        await asyncio.gather(*tasks)
