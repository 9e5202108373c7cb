"""`make faults`: processes die at every crash point, under every behavior of PSPs and clients, and the money is right."""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

from scrooge import logs
from tests.faults.cells import covering
from tests.faults.cuts import places
from tests.faults.episode import Result
from tests.faults.outages import PLACES, VAULT_PLACES
from tests.faults.report import Plan, report, show
from tests.faults.suite import Make, Outcome, makers, outages, run, stage
from tests.faults.zombies import zombie_cells

PARTS = ("cells", "zombies", "cuts", "outages")


def main() -> int:
    asked = arguments()
    logs.configure("critical", "json")
    wanted = {
        "cells": covering(asked.seed), "zombies": zombie_cells(), "cuts": list(places(asked.seed)), "outages": [*PLACES, *VAULT_PLACES],
    }  # fmt: skip
    chosen = {part: [c for c in wanted[part] if asked.only in str(c)] if part in asked.parts else [] for part in PARTS}
    plan = Plan(chosen["cells"], chosen["zombies"], [str(where) for where in chosen["cuts"]], chosen["outages"])
    before = reached_before(asked.resume)
    due = {part: [c for c in chosen[part] if str(c) not in before] for part in PARTS}
    episodes = makers(due["cells"], due["zombies"], due["cuts"], asked.seed)
    outcome = asyncio.run(suite(episodes, bool(due["outages"]), asked))
    document = report(plan, before, outcome, asked.seed)
    if asked.json:
        Path(asked.json).write_text(json.dumps(document, indent=1))
    show(document)
    return 0 if document["ok"] else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="which cells, and everything drawn in them")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to run; everything by default")
    parser.add_argument("--only", default="", help="only what holds this text, like 'send.after / refund'")
    parser.add_argument("--lanes", type=int, default=5, help="databases with processes of their own, side by side")
    parser.add_argument("--minutes", type=float, default=40, help="begin nothing new after so many")
    parser.add_argument("--json", metavar="FILE", help="write the summary here")
    parser.add_argument("--resume", metavar="FILE", help="an earlier run's summary: what it reached is not run again")
    return parser.parse_args()


def reached_before(name: str | None) -> dict[str, int]:
    if name is None or not Path(name).exists():
        return {}
    return {cell: n for cell, n in json.loads(Path(name).read_text())["cells"].items() if n}


async def suite(episodes: list[Make], with_outages: bool, asked: argparse.Namespace) -> Outcome:
    async with stage() as place:
        outcome = await run(place, episodes, asked.lanes, asked.minutes * 60, progress)
    if with_outages:
        outcome.results.append(await outages(asked.seed))
        progress(outcome.results[-1])
    return outcome


def progress(result: Result) -> None:
    reached = sum(n > 0 for n in result.reached.values())
    print(
        f"{time.strftime('%H:%M:%S')} {result.operation:12} {result.behavior:24} {reached:3}/{len(result.reached)} reached,"
        f" {result.payments:3} payments, struck {result.struck:3}, {result.seconds:5.1f} s",
        *(f"\n    not reached: {name}" for name, n in result.reached.items() if not n),
        *(f"\n    VIOLATION {sentence}" for sentence in result.violations),
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
