"""The questions of the contract suite, which every connector answers with its PSP's own words."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from scrooge.connectors.connector import Command, Connector, Endpoint, Notification
from scrooge.domain.attempt import Operation, State
from scrooge.domain.declines import Decline
from scrooge.domain.outcome import Outcome
from scrooge.money import Money

Headers = dict[str, str]
NOW = 1_790_000_000  # Unix seconds, when the notifications arrive


class Item(StrEnum):
    """The list of the contract; a connector without a case for one of these fails the suite."""

    APPROVED = "approved"
    UNMAPPED = "an unmapped decline"
    CHALLENGE = "challenge"
    PENDING = "pending"
    EXPLAINED = "4xx explained"
    SERVER_ERROR = "5xx"
    UNREADABLE = "unreadable"
    FINISHED = "replay finished"
    IN_PROGRESS = "replay in progress"
    QUESTION = "asked what happened"


class Ask(StrEnum):
    """Which endpoint reads the reply."""

    SEND = "send"
    INQUIRE = "inquire"
    CONTINUE = "continue"
    ABANDON = "abandon"
    REVERSE = "reverse"


class Reply(Struct, frozen=True, kw_only=True):
    """`body` is a document or raw bytes; `first` False is a replay of the same request."""

    item: Item
    claim: str
    command: Command
    expected: Outcome
    status: int = 200
    body: Any = None
    headers: Headers = {}
    ask: Ask = Ask.SEND
    first: bool = True


class Notice(Struct, frozen=True):
    """A notification as the PSP's document, and what it must be read as."""

    claim: str
    document: Any
    expected: Notification


class Story(Struct, frozen=True):
    """Notifications about one attempt: however they are ordered, it ends the same."""

    claim: str
    documents: tuple[Any, ...]
    ends: State


class Cases(Struct, frozen=True, kw_only=True):
    """Everything the contract suite asks of one connector.

    `declined` builds the reply of a decline from the PSP's code; `declines` is the table to review.
    `forgeries` are notifications that must be refused: claim -> raw body, headers, seconds of now.
    """

    connector: Connector
    credentials: Mapping[str, str]
    authorize: Command
    commands: Mapping[Operation, Command]
    replies: tuple[Reply, ...]
    declines: Mapping[str, Decline]
    declined: Callable[[str], Reply]
    notices: tuple[Notice, ...]
    stories: tuple[Story, ...]
    signed: Callable[[Any, int], tuple[bytes, Headers]]
    forgeries: Mapping[str, tuple[bytes, Headers, int]]
    not_representable: tuple[Money, ...]
    echoes: Callable[[str], Any]  # an error document that repeats the given text


def endpoint_of(connector: Connector, reply: Reply) -> Endpoint:
    match reply.ask:
        case Ask.SEND:
            return connector.endpoints[reply.command.operation]
        case Ask.INQUIRE:
            return connector.inquiries[reply.command.operation]
        case Ask.CONTINUE:
            return connector.continuation
        case Ask.ABANDON:
            assert connector.abandon is not None
            return connector.abandon
        case Ask.REVERSE:
            assert connector.reversal is not None
            return connector.reversal


def declines_in(text: str) -> dict[str, Decline]:
    """Lines of `our reason: the PSP's codes`."""
    found = {}
    for line in text.strip().splitlines():
        reason, _, codes = line.partition(":")
        found.update(dict.fromkeys(codes.split(), Decline(reason.strip())))
    return found
