"""What processes have used: CPU seconds and memory, read from the kernel."""

from collections.abc import Iterable

import psutil
from msgspec import Struct


def cpu_seconds(root: psutil.Process) -> float:
    """A process, its children that live and those that have ended."""
    total = 0.0
    for process in family(root):
        try:
            used = process.cpu_times()
        except psutil.Error:
            continue
        total += used.user + used.system
        total += used.children_user + used.children_system
    return total


def rss_mb(root: psutil.Process) -> float:
    """Resident memory of the largest process of a family: the limit is one process's."""
    sizes = [0.0]
    for process in family(root):
        try:
            sizes.append(process.memory_info().rss / 1e6)
        except psutil.Error:
            continue
    return max(sizes)


def family(root: psutil.Process) -> Iterable[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


class Meter(Struct):
    """CPU seconds of named processes since the meter was made."""

    roots: dict[str, psutil.Process]
    before: dict[str, float]

    def used(self) -> dict[str, float]:
        """A process that has ended has used nothing more."""
        return {name: max(0.0, cpu_seconds(root) - self.before[name]) for name, root in self.roots.items()}


def meter(roots: dict[str, psutil.Process]) -> Meter:
    return Meter(roots, {name: cpu_seconds(root) for name, root in roots.items()})
