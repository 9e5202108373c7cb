"""`make faults`: processes die at every crash point, under every behavior of PSPs and clients, and the money is right."""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
from tests.faults.cells import DIMENSIONS, Cell, all_pairs, covering, pairs_of
from tests.faults.episode import Result
from tests.faults.suite import Outcome, run, stage

from scrooge import logs


def main() -> int:
    asked = arguments()
    logs.configure("error", "json")
    cells = [cell for cell in covering(asked.seed) if asked.only in str(cell)]
    before = reached_before(asked.resume)
    outcome = asyncio.run(suite([cell for cell in cells if str(cell) not in before], asked))
    document = report(cells, before, outcome, asked)
    if asked.json:
        Path(asked.json).write_text(json.dumps(document, indent=1))
    show(document)
    return 0 if document["ok"] else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="which cells, and everything drawn in them")
    parser.add_argument("--only", default="", help="only cells that hold this text, like 'send.after / refund'")
    parser.add_argument("--lanes", type=int, default=5, help="databases with processes of their own, side by side")
    parser.add_argument("--minutes", type=float, default=45, help="begin nothing new after so many")
    parser.add_argument("--json", metavar="FILE", help="write the summary here")
    parser.add_argument("--resume", metavar="FILE", help="a summary of an earlier run: what it reached is not run again")
    return parser.parse_args()


def reached_before(name: str | None) -> dict[str, int]:
    if name is None or not Path(name).exists():
        return {}
    return {cell: n for cell, n in json.loads(Path(name).read_text())["cells"].items() if n}


async def suite(cells: list[Cell], asked: argparse.Namespace) -> Outcome:
    async with stage() as place:
        return await run(place, cells, asked.seed, asked.lanes, asked.minutes * 60, progress)


def progress(result: Result) -> None:
    reached = sum(n > 0 for n in result.reached.values())
    print(
        f"{time.strftime('%H:%M:%S')} {result.operation:12} {result.behavior:24} {reached}/{len(result.reached)} cells"
        f" {result.payments:3} payments, struck {result.struck:3}, {result.seconds:5.1f} s",
        *(f"\n    VIOLATION {sentence}" for sentence in result.violations),
        flush=True,
    )


def report(cells: list[Cell], before: dict[str, int], outcome: Outcome, asked: argparse.Namespace) -> dict[str, object]:
    counts = {str(cell): before.get(str(cell), 0) for cell in cells}
    for result in outcome.results:
        for cell, n in result.reached.items():
            counts[str(cell)] += n
    due, never = all_pairs()
    covered = {pair for cell in cells if counts[str(cell)] for pair in pairs_of(msgspec.structs.asdict(cell))}
    wrong = [f"{r.operation} under {r.behavior}: {v}" for r in outcome.results for v in r.violations]
    unreached = [name for name, n in counts.items() if not n]
    return {
        "ok": not wrong and not unreached,
        "seed": asked.seed,
        "cells": counts,
        "reached": {name: tally(cells, counts, name) for name in DIMENSIONS},
        "unreached": unreached,
        "pairs": {"covered": len(covered), "possible": len(due), "impossible": len(never)},
        "impossible": sorted({f"{x} with {y}: {why}" for ((_, x), (_, y)), why in never.items()}),
        "struck": dict(sum((Counter({r.behavior: r.struck}) for r in outcome.results), Counter())),
        "violations": wrong,
        "deaths": sum(r.deaths for r in outcome.results),
        "payments": sum(r.payments for r in outcome.results),
        "seconds": round(outcome.seconds),
    }


def tally(cells: list[Cell], counts: dict[str, int], dimension: str) -> dict[str, int]:
    found = dict.fromkeys(DIMENSIONS[dimension], 0)
    for cell in cells:
        found[getattr(cell, dimension)] += counts[str(cell)]
    return found


def show(document: dict[str, object]) -> None:
    for dimension, found in document["reached"].items():  # type: ignore[attr-defined]
        print(f"\n{dimension}: processes that died")
        for value, n in found.items():
            print(f"  {value:26} {n:5}")
    print("\nhow often each PSP fault struck:", document["struck"])
    print("\nwhat cannot be, and why:")
    for sentence in document["impossible"]:  # type: ignore[attr-defined]
        print(f"  {sentence}")
    for name in ("unreached", "violations"):
        for sentence in document[name]:  # type: ignore[attr-defined]
            print(f"{name}: {sentence}")
    facts = ("pairs", "deaths", "payments", "seconds", "seed")
    print("\n" + ", ".join(f"{name} {document[name]}" for name in facts))
    print(f"{len(document['unreached'])} cells not reached, {len(document['violations'])} violations")  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
