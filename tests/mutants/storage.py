"""Bugs in what the database is asked to guarantee, and in group commit."""

from tests.mutants.mutant import Mutant

SCHEMA, SQL = "src/scrooge/storage/migrations/0001_core.sql", "src/scrooge/storage/payments.sql"
LISTING, WORK = "src/scrooge/storage/listing.sql", "src/scrooge/storage/work.sql"
LANE = "src/scrooge/postgres/lane.py"
CONSTRAINTS, LANES = "tests/storage/test_constraints.py", "tests/storage/test_writer.py"
RACES = "tests/flows/test_races.py"

STORAGE = (
    Mutant(
        "no-live-index", "any number of authorizations of a payment may be live", SCHEMA,
        "CREATE UNIQUE INDEX one_live_authorization ON attempts",
        "CREATE INDEX one_live_authorization ON attempts",
        (f"{CONSTRAINTS}::test_one_live_authorization_at_most",),
    ),
    Mutant(
        "live-index-forgets-unknown", "beside an authorization in doubt there may be another", SCHEMA,
        "AND state IN ('sent', 'unknown', 'pending', 'action_required', 'approved', 'reversing');",
        "AND state IN ('sent', 'pending', 'action_required', 'approved', 'reversing');",
        (CONSTRAINTS,),
    ),
    Mutant(
        "no-room-constraint", "the database lets more be captured than was authorized", SCHEMA,
        "CHECK (captured_minor + voided_minor + held_minor <= authorized_minor)",
        "CHECK (captured_minor + voided_minor + held_minor <= authorized_minor + minor)",
        (CONSTRAINTS,),
    ),
    Mutant(
        "no-refund-constraint", "the database lets more be refunded than was captured", SCHEMA,
        "CHECK (refunded_minor + held_refund_minor <= captured_minor)",
        "CHECK (refunded_minor <= captured_minor)",
        (CONSTRAINTS,),
    ),
    Mutant(
        "no-balance-trigger", "an unbalanced journal is kept", SCHEMA,
        "CREATE TRIGGER journal_balances AFTER INSERT ON postings",
        "CREATE TRIGGER journal_balances AFTER UPDATE ON postings",
        (CONSTRAINTS,),
    ),
    Mutant(
        "history-can-be-changed", "postings may be updated by whoever owns the table", SCHEMA,
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON postings",
        "CREATE TRIGGER append_only BEFORE DELETE ON postings",
        (CONSTRAINTS, "tests/architecture/test_schema.py"),
    ),
    Mutant(
        "serving-role-may-change-books", "the role that serves traffic may update postings", SCHEMA,
        "GRANT UPDATE ON api_keys,",
        "GRANT UPDATE ON postings, api_keys,",
        ("tests/architecture/test_schema.py",),
    ),
    Mutant(
        "open-attempt-nobody-asks-about", "an open attempt may be kept without a time to ask", SCHEMA,
        "CHECK (state NOT IN ('sent', 'unknown', 'pending', 'action_required') OR ask_at IS NOT NULL)",
        "CHECK (state <> 'sent' OR ask_at IS NOT NULL OR minor > 0)",
        (CONSTRAINTS,),
    ),
    Mutant(
        "no-compare-and-set", "a change decided on a stale reading is written", SQL,
        "WHERE p.bucket = r.bucket AND p.id = r.id AND p.version = r.version",
        "WHERE p.bucket = r.bucket AND p.id = r.id",
        (f"{RACES}::test_of_two_stale_changes_one_is_kept", LANES),
    ),
    Mutant(
        "reference-used-twice", "a payment is made although its reference lost the race", SQL,
        "WHERE (id IN (SELECT payment_id FROM referenced)) IS TRUE",
        "WHERE (id IN (SELECT payment_id FROM keyed)) IS TRUE",
        ("tests/storage/test_guards.py",),
    ),
    Mutant(
        "key-does-not-guard-creates", "a payment is made although its key is taken", SQL,
        "     WHERE (id IN (SELECT payment_id FROM keyed)) IS TRUE\n        ON CONFLICT DO NOTHING\n    RETURNING payment_id\n), made",
        "        ON CONFLICT DO NOTHING\n    RETURNING payment_id\n), made",
        (LANES, "tests/storage/test_guards.py"),
    ),
    Mutant(
        "postings-without-the-change", "postings are written although the payment was changed by somebody else", SQL,
        "account text, minor bigint, currency char(3))\n     WHERE (r.payment_id IN (SELECT id FROM touched)) IS TRUE",
        "account text, minor bigint, currency char(3))",
        (LANES, RACES),
    ),
    Mutant(
        "outbox-by-id", "the feed shows what was committed, and skips what commits later with a smaller place", LISTING,
        "       AND xid < pg_snapshot_xmin(pg_current_snapshot())\n     ORDER BY xid, id\n     LIMIT $7",
        "     ORDER BY xid, id\n     LIMIT $7",
        ("tests/api/test_lists.py::test_an_event_that_commits_late_is_never_skipped",),
    ),
    Mutant(
        "two-workers-one-attempt", "an attempt that is leased is claimed again", WORK,
        "ask_at IS NOT NULL AND (state <> 'sent' OR ask_at <= now())\n   AND (leased_until <= now()) IS NOT FALSE",
        "ask_at IS NOT NULL AND (state <> 'sent' OR ask_at <= now())",
        ("tests/flows/test_resolver.py",),
    ),
    Mutant(
        "claim-does-not-space", "an attempt that was just asked about is due at once again", WORK,
        "c.first * power(2, least(a.asks, 20)),",
        "0,",
        ("tests/flows/test_resolver.py::test_questions_are_spaced_as_the_psp_wants_it",),
    ),
    # --- group commit ---
    Mutant(
        "bad-row-sinks-its-batch", "one row that is refused fails all the others of its commit", LANE,
        "            if len(batch) > 1:\n",
        "            if len(batch) > 10**9:\n",
        (f"{LANES}::test_a_bad_row_fails_alone",),
    ),
    Mutant(
        "result-of-another-row", "everybody in a batch hears that something was written", LANE,
        "entry.tell(found.get(name))",
        "entry.tell(next(iter(found.values()), None))",
        (f"{LANES}::test_each_caller_hears_of_its_own_change", LANES),
    ),
    Mutant(
        "answer-before-commit", "the caller hears that its change is kept before it is", LANE,
        "        return await future\n",
        "        return True  # type: ignore\n",
        (LANES,),
    ),
    Mutant(
        "two-changes-in-one-batch", "a second change of a payment replaces the first in its batch", LANE,
        "if name in batch and not self.shared:",
        "if name in batch and self.name is None:",
        (f"{LANES}::test_two_changes_of_one_payment_are_never_in_one_batch",),
    ),
    Mutant(
        "unconfirmed-commit-is-false", "a commit that is not confirmed is told as 'somebody else was first'", LANE,
        "                future.set_exception(unavailable)",
        "                future.set_result(None)",
        (LANES,),
    ),
    Mutant(
        "no-back-pressure", "any number of changes may wait for the database", LANE,
        "if len(self.waiting) >= WAITING_MAX:",
        "if len(self.waiting) < 0:",
        (LANES,),
    ),
)  # fmt: skip
