"""Simulated worlds from the command line: every cell of the product, one of them, or thousands of wild ones."""

import argparse
import json
import sys
import time

from tests.simulation.cells import EVERY, impossible, parsed
from tests.simulation.report import Report, run
from tests.simulation.scenario import Failure, play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from the first")
    parser.add_argument("--cell", help="point/operation/behavior/client, or wild")
    parser.add_argument("--wild", type=int, default=0, metavar="N", help="also N wild worlds")
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="only every Nth cell")
    parser.add_argument("--first", action="store_true", help="stop at the first violation")
    parser.add_argument("--trace", action="store_true", help="tell what happens, line by line")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    seeds = range(given.seed, given.seed + given.seeds)
    if given.cell:
        return one(given.cell, seeds, given.trace)
    began = time.monotonic()
    report = Report()
    for seed in seeds:
        cells = [cell for cell in EVERY if not impossible(cell)][:: given.sample]
        report.add(run([(seed, cell) for cell in cells], given.jobs, given.first))
    if not (given.first and report.failures):
        report.add(run([(given.seed + n, None) for n in range(given.wild)], given.jobs, given.first))
    seconds = time.monotonic() - began
    print(json.dumps(report.summary(seconds)) if given.json else report.text(seconds))
    return 1 if report.failures or report.missing() else 0


def one(name: str, seeds: range, trace: bool) -> int:
    cell = None if name == "wild" else parsed(name)
    if cell is not None and (why := impossible(cell)):
        print(f"{cell} cannot exist: {why}")
        return 2
    for seed in seeds:
        try:
            w = play(seed, cell, trace)
        except Failure as failure:
            print(failure)
            return 1
        print(f"SEED={seed} CELL={name}: right; died at {w.died_at or 'no point'}; {dict(w.counts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
