"""Where the CPU time goes: the stacks of serve as a table, and what each statement costs the server by its size."""

from collections import Counter
from pathlib import Path
from typing import Any

from scrooge.cli.bench import sampled
from scrooge.cli.bench.result import middle
from scrooge.cli.bench.sample import Seller, sample
from scrooge.cli.bench.server import session
from scrooge.postgres.database import PLANNER

SIZES = (1, 8, 32, 128)
PAYMENTS, REPEATS = 400, 12
TOP = 30


def by_place(folder: Path) -> str:
    """A readable table of all the stacks in a folder: by package, by file, by function."""
    stacks: Counter[tuple[str, ...]] = Counter()
    for path in sampled.written(folder):
        for line in path.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            stacks[tuple(stack.split(";"))] += int(count)
    total = max(1, stacks.total())
    own: dict[str, Counter[str]] = {"package": Counter(), "file": Counter(), "function": Counter()}
    under: Counter[str] = Counter()
    for stack, count in stacks.items():
        last = stack[-1]
        file = last.partition(":")[0]
        own["package"][package_of(file)] += count
        own["file"][file] += count
        own["function"][last] += count
        for function in set(stack):
            under[function] += count
    parts = [f"{total} samples of CPU time\n"]
    parts += [table(f"self, by {name}", counted, total) for name, counted in own.items()]
    parts.append(table("with everything beneath, by function", under, total, TOP * 2))
    return "\n".join(parts)


def package_of(file: str) -> str:
    """Our own by folder, those of others as a whole."""
    parts = file.split("/")
    return "/".join(parts[:2]) if parts[0] == "scrooge" else parts[0]


def table(title: str, counted: Counter[str], total: int, top: int = TOP) -> str:
    lines = [f"{100 * count / total:6.2f} %  {name}" for name, count in counted.most_common(top)]
    return "\n".join([title, *lines, ""])


async def statements(url: str, seller: Seller) -> str:
    """CPU of the server per payment, for each statement and number of payments in it, and the plans."""
    lines = ["payments  record ms  apply ms  (server CPU per payment; triggers and commit included)"]
    plans = []
    async with session(url) as connection:
        for name, value in {**PLANNER, "role": "scrooge_app"}.items():
            await connection.execute(f"SET {name} = {value}")
        for size in SIZES:
            record, apply = await costs(connection, seller, size)
            lines.append(f"{size:8}  {record:9.4f}  {apply:8.4f}")
            plans.append(await plan(connection, seller, size))
    return "\n".join([*lines, "", *plans])


async def costs(connection: Any, seller: Seller, size: int) -> tuple[float, float]:
    """Milliseconds of the server's CPU per payment: median of many executions."""
    spent: dict[str, list[float]] = {"record": [], "apply": []}
    for number in range(max(REPEATS, PAYMENTS // size)):
        found = await sample(seller, [f"cost-{size}-{number}-{n}" for n in range(size)])
        for name, (sql, args) in (("record", found.record), ("apply", found.apply)):
            before = on_cpu(connection.get_server_pid())
            await connection.fetch(sql, *args)
            spent[name].append((on_cpu(connection.get_server_pid()) - before) * 1000 / size)
    return middle(spent["record"]), middle(spent["apply"])


def on_cpu(pid: int) -> float:
    """Seconds on a CPU, to the nanosecond, of a process with one thread; Linux only."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


async def plan(connection: Any, seller: Seller, size: int) -> str:
    found = await sample(seller, [f"plan-{size}-{n}" for n in range(size)])
    parts = []
    for name, (sql, args) in (("record", found.record), ("apply", found.apply)):
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, WAL, COSTS OFF) {sql}", *args)
        parts += [f"--- {name}, {size} payments", *(row[0] for row in rows), ""]
    return "\n".join(parts)
