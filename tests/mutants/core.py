"""Bugs in the pure core and in how replies are read."""

from tests.mutants.mutant import SIMULATION, Mutant

ATTEMPT, NEWS = "src/scrooge/domain/attempt.py", "src/scrooge/domain/news.py"
PAYMENT, RETRIES = "src/scrooge/domain/payment.py", "src/scrooge/routing/retries.py"
NEXT = "tests/routing/retries/test_next_step.py"
LEARN = "src/scrooge/domain/learn.py"
POSTINGS, SEND = "src/scrooge/ledger/postings.py", "src/scrooge/connectors/send.py"
STRIPE, ADYEN = "src/scrooge/connectors/stripe_replies.py", "src/scrooge/connectors/adyen_replies.py"
SIM = (SIMULATION,)

CORE = (
    # --- what a reply means ---
    Mutant(
        "timeout-means-declined", "a lost answer is taken for a refusal", SEND,
        'outcome = Unknown(why(error))',
        'outcome = Rejected(why(error))',
        ("tests/connectors/test_contract.py",),
    ),
    Mutant(
        "5xx-means-rejected", "an HTTP 500 is taken for a refusal", SEND,
        'return Unknown(f"HTTP {status}", stored=stored), ',
        'return Rejected(f"HTTP {status}"), ',
        SIM,
    ),
    Mutant(
        "5xx-is-never-stored", "a stored failure is replayed for ever", SEND,
        'return Unknown(f"HTTP {status}", stored=stored), ',
        'return Unknown(f"HTTP {status}"), ',
        SIM,
    ),
    Mutant(
        "replay-not-sent-means-rejected", "ruling 1: a replay that cannot connect concludes that nothing happened", SEND,
        "outcome, health = nothing_left(reason, first), Health.FAILED",
        "outcome, health = nothing_left(reason, True), Health.FAILED",
        ("tests/connectors/test_contract.py", SIMULATION),
    ),
    Mutant(
        "replay-refused-means-rejected", "ruling 1: an error on a replay that is not the stored answer is believed", SEND,
        "if isinstance(outcome, Rejected) and not first and not connector.replayed(headers):",
        "if isinstance(outcome, Rejected) and not first and connector is None:",
        ("tests/connectors/test_contract.py", "tests/connectors/test_specifications.py", SIMULATION),
    ),
    Mutant(
        "wrong-amount-believed", "an approval of another amount is booked as it came", SEND,
        "if got is None or got == asked:",
        "if got is None or got != asked or got == asked:",
        SIM,
    ),
    Mutant(
        "unreadable-loses-psp-reference", "the PSP's id in a reply that cannot be read is dropped", SEND,
        "unknown = Unknown(f\"HTTP {status}: {explained or 'the answer cannot be read'}\", reference_in(status, body))",
        "unknown = Unknown(f\"HTTP {status}: {explained or 'the answer cannot be read'}\")",
        ("tests/connectors/test_contract.py",),
    ),
    Mutant(
        "unreadable-means-rejected", "garbage with status 200 is taken for a refusal", SEND,
        "unknown = Unknown(f\"HTTP {status}: {explained or 'the answer cannot be read'}\", reference_in(status, body))",
        "unknown = Rejected(f\"HTTP {status}: {explained or 'the answer cannot be read'}\", reference_in(status, body))",
        SIM,
    ),
    Mutant(
        "http-client-retries", "the HTTP client silently repeats a request on a stale connection",
        "src/scrooge/connectors/client.py",
        "session._retry_connection = False",
        "session._retry_connection = True",
        ("tests/connectors/test_client.py",),
    ),
    Mutant(
        "in-progress-means-rejected", "Adyen's 704, the same key is in progress, is a refusal", ADYEN,
        'if code in BUSY or headers.get("transient-error") == "true":',
        'if headers.get("transient-error") == "true":',
        ("tests/connectors/test_contract.py", SIMULATION),
    ),
    Mutant(
        "earlier-capture-is-ours", "Stripe's intent was captured, whoever asked for it", STRIPE,
        'ours = (intent.get("metadata") or {}).get("capture_reference") == command.reference',
        "ours = True",
        ("tests/connectors/test_contract.py",),
    ),
    # --- the grid and the door for news ---
    Mutant(
        "approved-can-be-declined", "a decline after an approval is applied, not kept as a break", ATTEMPT,
        "S.APPROVED: (S.APPROVED, S.APPROVED, None,     None,       None,       S.REVERSED, S.APPROVED),",
        "S.APPROVED: (S.APPROVED, S.APPROVED, None,     S.DECLINED, None,       S.REVERSED, S.APPROVED),",
        ("tests/domain/test_attempt.py", "tests/domain/test_payment.py"),
    ),
    Mutant(
        "reversal-before-approval-refused", "ruling 2: CAPTURE_FAILED before CAPTURE is a contradiction", ATTEMPT,
        "S.PENDING:  (S.APPROVED, S.PENDING,  None,     S.DECLINED, S.REJECTED, S.REVERSED, S.PENDING),",
        "S.PENDING:  (S.APPROVED, S.PENDING,  None,     S.DECLINED, S.REJECTED, None,       S.PENDING),",
        ("tests/domain/test_attempt.py", "tests/domain/test_payment.py"),
    ),
    Mutant(
        "unknown-forgets-pending", "not knowing replaces what was known", ATTEMPT,
        "S.PENDING:  (S.APPROVED, S.PENDING,  None,     S.DECLINED, S.REJECTED, S.REVERSED, S.PENDING),",
        "S.PENDING:  (S.APPROVED, S.PENDING,  None,     S.DECLINED, S.REJECTED, S.REVERSED, S.UNKNOWN),",
        ("tests/domain/test_attempt.py", "tests/domain/test_payment.py"),
    ),
    Mutant(
        "news-by-arrival", "whatever comes last is true, also an acceptance after the end", ATTEMPT,
        "S.REJECTED: (None,       S.REJECTED, None,     None,       S.REJECTED, None,       S.REJECTED),",
        "S.REJECTED: (S.APPROVED, S.PENDING,  None,     None,       S.REJECTED, None,       S.UNKNOWN),",
        SIM,
    ),
    Mutant(
        "unknown-is-not-open", "an attempt in doubt keeps no room", ATTEMPT,
        "OPEN = frozenset({S.SENT, S.UNKNOWN, S.PENDING, S.ACTION_REQUIRED})",
        "OPEN = frozenset({S.SENT, S.PENDING, S.ACTION_REQUIRED})",
        ("tests/domain/test_attempt.py", "tests/domain/test_payment.py"),
    ),
    Mutant(
        "psp-reference-lost-on-old-news", "news that changes no state does not name the PSP's reference either", NEWS,
        "if outcome.psp_reference and attempt.psp_reference is None:",
        "if outcome.psp_reference is None and attempt.psp_reference is None and p is None:",
        ("tests/domain/test_attempt.py", "tests/domain/test_payment.py"),
    ),
    Mutant(
        "partial-approval-counts-whole", "a partial approval is taken for all that was asked", LEARN,
        '"approved_minor": outcome.amount.minor if outcome.amount else attempt.minor,',
        '"approved_minor": attempt.minor,',
        SIM,
    ),
    Mutant(
        "more-than-there-is", "news that adds up to more than there is to move is applied", NEWS,
        "if min(t.voided, t.uncaptured - t.held, t.captured - t.refunded - t.held_refund) < 0:",
        "if min(t.voided, t.uncaptured - t.held, t.captured - t.refunded - t.held_refund) < -(10**12):",
        ("tests/domain/test_attempt.py", "tests/domain/test_payment.py"),
    ),
    Mutant(
        "voided-stays-open", "a fully voided authorization is still live", NEWS,
        "closed = Closed.VOIDED if t.voided == t.authorized else None",
        "closed = None",
        ("tests/domain/test_payment.py",),
    ),
    Mutant(
        "failed-void-stays-closed", "a void fails after all, and another authorization may stand beside the first", NEWS,
        "            if closed is not a.closed:\n",
        "            if closed is not None and closed is not a.closed:\n",
        ("tests/domain/test_payment.py",),
    ),
    Mutant(
        "declines-are-not-announced", "a final state without an event", NEWS,
        "if after.state is State.SENT:\n            return None",
        "if after.state in {State.SENT, State.DECLINED}:\n            return None",
        SIM,
    ),
    # --- room, cascade ---
    Mutant(
        "held-captures-are-free", "captures in flight keep no room", PAYMENT,
        "held = total(O.CAPTURE, OPEN) + total(O.VOID, OPEN)",
        "held = total(O.VOID, OPEN)",
        ("tests/domain/test_payment.py::test_money_in_flight_keeps_its_room",),
    ),
    Mutant(
        "held-refunds-are-free", "refunds in flight keep no room", PAYMENT,
        "O.REFUND: lambda p: standing(p).captured - standing(p).refunded - standing(p).held_refund,",
        "O.REFUND: lambda p: standing(p).captured - standing(p).refunded,",
        ("tests/domain/test_payment.py::test_refunds_in_flight_keep_their_room",),
    ),
    Mutant(
        "second-authorization", "a fresh authorization beside one that may have moved money", PAYMENT,
        'if live(p) or captured_before(p):\n            raise AuthorizationLive(',
        'if captured_before(p):\n            raise AuthorizationLive(',
        ("tests/domain/test_attempt.py", "tests/domain/test_payment.py"),
    ),
    Mutant(
        "void-beside-open-capture", "a void is asked while a capture is in flight", PAYMENT,
        'if operation is O.VOID and O.CAPTURE in out:',
        'if operation is O.VOID and O.CAPTURE in out and not out:',
        ("tests/domain/test_attempt.py", "tests/domain/test_payment.py"),
    ),
    Mutant(
        "cascade-on-unknown", "doubt is tried at another PSP at once", RETRIES,
        "case Rejected():",
        'case doubt if type(doubt).__name__ in {"Rejected", "Unknown"}:',
        (NEXT, SIMULATION),
    ),
    Mutant(
        "cascade-on-every-decline", "ruling 4: a decline that nobody mapped is tried elsewhere", RETRIES,
        "        case Advice.RETRY_ELSEWHERE:",
        "        case Advice.RETRY_ELSEWHERE | Advice.STOP:",
        (NEXT,),
    ),
    Mutant(
        "advice-never-again-ignored", "the scheme says never again, and another PSP is tried", RETRIES,
        "case Declined(advice_code=code) if code in NEVER_AGAIN:",
        "case Declined(advice_code=code) if code is Declined:",
        (NEXT,),
    ),
    # --- the books ---
    Mutant(
        "journal-does-not-balance", "both lines of a posting have the same sign", POSTINGS,
        "for account, sign in ((debit, 1), (credit, -1))",
        "for account, sign in ((debit, 1), (credit, 1))",
        ("tests/ledger/test_postings.py",),
    ),
    Mutant(
        "refund-from-the-wrong-account", "an approved refund leaves order clearing twice, and balances", POSTINGS,
        '"refund_approved":  (A.REFUNDS_PENDING, A.PSP_RECEIVABLE),',
        '"refund_approved":  (A.ORDER_CLEARING,  A.PSP_RECEIVABLE),',
        ("tests/ledger/test_postings.py",),
    ),
    Mutant(
        "undo-what-never-was", "ruling 2: a sale reversed before it was approved is undone in the books", POSTINGS,
        'if rule is not None and not (effect == "sale_reversed" and old is not None and old.state != "approved"):',
        "if rule is not None:",
        ("tests/ledger/test_postings.py",),
    ),
    Mutant(
        "reversal-posts-nothing", "a capture that the PSP takes back stays in the books", POSTINGS,
        '"capture_reversed": (A.ORDER_CLEARING,  A.PSP_RECEIVABLE),',
        "",
        ("tests/ledger/test_postings.py",),
    ),
)  # fmt: skip
