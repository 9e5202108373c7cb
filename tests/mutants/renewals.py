"""Bugs in how batches are sent."""

from tests.mutants.mutant import Mutant

RUN, LINE = "src/scrooge/flows/batches/run.py", "src/scrooge/flows/batches/line.py"
CHUNKS, PACING = "src/scrooge/storage/chunks.sql", "src/scrooge/routing/pacing.py"
SENT, DIED = ("tests/batches/test_running.py",), ("tests/batches/test_deaths.py",)
KEPT, PACED = ("tests/storage/test_chunks.py",), ("tests/routing/test_pacing.py",)

RENEWALS = (
    Mutant(
        "leased-chunk-is-free", "two workers claim the same chunk", CHUNKS,
        "done_at IS NULL AND (leased_until IS NULL OR leased_until < now())", "done_at IS NULL", KEPT,
    ),
    Mutant(
        "lost-lease-is-renewed", "a lease is renewed though another worker has the chunk", CHUNKS,
        "c.number = r.number AND c.epoch = r.epoch", "c.number = r.number", KEPT,
    ),
    Mutant(
        "line-ends-twice", "what was written of a line is written again", CHUNKS,
        "l.line = r.line AND l.state = 'queued'", "l.line = r.line", KEPT,
    ),
    Mutant(
        "begun-lines-are-left", "what a dead worker charged of a canceled batch is told as left", CHUNKS,
        "k.leased_until < now() AND k.done_at IS NULL AND k.epoch > 0",
        "k.leased_until < now() AND k.done_at IS NULL AND k.epoch > 9", KEPT,
    ),
    Mutant(
        "each-worker-paces-alone", "every worker takes the whole of a batch's pace", PACING,
        "self.all.retune(self.pacing.in_all / workers, now)", "self.all.retune(self.pacing.in_all, now)", PACED,
    ),
    Mutant(
        "turn-forgets-the-bin", "payments of one BIN are not spread", PACING,
        "if self.pacing.of_bin is not None and iin:", "if self.pacing.of_bin is not None and not iin:", PACED,
    ),
    Mutant(
        "existing-payment-is-ours", "a payment that was there before is told as made by the batch", LINE,
        "existing=not ours", "existing=False", SENT,
    ),
    Mutant(
        "paused-batch-goes-on", "a stopped batch begins its other lines", RUN,
        "return not self.stopped and not late", "return not late", SENT,
    ),
    Mutant(
        "line-has-a-fresh-key", "a line that is begun again does not know its own payment", LINE,
        'return f"{batch}{BETWEEN}{line}"', 'return f"{batch}{BETWEEN}{line}{id(object())}"', DIED,
    ),
)  # fmt: skip
