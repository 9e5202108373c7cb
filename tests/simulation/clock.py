"""Virtual time and tasks: generators that say how long they wait. Between two waits nothing else runs.

A task belongs to a process; when a process crashes, its tasks are gone, with no `finally`, as after SIGKILL.
"""

import heapq
from collections.abc import Callable, Generator
from random import Random
from typing import Any

SECOND = 1_000_000
Steps = Generator[Any, Any, Any]


class Crashed(BaseException):
    """The process dies here."""


class Lost(Exception):
    """Whoever should have answered is gone: the connection broke."""


class TimedOut(Exception):
    """Nobody answered in time."""


class Task:
    """One line of work. `result` is set when it ended, `gone` when its process died under it."""

    def __init__(self, process: str, steps: Steps) -> None:
        self.process, self.steps = process, steps
        self.done = self.gone = False
        self.result: Any = None
        self.error: Exception | None = None
        self.waiters: list[tuple[Task, int]] = []
        self.turn = 0  # a wake-up for an earlier turn is stale


class Clock:
    """Runs tasks in the order of virtual time. The seed decides among those that come at once."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        self.now = 1_700_000_000 * SECOND  # Unix microseconds
        self.began = self.now
        self.heap: list[tuple[int, float, int, Callable[[], None]]] = []
        self.n = 0
        self.tasks: dict[str, set[Task]] = {}
        self.current: Task | None = None
        self.down: set[str] = set()
        self.frozen: dict[str, int] = {}  # until when, by process

    @property
    def elapsed(self) -> float:
        return (self.now - self.began) / SECOND

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self.n += 1
        heapq.heappush(self.heap, (self.now + int(seconds * SECOND), self.random.random(), self.n, what))

    def spawn(self, process: str, steps: Steps, after: float = 0.0) -> Task:
        task = Task(process, steps)
        self.tasks.setdefault(process, set()).add(task)
        self.later(after, lambda: self.step(task, 0))
        return task

    def step(self, task: Task, turn: int, thrown: Exception | None = None, sent: Any = None) -> None:
        """Runs a task to its next wait; a wait is seconds, or (task, seconds) for another's end."""
        if task.done or task.turn != turn:
            return
        thaw = self.frozen.get(task.process, 0)
        if thaw > self.now:  # Stopped, as by SIGSTOP: it wakes as if no time had passed.
            self.later((thaw - self.now) / SECOND, lambda: self.step(task, turn, thrown, sent))
            return
        task.turn += 1
        self.current = task
        try:
            wait = task.steps.throw(thrown) if thrown is not None else task.steps.send(sent)
        except StopIteration as stop:
            self.end(task, stop.value, None)
        except Crashed:
            self.crash(task.process)
        except AssertionError:  # A violation is never part of life.
            raise
        except Exception as error:  # Who waits for it shall see it.
            self.end(task, None, error)
        else:
            self.wait(task, wait)
        finally:
            self.current = None

    def wait(self, task: Task, wait: Any) -> None:
        turn = task.turn
        if isinstance(wait, tuple):
            other, seconds = wait
            if other.done:
                self.later(0, lambda: self.wake(task, turn, other))
                return
            other.waiters.append((task, turn))
            self.later(seconds, lambda: self.step(task, turn, TimedOut()))
        else:
            self.later(wait, lambda: self.step(task, turn))

    def wake(self, task: Task, turn: int, other: Task) -> None:
        if other.gone:
            self.step(task, turn, Lost())
        else:
            self.step(task, turn, other.error, other.result)

    def end(self, task: Task, result: Any, error: Exception | None) -> None:
        task.done, task.result, task.error = True, result, error
        self.tasks[task.process].discard(task)
        if error is not None and not task.waiters:
            self.unheard(task, error)
        for waiter, turn in task.waiters:
            self.later(0, lambda waiter=waiter, turn=turn: self.wake(waiter, turn, task))

    def unheard(self, task: Task, error: Exception) -> None:
        """An error that nobody waits for; the world says which are part of life."""
        raise error

    def kill(self, task: Task) -> None:
        """One task ends where it stands: a handler whose caller hung up."""
        if not task.done:
            task.gone = True
            self.end(task, None, None)

    def crash(self, process: str) -> None:
        self.down.add(process)
        for task in list(self.tasks.get(process, ())):
            self.kill(task)

    def run(self, until: float) -> None:
        """Until nothing is left to do, or `until` seconds have passed."""
        end = self.began + int(until * SECOND)
        while self.heap and self.heap[0][0] <= end:
            self.now, _, _, what = heapq.heappop(self.heap)
            what()
