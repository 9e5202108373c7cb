"""Bugs in verifying a card for nothing."""

from tests.mutants.mutant import Mutant

SETUPS, CONTRACT = "src/scrooge/connectors/stripe_setups.py", ("tests/connectors/test_contract.py",)

VERIFICATIONS = (
    Mutant(
        "any-setup-is-ours", "another verification's answer is taken for this one's", SETUPS,
        'not in {None, command.reference}:',
        'not in {None, command.reference} and not setup:',
        CONTRACT,
    ),
    Mutant(
        "absent-among-the-newest", "a verification that is not among the newest is taken for one that never was", SETUPS,
        'if document.get("has_more"):',
        'if document.get("more"):',
        CONTRACT,
    ),
    Mutant(
        "verified-again-and-again", "one verification is asked for twice", "src/scrooge/domain/payment.py",
        "if p.minor or p.attempts:",
        "if p.minor:",
        ("tests/domain/test_payment.py::test_a_card_is_verified_once_and_holds_nothing",),
    ),
    Mutant(
        "adyens-news-of-a-verification-is-lost", "news of an authorization for nothing finds no attempt", "src/scrooge/flows/receive.py",
        "if n.operation is Operation.AUTHORIZE and any(",
        "if n.operation is Operation.VOID and any(",
        ("tests/flows/test_notifications.py::test_news_of_an_authorization_for_nothing_is_the_verifications",),
    ),
)  # fmt: skip
