"""Bugs in mandates: paid beyond what was agreed, after it was withdrawn, or by whom it was not given to."""

from tests.mutants.mutant import Mutant

SQL, ROWS, FLOWS = (
    "src/scrooge/storage/payments.sql",
    "src/scrooge/storage/mandates.py",
    "src/scrooge/flows/mandates.py",
)
MIGRATION = "src/scrooge/storage/migrations/0025_mandates.sql"
MANDATED, PAID = "tests/storage/test_mandated.py::test_", "tests/flows/test_mandates.py::test_"
VAULTED = "tests/instruments/vaulted/test_mandates.py::test_"

MANDATES = (
    Mutant(
        "withdrawn-and-recorded", "a payment is recorded under a mandate that is being withdrawn", MIGRATION,
        "            FOR SHARE;", "            ;",
        (MANDATED + "a_record_waits_for_the_withdrawal_that_came_first_and_is_refused",),
    ),
    Mutant(
        "withdrawn-and-asked-elsewhere", "only the first attempt asks whether the mandate still holds", SQL,
        "w->'mandate_id' IS NOT NULL AND ((w->>'payment_id')::uuid IN (SELECT id FROM free)) IS TRUE",
        "false AND ((w->>'payment_id')::uuid IN (SELECT id FROM free)) IS TRUE",
        (MANDATED + "no_other_account_is_asked_once_it_is_withdrawn",),
    ),
    Mutant(
        "issuers-no-is-forgotten", "an issuer's answer withdraws nothing", ROWS,
        "    revoked = withdrawn(before, after)\n    if revoked is None:",
        "    revoked = withdrawn(before, after)\n    if True:",
        (MANDATED + "an_issuers_no_that_withdraws_it_does_so_in_its_own_commit",),
    ),
    Mutant(
        "stop-payment-is-not-heard", "Visa's codes of a revoked authorization say nothing", "src/scrooge/domain/withdrawal.py",
        'STOPPED = frozenset({"R0", "R1", "R3"})', 'STOPPED = frozenset({"R3"})',
        (MANDATED + "an_issuers_no_that_withdraws_it_does_so_in_its_own_commit",),
    ),
    Mutant(
        "anybodys-mandate", "a mandate of another merchant is paid under", FLOWS,
        "if found is None or found.merchant != principal.merchant:\n        raise UnknownMandate",
        "if found is None:\n        raise UnknownMandate",
        (PAID + "another_merchant_sees_and_uses_none_of_it",),
    ),
    Mutant(
        "over-the-maximum", "the amount of a payment is not held against what was agreed", "src/scrooge/flows/wanted.py",
        "    mandates.within(mandate, wanted.amount)\n", "",
        (PAID + "no_more_is_paid_than_was_agreed_nor_in_another_currency",),
    ),
    Mutant(
        "agreed-by-nobody", "a payment that the merchant initiates makes a mandate", ROWS,
        'if row["save_for"] is None or row["initiator"] != "customer":', 'if row["save_for"] is None:',
        (PAID + "nobody_agrees_for_the_payer",),
    ),
    Mutant(
        "good-only-with-a-worker", "a mandate is unknown until a worker comes by", FLOWS,
        "        await learn(s, p.id, taught.id)\n", "        pass\n",
        (PAID + "it_is_good_at_once_with_no_worker_to_learn_of_it",),
    ),
    Mutant(
        "consent-is-not-named", "another PSP is asked though the issuer cannot be shown where the payer agreed",
        "src/scrooge/flows/route.py",
        "obstacle(s, instrument, a) or unnamed(s, instrument, a, mandate)", "obstacle(s, instrument, a)",
        (VAULTED + "without_that_name_no_other_psp_is_asked_and_the_reason_is_told",),
    ),
    Mutant(
        "withdrawn-before-the-approval", "what was withdrawn while the payer was away is active with the approval", FLOWS,
        "            if m.status is Status.PENDING:\n                await mandates.write(connection, [m])\n", "",
        (PAID + "while_the_payer_is_away_to_authenticate_nothing_is_paid_and_it_can_be_withdrawn",),
    ),
)  # fmt: skip
