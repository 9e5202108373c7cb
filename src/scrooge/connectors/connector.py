"""What a PSP integration is: a frozen value of pure functions. Nothing here opens a socket but `send`.

A connector never concludes that an outcome is unknown: what it cannot read it raises, and `send` decides.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

from scrooge.connectors.request import (
    PLACEHOLDERS,
    CardTemplate,
    Fill,
    Headers,
    Json,
    NetworkToken,
    Request,
    TokenFill,
    TokenTemplate,
)
from scrooge.connectors.tokens import CardSeen, Cryptogram, Provisioned, TokenGone, TokenService
from scrooge.domain.attempt import Operation
from scrooge.domain.mandate import Use
from scrooge.domain.outcome import Outcome
from scrooge.errors import UnsupportedOperation
from scrooge.money import Money

__all__ = [
    "PLACEHOLDERS", "CardSeen", "CardTemplate", "Cryptogram", "Fill", "Headers", "Json", "NetworkToken", "Provisioned",
    "Request", "TokenFill", "TokenGone", "TokenService", "TokenTemplate",
]  # fmt: skip


class Command(Struct, frozen=True, kw_only=True):
    """One attempt in our words: everything a connector may need to build its request or read a reply.

    It is rebuilt from the rows whenever a reply has to be read again, so it holds no secret and no card.
    """

    operation: Operation
    amount: Money  # of an increment: the whole that is to be authorized, as PSPs count it
    reference: str  # of the attempt at the PSP, and its idempotency key
    payment: str  # our payment's id: links the attempts of one payment in the PSP's reports
    merchant_account: str
    sale: bool = False
    final: bool = False
    psp_reference: str | None = None  # of this attempt, once known
    parent_psp_reference: str | None = None  # of the authorization this one builds on
    psp_token: str | None = None  # the instrument at this PSP
    network_token: NetworkToken | None = None  # where there is no token at this PSP
    vault_card: str | None = None  # the instrument whose card the vault fills in, where there is neither
    psp_customer: str | None = None  # the customer at this PSP, where the token belongs to one
    network_transaction_id: str | None = None  # of the first payment by the instrument
    save: str | None = None  # a word of USES: what the PSP shall keep the card for
    use: Use | None = None  # of the mandate under which a merchant asks
    customer: str | None = None
    initiator: str = "customer"  # or "merchant"
    return_url: str | None = None
    authenticate: bool = False  # ask the payer for 3-D Secure, whatever the risk
    exemption: str = ""  # from authentication, to be asked of the issuer: one of the connector's `exemptions`
    statement_descriptor: str | None = None
    increase: Money | None = None  # of an increment: by how much
    incremental: bool = False  # the authorization may be raised later
    details: Mapping[str, str] = {}  # what the payer brought back from an authentication


class Endpoint(Struct, frozen=True):
    """`build` may raise a Problem; `read` gets status, headers and document, and raises when it cannot read."""

    build: Callable[[Command], Request]
    read: Callable[[Command, int, Headers, Json], Outcome]


class Kept(Struct, frozen=True, kw_only=True):
    """A token that a PSP keeps for us, and whose it is there."""

    psp_token: str
    psp_customer: str | None
    merchant_account: str
    customer: str | None = None  # as the merchant calls them


class Adopt(Struct, frozen=True):
    """Makes the token of one payment good for others, where the PSP wants a customer of its own for that.

    The builders get the key of the request. `made` says which customer there is now, `given` whether the token is that
    customer's; they raise what they cannot read, Never for a refusal that is definitive, and say nothing of one that
    may pass.
    """

    customer: Callable[[Kept, str], Request]
    made: Callable[[int, Json], str | None]
    give: Callable[[Kept, str], Request]
    given: Callable[[int, Json], bool]


class Look(Struct, frozen=True):
    """Asks what card is behind a token now. None: the token is no good any more; what it cannot read, `read` raises."""

    build: Callable[[Kept], Request]
    read: Callable[[Kept, int, Json], CardSeen | None]


class Forget(Struct, frozen=True):
    """Ends a token at the PSP. `read` gets status and document and says whether it is gone, now or before.

    A refusal that may pass is a no; what it cannot read it raises.
    """

    build: Callable[[Kept], Request]
    read: Callable[[int, Json], bool]


class Recovery(Struct, frozen=True):
    """How to find out what happened when an answer was lost. Seconds throughout.

    `replay_for` is the PSP's key retention less a safety margin: the same request may be sent again until then,
    never after. `horizon` is how long after it an inquiry may still not see what the PSP did. `reverse_after` is how
    long a PSP that cannot be asked has to tell by itself of a request that cannot be repeated, before it is taken back.
    Questions about a lost outcome begin `ask_after` and are spaced from `ask_every`, doubling, to `ask_most`; about
    one that the PSP calls pending they begin `pending_after` and are spaced to `pending_most`. A PSP that cannot be
    asked is given the same turns, in which nothing is sent. `expected` is how long each operation may be pending
    before it counts as unresolved: nothing is concluded from it.
    """

    replay_for: int
    horizon: int
    reverse_after: int = 600
    ask_after: int = 5
    ask_every: int = 3
    ask_most: int = 300
    pending_after: int = 30
    pending_most: int = 6 * 3600
    expected: Mapping[Operation, int] = {}


class Notification(Struct, frozen=True, kw_only=True):
    """One thing a PSP tells us by itself, about an attempt or about a token.

    With neither `outcome` nor `psp_token` it is of a kind we do not handle yet, kept as `unhandled`. What is `doubtful`
    tells something only of an attempt of which nobody knows what became of it.
    `parent_psp_reference` names the authorization where `psp_reference` is the modification's own. News about a token
    says only that there is some: what is so now, the PSP is asked. `psp_reference` is the payment that made the token.
    """

    event_id: str
    kind: str
    operation: Operation | None = None
    outcome: Outcome | None = None
    reference: str | None = None
    psp_reference: str | None = None
    parent_psp_reference: str | None = None
    merchant_account: str | None = None
    psp_token: str | None = None
    psp_customer: str | None = None
    doubtful: bool = False


class Connector(Struct, frozen=True, kw_only=True):
    """A PSP. Capability is the keys of `endpoints`; the rest are facts that flows read.

    `credentials` names the secrets a connector account needs (name -> required).
    """

    name: str
    test_url: str
    live_url: str  # may name a credential: https://{live_prefix}-checkout-live.example
    credentials: Mapping[str, bool]
    check_credentials: Callable[[Mapping[str, str], bool], str | None]  # (credentials, live) -> what is wrong
    base_url: Callable[[str], str]  # a configured base URL without the version the paths begin with
    headers: Callable[[Mapping[str, str], Request], dict[str, str]]
    endpoints: Mapping[Operation, Endpoint]
    continuation: Endpoint  # after the payer has authenticated: what happened?
    inquiries: Mapping[Operation, Endpoint]  # asking without moving money
    abandon: Endpoint | None  # ends an authorization whose payer never came back; None: ours alone to end
    replayed: Callable[[Headers], bool]  # is this reply the stored one of an earlier send?
    verify: Callable[[bytes, Headers, Mapping[str, str], int], bool]  # (raw, headers, credentials, now)
    notifications: Callable[[bytes], list[Notification]]
    accepted: tuple[int, str]  # how the PSP wants a notification answered: status, body
    recovery: Recovery
    transport: Literal["http", "ledger"] = "http"  # ledger: asking is a transaction of our own, once for an attempt
    cards: Mapping[str, CardTemplate] = {}  # by name: requests in which the vault fills a card
    amount: Callable[[Money], object] | None = None  # as the PSP writes one; raises AmountNotRepresentable
    multi_capture: bool = False  # may a capture be partial and not the last?
    partial_void: bool = False
    increments_max: int | None = None  # how often one authorization may be raised; none: the PSP says no by itself
    authenticates: bool = False  # can its authorization be asked for with 3-D Secure?
    exemptions: Mapping[str, str] = {}  # from authentication that it can be told to ask for, and its words for them
    # Does it tell the issuer, with a card or a network token, in which payment at another PSP the payer agreed?
    names_consent: bool = False
    exempts_by_itself: bool = False  # it asks for exemptions unasked, and cannot be told which
    final_releases: bool = True  # does a final capture of a part release the rest by itself?
    # Takes back an authorization whose outcome nobody can find out any more, by our own reference or, once that is
    # known, by the PSP's; a notification says that it did. Its reply concludes nothing and names nothing.
    reversal: Endpoint | None = None
    network_token: TokenTemplate | None = None  # where an authorization has one; None: it takes none
    tokens: TokenService | None = None  # it is a token provider
    adopt: Adopt | None = None
    look: Look | None = None
    forget: Forget | None = None  # None: tokens are ended at the PSP's own site, by hand
    authorization_seconds: int = 7 * 86_400  # how long an approval holds when the reply does not say


class Wire(Struct, frozen=True):
    """Where and as whom to send: one connector account at one PSP."""

    connector: Connector
    base_url: str
    credentials: Mapping[str, str]
    merchant: str = ""  # whose account it is
    live: bool = False


def render(connector: Connector, command: Command) -> Request:
    """The request of an operation. Raises UnsupportedOperation or what the connector refuses to build."""
    endpoint = connector.endpoints.get(command.operation)
    if endpoint is None:
        raise UnsupportedOperation(f"{connector.name} cannot {command.operation}")
    return endpoint.build(command)
