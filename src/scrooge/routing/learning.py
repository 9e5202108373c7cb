"""What routing learns: from its own decisions, and from how each authorization ended. Pure."""

from scrooge.domain.declines import Decline
from scrooge.routing.decision import Decision, Knowledge
from scrooge.routing.facts import Facts
from scrooge.routing.health import Trouble
from scrooge.routing.lessons import Heard, lesson
from scrooge.routing.policy.document import Scorer


def note(knowledge: Knowledge, decision: Decision, scorer: Scorer, facts: Facts) -> None:
    """A decision was made, and is on its way."""
    if decision.way == "scored":
        accounts, shares = decision.accounts, [s.share for s in decision.scores]
        knowledge.shares.note(accounts, shares, scorer.share_step, decision.at)
    if decision.scores and decision.scores[0].probe:
        trouble = knowledge.health.trouble(decision.scores[0].account, facts)
        if trouble is not None:
            knowledge.health.probed(trouble, decision.at)


def learn(
    knowledge: Knowledge,
    facts: Facts,
    account: str,
    heard: Heard,
    at: int,
    decline: Decline | None = None,
    seconds: float | None = None,
) -> Trouble | None:
    """An authorization ended so, or is late. Returns a trouble that begins with it.

    While an account is unwell its outcomes speak of its recovery, and not of how likely it is to approve when well.
    """
    taught = lesson(heard, decline)
    health, estimates = knowledge.health, knowledge.estimates
    if seconds is not None and heard is not Heard.LATE:
        health.took(account, seconds)
    unwell = health.trouble(account, facts) is not None
    nodes = estimates.nodes(facts, account, at)
    began = health.learn(facts, account, heard, taught, estimates.expected(nodes), at)
    if not unwell:
        estimates.learn(facts, account, taught, at, nodes)
    return began
