"""Bugs in winning declined renewals back: a card tried again that said never, a mandate that never agreed."""

from tests.mutants.mutant import Mutant

MEANS, TURNS = "src/scrooge/domain/means.py", "src/scrooge/flows/recoveries.py"
MANDATES, QUERIES = "src/scrooge/storage/mandates.py", "src/scrooge/storage/mandates.sql"
FRESH, OTHER = "tests/flows/test_refreshed.py::test_", "tests/flows/test_fallback.py::test_"
TABLE, UPDATED = ("tests/domain/test_means.py",), "tests/flows/test_customer_updated.py::test_"

RECOVERIES = (
    Mutant(
        "never-again-is-refreshed", "a card that may never be tried again is tried with a newer expiry", MEANS,
        "    if advice_code in NEVER_AGAIN:\n        found", "    if not advice_code:\n        found", TABLE,
    ),
    Mutant(
        "control-arm-is-treated", "the control arm has every means, so that uplift is always nothing", MEANS,
        "    if control:\n", "    if False:\n", TABLE,
    ),
    Mutant(
        "same-card-tried-again", "a newer card is tried as long as it looks newer", TURNS,
        "max(a.sent_at, p.retry.card_at or 0)", "a.sent_at",
        (FRESH + "news_of_a_newer_card_ends_the_wait_for_the_payer_and_the_same_news_twice_is_one_attempt",),
    ),
    Mutant(
        "refreshed-past-the-deadline", "a card is looked for, and its turn never ends, when the time is over", TURNS,
        "in_time = p.retry_until is not None and now() < p.retry_until", "in_time = p.retry_until is not None",
        (FRESH + "nothing_is_looked_for_after_the_deadline",),
    ),
    Mutant(
        "unseen-token-is-dropped", "a token that the PSP does not show is taken for one that is gone",
        "src/scrooge/flows/refresh.py",
        "        if seen is not None:\n    ", "        if True:\n    ", (FRESH + "a_token_that_the_psp_does_not_show_is_kept",),
    ),
    Mutant(
        "revoked-and-waited-for", "who revoked the mandate is asked for another card until the deadline", TURNS,
        "if m is not None and m.revoked is not None and (", "if m is not None and m.revoked is None and (",
        (FRESH + "a_mandate_that_is_revoked_ends_it_at_once_whatever_it_waits_for",),
    ),
    Mutant(
        "fallback-without-consent", "another mandate pays that did not opt in", QUERIES,
        "m.status = 'active' AND m.fallback AND", "m.status = 'active' AND",
        (OTHER + "one_that_did_not_opt_in_or_was_agreed_for_something_else_pays_nothing",),
    ),
    Mutant(
        "fallback-over-and-over", "another mandate that was declined is tried again and again", QUERIES,
        "t.payment_id = p.id AND t.mandate_id = m.id)", "t.payment_id = p.id AND t.mandate_id = p.id)",
        (OTHER + "each_other_mandate_is_tried_once_and_then_the_payer_is_asked_under_the_own_one",),
    ),
    Mutant(
        "own-mandate-not-asked", "another mandate pays although the payment's own was revoked meanwhile", MANDATES,
        "else [p.mandate, p.own_mandate or \"\"]", "else [p.mandate]",
        (OTHER + "an_own_mandate_that_is_revoked_at_the_last_moment_stops_the_record",),
    ),
    Mutant(
        "payers-card-never-tried", "the card that the payer gave is seen anew at each turn, and never tried", TURNS,
        "if given <= (step.card_at or 0):", "if given < 0:",
        (UPDATED + "a_card_that_may_not_be_asked_is_given_up_and_the_payer_is_waited_for_again",),
    ),
)  # fmt: skip
