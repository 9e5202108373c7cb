"""Callers in a process of their own, told on its input what to do: so many who each wait for their answer, to find how
many payments can be made, or some who do not wait for each other and send at a rate, whatever comes back.
"""

import asyncio
import json
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

OUTSTANDING = 4000  # A client has its limits too; what it cannot send is counted and not sent.
PATIENCE = 30.0


class Storm:
    def __init__(self, url: str, key: str, instrument: str) -> None:
        self.url, self.key, self.instrument = url, key, instrument
        # Seconds are counted from when the caller began, connecting included; how late that was is the client's fault.
        self.answers: list[tuple[str, int, float, dict[str, Any]]] = []
        self.late: list[float] = []
        self.broken: Counter[str] = Counter()
        self.not_sent = 0
        self.tail_seconds = 0.0  # from the last request to the last answer

    def client(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        http = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=PATIENCE))
        http._retry_connection = False
        return http

    async def shop(self, callers: int, seconds: float) -> None:
        """Each pays again as soon as it has its answer."""
        end = time.monotonic() + seconds

        async def caller(http: aiohttp.ClientSession) -> None:
            while time.monotonic() < end:
                await self.pay(http, time.monotonic())

        async with self.client() as http:
            await asyncio.gather(*(caller(http) for _ in range(callers)))

    async def blow(self, rate: float, seconds: float) -> None:
        """At even distances, whatever comes back."""
        async with self.client() as http:
            began, running = time.monotonic(), set()
            for n in range(int(rate * seconds)):
                due = began + n / rate
                ahead = due - time.monotonic()
                if ahead > 0:
                    await asyncio.sleep(ahead)
                elif n % 16 == 0:
                    await asyncio.sleep(0)
                if len(running) >= OUTSTANDING:
                    self.not_sent += 1
                    continue
                task = asyncio.create_task(self.pay(http, due))
                running.add(task)
                task.add_done_callback(running.discard)
            sent = time.monotonic()
            await asyncio.gather(*running)
            self.tail_seconds = time.monotonic() - sent

    async def pay(self, http: aiohttp.ClientSession, due: float) -> None:
        reference = f"storm-{uuid.uuid4().hex}"
        body = {"reference": reference, "amount": {"value": "1.00", "currency": "EUR"}, "instrument": self.instrument}
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": reference}
        began = time.monotonic()
        self.late.append(began - due)
        try:
            async with http.post(f"{self.url}/v1/payments", json=body, headers=headers) as answer:
                document = json.loads(await answer.read())
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self.broken[type(error).__name__] += 1
            return
        names = ("id", "status", "outcome_certainty", "code")
        self.answers.append((reference, answer.status, time.monotonic() - began, {n: document.get(n) for n in names}))


def main() -> None:
    told = json.loads(sys.stdin.readline())
    storm = Storm(told["url"], told["key"], told["instrument"])
    for callers, seconds in told.get("shop", []):  # The last of these counts; those before it warm everything up.
        storm.answers.clear()
        uvloop.run(storm.shop(callers, seconds))
    if "rate" in told:
        uvloop.run(storm.blow(told["rate"], told["seconds"]))
    result = {
        "answers": storm.answers, "broken": storm.broken, "not_sent": storm.not_sent, "tail_seconds": storm.tail_seconds,
        "cpu_seconds": round(time.process_time(), 2), "late": sorted(storm.late),
    }  # fmt: skip
    Path(told["result"]).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
