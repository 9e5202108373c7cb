"""Whether a payment may be asked for, as the rules see it, with every rule's reason. Pure.

`asks` says what has to be counted; `check` decides from the counts. Who counts, and where, is the caller's business.
"""

from collections.abc import Mapping
from ipaddress import ip_address

from msgspec import Struct

from scrooge.risk.rules import STRICTNESS, AnyRule, CardTesting, Document, Listed, Velocity, folded, networks


class Suspect(Struct, frozen=True, kw_only=True):
    """What is known of a payment before it is asked for; "" unknown. `card` is a fingerprint, `iin` 6 to 8 digits;
    `merchant` is whose payments count together."""

    merchant: str
    at: int
    card: str = ""
    customer: str = ""
    iin: str = ""
    ip: str = ""
    email: str = ""
    country: str = ""


class Ask(Struct, frozen=True):
    """Count this merchant's attempts of the last `minutes` whose fact `of` is `value`, without the present one."""

    merchant: str
    of: str
    value: str
    minutes: int


class Tally(Struct, frozen=True):
    """`cards`: the different ones; `others`: how many of them are not the present card."""

    attempts: int = 0
    declines: int = 0
    others: int = 0


class Hit(Struct, frozen=True):
    rule: str
    does: str
    because: str
    enforced: bool


class Verdict(Struct, frozen=True):
    """`does`: allow, review, challenge or block. `would`: the same if every rule that watches had decided, too."""

    does: str
    would: str
    hits: tuple[Hit, ...]
    version: str


NONE = Tally()


def asks(document: Document, suspect: Suspect) -> frozenset[Ask]:
    """What `check` wants to know; nothing is asked about a fact that is unknown."""
    return frozenset(
        Ask(suspect.merchant, rule.of, value, rule.minutes)
        for rule in document.rule
        if not isinstance(rule, Listed) and (value := fact(rule, suspect))
    )


def check(document: Document, suspect: Suspect, tallies: Mapping[Ask, Tally]) -> Verdict:
    """A count that nobody brought is nothing: a rule decides by what is known."""
    hits: list[Hit] = []
    for rule in document.rule:
        value = fact(rule, suspect)
        if not value:
            continue
        ask = Ask(suspect.merchant, rule.of, value, 0 if isinstance(rule, Listed) else rule.minutes)
        why = because(rule, value, suspect, tallies.get(ask, NONE))
        if why:
            hits.append(Hit(rule.name, rule.does, why, rule.mode == "enforce"))
    found = tuple(hits)
    listed = {rule.name for rule in document.rule if isinstance(rule, Listed)}
    enforced = tuple(hit for hit in found if hit.enforced)
    return Verdict(decided(enforced, listed), decided(found, listed), found, document.version)


def fact(rule: AnyRule, suspect: Suspect) -> str:
    value: str = getattr(suspect, rule.of)
    return value


def because(rule: AnyRule, value: str, suspect: Suspect, tally: Tally) -> str:
    """Why the rule speaks; empty where it does not."""
    match rule:
        case Listed():
            current = rule.until is None or suspect.at < rule.until
            return f"{rule.of} is on the list {rule.name}" if current and is_listed(rule, value) else ""
        case Velocity():
            counted = {"attempts": tally.attempts + 1, "declines": tally.declines, "cards": cards(tally, suspect)}
            n = counted[rule.counts]
            over = n >= rule.most if rule.counts == "declines" else n > rule.most
            return f"{n} {rule.counts} of this {rule.of} in {rule.minutes} minutes; {rule.most} may be" if over else ""
        case CardTesting():
            n = cards(tally, suspect)
            declined = 100 * tally.declines >= rule.declined_percent * max(1, tally.attempts)
            if n < rule.cards or not declined:
                return ""
            share = f"{tally.declines} of {tally.attempts} declined"
            return f"{n} cards of this {rule.of} in {rule.minutes} minutes, {share}"


def cards(tally: Tally, suspect: Suspect) -> int:
    return tally.others + (1 if suspect.card else 0)


def is_listed(rule: Listed, value: str) -> bool:
    if rule.of == "iin":
        return any(value[:n] in rule.values for n in range(1, len(value) + 1))
    if rule.of == "ip":
        try:
            address = ip_address(value)
        except ValueError:
            return False
        version, number = address.version, int(address)
        return any(v == version and number >> bits in known for (v, bits), known in networks(rule.values).items())
    return value.casefold() in folded(rule.values)


def decided(hits: tuple[Hit, ...], listed: set[str]) -> str:
    """A list that blocks is stronger than one that allows, and that one stronger than anything counted."""
    lists = [hit.does for hit in hits if hit.rule in listed]
    if "block" in lists:
        return "block"
    if "allow" in lists:
        return "allow"
    return max((hit.does for hit in hits), key=STRICTNESS.index, default="allow")
