"""Bugs in what routing keeps: decisions, lessons, the schemes' counters, volumes, unmapped codes; and in forgetting."""

from tests.mutants.mutant import Mutant

FLOWS, STORAGE = "src/scrooge/flows/", "src/scrooge/storage/"
FORGETTING, REATTEMPTS = STORAGE + "migrations/0016_forgetting.sql", STORAGE + "migrations/0028_reattempts.sql"
NAMES, NAMED = STORAGE + "migrations/0030_card_fingerprints.sql", ("tests/storage/test_card_names.py",)
SAVED_TWICE = ("tests/flows/test_scheme_limits.py::test_a_card_that_was_saved_twice_has_one_limit",)
ROUTED, COUNTED = ("tests/flows/test_routed.py",), ("tests/storage/test_scheme_limits.py",)
FORGOTTEN, UNMAPPED = ("tests/storage/test_forgetting.py",), ("tests/flows/test_unmapped.py",)
VOLUMES, HELD = ("tests/flows/test_volumes.py",), ("tests/flows/test_counted.py",)

KEEPING = (
    Mutant(
        "decision-not-recorded", "why a payment went where it went is not kept", STORAGE + "changes.py",
        "decisions.append(decision_row(attempt.id, p.id, more))", "pass", ROUTED,
    ),
    Mutant(
        "lessons-told-twice", "what a process has told it tells again", "src/scrooge/routing/estimates.py",
        "news, self.news = self.news, {}", "news = self.news", ROUTED,
    ),
    Mutant(
        "propensity-of-another", "who was passed over for want of a slot leaves the propensity as it was",
        "src/scrooge/routing/record.py",
        " + sum(shares.get(a, 0.0) for a in passed))", ")", ROUTED,
    ),
    Mutant(
        "refused-but-recorded", "what a scheme's rule refuses is recorded all the same", STORAGE + "payments.sql",
        "SELECT * FROM unheard WHERE (id IN (SELECT payment_id FROM refused)) IS NOT TRUE", "SELECT * FROM unheard", COUNTED,
    ),
    Mutant(
        "counter-not-given-back", "an approval leaves the card's counters as if it were a decline", STORAGE + "changes.py",
        "ended += [*end_rows(c.after, known[a.id], a), *low_value.authenticated(c.after, known[a.id], a)]", "ended += []", COUNTED,
    ),
    Mutant(
        "approval-is-not-told", "the database never hears that a reattempt was approved, and refuses the card",
        REATTEMPTS, "            good[n] := true;\n", "            NULL;\n", COUNTED,
    ),
    Mutant(
        "process-clock-counts", "a process counts by its own clock, however wrong that is", REATTEMPTS,
        "moment := greatest(least(a.at, clock + 300000000), clock - 300000000);", "moment := a.at;", COUNTED,
    ),
    Mutant(
        "other-names-do-not-refuse", "what a card is called besides counts, and refuses nothing", REATTEMPTS,
        "        FOR i IN 1 .. cardinality(cards) LOOP\n            SELECT f.rule",
        "        FOR i IN 1 .. 1 LOOP\n            SELECT f.rule", COUNTED,
    ),
    Mutant(
        "older-counters-begin-anew", "what an older Scrooge counted is forgotten by the migration", REATTEMPTS,
        "UPDATE scheme_counters c\n   SET times = w.times, declined_at = NULL,",
        "UPDATE scheme_counters c\n   SET times = w.times[:0], declined_at = NULL,",
        ("tests/storage/test_reattempts_migration.py",),
    ),
    Mutant(
        "each-token-its-own-limit", "what a PSP calls a card is heard, and counts for nothing", FLOWS + "attempts.py",
        "account.connector, at, also)", "account.connector, at)", SAVED_TWICE,
    ),
    Mutant(
        "name-begins-anew", "what was counted before a card's name was known is forgotten under that name",
        STORAGE + "fingerprints.py", "for name in h.names]", "for name in ()]", NAMED,
    ),
    Mutant(
        "name-overwrites-a-count", "a name is put to a card while somebody counts under it, and the count is lost",
        NAMES, "          ORDER BY c.bucket, c.merchant_id, c.livemode, c.card, c.scope\n            FOR UPDATE;\n", "          ;\n",
        NAMED,
    ),
    Mutant(
        "shredded-card-begins-anew", "a card that the vault calls otherwise has nothing counted any more",
        STORAGE + "cards.py", "[names_of(row) for row in changed]", "[]", NAMED,
    ),
    Mutant(
        "live-is-not-counted", "the schemes' limits hold test mode and leave real money alone", FLOWS + "attempts.py",
        "if not p.livemode and s.settings.scheme_limits", "if p.livemode and s.settings.scheme_limits", HELD,
    ),
    Mutant(
        "counters-forgotten-early", "counters go as soon as somebody says that nothing is kept", FORGETTING,
        "greatest(kept, interval '60 days')", "kept", FORGOTTEN,
    ),
    Mutant(
        "stop-forgotten", "a stop for ever ends with the worker's next turn", FORGETTING,
        "           AND coalesce(c.until, 0) < past.stops\n", "", FORGOTTEN,
    ),
    Mutant(
        "words-are-codes", "a PSP's words, which may hold anything, are kept as a code", FLOWS + "unmapped.py",
        "return text if not text or (CODE.fullmatch(text) and not NUMBERS.search(text)) else WORDS", "return text", UNMAPPED,
    ),
    Mutant(
        "volumes-begin-anew", "a process that starts knows of no volume", FLOWS + "volumes.py",
        "kept.get(place, 0) + self.news.get(place, 0)", "self.news.get(place, 0)", VOLUMES,
    ),
    Mutant(
        "callers-policy-lifts-the-contract", "under a caller's policy the merchant's contract limits do not count",
        "src/scrooge/routing/policy/plan.py",
        "bounds((*policy.volumes, *(outer.policy.volumes if outer is not None else ())))", "bounds(policy.volumes)",
        ("tests/routing/test_policy.py",),
    ),
)  # fmt: skip
