"""Bugs in payments that end before any PSP is asked."""

from tests.mutants.mutant import Mutant

TESTS = "tests/flows/test_no_route.py"

NOWHERE = (
    Mutant(
        "failed-is-processing",
        "a payment that nobody can take is said to be under way",
        "src/scrooge/domain/payment.py",
        'return "failed" if p.failure else "processing"',
        'return "processing"',
        (TESTS + "::test_it_is_failed_with_the_reasons_and_nobody_was_asked",),
    ),
    Mutant(
        "failed-in-silence",
        "a payment that nobody can take is not announced",
        "src/scrooge/storage/payments.sql",
        "r.attempt_id, r.type, r.object_version, r.content\n      FROM jsonb_to_recordset($6::jsonb)",
        "r.attempt_id, r.type, r.object_version, r.content\n      FROM jsonb_to_recordset((left($6, 0) || '[]')::jsonb)",
        (TESTS + "::test_it_is_failed_with_the_reasons_and_nobody_was_asked",),
    ),
    Mutant(
        "busy-is-failed",
        "a payment that may be taken in a moment is recorded as one that nobody can take",
        "src/scrooge/flows/authorize.py",
        "if isinstance(route.nowhere, NoRoute):",
        "if route.nowhere is not None:",
        (TESTS + "::test_what_cannot_be_meant_and_what_may_work_in_a_moment_is_not_recorded",),
    ),
    Mutant(
        "amount-fits-everywhere",
        "an account whose PSP cannot be asked for the amount is chosen, and the payment refused",
        "src/scrooge/flows/route.py",
        "            misfit=misfit(s, a, facts),\n",
        "",
        (
            "tests/flows/test_amounts_routed.py::test_without_a_policy_the_next_account_takes_it_and_the_record_says_why",
        ),
    ),
)
