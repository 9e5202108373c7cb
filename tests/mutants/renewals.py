"""Bugs in how batches are sent."""

from tests.mutants.mutant import Mutant

RUN, LINE = "src/scrooge/flows/batches/run.py", "src/scrooge/flows/batches/line.py"
CHUNKS, PACING = "src/scrooge/storage/chunks.sql", "src/scrooge/routing/pacing.py"
SETTLE = "src/scrooge/flows/batches/settle.py"
AHEAD, READ_AHEAD = "src/scrooge/flows/batches/ahead.py", ("tests/batches/test_ahead.py",)
SENT, DIED = ("tests/batches/test_running.py",), ("tests/batches/test_deaths.py",)
ALARMED = ("tests/batches/test_alarm.py",)
FROZEN = ("tests/batches/test_frozen.py",)
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
        "(l.state = 'queued' OR (l.state = 'refused' AND r.existing IS FALSE))", "true", KEPT,
    ),
    Mutant(
        "stale-refusal-stays", "a line whose payment was made stays refused, as a worker told that had lost it", CHUNKS,
        "(l.state = 'queued' OR (l.state = 'refused' AND r.existing IS FALSE))", "l.state = 'queued'", KEPT,
    ),
    Mutant(
        "canceled-batch-is-claimed", "a chunk is claimed of a batch that was canceled", CHUNKS,
        "AND id = $2 AND status = 'running' FOR SHARE", "AND id = $2 FOR SHARE", KEPT,
    ),
    Mutant(
        "claim-races-the-cancel", "a chunk is claimed while its batch is being canceled", CHUNKS,
        "status = 'running' FOR SHARE", "status = 'running'", KEPT,
    ),
    Mutant(
        "held-chunk-may-be-lost", "a worker that lost a chunk tells what was refused of it", CHUNKS,
        "number = $3 AND epoch = $4 AND done_at IS NULL\n   FOR NO KEY UPDATE;",
        "number = $3 AND done_at IS NULL\n   FOR NO KEY UPDATE;", KEPT,
    ),
    Mutant(
        "woken-worker-charges-what-was-left", "a line is charged that is told as left", SETTLE,
        "await chunks.use_up(connection, batch, [", "list([", FROZEN,
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
        "trouble-of-before-pauses", "a batch that somebody resumed is paused again for what was known then",
        "src/scrooge/flows/batches/alarm.py", "t is not None and t.since > b.changed_at and borne_out(run, t.signal)", "t is not None", ALARMED,
    ),
    Mutant(
        "line-has-a-fresh-key", "a line that is begun again does not know its own payment", LINE,
        'return f"{batch}{BETWEEN}{line}"', 'return f"{batch}{BETWEEN}{line}{id(object())}"', DIED,
    ),
    Mutant(
        "card-read-ahead-is-anybodys", "a card that was read ahead is given to another merchant", AHEAD,
        "found.merchant == merchant and ", "", READ_AHEAD,
    ),
    Mutant(
        "mandate-read-ahead-for-ever", "a mandate that was read ahead is never read again", AHEAD,
        "if found is not None and time.monotonic() - at < FRESH_SECONDS:\n            return found\n        return await self.reader.mandate",
        "if found is not None:\n            return found\n        return await self.reader.mandate", READ_AHEAD,
    ),
)  # fmt: skip
