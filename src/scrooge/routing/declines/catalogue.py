"""What a decline means, from the PSP's code, the issuer's and the scheme's advice: tables with their sources. Pure.

A code's reason says whether anything may follow. Where codes disagree the one that allows less is believed; a code
that nobody has mapped allows nothing, and is named so that somebody maps it.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Literal

from msgspec import Struct

from scrooge.domain.declines import Advice, Decline
from scrooge.domain.outcome import Declined
from scrooge.routing.shipped import shipped

Says = Literal["raw", "network", "advice"]
TABLES = ("stripe", "adyen", "network", "advice")
GENERIC = frozenset({Decline.DO_NOT_HONOR, Decline.RESTRICTED_CARD, Decline.PROCESSING_ERROR})
# From the one that allows most to the one that allows nothing.
STRICTER = (Advice.RETRY_ELSEWHERE, Advice.RETRY_LATER, Advice.AUTHENTICATE, Advice.NEW_DETAILS, Advice.STOP)


class Block(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Codes with one source. Empty `connector` or `brand`: of all. `words`: what stands for a code in its absence."""

    says: Says
    source: str
    checked: str
    connector: str = ""
    brand: str = ""
    codes: dict[str, Decline] = {}
    advices: dict[str, Advice] = {}
    words: dict[str, str] = {}
    notes: dict[str, str] = {}


class Table(Struct, frozen=True, forbid_unknown_fields=True):
    block: tuple[Block, ...]


class Meaning(Struct, frozen=True):
    """What one code says, and who says that it does."""

    source: str
    checked: str
    decline: Decline | None = None
    advice: Advice | None = None
    note: str = ""


class Catalogue(Struct, frozen=True):
    """Meanings by who says it, connector, brand and code; codes by connector and words."""

    meanings: Mapping[tuple[Says, str, str, str], Meaning]
    words: Mapping[tuple[str, str], str]

    def look_up(self, says: Says, connector: str, brand: str, code: str) -> Meaning | None:
        """A brand's own meaning of a code goes before everybody's."""
        for key in ((says, connector, brand, code), (says, connector, "", code)):
            if key in self.meanings:
                return self.meanings[key]
        return None


class Reading(Struct, frozen=True):
    """What the codes of one decline say together; `because` names the code that decided, and its source."""

    decline: Decline
    advice: Advice
    because: str


class Unmapped(Struct, frozen=True):
    """One line of the inbox of codes that nobody has mapped: the code, an example, and what may be its reason."""

    says: Says
    connector: str
    brand: str
    code: str
    message: str
    suggestion: Decline | None = None


@cache
def catalogue() -> Catalogue:
    return of(tuple(block for name in TABLES for block in shipped(f"declines/{name}.toml", Table).block))


def of(blocks: tuple[Block, ...]) -> Catalogue:
    """Raises ValueError where two blocks map the same code."""
    meanings: dict[tuple[Says, str, str, str], Meaning] = {}
    words: dict[tuple[str, str], str] = {}
    for b in blocks:
        words |= {(b.connector, text.lower()): code for code, text in b.words.items()}
        for code in {**b.codes, **b.advices, **b.notes}:
            key = (b.says, b.connector, b.brand, code)
            if key in meanings:
                raise ValueError(f"{key} is mapped twice: {b.source}")
            meaning = Meaning(b.source, b.checked, b.codes.get(code), b.advices.get(code), b.notes.get(code, ""))
            meanings[key] = meaning
    return Catalogue(meanings, words)


def read(known: Catalogue, declined: Declined, connector: str, brand: str) -> Reading:
    """The reason and advice of a decline heard from `connector` about a card of `brand`.

    The issuer's code is heard where the PSP's says little; what the PSP's code forbids, it cannot allow. Nothing is
    allowed by a code that is not mapped.
    """
    decline, because = declined.decline, f"{connector or 'the PSP'} says {declined.raw_code or declined.decline}"
    issuer = known.look_up("network", "", brand, declined.network_code or "")
    if issuer and issuer.decline and decline in GENERIC and at_least(issuer.decline.advice, decline.advice):
        decline, because = issuer.decline, f"the issuer says {declined.network_code} ({issuer.source})"
    advice = decline.advice
    scheme = known.look_up("advice", "", brand, declined.advice_code or "")
    if scheme and scheme.advice and at_least(scheme.advice, advice):
        advice, because = scheme.advice, f"the scheme advises {declined.advice_code} ({scheme.source})"
    return Reading(decline, advice, because)


def at_least(one: Advice, other: Advice) -> bool:
    """Whether `one` allows no more than `other`."""
    return STRICTER.index(one) >= STRICTER.index(other)


def unmapped(known: Catalogue, declined: Declined, connector: str, brand: str) -> Iterator[Unmapped]:
    """The codes of a decline that the catalogue does not have, each with what its other codes suggest."""
    issuer = known.look_up("network", "", brand, declined.network_code or "")
    suggestion = issuer.decline if issuer else None
    codes: tuple[tuple[Says, str, str | None], ...] = (
        ("raw", connector, declined.raw_code),
        ("network", "", declined.network_code),
        ("advice", "", declined.advice_code),
    )
    for says, of_whom, code in codes:
        if code and known.look_up(says, of_whom, brand, code) is None:
            heard = known.meanings if says != "raw" else {k for k in known.meanings if k[1] == connector}
            if heard:
                guess = suggestion if says == "raw" else (declined.decline if says == "network" else None)
                yield Unmapped(says, of_whom, brand, code, declined.raw_message, guess)


def suggested(connector: str, code: str, network_code: str, brand: str) -> tuple[Decline | None, Decline | None]:
    """Of a code that was not mapped when it was heard: what the issuer's code says, and what it is mapped to now."""
    issuer = catalogue().look_up("network", "", brand, network_code)
    own = catalogue().look_up("raw", connector, brand, code)
    return issuer.decline if issuer else None, own.decline if own else None
