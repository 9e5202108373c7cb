"""Bugs in the order of things: what is recorded, asked, applied, and who may conclude."""

from tests.mutants.mutant import SIMULATION, Mutant

ASK = "src/scrooge/flows/ask.py"
PERFORM, RESOLVE = "src/scrooge/flows/perform.py", "src/scrooge/flows/resolve.py"
AUTHORIZE, MODIFY = "src/scrooge/flows/authorize.py", "src/scrooge/flows/modify.py"
CHALLENGE, KEYS = "src/scrooge/flows/challenge.py", "src/scrooge/flows/keys.py"
RECEIVE, ANNOUNCE = "src/scrooge/flows/receive.py", "src/scrooge/flows/announce.py"
PAYMENTS, RACES = "tests/flows/test_payments.py", "tests/flows/test_races.py"
NO_TRACE = "tests/flows/test_no_trace.py"
NEWS, RESOLVER = "tests/flows/test_notifications.py", "tests/flows/test_resolver.py"

FLOWS = (
    Mutant(
        "ask-before-record", "rule 1: the request leaves before the row that says so is committed", AUTHORIZE,
        '    reach("record.before")\n    try:\n        recorded = await s.writer.create(',
        "    from scrooge.domain.attempt import Operation\n    from scrooge.flows.ask import account_of, ask\n\n"
        "    attempt = after.attempts[-1]\n"
        "    early = s.connectors[(await account_of(s, attempt)).connector].endpoints[Operation.AUTHORIZE]\n"
        "    await ask(s, after, attempt.id, early, request, first=True)\n"
        '    reach("record.before")\n    try:\n        recorded = await s.writer.create(',
        (f"{PAYMENTS}::test_64_concurrent_identical_creates_make_one_psp_call",),
    ),
    Mutant(
        "send-after-deadline", "a first request leaves when the resolver may be asking already", ASK,
        "if left <= 0:",
        "if left <= -(10**9):",
        (f"{RACES}::test_a_first_request_that_missed_its_deadline_is_not_sent",),
    ),
    Mutant(
        "rejected-although-asked-again", "the first sender concludes 'not processed' after a resolver has replayed", PERFORM,
        "return a.state is State.SENT and a.asks == 0",
        "return True",
        (f"{RACES}::test_not_processed_is_believed_only_while_nobody_else_has_asked",),
    ),
    Mutant(
        "stale-lease-concludes", "a resolver that was overtaken still concludes from absence", PERFORM,
        "return await work.lease_held(connection, p.id, a.id, epoch)",
        "return True",
        (f"{RESOLVER}::test_absence_concludes_nothing_once_the_lease_is_not_the_latest",),
    ),
    Mutant(
        "error-after-the-psp-call", "rule: never a 5xx once a PSP was called", PERFORM,
        "        bug = not isinstance(error, NOT_KEPT)\n",
        "        raise\n        bug = not isinstance(error, NOT_KEPT)\n",
        ("tests/flows/test_unkept.py",),
    ),
    Mutant(
        "break-not-kept", "a contradiction is refused and forgotten", PERFORM,
        "        await breaks.contradiction(s, known, attempt_id, outcome, error)\n",
        "",
        ("tests/flows/test_breaks.py",),
    ),
    Mutant(
        "fresh-key-on-replay", "every replay has an idempotency key of its own", RESOLVE,
        "    request, age = await payments.request_of(s.db, p.id, attempt.id)\n",
        "    request, age = await payments.request_of(s.db, p.id, attempt.id)\n"
        "    if request.idempotency_key:\n"
        '        key = f"{request.idempotency_key}-{attempt.asks}"\n'
        "        request = type(request)(request.method, request.path, request.body, request.content_type, key)\n",
        (f"{RACES}::test_not_processed_is_believed_only_while_nobody_else_has_asked",),
    ),
    Mutant(
        "replay-after-retention", "a request is sent again when the PSP may have forgotten its key", RESOLVE,
        "if lost and age < replay_for(connector, await provider_of(s, request)):",
        "if lost:",
        (f"{RACES}::test_a_request_is_never_replayed_after_the_psp_forgot_its_key",),
    ),
    Mutant(
        "not-found-fails-at-once", "no trace is evidence before the PSP's horizon", RESOLVE,
        "attempt.id) > at_most(connector.recovery.horizon, p):",
        "attempt.id) >= 0:",
        (f"{NO_TRACE}::test_no_trace_is_evidence_only_a_horizon_after_the_key_was_used_up",),
    ),
    Mutant(
        "not-found-while-the-key-lives", "no trace is evidence while a replay may still be executed", RESOLVE,
        "found.absent and burnt\n"
        "    # Nothing can be executed under the key any more. What was executed, by the last replay at the latest, was over when\n"
        "    # that was first seen; and the PSP had time since to know of it.\n"
        "    if gone and await work.stored_for(s.db, p.id, attempt.id) > at_most(connector.recovery.horizon, p):",
        "found.absent\n    if gone and age > at_most(connector.recovery.horizon, p):",
        (f"{RACES}::test_no_trace_concludes_nothing_while_the_key_could_still_be_used",),
    ),
    Mutant(
        "ask-without-lease", "a resolver asks although another has claimed the attempt since", RESOLVE,
        "        raise LeaseLost\n\n\ndef overdue",
        "        return\n\n\ndef overdue",
        (f"{RESOLVER}::test_a_resolver_whose_lease_ran_out_asks_nobody",),
    ),
    Mutant(
        "continuation-concludes-rejected", "the payer came back, we could not connect, so nothing happened", CHALLENGE,
        "outcome = await ask(s, after, attempt.id, connector.continuation, request, first=False, slot=slot)",
        "outcome = await ask(s, after, attempt.id, connector.continuation, request, first=True, slot=slot)",
        (f"{RACES}::test_a_question_after_the_payer_came_back_never_concludes_that_nothing_happened",),
    ),
    Mutant(
        "payer-given-up-at-once", "a challenge is abandoned before the payer had the time for it", RESOLVE,
        "if not overdue(s, attempt):",
        "if overdue(s, attempt):",
        (f"{RACES}::test_a_payer_who_was_just_sent_to_authenticate_is_not_given_up",),
    ),
    Mutant(
        "key-used-twice", "two copies of a modification with one key are both done", MODIFY,
        "if not await payments.claim_key(connection, guard, principal.caller, p.id, attempt_id, deadline):\n"
        "            return None",
        "if not await payments.claim_key(connection, guard, principal.caller, p.id, attempt_id, deadline):\n"
        "            pass",
        (f"{RACES}::test_a_herd_with_one_key_modifies_once",),
    ),
    Mutant(
        "other-payload-under-a-key", "the same key with another body is answered as if it were the same", KEYS,
        "if row.fingerprint != keyed.fingerprint:",
        "if row.fingerprint is None:",
        (f"{PAYMENTS}::test_a_key_with_another_payload_is_refused_and_does_nothing",),
    ),
    Mutant(
        "key-released-too-early", "a copy is answered while the first request is still at work", KEYS,
        "if running(payment, row.attempt) and now() < deadline:",
        "if running(payment, row.attempt) and now() < payment.created_at:",
        ("tests/flows/test_unkept.py",),
    ),
    Mutant(
        "key-held-for-ever", "after a crash the key answers 'still running' for ever", KEYS,
        "if running(payment, row.attempt) and now() < deadline:",
        "if running(payment, row.attempt):",
        ("tests/flows/test_unkept.py",),
    ),
    Mutant(
        "unlocked-refund-room", "room is counted on a reading of the payment without its lock", MODIFY,
        "current = await payments.lock(connection, p.id)",
        "current = await payments.read(connection, p.id)",
        (f"{PAYMENTS}::test_1000_concurrent_refunds_never_exceed_what_was_captured",),
    ),
    Mutant(
        "unsigned-notification-accepted", "a notification is believed whoever sent it", RECEIVE,
        "if not connector.verify(raw, headers, wire.credentials, now() // SECOND):",
        "if connector is None:",
        (f"{NEWS}::test_a_forged_notification_is_refused_and_changes_nothing",),
    ),
    Mutant(
        "notification-amount-believed", "a notification about another amount is booked", RECEIVE,
        "return checked(command_of(p, attempt, account), outcome) if isinstance(outcome, Approved) else outcome",
        "return outcome",
        (f"{NEWS}::test_an_approval_of_another_amount_is_not_believed",),
    ),
    Mutant(
        "another-accounts-notification", "news about another merchant account of the PSP is applied", RECEIVE,
        'return structs.replace(n, kind=f"{n.kind} of another merchant account", outcome=None, psp_token=None)',
        "return n",
        (NEWS,),
    ),
    Mutant(
        "foreign-refund-is-ours", "a refund made at the PSP's own site is taken for one that we asked", RECEIVE,
        "    if n.reference:\n        named",
        "    if n.reference and n.reference in {a.reference for a in attempts if a.operation is n.operation}:\n        named",
        (f"{NEWS}::test_a_refund_made_at_the_psps_own_site_is_not_taken_for_one_we_asked",),
    ),
    Mutant(
        "event-missing", "a change is kept without its event", ANNOUNCE,
        "return None if event is None else",
        'return None if event is None or event.startswith("refund") else',
        (f"{PAYMENTS}::test_every_final_state_is_announced_once_in_the_feed", SIMULATION),
    ),
)  # fmt: skip
