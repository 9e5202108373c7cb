"""Stored value: the connector whose "PSP" is our own ledger.

Its requests are read by storage, not by a server: what one asks for is a move, done once for an attempt however often
it is asked for. So there is nothing to reach, nothing to be refused by, nothing to be told late.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from scrooge.connectors.connector import Command, Connector, Endpoint, Headers, Json, Notification, Recovery, Request
from scrooge.connectors.kit import UnreadableReply
from scrooge.domain.attempt import Operation
from scrooge.domain.declines import Decline
from scrooge.domain.outcome import Approved, Declined, Outcome
from scrooge.errors import UnsupportedOperation
from scrooge.money import Money

NAME = "stored_value"
FOR_EVER = 100 * 366 * 86_400  # seconds
DECLINES = {
    "insufficient_funds": Decline.INSUFFICIENT_FUNDS,
    "expired": Decline.EXPIRED_CARD,
    "closed": Decline.RESTRICTED_CARD,
    "not_usable": Decline.RESTRICTED_CARD,
    "currency_differs": Decline.NOT_SUPPORTED,
    "no_room": Decline.INVALID_AMOUNT,
}


class Asked(Struct, frozen=True, kw_only=True):
    """A move as it is recorded with its attempt. `minor` of `currency`."""

    account: str
    kind: str
    minor: int
    currency: str
    final: bool = False  # of a capture: the rest of the hold is released


def authorization(command: Command) -> Request:
    """Raises UnsupportedOperation for what only a card can do."""
    if command.psp_token is None:
        raise UnsupportedOperation("stored value pays by an instrument of its own", param="instrument")
    if command.save is not None or command.use is not None:
        raise UnsupportedOperation("stored value takes no mandate: it is spent, not kept", param="save_for")
    return request(command.psp_token, "sale" if command.sale else "hold", command)


def modification(kind: str) -> Endpoint:
    def build(command: Command) -> Request:
        return request(account_in(command.parent_psp_reference), kind, command)

    return Endpoint(build, read)


def request(account: str, kind: str, command: Command) -> Request:
    asked = Asked(
        account=account, kind=kind, minor=command.amount.minor, currency=command.amount.currency, final=command.final
    )
    return Request("MOVE", f"/{account}", msgspec.json.encode(asked), idempotency_key=command.reference)


def asked_in(request: Request) -> Asked:
    return msgspec.json.decode(request.body, type=Asked)


def name_of_move(account: str, number: int) -> str:
    """What the "PSP" calls a move: its account, and its line in the account's statement."""
    return f"{account}/{number}"


def account_in(name: str | None) -> str:
    if name is None:
        raise UnsupportedOperation("the authorization has no account")
    return name.partition("/")[0]


def read(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    """Raises UnreadableReply, LookupError."""
    name, reason = name_of_move(document["account"], document["number"]), document["declined"]
    if reason is not None:
        return Declined(DECLINES[reason], raw_code=reason, psp_reference=name)
    if document["minor"] != command.amount.minor:
        raise UnreadableReply("another amount was moved than was asked for")
    return Approved(name, Money(document["minor"], command.amount.currency))


def no_continuation(command: Command) -> Request:
    raise UnsupportedOperation("stored value asks nobody to authenticate")


def no_credentials(credentials: Mapping[str, str], live: bool) -> str | None:
    return "stored value takes none" if credentials else None


def no_notifications(raw: bytes) -> list[Notification]:
    return []


STORED_VALUE = Connector(
    name=NAME,
    transport="ledger",
    test_url="",
    live_url="",
    credentials={},
    check_credentials=no_credentials,
    base_url=str,
    headers=lambda credentials, request: {},
    endpoints={
        Operation.AUTHORIZE: Endpoint(authorization, read),
        Operation.CAPTURE: modification("capture"),
        Operation.VOID: modification("release"),
        Operation.REFUND: modification("refund"),
    },
    continuation=Endpoint(no_continuation, read),
    inquiries={},
    abandon=None,
    replayed=lambda headers: False,
    verify=lambda raw, headers, credentials, now: False,
    notifications=no_notifications,
    accepted=(401, ""),
    recovery=Recovery(replay_for=FOR_EVER, horizon=0, ask_after=1, ask_every=1, ask_most=60),
    multi_capture=True,
    partial_void=True,
)
