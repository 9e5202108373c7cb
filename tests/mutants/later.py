"""Bugs in later retries: a payer who pays after all was canceled, a retry that is nobody's turn any more."""

from tests.mutants.mutant import Mutant

RETRIES, RECOVERY = "src/scrooge/flows/retries.py", "src/scrooge/flows/recovery.py"
ENDED = ("tests/flows/test_retries_ended.py",)

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
)  # fmt: skip
