"""What is wrong with a policy: the place, what, and a payment that shows it. Pure.

Conditions are over finite vocabularies and ranges of amounts, so payments that no condition tells apart are one case,
and all cases can be tried: what is found is there, and what is not found is not. Facts are taken to be independent of
each other: that a BIN belongs to one brand only, a policy must say by itself.
"""

from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction

from msgspec import Struct

from scrooge.errors import Problem
from scrooge.money import Money
from scrooge.routing.facts import Facts
from scrooge.routing.matcher import Matcher, TooEntangled
from scrooge.routing.policy.document import Policy, Rule
from scrooge.routing.policy.plan import Compiled, Step
from scrooge.routing.when import When, faults

CASES_MOST = 100_000
STEPS_MOST = 2_000  # rules with the sets unfolded: a few sets in a row that include the next twice are millions
WORK_MOST = 50_000_000  # cases times rules: some seconds
SHOWN_MOST = 5  # payments without a route: the first few say enough
ACTIONS = ("use", "split", "prefer", "exclude", "include")


class Finding(Struct, frozen=True):
    """`place` in the document, like "rules[2].split"; `payment` is one that shows it, where there is one."""

    place: str
    problem: str
    payment: Facts | None = None


def lint(policy: Policy, known: Collection[str] | None = None, cases: int = CASES_MOST) -> list[Finding]:
    """Everything that is wrong. `known`: the names of the merchant's accounts, where those can be told."""
    found = [*values(policy), *names(policy, known), *authenticated(policy), *loops(policy)]
    found = found or list(unfolded(policy))
    return found or list(cases_of(Compiled(policy), cases))


def rules_of(policy: Policy) -> Iterator[tuple[str, Rule]]:
    """Every rule with its place."""
    for where, rules in (("rules", policy.rules), *((f"sets.{name}", rules) for name, rules in policy.sets.items())):
        yield from ((f"{where}[{i}]", rule) for i, rule in enumerate(rules))


def example(condition: When) -> Facts | None:
    """A payment that meets the condition; None when none can."""
    return Matcher([condition]).combinations(CASES_MOST).get(1)


def values(policy: Policy) -> Iterator[Finding]:
    """Values that no payment has, and numbers that do not hold together."""
    conditions = [(f"scope[{i}]", condition) for i, condition in enumerate(policy.scope)]
    for name, terms in policy.accounts.items():
        conditions += [(f"accounts.{name}.takes[{i}]", condition) for i, condition in enumerate(terms.takes)]
    conditions += [(f"{place}.when", rule.when) for place, rule in rules_of(policy)]
    for place, condition in conditions:
        yield from (Finding(f"{place}.{where}", problem) for where, problem in faults(condition))
    watching = policy.scorer.health
    if watching.technical_bad <= watching.technical:
        yield Finding("scorer.health.technical_bad", "it is not above `technical`, the failures that are usual")
    for i, volume in enumerate(policy.volumes):
        try:
            least, most = (Money.parse(v, volume.currency).minor if v else None for v in (volume.least, volume.most))
        except Problem as problem:
            yield Finding(f"volumes[{i}]", str(problem))
            continue
        if least is not None and most is not None and least > most:
            yield Finding(f"volumes[{i}]", "the commitment is more than the limit")


def names(policy: Policy, known: Collection[str] | None) -> Iterator[Finding]:
    """Accounts and sets that are not there, rules that do not say one thing, and shares that do not add up."""
    for name in policy.accounts:
        if known is not None and name not in known:
            yield Finding(f"accounts.{name}", f"there is no account {name!r}")
    for i, volume in enumerate(policy.volumes):
        if volume.account not in policy.accounts:
            yield Finding(f"volumes[{i}].account", f"there is no account {volume.account!r}")
    seen: set[str] = set()
    for place, rule in rules_of(policy):
        if rule.name in seen:
            yield Finding(f"{place}.name", f"another rule is called {rule.name!r}")
        seen.add(rule.name)
        said = [action for action in ACTIONS if getattr(rule, action) is not None]
        if len(said) != 1:
            yield Finding(
                place, f"a rule says one of {', '.join(ACTIONS)}; this one says {' and '.join(said) or 'none'}"
            )
        for action in ("use", "split", "prefer", "exclude"):
            for name in getattr(rule, action) or ():
                if name not in policy.accounts:
                    shown = None if any(faults(rule.when)) else example(rule.when)
                    yield Finding(f"{place}.{action}", f"there is no account {name!r}", shown)
        if rule.use is not None and len(set(rule.use)) < len(rule.use):
            yield Finding(f"{place}.use", "an account is there twice")
        if rule.split is not None and (total := sum(map(Fraction, rule.split.values()))) != 100:
            shown = None if any(faults(rule.when)) else example(rule.when)
            yield Finding(f"{place}.split", f"the shares add up to {float(total):g}, not to 100", shown)
        if rule.include is not None and rule.include not in policy.sets:
            yield Finding(f"{place}.include", f"there is no set {rule.include!r}")


def authenticated(policy: Policy) -> Iterator[Finding]:
    """Fraud rates of accounts that are not there, or twice; and a choice that is not the caller's to make."""
    if policy.authentication is None:
        return
    if policy.caller is not None:
        yield Finding("authentication", "who bears the fraud chooses: only the merchant's own policy says this")
    seen: set[tuple[str, str]] = set()
    for i, rate in enumerate(policy.authentication.fraud_rates):
        place = f"authentication.fraud_rates[{i}]"
        if rate.account not in policy.accounts:
            yield Finding(f"{place}.account", f"there is no account {rate.account!r}")
        if (rate.account, rate.quarter) in seen:
            yield Finding(place, f"{rate.account!r} has two rates of {rate.quarter}")
        seen.add((rate.account, rate.quarter))
        if Fraction(rate.percent) > 100:
            yield Finding(f"{place}.percent", "that is more than all of it")


def loops(policy: Policy) -> Iterator[Finding]:
    """Sets that include themselves, over however many others; and sets that nothing includes."""
    reached: set[str] = set()

    def visit(rules: Sequence[Rule], where: str, trail: tuple[str, ...]) -> Iterator[Finding]:
        for i, rule in enumerate(rules):
            name = rule.include
            if name is None or name not in policy.sets:
                continue
            if name in trail:
                ring = " -> ".join((*trail[trail.index(name) :], name))
                shown = None if any(faults(rule.when)) else example(rule.when)
                yield Finding(f"{where}[{i}].include", f"the sets include each other: {ring}", shown)
            elif name not in reached:
                reached.add(name)
                yield from visit(policy.sets[name], f"sets.{name}", (*trail, name))

    yield from visit(policy.rules, "rules", ())
    for name in policy.sets:
        if name not in reached:
            yield Finding(f"sets.{name}", "no rule includes this set")


def unfolded(policy: Policy) -> Iterator[Finding]:
    """More rules than anybody can read, made of few: counted without unfolding them. There are no loops."""
    counted: dict[str, int] = {}

    def count(rules: Sequence[Rule]) -> int:
        return sum(1 if rule.include is None else of(rule.include) for rule in rules)

    def of(name: str) -> int:
        if name not in counted:
            counted[name] = count(policy.sets[name])
        return counted[name]

    if (steps := count(policy.rules)) > STEPS_MOST:
        yield Finding("rules", f"with the sets in their places these are {steps} rules: {STEPS_MOST} are the most")


def cases_of(compiled: Compiled, most: int) -> Iterator[Finding]:
    """Rules that no payment meets, and payments that no account may take: by trying every case there is."""
    try:
        cases = compiled.matcher.combinations(min(most, WORK_MOST // max(1, len(compiled.steps))))
    except TooEntangled as many:
        yield Finding("", f"the conditions are too entangled to be checked: {many}")
        return
    inside = {bits: facts for bits, facts in cases.items() if compiled.in_scope(bits)}
    if not inside:
        yield Finding("scope", "no payment is in the policy's scope")
        return
    met: set[int] = set()
    stranded = 0
    for bits, facts in inside.items():
        for i, step in enumerate(compiled.steps):
            if bits & step.needs == step.needs:
                met.add(i)
                if decides(step):
                    break
        plan = compiled.read(bits)
        if not plan.accounts and (stranded := stranded + 1) <= SHOWN_MOST:
            why = "; ".join(f"{name}: {reason}" for name, reason in {**plan.left_out, **plan.excluded}.items())
            place = next((s.place for s in compiled.steps if s.rule.name in plan.rules[-1:]), "accounts")
            yield Finding(place, f"no account may take this payment ({why})", facts)
    met_places = {compiled.steps[i].place for i in met}
    for i, step in enumerate(compiled.steps):
        if i not in met and step.place not in met_places:
            yield never(compiled, step, inside)


def decides(step: Step) -> bool:
    return step.rule.use is not None or step.rule.split is not None


def never(compiled: Compiled, step: Step, inside: dict[int, Facts]) -> Finding:
    """Why no payment comes to a rule: an earlier one takes them all, or there is none that it could mean."""
    for bits, facts in inside.items():
        if bits & step.needs == step.needs:
            earlier = next(s for s in compiled.steps if decides(s) and bits & s.needs == s.needs)
            problem = (
                f"rule {step.rule.name!r} can never match: {earlier.rule.name!r} ({earlier.place}) comes before it"
            )
            return Finding(step.place, problem, facts)
    return Finding(step.place, f"rule {step.rule.name!r} can never match: no payment in scope meets its condition")


def stranded(own: Compiled, most: int = CASES_MOST) -> Iterator[Finding]:
    """Payments in both scopes that a caller's policy and the merchant's around it leave without an account."""
    if own.outer is None:
        return
    both = Matcher(tuple(dict.fromkeys((*own.conditions, *own.outer.conditions))))
    found = 0
    try:
        for facts in both.combinations(most).values():
            plan = own.plan(facts)
            if plan.in_scope and not plan.accounts:
                why = (
                    "; ".join(f"{name}: {reason}" for name, reason in plan.excluded.items()) or "no account is in both"
                )
                problem = (
                    f"{own.policy.name!r} within {own.outer.policy.name!r}: no account may take this payment ({why})"
                )
                yield Finding("", problem, facts)
                if (found := found + 1) == SHOWN_MOST:
                    return
    except TooEntangled as many:
        yield Finding("", f"the conditions of both policies are too entangled to be checked: {many}")
