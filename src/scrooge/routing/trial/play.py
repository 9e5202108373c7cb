"""One policy in one world: its attempts in the order of time, what it hears of them and when, and what it achieves."""

import heapq
from collections.abc import Sequence

from msgspec import Struct, structs

from scrooge.routing.facts import Facts
from scrooge.routing.trial.calendar import SECOND
from scrooge.routing.trial.issuers import Issuers, Payment
from scrooge.routing.trial.luck import Stream
from scrooge.routing.trial.oracle import Oracle, Spot
from scrooge.routing.trial.rules import Gate
from scrooge.routing.trial.stage import Stage, Worths, allowed_wait, beginning, chosen, resumed, told, worth, worths
from scrooge.routing.trial.strategy import PATIENCE, Choice, Heard, Strategy, Tried
from scrooge.routing.trial.tally import Tally, Watched
from scrooge.routing.trial.umpire import Seen, Umpire

HEARS, WAITS, RESUMES = range(3)  # what happens next to a payment


class Case(Struct):
    """One payment under one policy."""

    payment: Payment
    facts: Facts
    stage: Stage
    tried: list[Tried] = []
    sent: Facts | None = None  # as they were when it was sent
    account: int = 0
    sent_at: int = 0
    patience: float = PATIENCE
    heard: Heard | None = None
    seen: Seen | None = None
    judged: float = 0.0  # the account's approval when it was asked
    met: Watched | None = None  # the outage that took an attempt of it, in its first minute


class Start(Struct):
    """What every policy shares of a payment that just came, computed once."""

    payment: Payment
    facts: Facts
    spot: Spot
    stage: Stage
    worths: Worths | None


def started(issuers: Issuers, oracle: Oracle, p: Payment, judge: bool) -> Start:
    spot = oracle.spot(p, p.at, 0)
    stage = beginning(oracle, spot)
    return Start(p, issuers.facts(p, p.at), spot, stage, worths(oracle, spot, stage) if judge else None)


class Play:
    """`strategy` None is the oracle. `come` brings a payment; before it everything that was due has happened."""

    def __init__(
        self, name: str, strategy: Strategy | None, issuers: Issuers, oracle: Oracle, gate: Gate, key: int, judge: bool
    ) -> None:
        self.name, self.strategy, self.issuers, self.oracle, self.gate = name, strategy, issuers, oracle, gate
        self.chance, self.umpire, self.tally, self.judge = Stream(key), Umpire(), Tally(), judge
        self.names: Sequence[str] = tuple(issuers.names)
        self.places = {name: n for n, name in enumerate(self.names)}
        self.due: list[tuple[int, int, int, Case]] = []
        self.counted = 0
        self.watched = [
            Watched(since, until, o) for since, until, o in issuers.outages if o.account and o.kind != "declines"
        ]

    def come(self, start: Start) -> None:
        self.until(start.payment.at)
        self.tally.payments += 1
        if start.worths is not None:
            self.tally.best += start.worths.best
        for w in self.watched:
            w.payments += w.first_minute(start.payment.at)
        case = Case(start.payment, start.facts, start.stage)
        self.decide(case, start.payment.at, start)

    def until(self, at: int) -> None:
        while self.due and self.due[0][0] <= at:
            then, _, what, case = heapq.heappop(self.due)
            if what == HEARS:
                self.hear(case, then)
            elif what == WAITS:
                self.teach(case, Heard("waiting", case.patience), then)
            else:
                case.stage = resumed(case.stage, self.oracle.spot(case.payment, then, case.stage.round_ + 1))
                self.decide(case, then)

    def finish(self) -> None:
        """Everything that is still to happen, however long it takes."""
        self.until(1 << 62)

    def decide(self, case: Case, at: int, start: Start | None = None) -> None:
        spot, found = (start.spot, start.worths) if start else (None, None)
        if spot is None and (self.judge or self.strategy is None):
            spot = self.oracle.spot(case.payment, at, case.stage.round_)
        if spot is not None and found is None and (self.judge or self.strategy is None):
            found = worths(self.oracle, spot, case.stage)
        facts = case.facts
        if at != case.payment.at:
            facts = self.issuers.facts(case.payment, at)
        if self.strategy is None:
            account, later = chosen(self.oracle, spot, case.stage, found)  # type: ignore[arg-type]
            choice = Choice(None if account is None else self.names[account], later)
        else:
            choice = self.strategy.decide(facts, self.names, at, case.tried, self.chance)
        self.follow(case, facts, choice, at, spot, found)

    def follow(
        self, case: Case, facts: Facts, choice: Choice, at: int, spot: Spot | None, found: Worths | None
    ) -> None:
        """A choice within the rules is carried out. What they refuse for now is asked about when they let it."""
        account = self.places.get(choice.account or "")
        later = choice.later if account is None else None
        if account is not None and account not in case.stage.now:
            account, later = None, at  # The wait that the rules ask for, if there is one, is added below.
        bar = None
        if account is not None:
            bar = self.gate.admits(facts, (case.payment.segment, case.payment.card))
        if bar is not None:
            self.tally.refused += 1
            account, found, later = None, None, bar.until
        if later is not None:
            later = allowed_wait(self.oracle, case.payment, case.stage, at, later)
        if found is not None and spot is not None and self.judge:
            worth_ = worth(self.oracle, spot, case.stage, Choice(later=later), account, found)
            self.tally.regret += found.best - worth_
        if account is not None:
            self.send(case, facts, account, at)
        elif later is not None:
            self.put(later, RESUMES, case)

    def send(self, case: Case, facts: Facts, account: int, at: int) -> None:
        card = (case.payment.segment, case.payment.card)
        self.tally.attempts += 1
        if case.tried:
            self.tally.retries += 1
            self.tally.later += case.stage.round_ > 0
        case.sent, case.account, case.sent_at = facts, account, at
        case.judged = self.issuers.approval(case.payment.segment, at)[account]
        case.heard = self.issuers.ask(case.payment, account, at, case.stage.round_)
        case.seen = self.umpire.asked(card, facts.brand, facts.minor, facts.initiator, at)
        self.watch(case, at)
        ends = at + round(case.heard.seconds * SECOND)
        case.patience = PATIENCE if self.strategy is None else self.strategy.patience(self.names[account])
        if case.heard.seconds > case.patience:
            self.put(at + round(case.patience * SECOND), WAITS, case)
        self.put(ends, HEARS, case)

    def watch(self, case: Case, at: int) -> None:
        if not self.watched:
            return
        segment = self.issuers.kinds[case.payment.segment].segment.name
        for w in self.watched:
            if w.since <= at < w.until and segment in (w.outage.segments or (segment,)):
                there = self.names[case.account] == w.outage.account
                if not case.tried:
                    w.at.append(at)
                    w.there.append(there)
                failed = there and case.heard is not None and case.heard.outcome in {"technical", "late"}
                if failed and case.met is None and w.first_minute(case.payment.at):
                    case.met = w
                    w.met += 1
                    w.lost += 1

    def put(self, at: int, what: int, case: Case) -> None:
        self.counted += 1
        heapq.heappush(self.due, (at, self.counted, what, case))

    def teach(self, case: Case, heard: Heard, at: int) -> None:
        if any(t.heard.outcome == "declined" for t in case.tried):
            heard = structs.replace(heard, again=True)
        if self.strategy is not None:
            waited = heard.outcome != "waiting" and heard.seconds > case.patience
            heard = structs.replace(heard, waited=True) if waited else heard
            self.strategy.learn(case.facts, self.names[case.account], heard, at)

    def hear(self, case: Case, at: int) -> None:
        heard = case.heard
        assert heard is not None
        assert case.seen is not None
        assert case.sent is not None
        card = (case.payment.segment, case.payment.card)
        self.gate.concludes(case.sent, card, case.sent_at, heard)
        state = "rejected" if heard.outcome == "technical" else heard.outcome
        self.umpire.heard(case.seen, state, heard.network_code or "", heard.advice_code or "")
        self.teach(case, heard, at)
        account, minor = case.account, case.payment.minor
        if heard.outcome in {"approved", "declined"}:
            self.tally.realized -= self.issuers.fees[account]
            self.tally.cost += self.issuers.fees[account]
        case.tried = [*case.tried, Tried(self.names[account], case.sent_at, heard)]
        if heard.outcome == "approved":
            self.approve(case, account, minor)
            return
        kind = self.issuers.kinds[case.payment.segment]
        case.stage = told(case.stage, kind, self.issuers.rules, case.payment.renewal, account, case.judged, heard, at)
        if heard.outcome != "late":
            self.decide(case, at)

    def approve(self, case: Case, account: int, minor: int) -> None:
        share, fixed = self.issuers.kinds[case.payment.segment].value[account]
        value = minor * share + fixed
        t = self.tally
        t.approved += 1
        t.first_try += len(case.tried) == 1
        t.volume += minor
        t.realized += value
        t.cost += minor * self.issuers.world.margin_bps / 10_000 - value
        if case.met is not None:
            case.met.lost -= 1
