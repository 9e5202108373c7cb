"""Bugs in how a batch's input is taken in."""

from tests.mutants.mutant import Mutant

SQL, UPLOAD = "src/scrooge/storage/batch_lines.sql", "src/scrooge/flows/batches/upload.py"
INTAKE = "tests/batches/test_intake.py"
TOLD = (f"{INTAKE}::test_every_wrong_line_is_told_with_its_number_and_rule_and_stops_no_other",)
WAITS = ("tests/batches/test_running.py::test_a_line_waits_while_its_payer_is_asked_to_agree_and_the_others_do_not",)

TAKEN_IN = (
    Mutant(
        "input-taken-in-twice",
        "two uploads at once each go on with the input",
        SQL,
        " AND input_bytes = $3 AND status = 'draft'",
        " AND status = 'draft' AND $3::bigint IS NOT NULL",
        (f"{INTAKE}::test_two_uploads_at_once_take_every_line_in_once",),
    ),
    Mutant(
        "other-bytes-pass",
        "what is uploaded again is not compared with what is kept",
        UPLOAD,
        "if self.digest.digest() != piece.digest:",
        "if len(self.digest.digest()) != len(piece.digest):",
        (f"{INTAKE}::test_other_bytes_in_a_place_that_is_taken_are_refused",),
    ),
    Mutant(
        "half-a-file-is-whole",
        "an input is whole when its upload ends, however much of it was to come",
        UPLOAD,
        "whole=total is None or total == intake.place",
        "whole=True",
        (f"{INTAKE}::test_parts_of_a_file_may_come_one_by_one_where_its_size_is_known",),
    ),
    Mutant(
        "reference-stands-twice",
        "only the next line with a reference is looked at",
        SQL,
        "OVER (PARTITION BY reference ORDER BY line) AS first",
        "OVER (PARTITION BY reference, custom_id, minor ORDER BY line ROWS CURRENT ROW) AS first",
        TOLD,
    ),
    Mutant(
        "revoked-mandate-is-let-in",
        "a line with a mandate that was revoked is not told",
        SQL,
        "OR m.status = 'revoked' OR m.currency",
        "OR m.currency",
        TOLD,
    ),
    Mutant(
        "pending-mandate-is-unknown",
        "a line is rejected whose payer is still being asked to agree",
        SQL,
        "AND p.initiator = 'customer' AND p.status NOT IN ('declined', 'failed', 'voided', 'expired')) IS NOT TRUE",
        "AND false) IS NOT TRUE",
        WAITS,
    ),
    Mutant(
        "pending-mandate-refuses",
        "a line is refused whose payer is still being asked to agree",
        "src/scrooge/flows/batches/line.py",
        "isinstance(problem, MandatePending) and waits(batch)",
        "isinstance(problem, MandatePending) and not batch",
        WAITS,
    ),
    Mutant(
        "pending-mandate-waits-for-ever",
        "a batch without a window waits for a payer who does not agree",
        "src/scrooge/flows/batches/line.py",
        "return batch.deadline is not None or now() < (batch.started_at or 0) + UNDECIDED",
        "return True",
        (
            "tests/batches/test_running.py::test_a_payer_who_does_not_agree_holds_up_a_batch_without_a_window_for_an_hour_at_most",
        ),
    ),
    Mutant(
        "used-reference-of-the-other-mode",
        "a test payment's reference counts as used by a live batch",
        SQL,
        "AND r.caller_id = $2 AND r.livemode = $3\n   AND r.reference = w.reference;",
        "AND r.caller_id = $2\n   AND r.reference = w.reference;",
        ("tests/batches/test_intake.py::test_a_reference_that_was_used_is_told_before_anything_is_sent",),
    ),
    Mutant(
        "rejected-line-counts-as-existing",
        "a line that was rejected counts among those that charge nothing",
        SQL,
        "found = found - (SELECT count(found_id) FROM refused)::integer",
        "found = found - 0",
        ("tests/batches/test_intake.py::test_a_reference_that_was_used_is_told_before_anything_is_sent",),
    ),
    Mutant(
        "uploads-without-end",
        "one caller uploads any number of files at once",
        "src/scrooge/flows/batches/desk.py",
        "now_in[principal.caller] >= most:",
        "now_in[principal.caller] > most:",
        (
            "tests/batches/test_intake.py::test_uploads_of_one_caller_beyond_the_bound_are_refused_and_another_callers_are_not",
        ),
    ),
    Mutant(
        "name-twice-in-a-line",
        "of two amounts in one line one is taken, and nobody says which",
        "src/scrooge/api/batch_lines.py",
        "raw.count(b'\"') != QUOTES",
        "raw.count(b'\"') < QUOTES",
        TOLD,
    ),
    Mutant(
        "sent-before-it-is-checked",
        "a batch can be started while its input comes in",
        "src/scrooge/domain/batch.py",
        "{S.READY: S.RUNNING}",
        "{S.DRAFT: S.RUNNING, S.READY: S.RUNNING}",
        ("tests/batches/test_status.py",),
    ),
    Mutant(
        "results-run-ahead",
        "results go past a line that has not ended, and whoever goes on behind them never hears of it",
        "src/scrooge/api/batch_show.py",
        'return lines[: next((n for n, found in enumerate(lines) if found.state == "queued"), len(lines))]',
        'return [found for found in lines if found.state != "queued"]',
        ("tests/batches/test_api.py::test_results_stop_before_the_first_line_that_has_not_ended",),
    ),
)
