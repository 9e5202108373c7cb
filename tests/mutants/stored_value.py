"""Bugs in stored value: more is spent than there is, the same is moved twice, or the books tell another story."""

from tests.mutants.mutant import Mutant

MIGRATION = "src/scrooge/storage/migrations/0035_stored_value.sql"
CODES = "src/scrooge/storage/stored_value_codes.sql"
MODEL = "tests/stored_value/test_model.py"
PAID, ACCOUNTS = "tests/stored_value/test_payments.py::test_", "tests/stored_value/test_accounts.py::test_"

STORED_VALUE = (
    Mutant(
        "balance-is-not-looked-at", "an account is charged more than is available", MIGRATION,
        "AND a.available_minor < w.minor THEN 'insufficient_funds'", "AND false THEN 'insufficient_funds'",
        (MODEL,),
    ),
    Mutant(
        "moved-again", "an attempt that is asked about again is moved again", MIGRATION,
        "v.attempt_id = w.attempt_id\n               AND v.kind = w.kind;",
        "v.attempt_id = w.id\n               AND v.kind = w.kind;",
        (MODEL,),
    ),
    Mutant(
        "captured-without-a-hold", "a capture takes what its authorization does not hold", MIGRATION,
        "AND v.kind IN ('hold', 'capture', 'release') AND v.declined IS NULL;\n"
        "            m.declined := CASE WHEN room < w.minor THEN 'no_room' END;",
        "AND v.kind IN ('hold', 'capture', 'release') AND v.declined IS NULL;",
        (MODEL,),
    ),
    Mutant(
        "refunded-more-than-taken", "a refund returns what was never taken", MIGRATION,
        "AND v.kind IN ('sale', 'capture', 'refund') AND v.declined IS NULL;\n"
        "            m.declined := CASE WHEN room < w.minor THEN 'no_room' END;",
        "AND v.kind IN ('sale', 'capture', 'refund') AND v.declined IS NULL;",
        (MODEL,),
    ),
    Mutant(
        "rest-stays-held", "a final capture leaves the rest held for ever", MIGRATION,
        "AND w.rest_id IS NOT NULL AND room > m.minor THEN", "AND w.rest_id IS NOT NULL AND false THEN",
        (MODEL,),
    ),
    Mutant(
        "hold-posted-as-spent", "what is held is taken out of the books at once", "src/scrooge/ledger/stored_value.py",
        '"hold":        (A.STORED_VALUE,      A.STORED_VALUE_HELD),',
        '"hold":        (A.STORED_VALUE,      A.ORDER_CLEARING),',
        (MODEL,),
    ),
    Mutant(
        "posted-by-both", "a payment from stored value posts a receivable at a PSP, too", "src/scrooge/flows/perform.py",
        "if not s.directory.is_ledger(a.connector_account):", "if a.connector_account:",
        (PAID + "the_moves_alone_are_in_the_books",),
    ),
    Mutant(
        "refunded-into-nothing", "a refund goes to an account that has expired", MIGRATION,
        "w.kind = 'refund' AND (a.closed_at IS NOT NULL OR a.expires_at <= now()) THEN", "w.kind = 'refund' AND false THEN",
        (ACCOUNTS + "a_refund_to_an_expired_account_goes_to_one_that_replaces_it",),
    ),
    Mutant(
        "code-used-twice", "a code that was used loads again", CODES,
        "   AND c.used_by IS NULL AND", "   AND",
        (ACCOUNTS + "a_code_loads_once_however_it_is_written_and_whoever_is_faster",),
    ),
    Mutant(
        "guesses-for-nothing", "who guesses codes is never locked out", CODES,
        "THEN 1 ELSE g.guesses + 1 END", "THEN 1 ELSE 1 END",
        (ACCOUNTS + "who_guesses_is_locked_out_and_a_hundred_at_once_are_no_way_around",),
    ),
    Mutant(
        "one-key-is-enough", "the key that proposed a large adjustment approves it", "src/scrooge/flows/stored_value_adjustments.py",
        "if a.proposed_by == who.key_id:", "if a.proposed_by == a.id:",
        (ACCOUNTS + "a_small_adjustment_is_done_and_a_large_one_waits_for_another_key",),
    ),
    Mutant(
        "anybodys-account", "a caller makes an instrument that pays from somebody's account", "src/scrooge/api/instruments.py",
        "if call.s.directory.is_ledger(account.id):", "if False:",
        (ACCOUNTS + "one_reference_is_one_account_and_nobody_elses",),
    ),
)  # fmt: skip
