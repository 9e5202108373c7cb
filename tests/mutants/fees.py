"""Bugs in what attempts are expected to cost, and in the books of it."""

from tests.mutants.mutant import Mutant

ACCRUALS, TESTS = "src/scrooge/routing/accruals.py", ("tests/routing/test_accruals.py",)

FEES = (
    Mutant(
        "declined-is-free",
        "an authorization that was declined costs nothing, whatever the tariff says of every attempt",
        ACCRUALS,
        "        return a.operation is Operation.AUTHORIZE\n",
        "        return False\n",
        TESTS,
    ),
    Mutant(
        "fees-outlive-the-capture",
        "a capture that failed after all goes on to cost what a capture costs",
        ACCRUALS,
        "booked(base, base.nano if stands(p, a) else base.always)",
        "booked(base, base.nano)",
        TESTS,
    ),
    Mutant(
        "every-refund-brings-all",
        "a refund of a part brings back the fees of the whole",
        ACCRUALS,
        " * share // whole",
        "",
        TESTS,
    ),
    Mutant(
        "fees-come-back-twice",
        "a refund brings back what an earlier one has brought",
        ACCRUALS,
        "due + sum(one.get(component, 0) for one in brought)",
        "due",
        TESTS,
    ),
    Mutant(
        "fees-kept-of-the-receivable",
        "expected fees lessen what the PSP owes, and nobody can match its report",
        "src/scrooge/ledger/fees.py",
        "Account.FEE_ACCRUAL.format",
        "Account.PSP_RECEIVABLE.format",
        TESTS,
    ),
    Mutant(
        "price-loses-an-outcome",
        "an outcome is not kept because its price could not be told",
        "src/scrooge/flows/fees.py",
        "    except Exception:",
        "    except LookupError:",
        TESTS,
    ),
    Mutant(
        "report-forgets-what-came-back",
        "fees that came back with a refund are still in the report",
        "src/scrooge/storage/accrued.sql",
        "WHERE j.effect IN ('fees_accrued', 'fees_reversed')",
        "WHERE j.effect IN ('fees_accrued')",
        ("tests/cli/test_routing_costs.py::test_what_was_captured_and_what_it_is_expected_to_cost_are_in_one_line",),
    ),
)
