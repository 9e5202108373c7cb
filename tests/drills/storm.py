"""Callers who do not wait for each other: an open-loop client in a process of its own, told what to do on its input."""

import asyncio
import json
import sys
import time
import uuid
from collections import Counter
from typing import Any

import aiohttp
import uvloop

OUTSTANDING = 4000  # A client has its limits too; what it cannot send is counted and not sent.
PATIENCE = 30.0


class Storm:
    def __init__(self, url: str, key: str, instrument: str) -> None:
        self.url, self.key, self.instrument = url, key, instrument
        self.answers: list[tuple[str, int, float, dict[str, Any]]] = []
        self.broken: Counter[str] = Counter()
        self.not_sent = 0
        self.tail_seconds = 0.0  # from the last request to the last answer

    async def blow(self, rate: float, seconds: float) -> None:
        """At even distances, whatever comes back."""
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=PATIENCE)) as http:
            http._retry_connection = False
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
        try:
            async with http.post(f"{self.url}/v1/payments", json=body, headers=headers) as answer:
                document = json.loads(await answer.read())
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self.broken[type(error).__name__] += 1
            return
        names = ("id", "status", "outcome_certainty", "code")
        self.answers.append((reference, answer.status, time.monotonic() - due, {n: document.get(n) for n in names}))


def main() -> None:
    told = json.loads(sys.stdin.readline())
    storm = Storm(told["url"], told["key"], told["instrument"])
    uvloop.run(storm.blow(told["rate"], told["seconds"]))
    result = {
        "answers": storm.answers, "broken": storm.broken, "not_sent": storm.not_sent, "tail_seconds": storm.tail_seconds,
        "cpu_seconds": round(time.process_time(), 2),
    }  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
