"""Bugs in cards that payers leave for their mandates, and in what a verification counts for."""

from tests.mutants.mutant import Mutant

LINKS, PAYER, SAVING = (
    "src/scrooge/flows/update_links.py", "src/scrooge/api/updating/payer.py", "src/scrooge/flows/saving.py",
)  # fmt: skip
ATTEMPTS, LIMITS, WITHDRAWN = (
    "src/scrooge/flows/attempts.py", "src/scrooge/storage/scheme_limits.py", "src/scrooge/domain/withdrawal.py",
)  # fmt: skip
MIGRATION = "src/scrooge/storage/migrations/0036_update_links.sql"
LEFT, MANDATED = "tests/checkout/test_update_links.py::test_", "tests/storage/test_mandated.py::test_"
COUNTED = (
    "tests/flows/test_scheme_limits.py::test_a_verification_is_counted_and_refused_like_any_attempt_with_its_card",
)
AGAIN = (LEFT + "the_payment_that_was_declined_is_tried_again_at_once_with_the_new_card",)
OWN = (LEFT + "a_card_is_taken_from_the_page_itself_and_only_one_of_its_own_payer",)

UPDATED = (
    Mutant(
        "any-token-opens-the-link", "whoever knows a link's id needs not its secret", LINKS,
        "any(hmac.compare_digest(link.digest, d) for d in digests)", "digests",
        (LEFT + "a_link_that_is_over_or_was_never_good_says_one_and_the_same",),
    ),
    Mutant(
        "cards-from-anywhere", "another site's page may send a card to a link", PAYER,
        "if link is None or foreign or not is_json", "if link is None or not is_json", OWN,
    ),
    Mutant(
        "somebody-elses-card", "a mandate is given another customer's card", LINKS,
        "authorize.instrument_of(s, who, instrument_id, m.customer)", "authorize.instrument_of(s, who, instrument_id, None)",
        OWN,
    ),
    Mutant(
        "a-sixth-card", "any number of cards may be tried by one link", "src/scrooge/storage/update_links.py",
        "TRIES_MAX = 5", "TRIES_MAX = 50", (LEFT + "five_cards_may_be_tried",),
    ),
    Mutant(
        "two-cards-at-once", "of two cards that come at once both are asked about", "src/scrooge/storage/update_links.sql",
        "instrument_id IS NOT DISTINCT FROM $4", "($4::uuid IS NULL OR true)",
        (LEFT + "two_cards_at_once_are_one_and_a_card_sent_twice_is_asked_about_once",),
    ),
    Mutant(
        "another-mandate-for-the-card", "a new card makes a mandate that nobody renews by", SAVING,
        "await (renewed if lesson.renews else agreed)(connection", "await agreed(connection", AGAIN,
    ),
    Mutant(
        "declined-for-good", "a payment that waits for the payer's card goes on waiting", SAVING,
        "        await recoveries.card_updated(connection, m.id)\n", "        pass\n", AGAIN,
    ),
    Mutant(
        "the-old-card-again", "a later retry takes the card that was declined", "src/scrooge/flows/retries.py",
        "paid_by = mandate.instrument if mandate else p.instrument", "paid_by = p.instrument", AGAIN,
    ),
    Mutant(
        "earlier-cards-are-forgotten", "a mandate's card may be changed without a trace", MIGRATION,
        "    WHEN (NEW.earlier->>-1 IS NULL OR", "    WHEN (false AND",
        ("tests/storage/test_mandates.py::test_withdrawn_is_for_ever_and_what_was_agreed_cannot_be_changed",),
    ),
    Mutant(
        "no-to-the-next-card-ends-the-mandate", "an issuer's no to a card that is only looked at withdraws the mandate", WITHDRAWN,
        "if after.mandate is None or after.mandate_use is None:", "if after.mandate is None:",
        (MANDATED + "an_issuers_no_to_the_card_that_is_to_be_its_next_withdraws_nothing",),
    ),
    Mutant(
        "do-not-try-again-ends-the-mandate", "advice that concerns a card ends the agreement", WITHDRAWN,
        "a.advice_code == ENDED", 'a.advice_code in {ENDED, "03"}',
        (MANDATED + "an_issuers_no_that_withdraws_it_does_so_in_its_own_commit",),
    ),
    Mutant(
        "verifications-are-free", "a verification counts in no scheme's limit", ATTEMPTS,
        "counted=None if own else", "counted=None if exempt else",
        COUNTED,
    ),
    Mutant(
        "declined-verifications-are-free", "a declined verification is no decline to the schemes", LIMITS,
        "after.operation not in {Operation.AUTHORIZE, Operation.VERIFY}", "after.operation is not Operation.AUTHORIZE",
        COUNTED,
    ),
    Mutant(
        "forms-for-whoever-asks-again", "the core's token for a form is good for many", "src/scrooge/vault/form/sessions.py",
        "    if not await first_use(call, claims):", "    if not claims:",
        ("tests/vault/test_core_sessions.py::test_nobody_else_is",),
    ),
    Mutant(
        "a-verification-in-doubt-for-ever", "a verification that nobody can repeat is asked about for ever",
        "src/scrooge/flows/resolve.py",
        "attempt.operation in {Operation.AUTHORIZE, Operation.VERIFY}", "attempt.operation is Operation.AUTHORIZE",
        ("tests/vault/test_unrepeatable.py::test_nor_does_a_verification_that_nobody_can_repeat_stay_in_doubt",),
    ),
)  # fmt: skip
