"""Bugs in what people steer: policies, who may change them, and what every process knows of them."""

from tests.mutants.mutant import Mutant

FLOWS, STORAGE = "src/scrooge/flows/", "src/scrooge/storage/"
POLICIES, ROUTED = ("tests/steering/test_policies.py",), ("tests/steering/test_routed.py",)
PLANS = ("tests/routing/test_policy.py",)

STEERING = (
    Mutant(
        "caller-widens-its-merchant",
        "a caller's policy uses accounts that the merchant's does not name",
        "src/scrooge/routing/policy/plan.py",
        "excluded={**unnamed, **inner.excluded,",
        "excluded={**inner.excluded,",
        PLANS,
    ),
    Mutant(
        "activated-unseen",
        "an activation does not look what is active",
        FLOWS + "policies.py",
        "if expected is not None and before[0] != expected[0]:",
        "if expected is None and before[0] != to:",
        POLICIES,
    ),
    Mutant(
        "test-steers-live",
        "a test key's policy is for live payments too",
        STORAGE + "routed.py",
        "        scope = (merchant, livemode, caller)\n",
        "        scope, livemode = (merchant, False, caller), False\n",
        ROUTED,
    ),
    Mutant(
        "unreadable-is-none",
        "a policy that cannot be read is as if there were none",
        STORAGE + "routed.py",
        "            raise RoutingUnavailable(",
        "            return None\n            raise RoutingUnavailable(",
        ROUTED,
    ),
    Mutant(
        "looking-ends",
        "a process whose database was away never looks again",
        STORAGE + "routed.py",
        'log.warning("routing_not_read", error=type(error).__name__)',
        "return",
        ROUTED,
    ),
    Mutant(
        "callers-settings-begin-learning-anew",
        "a caller's own policy changes the settings by which its merchant's accounts are judged",
        FLOWS + "route.py",
        "own = policy.outer or (policy if policy.policy.caller is None else None)",
        "own = policy.outer or policy",
        ("tests/flows/test_policies_of_callers.py",),
    ),
    Mutant(
        "checked-beside-others-than-count",
        "a policy is activated that was checked beside others than those that are active by then",
        FLOWS + "policies.py",
        "if beside is not None and beside != await others(connection, desk, caller):",
        "if beside is not None and beside != beside:",
        ("tests/steering/test_bounds.py::test_of_two_that_leave_nothing_together_only_one_is_activated",),
    ),
    Mutant(
        "prices-made-while-payments-wait",
        "a day's prices are made when its first payment asks for them",
        STORAGE + "routed.py",
        "        costs.prepare(time.time_ns() // 1000)\n",
        "",
        ("tests/steering/test_bounds.py::test_prices_that_count_are_made_for_today_and_tomorrow",),
    ),
)
