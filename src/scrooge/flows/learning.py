"""What this process learns of each merchant's accounts, from how authorizations end. Nothing here waits or writes.

What is learned is worth seconds, a payment is not: whatever goes wrong here is logged, and the payment goes on.
"""

import asyncio
import random
import time
from collections import OrderedDict, deque
from types import TracebackType
from typing import TypeVar

import structlog
from msgspec import Struct

from scrooge.connectors.send import Answer
from scrooge.connectors.send import Health as Told
from scrooge.domain.attempt import Attempt, Operation, State
from scrooge.domain.declines import Decline
from scrooge.domain.payment import Payment
from scrooge.flows.fingerprints import Fingerprints
from scrooge.flows.unmapped import Unmapped
from scrooge.flows.volumes import Volumes
from scrooge.routing.costs import Costs
from scrooge.routing.decision import Decision, Knowledge
from scrooge.routing.estimates import Estimates
from scrooge.routing.facts import Facts
from scrooge.routing.health import Health
from scrooge.routing.learning import learn, note
from scrooge.routing.lessons import FAILURE, Heard
from scrooge.routing.policy.document import Scorer
from scrooge.routing.shares import Shares
from scrooge.routing.tariff import Prices

log = structlog.get_logger()
UNDERWAY_MOST = 20_000  # payments of which the facts are at hand; of others they are read from the decision
STUCK_MOST = 10_000  # stored credentials of which we know who approved them last; the database knows it soon
UNREAD_MOST = 5_000  # lessons that wait for their facts: beyond that the oldest is lost
OPEN = frozenset({State.SENT, State.UNKNOWN, State.PENDING, State.ACTION_REQUIRED})
K = TypeVar("K")
V = TypeVar("V")
Whose = tuple[str, bool]  # a merchant, and whether it is real money: neither teaches the other
SCORER = Scorer()
NO_COSTS = Costs(Prices())


class Learned(Struct):
    """Of one merchant's accounts, in one mode."""

    estimates: Estimates
    health: Health
    shares: Shares


class Lesson(Struct, frozen=True):
    """How one authorization ended, before we know what was known of it when it was routed."""

    payment: Payment
    attempt: Attempt
    heard: Heard | None  # None: the PSP refused the request, and is not unwell for that
    resolved: bool  # it had been unknown: the PSP's silence was counted when it happened


class Learning:
    """Of one process."""

    def __init__(self) -> None:
        self.known: dict[Whose, Learned] = {}
        self.underway: OrderedDict[str, Facts] = OrderedDict()
        self.answers: OrderedDict[str, Told] = OrderedDict()
        self.late: OrderedDict[str, None] = OrderedDict()
        self.approved_by: OrderedDict[str, str] = OrderedDict()
        self.unread: deque[Lesson] = deque(maxlen=UNREAD_MOST)
        self.unmapped = Unmapped()
        self.fingerprints = Fingerprints()
        self.volumes = Volumes()
        self.began = asyncio.Event()  # an account has become unwell: others should know

    def of(self, merchant: str, livemode: bool, scorer: Scorer | None = None) -> Learned:
        """With the settings of the policy, where one is at hand."""
        found = self.known.get((merchant, livemode))
        if found is None:
            say = scorer or SCORER
            found = Learned(Estimates(say.estimates), Health(say.health), Shares())
            self.known[merchant, livemode] = found
        elif scorer is not None:
            retune(found, scorer)
        return found

    # --- a payment is on its way -------------------------------------------------------------

    def left(self, payment: str, decision: Decision, facts: Facts, knowledge: Knowledge | None, scorer: Scorer) -> None:
        """It was recorded, and goes where it was routed."""
        with spared(payment):
            remember(self.underway, payment, facts, UNDERWAY_MOST)
            if knowledge is not None:
                note(knowledge, decision, scorer, facts)

    def listening(self, p: Payment, a: Attempt, first: bool) -> "Ear":
        """While the PSP is asked for an authorization for the first time: silence is noticed before it ends."""
        return Ear(self, p, a, first and a.operation is Operation.AUTHORIZE)

    # --- and ends ----------------------------------------------------------------------------

    def taught(self, before: Payment, after: Payment) -> None:
        """A change was committed, by us and so by nobody else: each ending teaches once."""
        with spared(after.id):
            known = {a.id: a for a in before.attempts}
            for a in after.attempts:
                old = known.get(a.id)
                if old is not None and old.state is not a.state and a.operation is Operation.AUTHORIZE:
                    self.ended(after, old.state, a)

    def ended(self, p: Payment, old: State, a: Attempt) -> None:
        told = self.answers.pop(a.id, None)
        if old not in OPEN:
            return
        heard: Heard | None
        match a.state:
            case State.APPROVED:
                heard = Heard.APPROVED
                self.volumes.approved(p, a, time.time_ns() // 1000)
                if p.instrument:
                    remember(self.approved_by, p.instrument, a.connector_account, STUCK_MOST)
            case State.DECLINED:
                heard = Heard.DECLINED
                self.unmapped.note(p, a, self.brand_of(p, a))
            case State.REJECTED if told is Told.UNHEARD:
                return  # Our own vault or line was at fault, and no PSP was asked.
            case State.REJECTED:
                heard = None if told is Told.GOOD else Heard.TECHNICAL
            case State.UNKNOWN if told in {Told.FAILED, Told.LATE}:
                heard = Heard.LATE
            case _:
                return
        lesson = Lesson(p, a, heard, resolved=old is State.UNKNOWN)
        # Of an approved one nothing is heard any more that anybody learns from.
        facts = self.underway.pop(p.id, None) if heard is Heard.APPROVED else self.underway.get(p.id)
        if facts is None:
            self.unread.append(lesson)
        else:
            self.teach(lesson, facts)

    def brand_of(self, p: Payment, a: Attempt) -> str:
        facts = self.underway.get(p.id)
        return facts.brand if facts is not None else a.counted.brand if a.counted is not None else ""

    def teach(self, lesson: Lesson, facts: Facts) -> None:
        """An attempt that follows another of its payment is no fair sample of approvals; that it failed, it may say."""
        p, a, heard = lesson.payment, lesson.attempt, lesson.heard
        learned, at = self.of(p.merchant, p.livemode), time.time_ns() // 1000
        again = any(b.operation is Operation.AUTHORIZE and b.number < a.number for b in p.attempts)
        trouble = learned.health.trouble(a.connector_account, facts)
        before = trouble is not None and a.sent_at < trouble.since
        late = a.id in self.late
        if heard is Heard.LATE and late:
            return
        if heard is None or (heard is Heard.TECHNICAL and (lesson.resolved or late)):
            if trouble is None and not again:
                learned.estimates.learn(facts, a.connector_account, FAILURE, at)
            return
        if (again and heard in {Heard.APPROVED, Heard.DECLINED}) or before:
            return  # What was asked before the trouble began says nothing of its end.
        self.hear(learned, facts, a, heard, at)

    def hear(self, learned: Learned, facts: Facts, a: Attempt, heard: Heard, at: int) -> None:
        knowledge = Knowledge(estimates=learned.estimates, costs=NO_COSTS, health=learned.health, shares=learned.shares)
        unwell = dict(learned.health.troubles.get(a.connector_account, {}))
        trouble = learn(knowledge, facts, a.connector_account, heard, at, decline=decline_of(a))
        if trouble is not None:
            log.warning("account_unwell", connector_account=trouble.owner or "all", reason=trouble.reason)
            self.began.set()
        elif len(learned.health.troubles.get(a.connector_account, {})) < len(unwell):
            log.warning("account_well_again", connector_account=a.connector_account)
            self.began.set()

    def silent(self, p: Payment, a: Attempt) -> None:
        """It has taken longer than this account ever does."""
        facts = self.underway.get(p.id)
        if facts is not None:
            learned = self.of(p.merchant, p.livemode)
            remember(self.late, a.id, None, UNDERWAY_MOST)
            self.hear(learned, facts, a, Heard.LATE, time.time_ns() // 1000)

    def chance(self) -> float:
        return random.random()  # noqa: S311 - which of two good accounts is no secret


class Ear:
    """Of one question to one PSP."""

    def __init__(self, learning: Learning, p: Payment, a: Attempt, listens: bool) -> None:
        self.learning, self.p, self.a, self.listens = learning, p, a, listens
        self.timer: asyncio.TimerHandle | None = None
        if not listens:
            return
        with spared(p.id):
            health = learning.of(p.merchant, p.livemode).health
            wait = health.late_after(a.connector_account)
            self.timer = asyncio.get_running_loop().call_later(wait, learning.silent, p, a)

    def heard(self, answer: Answer) -> None:
        if not self.listens:
            return
        with spared(self.p.id):
            remember(self.learning.answers, self.a.id, answer.health, UNDERWAY_MOST)
            if answer.health is Told.GOOD:
                health = self.learning.of(self.p.merchant, self.p.livemode).health
                health.took(self.a.connector_account, answer.seconds)

    def __enter__(self) -> "Ear":
        return self

    def __exit__(self, *_: object) -> None:
        if self.timer is not None:
            self.timer.cancel()


class spared:
    """The payment, from what goes wrong in learning: the PSP is about to be asked, or was."""

    __slots__ = ("payment",)

    def __init__(self, payment: str) -> None:
        self.payment = payment

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        log.error("lesson_lost", payment=self.payment, error=type(error).__name__, exc_info=True)
        return True


def remember(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """The latest so many."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)


def decline_of(a: Attempt) -> Decline | None:
    try:
        return Decline(a.decline) if a.decline else None
    except ValueError:  # A word of a later release.
        return None


def retune(learned: Learned, scorer: Scorer) -> None:
    """A policy with other settings: what is known stays."""
    if learned.estimates.settings != scorer.estimates:
        fresh = Estimates(scorer.estimates)
        for owners in learned.estimates.effects.values():
            for effect in owners.values():
                effect.tick = -1
        fresh.effects, fresh.news = learned.estimates.effects, learned.estimates.news
        learned.estimates = fresh
    if learned.health.settings != scorer.health:
        well = Health(scorer.health)
        well.troubles, well.shared = learned.health.troubles, learned.health.shared
        well.relapses, well.latencies = learned.health.relapses, learned.health.latencies
        learned.health = well
