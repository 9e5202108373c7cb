"""What a PSP can tell us about one attempt. `Unknown` is an answer, not an error."""

import re
from enum import StrEnum

from msgspec import Struct

from scrooge.domain.declines import Decline
from scrooge.money import Money


class NextAction(Struct, frozen=True):
    """Where the payer goes to authenticate. `method` is GET or POST; `fields` is the form of a POST."""

    url: str
    method: str = "GET"
    fields: dict[str, str] = {}


class ReversalKind(StrEnum):
    """Why an approval (or an attempt we waited for) no longer stands."""

    FAILED = "failed"  # CAPTURE_FAILED, REFUND_FAILED: the PSP could not finish what it accepted
    EXPIRED = "expired"  # the authorization, or the payer's time to authenticate, ran out
    CANCELED = "canceled"  # canceled at the PSP


class Approved(Struct, frozen=True, tag=True):
    """`amount` is what was approved, where the reply says it; `partial` only when the PSP calls it so."""

    psp_reference: str | None = None
    amount: Money | None = None
    partial: bool = False
    network_transaction_id: str | None = None
    psp_token: str | None = None
    psp_customer: str | None = None  # who may use the token again; without one nobody may as yet
    checks: dict[str, str] = {}  # cvc, avs_line, avs_postal_code, three_d_secure: as the PSP words them
    expires_at: int | None = None  # Unix seconds: an uncaptured authorization lapses then
    card_fingerprint: str | None = None  # the same for a card number, however often the PSP keeps it; a digest


class Pending(Struct, frozen=True, tag=True):
    """The PSP has it and will tell us."""

    psp_reference: str | None = None


class ActionRequired(Struct, frozen=True, tag=True):
    """The payer must act; until then no money can move."""

    action: NextAction
    psp_reference: str | None = None


class Declined(Struct, frozen=True, tag=True):
    """The issuer, or the PSP's risk rules, said no. Raw codes are always kept."""

    decline: Decline
    raw_code: str = ""
    raw_message: str = ""
    network_code: str | None = None  # the issuer's ISO 8583 response code, like "51"
    advice_code: str | None = None  # the scheme's merchant advice code, like "02"
    psp_reference: str | None = None
    card_fingerprint: str | None = None  # as of an approval


class Rejected(Struct, frozen=True, tag=True):
    """The PSP did not process the request, and says so (or it never left us). No money can have moved.

    `already`: because what was asked for had been done before, by somebody else.
    """

    reason: str
    psp_reference: str | None = None
    already: bool = False


class Reversed(Struct, frozen=True, tag=True):
    """An approval no longer stands, or an attempt we waited for ended without one."""

    reason: str
    kind: ReversalKind = ReversalKind.FAILED
    psp_reference: str | None = None


class Unknown(Struct, frozen=True, tag=True):
    """Timeout, 5xx, or a body we cannot read. Money may have moved.

    `refused`: the PSP would not take what the payer brought back, so the payer may come again.
    `absent`: an inquiry found no trace, which is evidence only after the PSP's horizon and once nothing can be
    executed under the key any more. `stored`: the PSP answers this key with a stored failure, so nothing can.
    `differs`: the PSP approved another amount or currency than was asked, which an operator has to look at.
    `unrepeatable`: nobody can send this request again, for something that it needs is gone (a security code, a card).
    """

    reason: str
    psp_reference: str | None = None
    absent: bool = False
    stored: bool = False
    refused: bool = False
    differs: bool = False
    unrepeatable: bool = False


Outcome = Approved | Pending | ActionRequired | Declined | Rejected | Reversed | Unknown


def name_of(outcome: Outcome) -> str:
    """As states are written: `action_required`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(outcome).__name__).lower()
