"""What was reached and what was wrong: as a document, and as tables."""

from collections import Counter
from typing import Any

from msgspec import Struct, structs

from tests.faults.cells import DIMENSIONS, Cell, all_pairs, pairs_of
from tests.faults.suite import Outcome


class Plan(Struct):
    """What a run is to reach."""

    cells: list[Cell]
    zombies: list[Cell]
    cuts: list[str]
    outages: list[str]

    def names(self) -> list[str]:
        return [*map(str, self.cells), *map(str, self.zombies), *self.cuts, *self.outages]


def report(plan: Plan, before: dict[str, int], outcome: Outcome, seed: int) -> dict[str, Any]:
    """`before`: what an earlier run reached, by the cell's name."""
    counts = Counter({name: before.get(name, 0) for name in plan.names()})
    for result in outcome.results:
        counts.update(result.reached)
    due, never = all_pairs()
    reached = [structs.asdict(cell) for cell in plan.cells if counts[str(cell)]]
    covered = {pair for cell in reached for pair in pairs_of(cell)}
    wrong = [f"{r.operation} under {r.behavior}: {v}" for r in outcome.results for v in r.violations]
    unreached = [name for name in plan.names() if not counts[name]]
    struck: Counter[str] = Counter()
    for result in outcome.results:
        struck[result.behavior] += result.struck
    return {
        "ok": not wrong and not unreached,
        "seed": seed,
        "tables": {
            "processes killed, by point and operation": crossed(plan.cells, counts),
            "processes frozen, by point and operation": crossed(plan.zombies, counts),
            **{f"processes killed, by {name}": tally(plan.cells, counts, name) for name in DIMENSIONS},
            "connections cut": cut(plan.cuts, counts),
            "operations in flight when the database or the vault broke": {name: counts[name] for name in plan.outages},
            "PSP faults that struck": {kind: n for kind, n in sorted(struck.items()) if n},
        },
        "pairs": {"covered": len(covered), "possible": len(due), "impossible": len(never)},
        "impossible": sorted({f"{x} with {y}: {why}" for ((_, x), (_, y)), why in never.items()}),
        "unreached": unreached,
        "violations": wrong,
        "not_begun": outcome.left,
        "deaths": sum(r.deaths for r in outcome.results),
        "payments": sum(r.payments for r in outcome.results),
        "seconds": round(outcome.seconds),
        "cells": dict(counts),
    }


def tally(cells: list[Cell], counts: Counter[str], dimension: str) -> dict[str, int]:
    found = dict.fromkeys(DIMENSIONS[dimension], 0)
    for cell in cells:
        found[getattr(cell, dimension)] += counts[str(cell)]
    return found


def crossed(cells: list[Cell], counts: Counter[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for cell in cells:
        row = found.setdefault(cell.point, {})
        row[cell.operation] = row.get(cell.operation, 0) + counts[str(cell)]
    return {point: found[point] for point in DIMENSIONS["point"] if point in found}


def cut(names: list[str], counts: Counter[str]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for name in names:
        link, place, *_ = name.split(" / ")
        found[f"{link}, {place}"] += counts[name]
    return dict(found)


def show(document: dict[str, Any]) -> None:
    for title, table in document["tables"].items():
        if table:
            print(f"\n{title}")
            (grid if isinstance(next(iter(table.values())), dict) else column)(table)
    print("\nwhat cannot be, and why:")
    for sentence in document["impossible"]:
        print(f"  {sentence}")
    for name in ("unreached", "violations"):
        for sentence in document[name]:
            print(f"{name}: {sentence}")
    facts = ("pairs", "deaths", "payments", "seconds", "seed", "not_begun")
    print("\n" + ", ".join(f"{name} {document[name]}" for name in facts))
    print(f"{len(document['unreached'])} cells not reached, {len(document['violations'])} violations")


def column(table: dict[str, int]) -> None:
    for name, n in table.items():
        print(f"  {name:44} {n:5}")


def grid(table: dict[str, dict[str, int]]) -> None:
    names = DIMENSIONS["operation"]
    print(f"  {'':20}", *(f"{name:>12}" for name in names))
    for row, counts in table.items():
        print(f"  {row:20}", *(f"{counts.get(name, '-'):>12}" for name in names))
