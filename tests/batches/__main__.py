"""The campaign of renewals: the same file twice at once, a fifth of the PSPs' answers spoiled, every process killed twice.

`python -m tests.batches --lines 100000 --seed 7`; ends with 0 when each reference was charged once at most, every line
has ended, and `scrooge check --sandbox` finds nothing.
"""

import argparse
import os
import sys
from pathlib import Path

import pytest

DEATHS = Path(__file__).with_name("test_deaths.py")
TEST = "test_the_same_lines_twice_at_once_through_failing_psps_and_dying_processes"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    os.environ |= {"SCROOGE_TEST_RENEWALS": str(wanted.lines), "SCROOGE_TEST_SEED": str(wanted.seed)}
    sys.exit(pytest.main(["-n", "0", "-s", "-q", f"{DEATHS}::{TEST}"]))
