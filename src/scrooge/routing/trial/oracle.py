"""What every choice is worth to one who knows the probabilities of the moment, but not the luck. Exactly:

the expected net value of trying an account now and going on in the best way, over all orders of accounts within a
round (`routing.retries`: at most TRIES_MAX, only after declines whose advice is to retry elsewhere, and after what the
PSP did not process), and for renewals over all later rounds that the world allows. It takes the probabilities of the
moment to stay as they are, and knows of a card what this payment's own attempts have told.
"""

from collections.abc import Sequence

from msgspec import Struct

from scrooge.domain.declines import Decline
from scrooge.routing.trial.calendar import HOUR, duration
from scrooge.routing.trial.issuers import Condition, Issuers, Kind, Payment, period
from scrooge.routing.trial.rules import After, Why

SLOT = 6 * HOUR  # the oracle looks at later moments in these steps
NEVER_FAILS = (0.0, False)
SOONEST = HOUR  # nobody may ask about the same card again sooner, but for a cascade


class Masses(Struct):
    """How likely the card can pay, and how likely it cannot, by the reason that would be heard."""

    pays: float
    troubled: dict[Why, float]


class Spot(Struct):
    """A payment at one moment, as the oracle sees it; `plan` is the best of waiting for each reason."""

    payment: Payment
    kind: Kind
    at: int
    round_: int
    approval: list[float]
    failing: dict[int, tuple[float, bool]]  # account: how likely its PSP fails, and whether that is known at once
    value: list[float]
    fees: Sequence[float]
    agree: float
    rounds: int  # that are left after this one
    surest: tuple[float, int]  # the account that is best alone: its expected net value, and which


class Oracle:
    def __init__(self, issuers: Issuers) -> None:
        self.issuers = issuers
        self.within = duration(issuers.world.renewals.within)
        self.rounds = issuers.world.renewals.rounds
        self.plans: dict[tuple[int, int, int, int], tuple[float, float, int]] = {}

    def spot(self, p: Payment, at: int, round_: int) -> Spot:
        kind = self.issuers.kinds[p.segment]
        technical, _ = self.issuers.failing(p.segment, at)
        approval, fees = self.issuers.approval(p.segment, at), self.issuers.fees
        value = [p.minor * share + fixed for share, fixed in kind.value]
        surest = max((q * v - fee, k) for k, (q, v, fee) in enumerate(zip(approval, value, fees, strict=True)))
        return Spot(
            p, kind, at, round_, approval, {place: (o.share, o.kind == "refused") for place, o in technical},
            value, fees, kind.behavior.agree, self.rounds - round_ - 1 if p.renewal else 0, surest,
        )  # fmt: skip

    def beginning(self, s: Spot) -> Masses:
        """Before anything was heard."""
        _, failure = self.issuers.failing(s.payment.segment, s.at)
        pays, troubled = 1.0, dict[Why, float]()
        if failure is not None:
            why = Why(Decline(failure.decline), failure.network_code or None, None)
            troubled[why], pays = failure.share, 1 - failure.share
        for c in s.kind.conditions:
            here = pays * likely(c, s.kind, s.at)
            troubled[c.why] = troubled.get(c.why, 0.0) + here
            pays -= here
        return Masses(pays, troubled)

    def after(self, s: Spot, why: Why) -> After:
        return self.issuers.rules.after(why, s.kind.segment.brand, s.payment.renewal)

    def returns(self, s: Spot, after: After, since: int) -> bool:
        """May the card be asked about again while the world's time for it lasts?"""
        return after.wait is not None and max(s.at + SOONEST, since + after.wait) <= s.payment.at + self.within

    # Now.

    def first(self, s: Spot, masses: Masses, left: Sequence[int], tries: int) -> dict[int, float]:
        """Each account's worth when the issuer has said nothing in this round yet."""
        total = masses.pays + sum(masses.troubled.values())
        waits = self.waiting(s, masses)
        lone, beside, later = 0.0, list[tuple[float, float]](), list[tuple[float, float]]()
        for why, share in s.kind.shares.items():
            same = masses.troubled.get(why, 0.0)  # cards that cannot pay, of which the issuer says the same
            after = self.after(s, why)
            if after.onward and same:
                beside.append((masses.pays * share, same))
            elif after.onward:
                lone += masses.pays * share
            elif self.returns(s, after, s.at):
                later.append((masses.pays * share, same))
        found = {}
        for k in left:
            rest = tuple(a for a in left if a != k)
            fails, known = s.failing.get(k, NEVER_FAILS)
            q, worth = s.approval[k], 0.0
            if fails and known and tries > 1 and rest:
                worth = fails * max(0.0, *self.first(s, masses, rest, tries - 1).values())
            here = masses.pays * q * s.value[k] - s.fees[k] * total + waits
            if lone:
                here += self.onward(s, rest, tries - 1, q, 1 - q, lone, 0.0)
            for pays, same in beside:
                here += self.onward(s, rest, tries - 1, q, 1 - q, pays, same)
            for pays, same in later:
                here += again(s, pays * (1 - s.agree) * (1 - q), same + pays * s.agree * (1 - q))
            found[k] = worth + (1 - fails) * here
        return found

    def onward(
        self, s: Spot, left: Sequence[int], tries: int, best: float, each: float, pays: float, beside: float
    ) -> float:
        """The best of going on, or of stopping, after declines that allow it.

        `best` is the highest approval among those that declined, `each` the product of their (1 - approval); `pays`
        and `beside` are the likelihoods of cards that can pay and that cannot, before the declines told anything.
        """
        worth = again(s, pays * (1 - s.agree) * each, beside + pays * s.agree * (1 - best))
        if tries > 0:
            for k in left:
                if (there := self.going(s, k, left, tries, best, each, pays, beside)) > worth:
                    worth = there
        return worth

    def going(
        self, s: Spot, k: int, left: Sequence[int], tries: int, best: float, each: float, pays: float, beside: float
    ) -> float:
        """The worth of trying this account next, and of going on from there in the best way."""
        q, agree = s.approval[k], s.agree
        gained = agree * (q - best) if q > best else 0.0
        mass = pays * (agree * (1 - best) + (1 - agree) * each)
        here = pays * (gained + (1 - agree) * each * q) * s.value[k] - s.fees[k] * (mass + beside)
        best_, each_ = max(best, q), each * (1 - q)
        fails, known = s.failing.get(k, NEVER_FAILS) if s.failing else NEVER_FAILS
        if tries == 1 and not fails:
            return here + again(s, pays * (1 - agree) * each_, beside + pays * agree * (1 - best_))
        rest = tuple(a for a in left if a != k)
        worth = fails * self.onward(s, rest, tries - 1, best, each, pays, beside) if fails and known else 0.0
        return worth + (1 - fails) * (here + self.onward(s, rest, tries - 1, best_, each_, pays, beside))

    # Later.

    def waiting(self, s: Spot, masses: Masses) -> float:
        """The worth of the later rounds that follow when a condition of the card is heard that passes."""
        if s.rounds <= 0:
            return 0.0
        return sum(
            masses.troubled.get(c.why, 0.0) * self.wait(s, n, s.at, s.rounds)
            for n, c in enumerate(s.kind.conditions)
            if c.lasts != "forever"
        )

    def wait(self, s: Spot, n: int, since: int, rounds: int, until: int | None = None) -> float:
        """The worth of the best plan for a card known to be in condition `n`; or of going at `until` and then that."""
        sure, k = s.surest
        if rounds <= 0 or sure <= 0:
            return 0.0
        c = s.kind.conditions[n]
        if until is None and not (until := self.plan(s, n, since, rounds)[2]):
            return 0.0
        healed = 1 - still(c, s.kind, since, until)
        after = self.wait(s, n, until, rounds - 1)
        return healed * sure + (1 - healed) * (after - s.fees[k])

    def plan(self, s: Spot, n: int, since: int, rounds: int) -> tuple[float, float, int]:
        """How likely the best moments find the card mended, how many attempts they take in vain, and the first."""
        slot = since // SLOT
        end = (s.payment.at + self.within) // SLOT
        key = (s.payment.segment, n, slot, rounds * 1000 + end - slot)
        if (known := self.plans.get(key)) is not None:
            return known
        c, best = s.kind.conditions[n], (0.0, 0.0, 0)
        wait = self.issuers.rules.after(c.why, s.kind.segment.brand, True).wait
        for later in range((since + (wait or 0)) // SLOT + 1, end + 1) if wait is not None else ():
            sick = still(c, s.kind, slot * SLOT, later * SLOT)
            after = self.plan(s, n, later * SLOT, rounds - 1) if rounds > 1 else (0.0, 0.0, 0)
            gained = 1 - sick + sick * after[0]
            if gained > best[0] + 1e-9:
                best = (gained, sick * (1 + after[1]), later * SLOT)
        self.plans[key] = best
        return best


def again(s: Spot, pays: float, beside: float) -> float:
    """After declines that say nothing of time: later rounds have new luck, but for `beside`, which never will.

    Those are cards that cannot pay, and payments that the issuer would decline at every account and at any time.
    """
    worth = 0.0
    if s.rounds > 0:
        gain, k = s.surest
        for _ in range(s.rounds):
            worth += max(0.0, pays * gain - beside * s.fees[k])
            pays *= 1 - s.approval[k]
    return worth


def likely(c: Condition, kind: Kind, at: int) -> float:
    """How many cards are in this condition now."""
    if c.lasts == "forever":
        return c.share
    return c.share * (1 - c.early * position(c, kind, at)[1])


def still(c: Condition, kind: Kind, since: int, until: int) -> float:
    """How likely a card that was in this condition is in it (again) at `until`."""
    if c.lasts == "forever":
        return 1.0
    (first, x), (last, y) = position(c, kind, since), position(c, kind, until)
    if first == last:
        return (1 - c.early * y) / (1 - c.early * x) if c.early * x < 1 else 1.0
    return c.again * (1 - c.early * y)


def position(c: Condition, kind: Kind, at: int) -> tuple[int, float]:
    """The period, and how much of it is over."""
    number, since, until = period(c, kind, at)
    return number, min(1.0, (at - since) / (until - since))
