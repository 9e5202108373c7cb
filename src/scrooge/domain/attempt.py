"""One request to one PSP, from the moment we commit to sending it until its outcome is final."""

from enum import StrEnum

from msgspec import Struct

from scrooge.domain.fees import Fees
from scrooge.domain.outcome import (
    ActionRequired,
    Approved,
    Declined,
    NextAction,
    Outcome,
    Pending,
    Rejected,
    Reversed,
    Unknown,
)
from scrooge.errors import ContradictoryOutcome


class Operation(StrEnum):
    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    INCREMENT = "increment"
    VERIFY = "verify"  # of a card, for nothing


class State(StrEnum):
    SENT = "sent"  # Recorded before the call: a crash here means we may have sent it.
    UNKNOWN = "unknown"
    PENDING = "pending"
    ACTION_REQUIRED = "action_required"
    APPROVED = "approved"
    DECLINED = "declined"
    REJECTED = "rejected"
    REVERSED = "reversed"
    REVERSING = "reversing"  # Approved when nobody wanted it any more: being given back, until that is definitive.


class Closed(StrEnum):
    """Why an approved authorization takes no more captures."""

    VOIDED = "voided"
    EXPIRED = "expired"


# fmt: off
S = State
WAITS, BACK = State.ACTION_REQUIRED, State.REVERSING
OUTCOMES = (Approved,  Pending,    ActionRequired, Declined,   Rejected,   Reversed,   Unknown)
TABLE: dict[State, tuple[State | None, ...]] = {
    S.SENT:     (S.APPROVED, S.PENDING,  WAITS,    S.DECLINED, S.REJECTED, S.REVERSED, S.UNKNOWN),
    S.UNKNOWN:  (S.APPROVED, S.PENDING,  WAITS,    S.DECLINED, S.REJECTED, S.REVERSED, S.UNKNOWN),
    WAITS:      (S.APPROVED, S.PENDING,  WAITS,    S.DECLINED, S.REJECTED, S.REVERSED, WAITS),
    S.PENDING:  (S.APPROVED, S.PENDING,  None,     S.DECLINED, S.REJECTED, S.REVERSED, S.PENDING),
    S.APPROVED: (S.APPROVED, S.APPROVED, None,     None,       None,       S.REVERSED, S.APPROVED),
    S.DECLINED: (None,       S.DECLINED, None,     S.DECLINED, None,       None,       S.DECLINED),
    S.REJECTED: (None,       S.REJECTED, None,     None,       S.REJECTED, None,       S.REJECTED),
    S.REVERSED: (S.REVERSED, S.REVERSED, None,     None,       None,       S.REVERSED, S.REVERSED),
    BACK:       (BACK,       BACK,       BACK,     BACK,       BACK,       S.REVERSED, BACK),
}
# fmt: on
OPEN = frozenset({S.SENT, S.UNKNOWN, S.PENDING, S.ACTION_REQUIRED})
LIVE = OPEN | {S.APPROVED, S.REVERSING}


class Counted(Struct, frozen=True):
    """As what an authorization was counted against the schemes' limits. `at`: when, Unix microseconds; `also`: what its
    card is called beside `card`, where it counts, too.
    """

    card: str
    brand: str
    region: str
    acquirer: str
    at: int
    also: tuple[str, ...] = ()


class Unauthenticated(Struct, frozen=True):
    """As what an authorization counts among those since the card's payer was last authenticated.

    `minor` of `currency`, in which the law has its thresholds; None: nobody knows what it is in that.
    """

    card: str
    currency: str
    minor: int | None
    at: int  # Unix microseconds


class Authentication(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked of the payer or of the issuer, and by which article. `counts`: unless the payer authenticates."""

    ask: str
    because: str
    source: str
    exemption: str = ""
    liability: str = "merchant"
    counts: Unauthenticated | None = None


class Attempt(Struct, frozen=True, kw_only=True):
    """`minor` is what we asked for; `approved_minor` what the PSP approved (a partial approval is less)."""

    id: str
    number: int
    operation: Operation
    minor: int
    connector_account: str
    state: State = State.SENT
    # The authorization that a capture, void, refund or increment builds on; of an authorization, the one that it is a
    # second success of.
    parent: str | None = None
    sale: bool = False  # authorize and capture in one request
    final: bool = False  # a capture after which the PSP releases the rest
    total: int | None = None  # of an increment: the whole amount that is to be authorized, as PSPs count it
    approved_minor: int | None = None
    closed: Closed | None = None
    reference: str = ""  # ours, at the PSP; also the idempotency key: payment id and attempt number
    caller_reference: str | None = None  # of a capture, void, refund or increment
    psp_reference: str | None = None
    network_transaction_id: str | None = None
    psp_token: str | None = None
    psp_customer: str | None = None  # whose token it is at the PSP
    checks: dict[str, str] = {}
    decline: str | None = None
    raw_code: str | None = None
    raw_message: str | None = None
    network_code: str | None = None
    advice_code: str | None = None
    reason: str | None = None  # why rejected, reversed or unknown
    action: NextAction | None = None
    return_token: str | None = None
    expires_at: int | None = None  # Unix seconds
    sent_at: int = 0  # Unix microseconds
    concluded_at: int | None = None  # Unix microseconds
    teaches: str | None = None  # the instrument to which belongs what an approval brings
    counted: Counted | None = None  # None: it does not count (test mode, or made before there were limits)
    fees: Fees | None = None  # None: nobody had said what its account costs
    authentication: Authentication | None = None  # None: nobody chose, so the PSP does
    followed: str | None = None  # why something followed it, or did not, beside its outcome
    asks: int = 0  # questions claimed by others than the first sender: replays, inquiries

    @property
    def money(self) -> int:
        """Minor units this attempt stands for: approved if approved, else asked."""
        return self.minor if self.approved_minor is None else self.approved_minor


def advance(state: State, outcome: Outcome) -> State:
    """The only way news changes an attempt's state. An empty cell is a contradiction, kept as a break.

    Raises ContradictoryOutcome.
    """
    after = TABLE[state][OUTCOMES.index(type(outcome))]
    if after is None:
        raise ContradictoryOutcome(f"{state} cannot become {type(outcome).__name__}")
    return after
