"""Bugs in what keeps one slow or failing PSP from taking everything with it."""

from tests.mutants.mutant import Mutant

GATE, BULKHEAD, BREAKER = "src/scrooge/gate.py", "src/scrooge/connectors/limits.py", "src/scrooge/connectors/breaker.py"
PACE = "src/scrooge/connectors/pace.py"
TESTS = ("tests/connectors/test_limits.py",)
PROPERTIES = ("tests/domain/test_limits.py", *TESTS)

LIMITS = (
    Mutant(
        "slot-not-given-back", "a request that breaks keeps its slot at the PSP for ever", BULKHEAD,
        "        finally:\n            self.limits.step_back()\n            self.release()\n        return answer",
        "        finally:\n            self.limits.step_back()\n        self.release()\n        return answer",
        TESTS,
    ),
    Mutant(
        "canceled-waiter-keeps-its-room", "room that was made for somebody who is gone is lost", GATE,
        "                self.leave(lane)  # Room was made for us just when we were told to go.\n",
        "                pass\n",
        PROPERTIES,
    ),
    Mutant(
        "nobody-is-woken", "who waits for a slot is let in by nobody", GATE,
        "        self.inside[lane] -= 1\n        self.wake()",
        "        self.inside[lane] -= 1",
        PROPERTIES,
    ),
    Mutant(
        "line-can-be-passed", "who comes later is let in before those who wait", GATE,
        "if self.lines[lane] or not self.has_room(lane):",
        "if not self.has_room(lane):",
        TESTS,
    ),
    Mutant(
        "no-slots-for-recovery", "new payments take every slot, and lost answers cannot be asked about", BULKHEAD,
        "return self.gate.count < limit and self.gate.inside[lane] < limit - kept",
        "return self.gate.count < limit and kept > 0",
        TESTS,
    ),
    Mutant(
        "breaker-refuses-what-must-be-asked", "an open breaker refuses refunds and questions", BULKHEAD,
        "        if lane is Lane.NEW:\n            wait = bulkhead.breaker.refuses(now)",
        "        if lane in Lane:\n            wait = bulkhead.breaker.refuses(now)",
        TESTS,
    ),
    Mutant(
        "breaker-counts-declines", "a PSP that declines is taken for one that fails", BULKHEAD,
        "failed = time.monotonic(), answer.health in {Health.FAILED, Health.LATE}",
        "failed = time.monotonic(), answer.health is not None",
        TESTS,
    ),
    Mutant(
        "breaker-never-closes", "good probes close nothing", BREAKER,
        "if self.good >= PROBES:",
        "if self.good >= 10**9:",
        PROPERTIES,
    ),
    Mutant(
        "breaker-forgets-the-probe", "while one probe is out more and more are let through", BREAKER,
        "return SPACE_SECONDS if self.probing else None",
        "return None",
        PROPERTIES,
    ),
    Mutant(
        "old-answers-close-the-breaker", "answers to what was sent before it opened are believed", BREAKER,
        "elif began >= self.opened_at:",
        "elif began >= 0:",
        TESTS,
    ),
    Mutant(
        "limit-without-a-floor", "failures take the last slot of a PSP", PACE,
        "self.limit = max(float(min(FLOOR, self.most)), self.limit * DECREASE)",
        "self.limit = self.limit * DECREASE",
        TESTS,
    ),
)  # fmt: skip
