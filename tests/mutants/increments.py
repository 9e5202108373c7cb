"""Bugs in raising an authorization."""

from tests.mutants.mutant import Mutant

PAYMENT, NEWS = "src/scrooge/domain/payment.py", "src/scrooge/domain/news.py"
DOMAIN = ("tests/domain/test_increments.py",)

INCREMENTS = (
    Mutant(
        "increment-counts-before-it-is-approved", "what a PSP was only asked to add can be captured", PAYMENT,
        "for a in mine if a.state is State.APPROVED), default=None)",
        "for a in mine), default=None)",
        DOMAIN,
    ),
    Mutant(
        "two-increments-at-once", "a second increment is asked from an amount that the first is changing", PAYMENT,
        "if operation in {O.VOID, O.INCREMENT} and O.INCREMENT in out:",
        "if operation is O.VOID and O.INCREMENT in out:",
        DOMAIN,
    ),
    Mutant(
        "increment-beside-open-capture", "what a capture in flight takes from is raised meanwhile", PAYMENT,
        "if operation is O.INCREMENT and out & {O.CAPTURE, O.VOID}:",
        "if operation is O.INCREMENT and out & {O.REFUND}:",
        DOMAIN,
    ),
    Mutant(
        "increment-outlives-the-void", "an increment heard of after the void opens the authorization again", NEWS,
        "    if parent.state is State.APPROVED and parent.closed is None:\n        return moved\n",
        "    if parent.state is State.APPROVED:\n        return moved\n",
        DOMAIN,
    ),
    Mutant(
        "increment-keeps-the-authorization", "an authorization that was raised cannot expire", NEWS,
        "besides = {Operation.AUTHORIZE, Operation.INCREMENT}",
        "besides = {Operation.AUTHORIZE}",
        DOMAIN,
    ),
    Mutant(
        "increment-counts-by-the-whole", "an increment is kept as if all of it had been added",
        "src/scrooge/connectors/send.py",
        "amount=command.increase or got or asked",
        "amount=got or asked",
        ("tests/connectors/test_contract.py",),
    ),
    Mutant(
        "any-increment-is-ours", "Stripe's intent was raised, whichever increment did it",
        "src/scrooge/connectors/stripe_increments.py",
        "increments(intent) == command.reference",
        "increments(intent)",
        ("tests/connectors/test_contract.py",),
    ),
    Mutant(
        "raised-hold-is-contradicted", "of an authorization that was raised the first amount is not believed any more",
        "src/scrooge/connectors/stripe_replies.py",
        'case "requires_capture" | "succeeded" if increments(intent):',
        'case "requires_capture" | "succeeded" if not reference:',
        ("tests/connectors/test_contract.py",),
    ),
    Mutant(
        "last-capture-beside-an-increment", "a capture after which the PSP releases the rest is asked while an increment is out",
        "src/scrooge/flows/modify.py",
        "last = not connector.multi_capture or attempt.final",
        "last = False",
        ("tests/flows/test_increments.py::test_while_an_increment_is_out_nothing_is_asked_that_depends_on_it",),
    ),
)  # fmt: skip
