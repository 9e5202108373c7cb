"""What may be known of a payment from what its attempts have told, and what each choice is worth from there."""

from msgspec import Struct

from scrooge.domain.retry import TRIES_MAX
from scrooge.routing.trial.issuers import Kind, Payment
from scrooge.routing.trial.oracle import SOONEST, Masses, Oracle, Spot, again, still
from scrooge.routing.trial.rules import After, Rules, Why
from scrooge.routing.trial.strategy import Choice, Heard


class Declines(Struct):
    """Within one round the issuer said `why`, at accounts with approvals of which `best` is the highest."""

    why: Why
    best: float
    each: float
    pays: float
    beside: float


class Stage(Struct):
    """Before anything was said: `masses`. Then `declines`; or `condition`, for which only waiting helps; or nothing."""

    left: tuple[int, ...]
    tries: int = TRIES_MAX
    round_: int = 0
    masses: Masses | None = None
    declines: Declines | None = None
    condition: int | None = None
    since: int = 0
    fickle: bool = False  # a later round, and what the issuer always says is known: no
    after: After = After(True, 0)  # what the rules allow after what was heard last

    @property
    def now(self) -> tuple[int, ...]:
        """The accounts that may be asked at once."""
        return self.left if self.tries > 0 and self.may_wait and self.after.onward else ()

    @property
    def may_wait(self) -> bool:
        known = self.masses is not None or self.declines is not None or self.condition is not None
        return known and self.after.wait is not None


class Worths(Struct):
    """What each account is worth now, and what the best choice is worth. Stopping is worth nothing."""

    accounts: dict[int, float]
    best: float


def beginning(oracle: Oracle, s: Spot) -> Stage:
    return Stage(tuple(range(len(s.fees))), masses=oracle.beginning(s), since=s.at)


def told(
    stage: Stage, kind: Kind, rules: Rules, renewal: bool, account: int, approval: float, heard: Heard, at: int
) -> Stage:
    """The stage after an attempt that was not approved. Another account may be asked after what was not processed."""
    left = tuple(a for a in stage.left if a != account)
    if heard.outcome == "technical":
        return Stage(
            left, stage.tries - 1, stage.round_, stage.masses, stage.declines, None, at, stage.fickle, stage.after
        )
    if heard.outcome != "declined" or heard.decline is None:
        return Stage((), 0, stage.round_)
    why = Why(heard.decline, heard.network_code, heard.advice_code)
    after = rules.after(why, kind.segment.brand, renewal)
    if after.wait is None:
        return Stage((), 0, stage.round_)
    for n, c in enumerate(kind.conditions):
        if c.lasts != "forever" and c.why == why:
            return Stage((), 0, stage.round_, condition=n, since=at, after=After(False, after.wait))
    if stage.declines is not None:
        d = stage.declines
        declines = Declines(why, max(d.best, approval), d.each * (1 - approval), d.pays, d.beside)
    else:
        masses = stage.masses or Masses(1.0, {})
        share = kind.shares.get(why, 0.0)
        beside = masses.troubled.get(why, 0.0) or (0.0 if share else 1.0)  # Never nothing: it was heard.
        declines = Declines(why, approval, 1 - approval, masses.pays * share, beside)
    return Stage(left, stage.tries - 1, stage.round_, declines=declines, since=at, fickle=stage.fickle, after=after)


def resumed(stage: Stage, s: Spot) -> Stage:
    """The stage at the beginning of a later round: what was heard stays known, the luck is new."""
    everywhere = tuple(range(len(s.fees)))
    masses, fickle = stage.masses or Masses(1.0, {}), stage.fickle
    if stage.condition is not None:
        condition = s.kind.conditions[stage.condition]
        sick = still(condition, s.kind, stage.since, s.at)
        masses = Masses(1 - sick, {condition.why: sick})
    elif stage.declines is not None:
        pays, beside = split(stage.declines, 0.0 if fickle else s.agree)
        masses, fickle = Masses(pays, {stage.declines.why: beside}), True
    return Stage(everywhere, TRIES_MAX, stage.round_ + 1, masses, since=s.at, fickle=fickle)


def split(d: Declines, agree: float) -> tuple[float, float]:
    """How likely later luck can help after these declines, and how likely nothing can."""
    pays, beside = d.pays * (1 - agree) * d.each, d.beside + d.pays * agree * (1 - d.best)
    return pays / (pays + beside), beside / (pays + beside)


def worths(oracle: Oracle, s: Spot, stage: Stage) -> Worths:
    """Every account that may be asked now, and the best of those, of waiting and of stopping."""
    if stage.fickle:
        s.agree = 0.0
    if stage.condition is not None:
        return Worths({}, waits(oracle, s, stage, None))
    if stage.declines is not None:
        d = stage.declines
        total = d.pays * (s.agree * (1 - d.best) + (1 - s.agree) * d.each) + d.beside
        pays, beside = d.pays / total, d.beside / total
        found = {
            k: oracle.going(s, k, stage.left, stage.tries, d.best, d.each, pays, beside) for k in stage.now
        }  # fmt: skip
        return Worths(found, max(0.0, waits(oracle, s, stage, None), *found.values()))
    if stage.masses is not None and stage.tries > 0:
        found = oracle.first(s, stage.masses, stage.left, stage.tries)
        return Worths(found, max(0.0, *found.values()))
    return Worths({}, 0.0)


def waits(oracle: Oracle, s: Spot, stage: Stage, until: int | None) -> float:
    """What a later round is worth: the best one, or the one at `until`."""
    if s.rounds <= 0 or not stage.may_wait:
        return 0.0
    if stage.condition is not None:
        return oracle.wait(s, stage.condition, stage.since, s.rounds, until)
    agree = 0.0 if stage.fickle else s.agree
    if not oracle.returns(s, stage.after, stage.since):
        return 0.0
    if stage.declines is not None:
        return again(s, *split(stage.declines, agree))
    masses = stage.masses or Masses(1.0, {})
    return again(s, masses.pays, sum(masses.troubled.values()))


def worth(oracle: Oracle, s: Spot, stage: Stage, choice: Choice, account: int | None, found: Worths) -> float:
    """What a choice is worth."""
    if account is not None:
        return found.accounts[account]
    return 0.0 if choice.later is None else waits(oracle, s, stage, choice.later)


def allowed_wait(oracle: Oracle, p: Payment, stage: Stage, at: int, later: int) -> int | None:
    """The moment of a later round, an hour from now at the soonest; None where the world allows no more."""
    if not p.renewal or not stage.may_wait or stage.round_ + 1 >= oracle.rounds:
        return None
    later = max(later, at + SOONEST, stage.since + (stage.after.wait or 0))
    return later if later <= p.at + oracle.within else None


def chosen(oracle: Oracle, s: Spot, stage: Stage, found: Worths) -> tuple[int | None, int | None]:
    """The best choice: an account, or a moment, or neither."""
    account = max(found.accounts, key=found.accounts.__getitem__, default=None)
    if account is not None and found.accounts[account] > 0 and found.accounts[account] >= found.best - 1e-9:
        return account, None
    if found.best <= 0:
        return None, None
    if stage.condition is not None:
        later = oracle.plan(s, stage.condition, stage.since, s.rounds)[2]
        return (None, later) if later else (None, None)
    return None, max(s.at + SOONEST, stage.since + (stage.after.wait or 0))
