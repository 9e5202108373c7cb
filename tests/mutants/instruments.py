"""Bugs in what an instrument knows and forgets."""

from tests.mutants.mutant import Mutant

CARDS, SAVING = "src/scrooge/storage/cards.sql", "src/scrooge/flows/saving.py"
ERRANDS, UPDATES = "src/scrooge/flows/errands.py", "src/scrooge/flows/updates.py"
T = "tests/instruments"
LEARNING, FORGETTING, UPDATING = f"{T}/test_learning.py", f"{T}/test_forgetting.py", f"{T}/test_updates.py"
SAVED = f"{T}/vaulted/test_saving.py"

INSTRUMENTS = (
    Mutant(
        "overtaken-reader-writes",
        "a worker that was overtaken moves the feed back",
        CARDS,
        "WHERE name = $1 AND position = $2 RETURNING name;",
        "WHERE name = $1 AND $2::text <> '!' RETURNING name;",
        (f"{LEARNING}::test_a_reader_that_was_overtaken_changes_nothing",),
    ),
    Mutant(
        "late-answer-undoes-the-feed",
        "a card that was asked for overwrites what was heard since",
        CARDS,
        "ON CONFLICT (bucket, id) DO NOTHING",
        "ON CONFLICT (bucket, id) DO UPDATE SET card_status = 'active'",
        (f"{LEARNING}::test_an_answer_that_comes_late_does_not_undo_what_was_heard",),
    ),
    Mutant(
        "another-merchants-card",
        "a card of another merchant is paid with",
        "src/scrooge/flows/cards.py",
        'if card is None or card.merchant != merchant or card.status == "deleted":',
        "if card is None:",
        (f"{LEARNING}::test_what_is_asked_for_is_checked_as_what_we_know",),
    ),
    Mutant(
        "replaced-card-comes-back",
        "the vault's old card is used again after its number was replaced",
        CARDS,
        "THEN 'replaced' ELSE excluded.card_status END",
        "THEN 'active' ELSE excluded.card_status END",
        (f"{UPDATING}::test_a_card_of_another_number_is_paid_with_by_its_token_and_not_from_the_vault",),
    ),
    Mutant(
        "any-answer-is-done",
        "what a PSP refused to forget counts as forgotten",
        ERRANDS,
        "    if not ending.read(status, document):\n",
        "    if not ending.read(status, document) and status == 0:\n",
        (f"{FORGETTING}::test_an_answer_that_is_none_leaves_the_token_to_be_forgotten",),
    ),
    Mutant(
        "vaults-refusal-is-done",
        "a vault that fails counts as having deleted the card",
        ERRANDS,
        '    if status != 200:\n        raise NotYet(f"the vault answered HTTP {status}")\n    return "the vault deleted',
        '    return "the vault deleted',
        (f"{FORGETTING}::test_who_does_not_answer_is_asked_until_there_is_an_answer_and_somebody_is_told",),
    ),
    Mutant(
        "shared-token-is-forgotten",
        "another instrument's token goes with a deleted one",
        ERRANDS,
        "if await errands.token_in_use(s.db, account.id, errand.psp_token):",
        "if False:",
        (f"{FORGETTING}::test_a_token_that_another_instrument_has_too_stays",),
    ),
    Mutant(
        "errands-are-shared",
        "two workers run one errand",
        "src/scrooge/storage/errands.sql",
        "           FOR UPDATE SKIP LOCKED) due",
        "           ) due",
        (f"{FORGETTING}::test_two_workers_never_have_the_same_errand",),
    ),
    Mutant(
        "saved-for-the-deleted",
        "a token that a PSP saved for a deleted instrument stays there",
        SAVING,
        "    if known is None and not held.deleted:\n",
        "    if known is None:\n",
        (f"{SAVED}::test_what_a_psp_saved_for_an_instrument_that_is_gone_is_forgotten",),
    ),
    Mutant(
        "second-token-stays",
        "a second token of one card stays at the PSP for ever",
        SAVING,
        '    SAVED.labels("superfluous").inc()\n',
        "    return\n",
        (f"{SAVED}::test_of_two_tokens_at_one_psp_one_is_the_instruments_and_the_other_is_forgotten",),
    ),
    Mutant(
        "saved-unasked",
        "a card is saved that the payer did not agree to",
        SAVING,
        "if lesson.save_for is not None and lesson.psp_token is not None:",
        "if lesson.psp_token is not None:",
        (f"{SAVED}::test_what_nobody_agreed_to_is_not_saved_but_the_first_payment_has_a_name",),
    ),
    Mutant(
        "expiry-goes-back",
        "the last PSP to know says what the expiry is",
        UPDATES,
        "return card.exp > held.exp or",
        "return card.exp != held.exp or",
        (f"{UPDATING}::test_nothing_goes_back_to_an_earlier_expiry",),
    ),
    Mutant(
        "news-before-the-token",
        "news of a token that is not saved yet is thrown away",
        UPDATES,
        "if not told and not saved and row.tries < UNKNOWN_TRIES:",
        "if False:",
        (f"{UPDATING}::test_news_that_comes_before_the_token_is_saved_is_not_lost",),
    ),
)
