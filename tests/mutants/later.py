"""Bugs in later retries: a payer who pays after all was canceled, a retry that is nobody's turn any more."""

from tests.mutants.mutant import Mutant

RETRIES, RECOVERY = "src/scrooge/flows/retries.py", "src/scrooge/flows/recovery.py"
ENDED = ("tests/flows/test_retries_ended.py",)
CHECKED = "tests/flows/test_retries_checked.py::test_"

LATER = (
    Mutant(
        "canceled-and-tried-again", "a cancel of what went back is heard, and changes nothing", RETRIES,
        "return waits or (a is not None and a.state in OPEN | ENDED_BADLY)",
        "return a is not None and a.state in OPEN | ENDED_BADLY",
        ENDED,
    ),
    Mutant(
        "canceled-and-asked-elsewhere", "a retry that is canceled while it is out goes on to another PSP", RETRIES,
        "done = structs.replace(current, answered=True, accounts=())",
        "done = current",
        ENDED,
    ),
    Mutant(
        "retry-in-the-way-of-its-turn", "a retry that has to wait for what goes back is never made", RETRIES,
        "reason=problem.code)\n        return False",
        'reason=problem.code)\n        return problem.code == "authorization_live"',
        ENDED,
    ),
    Mutant(
        "planned-for-the-end", "a retry is planned for a moment at which it will be over", RECOVERY,
        "deadline=p.retry_until - LEAST,",
        "deadline=p.retry_until,",
        ENDED,
    ),
    Mutant(
        "retry-goes-anywhere", "a retry leaves the account that its payment asked for", RETRIES,
        "route_of(s, principal, instrument, p.pinned, asked_again(p, mandate))",
        "route_of(s, principal, instrument, None, asked_again(p, mandate))",
        (CHECKED + "a_retry_stays_at_the_account_that_its_payment_asked_for",),
    ),
    Mutant(
        "blocked-and-tried-again", "a retry that the risk check blocks is sent", RETRIES,
        "            if risk.blocks:\n",
        "            if False:\n",
        (CHECKED + "a_retry_that_the_risk_check_blocks_ends_with_the_reason_and_asks_no_psp",),
    ),
    Mutant(
        "waits-for-a-payer-who-never-comes", "a retry for which the payer has to be there is looked at again and again",
        RETRIES,
        "    except AuthenticationRequired as refused:",
        "    except ZeroDivisionError as refused:",
        (CHECKED + "a_retry_that_needs_the_payer_ends_and_names_the_article",),
    ),
)  # fmt: skip
