"""Counts attempts that break a scheme's rule. It shares no code with what enforces the rules, so that one mistake
cannot excuse itself: the rules are written here a second time, from ../shared/reference/psp.md 4.1 and 4.2.

Where published lists disagree it takes what they all say, so that it counts what nobody disputes.
"""

from collections import Counter, defaultdict

from msgspec import Struct

from scrooge.routing.trial.calendar import DAY, HOUR

# "Issuer will never approve": no reattempt of the same card and amount in 30 days, in every list that was read.
VISA_NEVER = frozenset({"04", "07", "41", "43", "46"})
VISA_IN_30_DAYS = 20  # reattempts after a decline, since 2025-05-19
MASTERCARD_IN_24_HOURS, MASTERCARD_IN_30_DAYS = 10, 35
MASTERCARD_NEVER = frozenset({"03", "21"})
MASTERCARD_WAITS = {
    "02": 72 * HOUR, "24": HOUR, "25": DAY, "26": 2 * DAY, "27": 4 * DAY, "28": 6 * DAY, "29": 8 * DAY, "30": 10 * DAY,
}  # fmt: skip
MONTH = 30 * DAY


class Seen(Struct):
    """One attempt that was made; the codes come when it is heard."""

    at: int
    minor: int
    initiator: str
    state: str = "open"
    network_code: str = ""
    advice_code: str = ""


class Umpire:
    """`asked` before each attempt is sent, `heard` when its answer is there."""

    def __init__(self) -> None:
        self.cards: dict[tuple[int, int], list[Seen]] = defaultdict(list)
        self.violations: Counter[str] = Counter()

    def asked(self, card: tuple[int, int], brand: str, minor: int, initiator: str, at: int) -> Seen:
        seen = self.cards[card]
        if seen and seen[0].at <= at - MONTH:
            seen[:] = [s for s in seen if s.at > at - MONTH]
        one = Seen(at, minor, initiator)
        declined = [s for s in seen if s.state == "declined"]
        if declined:
            judge = {"visa": visa, "mastercard": mastercard}.get(brand)
            if judge is not None and (rule := judge(declined, seen, one)):
                self.violations[rule] += 1
        seen.append(one)
        return one

    @staticmethod
    def heard(one: Seen, state: str, network_code: str, advice_code: str) -> None:
        one.state, one.network_code, one.advice_code = state, network_code, advice_code


def visa(declined: list[Seen], seen: list[Seen], one: Seen) -> str:
    """The rule that this attempt breaks, or nothing."""
    same = [s for s in declined if s.minor == one.minor]
    if any(s.network_code in VISA_NEVER for s in same):
        return "visa: never again"
    first = min((s.at for s in same), default=one.at)
    again = [s for s in seen if s.minor == one.minor and s.initiator == one.initiator and s.at > first]
    if len(again) >= VISA_IN_30_DAYS:
        return "visa: 20 reattempts in 30 days"
    return ""


def mastercard(declined: list[Seen], seen: list[Seen], one: Seen) -> str:
    """The rule that this attempt breaks, or nothing. Waits bind the merchant; a payer may come back when he likes."""
    same = [s for s in declined if s.minor == one.minor]
    if any(s.advice_code in MASTERCARD_NEVER for s in same):
        return "mastercard: advice never again"
    if sum(1 for s in declined if s.at > one.at - DAY) >= MASTERCARD_IN_24_HOURS:
        return "mastercard: 10 declines in 24 hours"
    if len(same) >= MASTERCARD_IN_30_DAYS:
        return "mastercard: 35 declines in 30 days"
    if one.initiator == "merchant" and any(one.at < s.at + MASTERCARD_WAITS.get(s.advice_code, 0) for s in same):
        return "mastercard: sooner than the advice says"
    return ""
