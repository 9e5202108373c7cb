"""Which candidates may take a payment just now, and why the others may not. Pure."""

from collections.abc import Collection

from scrooge.routing.choose import Candidate, refusal
from scrooge.routing.decision import Knowledge
from scrooge.routing.facts import Facts
from scrooge.routing.health import State, Trouble
from scrooge.routing.policy.plan import Compiled, Plan
from scrooge.routing.switches import switched
from scrooge.routing.volumes import used_up


class Sorting:
    """Those that may, those that are unwell, and by name why not the others."""

    def __init__(self, facts: Facts, policy: Compiled, plan: Plan, knowledge: Knowledge, only: str | None,
                 tried: Collection[str]) -> None:  # fmt: skip
        self.facts, self.policy, self.plan, self.knowledge = facts, policy, plan, knowledge
        self.only, self.tried = only, tried
        self.excluded: dict[str, str] = {}
        self.well: list[tuple[Candidate, bool]] = []
        self.unwell: list[tuple[Candidate, Trouble]] = []

    def sort(self, c: Candidate) -> None:
        knowledge, account = self.knowledge, c.account
        why = self.refused(c)
        if why is not None:
            self.excluded[c.name] = why
            return
        switch = switched(knowledge.manual[account], self.facts) if account in knowledge.manual else None
        if switch is not None and switch.state is not State.ON:
            self.excluded[c.name] = f"switched to {switch.state}: {switch.reason}"
            return
        health = knowledge.health
        trouble = health.trouble(account, self.facts) if switch is None and account in health.troubles else None
        if trouble is None:
            self.well.append((c, False))
        else:
            self.unwell.append((c, trouble))

    def refused(self, c: Candidate) -> str | None:
        plan, facts, name = self.plan, self.facts, c.name
        why = refusal(c, self.knowledge.livemode, self.only)
        if why is None and (name not in plan.places or self.only is not None):
            why = self.not_planned(name)
        why = why or c.misfit or c.pressure
        if why is None and c.account in self.tried:
            why = "this payment has been there"
        if why is None and facts.needs and not facts.needs <= c.can:
            why = f"it cannot do: {', '.join(sorted(facts.needs - c.can))}"
        known = self.policy.bounds.get((name, facts.currency)) if self.policy.bounds else None
        return used_up(known, name, facts, self.knowledge.volumes) if known and why is None else why

    def not_planned(self, name: str) -> str | None:
        """Why the policy does not choose it. One that the caller asks for need not be among those of a rule."""
        why = self.plan.excluded.get(name)
        if why is None and name not in self.policy.takes:
            return "the policy does not name it"
        return self.plan.left_out.get(name) if why is None and self.only is None else why

    def chosen(self) -> tuple[list[tuple[Candidate, bool]], str]:
        """Those to weigh, each with whether it would be a probe. An unwell one is better than none, and a false alarm
        must not stop everything."""
        if not self.well:
            return [(c, False) for c, _ in self.unwell], "no account is well" if self.unwell else ""
        if not self.unwell:
            return self.well, ""
        probe = next((c for c, t in self.unwell if self.knowledge.health.may_probe(t, self.facts.at)), None)
        self.excluded |= {c.name: t.reason for c, t in self.unwell if c is not probe}
        return (self.well if probe is None else [*self.well, (probe, True)]), ""
