"""Three times as many payments as can be made: some are refused before anything happens, the others are made in time."""

import asyncio
import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from scrooge.postgres.migrate import connect
from tests.drills.oracle import verdict
from tests.drills.play import play
from tests.drills.rig import Rig
from tests.drills.shoppers import Told

MOST_SECONDS = 15.0  # for accepted work: a PSP's time limit, and what comes around it
MOST_GROWTH_MB = 200.0
CALM = 5  # payments in a row that are made at the ordinary pace
CALLERS = 64


async def drill(
    rig: Rig, *, seconds: float = 60.0, times: float = 3.0, warm: float = 5.0, measure: float = 10.0
) -> dict[str, Any]:
    calm = percentile(sorted([(await one(rig))[1] for _ in range(5)]), 0.5)
    capacity = await capacity_of(rig, warm, measure)
    memory: list[float] = []
    watching = asyncio.create_task(watch(rig, memory))
    storm = await blow(rig, seconds + 120, rate=capacity * times, seconds=seconds)
    ended = time.monotonic()
    recovered = await recovery(rig, calm) - ended + storm["tail_seconds"]
    watching.cancel()
    told, refused = Told(), []
    for reference, status, _, document in storm["answers"]:
        told.statuses[status] += 1
        if status in {201, 202}:
            told.hear(document)
        else:
            told.codes[document["code"]] += 1
            refused.append(reference)
    result = await verdict(rig, told)
    wrong = result["violations"]
    made = sorted(took for _, status, took, _ in storm["answers"] if status in {201, 202})
    shed = sorted(took for _, status, took, _ in storm["answers"] if status not in {201, 202})
    recorded = await kept(rig.database_url, refused)
    if recorded:
        wrong.append(f"{len(recorded)} refused requests left a payment behind: {recorded[:3]}")
    if storm["broken"]:
        wrong.append(f"requests without an answer: {storm['broken']}")
    for what, took in (("an accepted payment", made), ("a refusal", shed)):
        if took and took[-1] > MOST_SECONDS:
            wrong.append(f"{what} took {took[-1]:.1f} s")
    growth = max(memory, default=0) - min(memory, default=0)
    if growth > MOST_GROWTH_MB:
        wrong.append(f"serve grew by {growth:.0f} MB")
    return {
        **result, "ok": not wrong, "capacity_per_second": round(capacity, 1),
        "offered_per_second": round(len(storm["answers"]) / (seconds + max(storm["late"], default=0.0)), 1),
        "goodput_per_second": round(len(made) / (seconds + storm["tail_seconds"]), 1),
        "shed_rate": round(len(refused) / max(1, len(storm["answers"])), 3),
        "accepted_p50_seconds": percentile(made, 0.5), "accepted_p99_seconds": percentile(made, 0.99),
        "accepted_most_seconds": percentile(made, 1.0),
        "shed_p50_seconds": percentile(shed, 0.5), "shed_p99_seconds": percentile(shed, 0.99),
        "recovered_after_seconds": round(recovered, 2), "serve_growth_mb": round(growth, 1),
        "client_not_sent": storm["not_sent"], "client_cpu_share": round(storm["cpu_seconds"] / seconds, 2),
        "client_late_p99_seconds": percentile(storm["late"], 0.99),
        "statuses": {str(k): v for k, v in sorted(told.statuses.items())}, "refusals": dict(told.codes),
    }  # fmt: skip


async def one(rig: Rig) -> tuple[int, float]:
    began = time.monotonic()
    body = {"reference": f"calm-{uuid.uuid4().hex}", "amount": {"value": "1.00", "currency": "EUR"},
            "instrument": rig.cards["fine"]}  # fmt: skip
    status, _ = await rig.post("/v1/payments", body)
    return status, time.monotonic() - began


async def capacity_of(rig: Rig, warm: float, seconds: float) -> float:
    """Payments a second that as many callers get done as keep every batch full."""
    storm = await blow(rig, warm + seconds + 120, shop=[(CALLERS, warm), (CALLERS, seconds)])
    return max(sum(status == 201 for _, status, _, _ in storm["answers"]) / seconds, 5.0)


async def blow(rig: Rig, most_seconds: float, **told: Any) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.drills.storm", stdin=asyncio.subprocess.PIPE, cwd=Path(__file__).parent.parent.parent
    )  # fmt: skip
    order = {"url": rig.api_url, "key": rig.key, "instrument": rig.cards["fine"], **told}
    result = rig.folder / "storm.json"
    order["result"] = str(result)
    await asyncio.wait_for(process.communicate(json.dumps(order).encode() + b"\n"), most_seconds)
    assert process.returncode == 0
    return json.loads(result.read_text())


async def watch(rig: Rig, memory: list[float]) -> None:
    serve = psutil.Process(rig.processes["serve"].pid)
    while True:
        memory.append(serve.memory_info().rss / 1e6)
        await asyncio.sleep(0.5)


async def recovery(rig: Rig, calm: float) -> float:
    """The moment from which single payments are made as before, or nearly."""
    row, began = 0, time.monotonic()
    since = began
    while row < CALM:
        assert time.monotonic() < began + 120, "no recovery"
        status, took = await one(rig)
        row = row + 1 if status == 201 and took < max(1.0, 5 * calm) else 0
        since = time.monotonic() if row == 0 else since
    return since


async def kept(url: str, references: list[str]) -> list[str]:
    connection: asyncpg.Connection = await connect(url)
    try:
        rows = await connection.fetch("SELECT reference FROM payments WHERE reference = ANY($1)", references)
        return [row["reference"] for row in rows]
    finally:
        await connection.close()


def percentile(ordered: list[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3) if ordered else 0.0


if __name__ == "__main__":
    play(drill)
