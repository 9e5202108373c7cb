"""Bugs in what is done about successes that nobody waits for any more."""

from tests.mutants.mutant import SIMULATION, Mutant

LATE, PAYMENT, REVERSE = "src/scrooge/domain/late.py", "src/scrooge/domain/payment.py", "src/scrooge/flows/reverse.py"
POSTINGS, PERFORM, IDS = "src/scrooge/ledger/postings.py", "src/scrooge/flows/perform.py", "src/scrooge/ids.py"
ATTEMPT, AUDIT = "src/scrooge/domain/attempt.py", "src/scrooge/storage/temporary/truth.sql"
PURE = ("tests/domain/test_late.py",)
PURE_AND_SIM = (*PURE, SIMULATION)
BOOKS = (*PURE, "tests/ledger/test_postings.py", SIMULATION)
WHOLE = "tests/flows/test_late_success.py"

UNWANTED = (
    Mutant(
        "refused-return-is-a-contradiction",
        "a return that the PSP refuses is never over, where another authorization was tried in between",
        "src/scrooge/domain/news.py",
        "any(a is not last and a.state is not State.REVERSING for a in alive)",
        "any(a is not last for a in alive)",
        PURE_AND_SIM,
    ),
    Mutant(
        "late-success-kept-beside-another", "a late success is kept although another authorization is live", LATE,
        "if policy is Late.KEEP and free and last is not None and last.id == a.id:",
        "if policy is Late.KEEP and last is not None and last.id == a.id:",
        PURE,
    ),
    Mutant(
        "earlier-success-kept", "of several ended authorizations one is kept that the payment does not tell of", LATE,
        "if policy is Late.KEEP and free and last is not None and last.id == a.id:",
        "if policy is Late.KEEP and free:",
        PURE,
    ),
    Mutant(
        "second-success-unseen", "the second of two successes of one attempt is taken for a repetition", LATE,
        "return p if known else second(p, a, outcome, at)",
        "return p",
        PURE_AND_SIM,
    ),
    Mutant(
        "second-success-at-each-telling", "a second success that is told twice is given back twice", LATE,
        "return p if known else second(p, a, outcome, at)",
        "return second(p, a, outcome, at)",
        PURE_AND_SIM,
    ),
    Mutant(
        "given-back-twice", "a return is asked while another is out", LATE,
        "return a.state is State.REVERSING and not any(x.state in OPEN for x in returns_of(p, a))",
        "return a.state is State.REVERSING",
        PURE_AND_SIM,
    ),
    Mutant(
        "refused-return-is-done", "a return that the PSP refused counts as done", LATE,
        "(isinstance(outcome, Rejected) and outcome.already)",
        "isinstance(outcome, Rejected)",
        PURE,
    ),
    Mutant(
        "failed-return-forgotten", "a return that the payer's bank sent back is not made again", LATE,
        "failed = moved.state is State.REVERSED and before.state is State.APPROVED",
        "failed = False",
        PURE,
    ),
    Mutant(
        "late-success-without-break", "money that nobody waited for moves, and no operator hears of it", LATE,
        'found.append(("return_failed" if old.approved_minor is not None else "late_success", a))',
        "pass",
        PURE_AND_SIM,
    ),
    Mutant(
        "another-beside-what-goes-back", "a fresh authorization while an unwanted one is not back yet", PAYMENT,
        "return next((a for a in p.attempts if a.state is State.REVERSING), None)",
        "return None",
        PURE,
    ),
    Mutant(
        "old-news-ends-a-return", "any decline ends what is being given back", ATTEMPT,
        "BACK:       (BACK,       BACK,       BACK,     BACK,       BACK,       S.REVERSED, BACK),",
        "BACK:       (BACK,       BACK,       BACK,     S.DECLINED, BACK,       S.REVERSED, BACK),",
        ("tests/domain/test_attempt.py", *PURE),
    ),
    Mutant(
        "unwanted-money-is-the-orders", "a success nobody waited for is booked for the order", POSTINGS,
        '"sale_reversing":   (A.PSP_RECEIVABLE,  A.REFUNDS_PENDING),',
        '"sale_reversing":   (A.PSP_RECEIVABLE,  A.ORDER_CLEARING),',
        BOOKS,
    ),
    Mutant(
        "return-posts-nothing", "what was given back stays in the books", POSTINGS,
        '"sale_returned":    (A.REFUNDS_PENDING, A.PSP_RECEIVABLE),',
        '"sale_returned":    None,',
        BOOKS,
    ),
    Mutant(
        "given-back-without-the-turn", "a worker whose lease is somebody else's records a return", REVERSE,
        "if not await work.lease_held(connection, payment_id, unwanted_id, lease.epoch):",
        "if not lease.epoch:",
        ("tests/flows/test_breaks.py",),
    ),
    Mutant(
        "unwanted-break-not-written", "the break of a late success is decided and not kept", PERFORM,
        "        await breaks.unwanted(connection, kind, after, a)\n",
        "        pass\n",
        (WHOLE,),
    ),
)  # fmt: skip
