"""Many worlds, on as many processes as there are; how often each cell was really reached; what went wrong."""

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from msgspec import Struct, field

from tests.simulation.cells import BEHAVIORS, CLIENTS, EVERY, OPERATIONS, POINTS, Cell, impossible, unasked
from tests.simulation.scenario import Failure, play

World = tuple[int, Cell | None]
CHUNK = 400
TRIES = 6  # worlds of one cell, until it shows what it is about


class Report(Struct):
    """`reached` counts the worlds whose process died at the cell's point, `struck` those where the PSP did its worst."""

    worlds: int = 0
    wild: int = 0
    ran: set[Cell] = field(default_factory=set)
    reached: Counter[Cell] = field(default_factory=Counter)
    struck: Counter[Cell] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    deaths: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        self.worlds, self.wild = self.worlds + other.worlds, self.wild + other.wild
        self.deaths += other.deaths
        self.ran |= other.ran
        for name in ("reached", "struck", "points", "counts"):
            getattr(self, name).update(getattr(other, name))
        self.failures += other.failures

    def missing(self) -> list[str]:
        """Cells that ran and were not what they say."""
        return [f"{c}: {why}" for c in sorted(self.ran) if (why := self.lacks(c))]

    def lacks(self, c: Cell) -> str:
        """What the cell is about and did not happen."""
        if not self.reached[c]:
            return "the point was never reached"
        silent = c.behavior != "normal" and not self.struck[c] and not unasked(c)
        return "the PSP's behavior never showed" if silent else ""

    def summary(self, seconds: float) -> dict[str, Any]:
        reasons = Counter(why for c in EVERY if (why := impossible(c)))
        return {
            "worlds": self.worlds, "wild": self.wild, "deaths": self.deaths, "seconds": round(seconds, 1),
            "cells": {"product": len(EVERY), "impossible": sum(reasons.values()), "ran": len(self.ran),
                      "reached": sum(1 for c in self.ran if self.reached[c])},
            "impossible": dict(reasons.most_common()), "points": dict(self.points.most_common()),
            "counts": dict(self.counts.most_common()), "missing": self.missing(), "failures": self.failures,
        }  # fmt: skip

    def text(self, seconds: float) -> str:
        found = self.summary(seconds)
        lines = [f"{self.worlds} worlds ({self.wild} wild), {self.deaths} deaths, in {seconds:.1f} s", ""]
        for n, names in enumerate((POINTS, OPERATIONS, BEHAVIORS, CLIENTS)):
            if self.ran:
                lines.append(
                    f"{('point', 'operation', 'behavior', 'client')[n]:<26}{'cells':>8}{'reached':>9}{'struck':>8}"
                )
            for name in names if self.ran else ():
                cells = [c for c in self.ran if c[n] == name]
                reached, struck = (sum(1 for c in cells if by[c]) for by in (self.reached, self.struck))
                lines.append(f"  {name:<24}{len(cells):>8}{reached:>9}{struck:>8}")
        lines += ["", f"cells: {found['cells']}", "cells that cannot exist:"]
        lines += [f"  {number:>5}  {why}" for why, number in found["impossible"].items()]
        lines += ["", "how often each point was passed: " + ", ".join(f"{k} {v}" for k, v in found["points"].items())]
        lines += ["what happened: " + ", ".join(f"{k} {v}" for k, v in found["counts"].items()), ""]
        lines += [f"NOT REACHED {text}" for text in found["missing"]] + self.failures
        lines.append(f"{len(self.failures)} violations, {len(found['missing'])} cells not reached")
        return "\n".join(lines)


def chunk(worlds: Sequence[World]) -> Report:
    report = Report()
    for seed, cell in worlds:
        report.add(one(seed, cell))
        for n in range(1, TRIES):  # Chance may have led past what the cell is about.
            if cell is None or report.failures or not report.lacks(cell):
                break
            report.add(one(seed + n * 1_000_003, cell))
    return report


def one(seed: int, cell: Cell | None) -> Report:
    report = Report(worlds=1, wild=int(cell is None), ran=set() if cell is None else {cell})
    try:
        w = play(seed, cell)
    except Failure as failure:
        report.failures.append(str(failure))
        return report
    report.deaths = len(w.died_at)
    report.points.update(w.reached)
    report.counts.update(w.counts)
    if cell is not None:
        report.reached[cell] += cell.point == "none" or cell.point in w.died_at
        report.struck[cell] += bool(w.struck)
    return report


def run(worlds: Iterable[World], jobs: int, first: bool = False) -> Report:
    """`first` stops after the first violation."""
    report, worlds = Report(), list(worlds)
    pieces = [worlds[n : n + CHUNK] for n in range(0, len(worlds), CHUNK)]
    if first:
        for world in worlds:
            report.add(chunk([world]))
            if report.failures:
                break
        return report
    if jobs == 1 or len(pieces) < 2:
        for piece in pieces:
            report.add(chunk(piece))
        return report
    with ProcessPoolExecutor(jobs) as pool:
        for found in pool.map(chunk, pieces):
            report.add(found)
    return report
