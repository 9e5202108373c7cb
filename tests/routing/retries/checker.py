"""What the schemes' sources say, counted the slow way and from figures written down here, not from the rules' file.

It knows how everything ended, and looks at each attempt with all the attempts before it.
"""

from collections.abc import Sequence

from scrooge.routing.schemes.allowed import Past

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
MAY_19_2025 = 20_227 * DAY  # days since 1970-01-01
NOVEMBER_1_2023 = 19_662 * DAY
NEVER = {"04", "07", "14", "15", "41", "43", "46"}
WAITS = {"02": 72, "24": 1, "25": 24, "26": 48, "27": 96, "28": 144, "29": 192, "30": 240}


def broken(attempts: Sequence[Past], brand: str) -> list[str]:
    """Every rule that an attempt of this merchant's and card's broke."""
    found: list[str] = []
    for n, a in enumerate(attempts):
        if a.outcome != "rejected":  # No issuer and no scheme saw it.
            found += [f"attempt {n}: {why}" for why in VISA_OR_MASTERCARD[brand](attempts[:n], a)]
    return found


def visa(before: Sequence[Past], a: Past) -> list[str]:
    found: list[str] = []
    apart = a.at >= MAY_19_2025
    series = [
        b
        for b in before
        if b.outcome != "rejected"
        and (b.minor, b.currency) == (a.minor, a.currency)
        and (b.initiator == a.initiator or not apart)
    ]
    again = [x for n, x in enumerate([*series, a]) if is_reattempt(series[:n], x)]
    within = [x for x in again if a.at - x.at <= 30 * DAY]
    if again and again[-1] is a and len(within) > (20 if apart else 15):
        found.append(f"reattempt {len(within)} in 30 days")
    for b in heard(before, a):
        if b.network_code in NEVER:
            found.append(f"after {b.network_code}")
        if b.network_code in {"12", "57"} and a.at - b.at <= 30 * DAY:
            found.append(f"within 30 days of {b.network_code}")
    return found


def heard(before: Sequence[Past], a: Past) -> list[Past]:
    """The declines that were known when `a` was sent: nobody can heed an answer that has not come."""
    return [b for b in before if b.outcome == "declined" and (b.answered or b.at) < a.at]


def is_reattempt(before: Sequence[Past], a: Past) -> bool:
    for b in reversed(before):
        if b.outcome == "approved":
            return False
        if b.outcome == "declined":
            return a.at - b.at <= 30 * DAY
    return False


def mastercard(before: Sequence[Past], a: Past) -> list[str]:
    found: list[str] = []
    declined = [b for b in before if b.outcome == "declined"]
    if sum(a.at - b.at <= DAY for b in declined) >= 10:
        found.append("an eleventh in 24 hours")
    same = [b for b in declined if (b.minor, b.currency) == (a.minor, a.currency)]
    if a.at >= NOVEMBER_1_2023 and sum(a.at - b.at <= 30 * DAY for b in same) >= 35:
        found.append("a thirty-sixth in 30 days")
    for b in heard(before, a):
        if b.advice_code in {"03", "21"} and a.at - b.at <= 30 * DAY:
            found.append(f"within 30 days of {b.advice_code}")
        wait = WAITS.get(b.advice_code or "")
        if wait and b in same and a.initiator == "merchant" and a.at - b.at <= wait * HOUR:
            found.append(f"sooner than {wait} hours after {b.advice_code}")
    return found


VISA_OR_MASTERCARD = {"visa": visa, "mastercard": mastercard}
