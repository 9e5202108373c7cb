"""Refusals of what operators decide."""

from scrooge.errors.problem import Problem


class AttemptNotInDoubt(Problem):
    """The outcome of the attempt is known, or it waits for the payer: there is nothing to decide."""

    status = 409


class AttemptBusy(Problem):
    """The PSP is being asked about the attempt right now. Try again after `Retry-After`."""

    status = 409


class DecisionOpen(Problem):
    """Another decision about the attempt is proposed: approve or reject that one first."""

    status = 409


class DecisionClosed(Problem):
    """The decision was applied or rejected, or it expired."""

    status = 409


class SecondApproverRequired(Problem):
    """Whoever proposed a decision cannot approve it: another API key has to."""

    status = 403


class BreakClosed(Problem):
    """The break was closed before."""

    status = 409
