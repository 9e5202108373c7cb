"""Bugs in what operators decide and see: decisions, escalation, the inbox's rules, and payments that somebody holds."""

from tests.mutants.mutant import Mutant

DECISIONS, PROPOSED = "src/scrooge/flows/decisions.py", "src/scrooge/storage/decisions.sql"
BREAKS = "src/scrooge/storage/breaks.sql"
POSTINGS, RECEIVE, WORK = (
    "src/scrooge/ledger/postings.py",
    "src/scrooge/flows/receive.py",
    "src/scrooge/storage/work.sql",
)
PERFORM, CHALLENGE = "src/scrooge/flows/perform.py", "src/scrooge/flows/challenge.py"
RESOLVE, REPLIES = "src/scrooge/flows/resolve.py", "src/scrooge/connectors/adyen_replies.py"
NEWS, SEND = "src/scrooge/connectors/adyen_notifications.py", "src/scrooge/connectors/send.py"
DECIDED, DOUBTS, INBOX, HELD = (
    "tests/flows/test_decisions.py",
    "tests/flows/test_escalation.py",
    "tests/flows/test_inbox.py",
    "tests/flows/test_held.py",
)

OPERATORS = (
    # --- decisions ---
    Mutant(
        "one-key-suffices", "whoever proposed a decision may approve it too", DECISIONS,
        "            if d.proposed_by == who.key_id:",
        "            if d.proposed_by is None:",
        (f"{DECIDED}::test_whoever_proposed_cannot_approve_nor_can_a_key_without_the_scope",),
    ),
    Mutant(
        "the-same-key-twice", "an approval that is said twice is refused the second time", DECISIONS,
        '            if d.state == "applied" and d.decided_by == who.key_id:',
        '            if d.state == "proposed" and d.decided_by == who.key_id:',
        (f"{DECIDED}::test_what_two_keys_say_comes_true_with_books_and_a_trail",),
    ),
    Mutant(
        "proposals-side-by-side", "several proposals about one attempt are open at once", PROPOSED,
        "AND attempt_id = $5 AND state = 'proposed' AND expires_at > now())",
        "AND attempt_id = $5 AND state = 'proposed' AND expires_at < now())",
        (f"{DECIDED}::test_only_what_is_in_doubt_is_decided_and_once_at_a_time",),
    ),
    Mutant(
        "expired-decision-applied", "a proposal that has expired, or was dropped, can still be approved", DECISIONS,
        "            refuse_closed(d)\n            attempt = in_doubt(p, d.attempt, d.outcome)",
        "            attempt = in_doubt(p, d.attempt, d.outcome)",
        (f"{DECIDED}::test_proposals_expire_and_can_be_dropped_by_either",),
    ),
    Mutant(
        "decided-while-asked", "what the PSP is about to answer is decided away", DECISIONS,
        "if await work.claim_attempt(connection, p.id, attempt.id, LEASE_SECONDS) is None:",
        "if await work.claim_attempt(connection, p.id, attempt.id, LEASE_SECONDS) == 0:",
        (f"{DECIDED}::test_while_the_psp_is_asked_nothing_is_decided",),
    ),
    Mutant(
        "approved-for-less-counts-whole", "the amount that operators name is forgotten", DECISIONS,
        "return Approved(psp_reference, said.amount)",
        "return Approved(psp_reference)",
        (f"{DECIDED}::test_what_was_approved_for_less_counts_as_that",),
    ),
    # --- what lasts too long ---
    Mutant(
        "never-too-old", "no attempt is ever in doubt for too long", BREAKS,
        "THEN a.concluded_at END, a.sent_at) < now() - make_interval(",
        "THEN a.concluded_at END, a.sent_at) < now() - interval '90 years' - make_interval(",
        (f"{DOUBTS}::test_what_is_in_doubt_for_too_long_is_one_break_until_it_is_resolved",),
    ),
    Mutant(
        "usual-is-too-old", "what is pending has no longer than anything else", BREAKS,
        "secs => greatest($2, CASE",
        "secs => least($2, CASE",
        (f"{DOUBTS}::test_what_is_pending_has_the_time_that_is_usual_at_its_psp",),
    ),
    Mutant(
        "lapse-forgotten", "nobody asks whether an authorization lapsed whose capture failed", PERFORM,
        "return tally(before, a).uncaptured == 0 < tally(after, a).uncaptured",
        "return tally(before, a).uncaptured == 0 > tally(after, a).uncaptured",
        (f"{DOUBTS}::test_an_authorization_whose_capture_failed_may_lapse_and_is_asked_about_again",),
    ),
    # --- news ---
    Mutant(
        "late-refund-takes-what-is-not-pending", "a refund done after it was refused leaves a debt in refunds pending", POSTINGS,
        'if event == "refund_approved" and old.state in {"declined", "rejected"}:',
        'if event == "refund_approved" and old.state in {"reversing"}:',
        ("tests/domain/test_late.py", "tests/ledger/test_postings.py"),
    ),
    Mutant(
        "poison-is-not-spaced", "a notification that cannot be applied is due again at once", WORK,
        "due_at = now() + least(interval '1 second' * power(2, least(i.tries, 12)), interval '1 hour')",
        "due_at = now()",
        (f"{INBOX}::test_a_poisoned_notification_holds_up_nobody_and_is_given_up_where_it_is_seen",),
    ),
    Mutant(
        "poison-is-tried-for-ever", "a notification that cannot be applied is never given up", RECEIVE,
        "        if passing or row.tries < PARK_TRIES:",
        "        if passing or row.tries < 10**9:",
        (f"{INBOX}::test_a_poisoned_notification_holds_up_nobody_and_is_given_up_where_it_is_seen",),
    ),
    Mutant(
        "early-news-is-dropped", "news about what is not known yet is filed as nobody's", RECEIVE,
        "        if row.tries >= PARK_TRIES:\n            await orphaned",
        "        if row.tries >= 0:\n            await orphaned",
        (f"{INBOX}::test_news_about_what_is_not_known_yet_waits_for_it",),
    ),
    Mutant(
        "parked-for-ever", "news about nothing we know waits for ever, and nobody sees it", RECEIVE,
        "        if row.tries >= PARK_TRIES:\n            await orphaned",
        "        if row.tries >= 10**9:\n            await orphaned",
        (f"{INBOX}::test_news_about_nothing_we_know_is_shown_to_an_operator_in_the_end",),
    ),
    # --- what somebody holds ---
    Mutant(
        "held-means-changed", "a cascade ends because somebody only held the payment", PERFORM,
        "return await s.writer.save(change) or await saved_locked(s, change)",
        "return await s.writer.save(change)",
        (f"{HELD}::test_a_cascade_goes_on_when_the_payment_was_only_held",),
    ),
    Mutant(
        "payer-overtaken-by-a-lock", "a payer who comes back is sent on without a question to the PSP", CHALLENGE,
        "        await payments.lock(connection, p.id)  # Whoever only holds the payment does not overtake the payer.\n",
        "",
        (f"{HELD}::test_a_payer_who_comes_back_is_not_sent_away_by_a_lock",),
    ),
    # --- what nobody can be asked about ---
    Mutant(
        "never-taken-back", "an authorization that nobody can be asked about stays unknown for ever", RESOLVE,
        "        return await taken_back(s, p, attempt, connector, lease)\n",
        "        return replayed\n",
        ("tests/flows/test_taken_back.py",),
    ),
    Mutant(
        "unrepeatable-waits-for-the-keys-end", "what nobody can repeat is taken back after seven days", RESOLVE,
        "unrepeatable = replayed is None or (isinstance(replayed, Unknown) and replayed.unrepeatable)",
        "unrepeatable = replayed is None",
        ("tests/vault/test_unrepeatable.py",),
    ),
    Mutant(
        "taken-back-though-it-can-be-asked-again", "an authorization is canceled that a replay could still find", RESOLVE,
        "unrepeatable = replayed is None or (isinstance(replayed, Unknown) and replayed.unrepeatable)",
        "unrepeatable = True",
        ("tests/flows/test_taken_back.py",),
    ),
    Mutant(
        "not-canceled-means-not-there", "a sale that cannot be canceled because it was captured is called never done", NEWS,
        "if named is None and NOT_THERE.search(why(item)):",
        "if True:",
        ("tests/connectors/test_contract.py",),
    ),
    Mutant(
        "error-names-a-payment", "the name of an error is taken for the payment's, and reversed", SEND,
        "    if status >= 400:\n        return None\n    try:\n        document",
        "    try:\n        document",
        ("tests/connectors/test_contract.py",),
    ),
    Mutant(
        "cancellation-names-the-payment", "the cancellation's own name is taken for the payment's", REPLIES,
        'return Unknown(f"a reversal {asked}")',
        'return Unknown(f"a reversal {asked}", document.get("pspReference"))',
        ("tests/connectors/test_contract.py",),
    ),
)  # fmt: skip
