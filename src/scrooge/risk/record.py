"""What is kept of a check with the payment, for ever: small, bounded, no address and no customer's name. Pure."""

from msgspec import Struct

from scrooge.risk.check import Hit, Verdict
from scrooge.risk.rules import STRICTNESS

HITS_MOST = 32


class Asked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of the service: what it said, or why nothing came."""

    mode: str
    decision: str | None = None
    score: float | None = None
    reasons: tuple[str, ...] = ()
    milliseconds: int = 0
    failed: str | None = None


class Kept(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`did` counted; `would`: the same if all that only watches had decided, too. `then`: what became of it."""

    policy: str
    did: str
    would: str
    hits: tuple[Hit, ...] = ()
    service: Asked | None = None
    then: str | None = None
    left_out: int = 0
    at: int


def strictest(*said: str) -> str:
    return max(said, key=STRICTNESS.index)


def kept(policy: str, verdict: Verdict, service: Asked | None, at: int) -> Kept:
    """A list that allows is stronger than the service, as than anything counted; which is why it was not asked."""
    said = service.decision if service is not None and service.decision is not None else "allow"
    enforced = said if service is not None and service.mode == "enforce" else "allow"
    return Kept(
        policy=policy, did=strictest(verdict.does, enforced), would=strictest(verdict.would, said),
        hits=verdict.hits[:HITS_MOST], service=service, left_out=max(0, len(verdict.hits) - HITS_MOST), at=at,
    )  # fmt: skip
