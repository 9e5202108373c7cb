"""Bugs in what follows a decline: the schemes' limits, the catalogue, the next step, authentication, risk."""

from tests.mutants.mutant import Mutant

SCHEMES, RETRIES = "src/scrooge/routing/schemes/", "src/scrooge/routing/"
HELD = ("tests/routing/retries/test_schemes.py",)
NEXT, LATER = ("tests/routing/retries/test_next_step.py",), ("tests/routing/retries/test_later.py",)
READ, ASKED = ("tests/routing/retries/test_catalogue.py",), ("tests/routing/retries/test_authentication.py",)
RISK = ("tests/risk/test_check.py",)
SERVED = ("tests/risk/test_policy.py",)

REATTEMPTS = (
    Mutant(
        "one-reattempt-too-many", "Visa's twenty reattempts are twenty-one", SCHEMES + "rules.toml",
        "most = 20 #", "most = 21 #", HELD,
    ),
    Mutant(
        "window-open-at-its-end", "exactly 24 hours after is no longer within 24 hours", SCHEMES + "allowed.py",
        "if t >= at - limit.window]", "if t > at - limit.window]", HELD,
    ),
    Mutant(
        "two-at-once-are-both-the-last", "an attempt whose end is not known does not count", SCHEMES + "allowed.py",
        'if p.outcome in ("open", "declined")]', 'if p.outcome == "declined"]', HELD,
    ),
    Mutant(
        "recorded-but-not-counted", "the counter does not count an attempt when it is recorded", SCHEMES + "counters.py",
        "return Counter((*times[:n], at, *times[n:]))", "return Counter(times)", HELD,
    ),
    Mutant(
        "new-rule-begins-empty", "a rule that comes into force has not counted before", SCHEMES + "counters.py",
        "ahead=2 * limit.window", "ahead=0", HELD,
    ),
    Mutant(
        "late-approval-forgives", "an old attempt's approval makes a later decline forgotten", SCHEMES + "counters.py",
        "return plain(Counter(c.times, (*c.approved[:n], True, *c.approved[n + 1 :])))",
        "return plain(Counter(c.times, (True,) * len(c.times)))", HELD,
    ),
    Mutant(
        "approval-gives-nothing-back", "what came after an approval counts as if it had followed a decline",
        SCHEMES + "counters.py", "if not approved and t - before <= limit.window]", "if t - before <= limit.window]", HELD,
    ),
    Mutant(
        "approvals-break-the-row", "an approval that follows a decline is no reattempt itself", SCHEMES + "counters.py",
        "if not approved or (n and not c.approved[n - 1])]", "if not approved]", HELD,
    ),
    Mutant(
        "somebodys-clock-forgets", "moments go when a process whose clock is ahead comes by", SCHEMES + "counters.py",
        "    times, approved = c.times[-MOST + 1 :], c.approved[-MOST + 1 :]\n",
        "    times, approved = tuple(t for t in c.times if t >= at - 30 * 86_400_000_000), c.approved[-MOST + 1 :]\n", HELD,
    ),
    Mutant(
        "never-again-is-forgotten", "a stop is not kept in the counters", SCHEMES + "counters.py",
        "changed[scope] = structs.replace(before, sent_at=sent_at)",
        "changed[scope] = structs.replace(EMPTY, sent_at=sent_at)", HELD,
    ),
    Mutant(
        "refused-but-sent", "what the schemes refuse is tried at once", RETRIES + "retries.py",
        "if isinstance(situation.allowed, Refused):", "if situation.allowed is None and tries > 99:", NEXT,
    ),
    Mutant(
        "challenged-for-ever", "a payer who was authenticated is asked again", RETRIES + "retries.py",
        "case Advice.AUTHENTICATE if s.authenticated:", "case Advice.AUTHENTICATE if s.authenticated and s.network_token:", NEXT,
    ),
    Mutant(
        "advice-allows-more", "the scheme's advice allows what the reason forbids", RETRIES + "declines/catalogue.py",
        "if scheme and scheme.advice and at_least(scheme.advice, advice):", "if scheme and scheme.advice:", READ,
    ),
    Mutant(
        "retried-after-the-deadline", "a retry is planned for after the deadline", RETRIES + "later.py",
        "if at > failed.deadline:", "if at > 2 * failed.deadline:", LATER,
    ),
    Mutant(
        "no-control-arm", "everybody follows the model, which nobody can measure any more", RETRIES + "timing.py",
        "if chance < rules.control_share:", "if chance < 0:", LATER,
    ),
    Mutant(
        "exemption-after-a-soft-decline", "the exemption that was declined is asked for again", RETRIES + "authentication.py",
        "if q.declined_softly:", 'if q.declined_softly and q.initiator == "merchant":', ASKED,
    ),
    Mutant(
        "any-fraud-rate", "a fraud rate that is good for EUR 100 is good for EUR 500", RETRIES + "authentication.py",
        "q.fraud_ppm > max(rates)", "q.fraud_ppm > 1300", ASKED,
    ),
    Mutant(
        "watching-decides", "a risk rule in observe mode stops payments", "src/scrooge/risk/check.py",
        "enforced = tuple(hit for hit in found if hit.enforced)", "enforced = found", RISK,
    ),
    Mutant(
        "watching-service-decides", "a risk service in observe mode stops payments", "src/scrooge/risk/record.py",
        'said if service is not None and service.mode == "enforce" else', "said if service is not None else", SERVED,
    ),
)  # fmt: skip
