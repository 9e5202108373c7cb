"""One PSP of the demo fails for a while: what its payments became, and when it was used again. Told in the summary."""

import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from scrooge.cli.demo.shop import Refused, Shop, authorized

PSP, KIND = "stripe", "500_before"  # It answers 503, and has done nothing.
BEGINS, ENDS = 0.5, 0.7  # of the payments
# Minutes are for days; a demo has seconds.
POLICY = {"scorer": {"health": {"pause_seconds": 1.0, "pause_most": 4.0, "probe_seconds": 0.3, "recover": 3}}}


class Outage(Struct, kw_only=True):
    """`sent_there` of the `payments` made meanwhile met it; `noticed_seconds`: until one in ten or fewer did.
    `back_seconds`: from its end until a payment was approved there again; none, where the payments ended first."""

    psp: str
    payments: int
    sent_there: int
    approved: int
    seconds: float
    noticed_seconds: float | None
    back_seconds: float | None


class Weather:
    """Turns the outage on and off by how many payments have begun, and watches where they go."""

    def __init__(self, shop: Shop, http: aiohttp.ClientSession, seed: int, count: int) -> None:
        self.shop, self.http, self.seed = shop, http, seed
        self.first, self.last = round(count * BEGINS), round(count * ENDS)
        self.number = 0
        self.began: float | None = None
        self.ended: float | None = None
        self.during: list[tuple[float, bool, bool]] = []  # began, went there, approved
        self.back: float | None = None

    async def next(self) -> float:
        """Before each payment: when it begins."""
        self.number += 1
        if self.number == self.first and self.first < self.last:
            await self.set(1.0)
            self.began = time.monotonic()
        elif self.number == self.last and self.began is not None:
            await self.set(0.0)
            self.ended = time.monotonic()
        return time.monotonic()

    async def set(self, rate: float) -> None:
        fault = {"connector": PSP, "kind": KIND, "rate": rate, "seed": self.seed}
        headers = {"Content-Type": "application/json"}
        url = f"{self.shop.sandbox_url}/faults"
        async with self.http.post(url, data=msgspec.json.encode(fault), headers=headers) as answer:
            answer.raise_for_status()

    def saw(self, at: float, payment: Mapping[str, Any]) -> None:
        there = payment["connector_account"] == self.shop.contracts[PSP].name
        good = payment["status"] in {"authorized", "captured"}
        if self.began is not None and at >= self.began and (self.ended is None or at < self.ended):
            self.during.append((at - self.began, there, good))
        elif self.ended is not None and at >= self.ended and there and good and self.back is None:
            self.back = time.monotonic() - self.ended

    def told(self) -> Outage | None:
        if self.began is None or self.ended is None or not self.during:
            return None
        there = [at for at, went, _ in self.during if went]
        return Outage(
            psp=self.shop.contracts[PSP].name,
            payments=len(self.during),
            sent_there=len(there),
            approved=sum(good for _, _, good in self.during),
            seconds=round(self.ended - self.began, 2),
            noticed_seconds=noticed(sorted(self.during)),
            back_seconds=None if self.back is None else round(self.back, 2),
        )


def noticed(during: list[tuple[float, bool, bool]]) -> float | None:
    """Seconds until at most one in ten of those after it went there."""
    for i, (at, _, _) in enumerate(during):
        after = during[i:]
        if sum(went for _, went, _ in after) * 10 <= len(after):
            return round(at, 2)
    return None


async def make_policy(shop: Shop, http: aiohttp.ClientSession) -> None:
    """The merchant's policy: any of its PSPs, by what is expected of them. Once; a later start finds it active."""
    document = {"name": "demo", "accounts": {name: {} for name in shop.psps}, **POLICY}
    made = await posted(shop, http, "policies", {"document": document})
    if made["state"] != "active":
        await posted(shop, http, f"policies/{made['id']}/activate", {"expect_active": None})


async def posted(shop: Shop, http: aiohttp.ClientSession, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    headers = {**authorized(shop, "checkout"), "Idempotency-Key": f"demo-{path}"}
    async with http.post(f"{shop.api_url}/v1/routing/{path}", json=body, headers=headers) as answer:
        document: dict[str, Any] = await answer.json()
    if answer.status not in (200, 201):
        raise Refused(f"POST /v1/routing/{path} answered {answer.status}: {document.get('detail')}")
    return document
