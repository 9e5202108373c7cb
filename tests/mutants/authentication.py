"""Bugs in who is asked to authenticate, and in which exemption is asked for."""

from tests.mutants.mutant import Mutant

PURE, COUNTED = ("tests/routing/test_authenticating.py",), ("tests/storage/test_low_value.py",)
LIVE = "tests/flows/test_authentication.py"

AUTHENTICATION = (
    Mutant(
        "exemption-twice", "after a soft decline an exemption is asked for again",
        "src/scrooge/flows/authentication.py",
        "declined_softly=any(a.decline == SOFT for a in p.attempts)", "declined_softly=False",
        (f"{LIVE}::test_an_exemption_that_the_issuer_refuses_ends_in_an_authentication_and_is_never_asked_for_again",),
    ),
    Mutant(
        "indian-mandate-above-its-limit", "a merchant's debit above the mandate's limit is sent",
        "src/scrooge/flows/authentication.py", 'if choice.ask == "payer":', 'if choice.ask == "nobody":',
        (f"{LIVE}::test_an_indian_mandate_is_not_debited_above_its_limit_without_the_payer",),
    ),
    Mutant(
        "payer-without-a-way-back", "a payer who cannot come back is sent to 3-D Secure",
        "src/scrooge/routing/authenticating.py", 'if choice.ask == "challenge" and not known.challengeable:',
        'if choice.ask == "payer" and not known.challengeable:', PURE,
    ),
    Mutant(
        "fraud-rate-for-ever", "a fraud rate counts for years", "src/scrooge/routing/authenticating.py",
        "QUARTERS = 2 ", "QUARTERS = 20 ", PURE,
    ),
    Mutant(
        "fraud-rate-rounded-down", "a rate just above what the annex allows is taken for it",
        "src/scrooge/routing/authenticating.py", "return ceil(Fraction(max(current)[1]) * 10_000)",
        "return int(Fraction(max(current)[1]) * 1_000) * 10", PURE,
    ),
    Mutant(
        "callers-policy-bears-no-fraud", "a caller's policy chooses exemptions whose fraud the merchant bears",
        "src/scrooge/routing/authenticating.py", "(policy.outer or policy).policy.authentication",
        "policy.policy.authentication", PURE,
    ),
    Mutant(
        "exemption-unasked-by-the-policy", "an exemption is asked for that the policy does not name",
        "src/scrooge/routing/authenticating.py", "exemptions=frozenset(settings.exemptions)", "exemptions=None", PURE,
    ),
    Mutant(
        "one-low-value-too-many", "six payments may have come since the last authentication",
        "src/scrooge/storage/migrations/0023_authentication.sql", "cardinality(c.times) > a.most_payments",
        "cardinality(c.times) > a.most_payments + 1", COUNTED,
    ),
    Mutant(
        "issuers-leniency-begins-anew", "a payer who was let go without a challenge counts as authenticated",
        "src/scrooge/storage/low_value.py", "was_sent and after.checks", "after.checks", COUNTED,
    ),
    Mutant(
        "risk-analysis-for-low-value", "Adyen is told another exemption than was chosen", "src/scrooge/connectors/adyen.py",
        '"low_value": "lowValue"', '"low_value": "transactionRiskAnalysis"',
        ("tests/connectors/test_adyen_requests.py::test_adyen_is_told_which_exemption_to_ask_for",),
    ),
)  # fmt: skip
