"""What a handler gets and what it gives back."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from scrooge.api.answers import PaymentInstrument
from scrooge.api.bodies import Body, NoQuery
from scrooge.errors import Problem
from scrooge.flows.keys import Keyed
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import number_of
from scrooge.storage.directory import Principal

CARDS_MAX = 20_000
ASK_AGAIN_SECONDS = 5

# What is shown of instruments, which seldom changes, and until when it is good: spares a read per payment.
Cards = OrderedDict[str, tuple[float, PaymentInstrument]]


class Call(Struct, frozen=True, kw_only=True):
    """One request, authenticated and decoded. `filters` are the query parameters as they came."""

    s: Scrooge
    cards: Cards
    path: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    filters: dict[str, str]
    raw: bytes
    query: Any
    body: Any
    known: Principal | None
    keyed: Keyed | None
    target: str  # the path as it came
    query_text: str
    parts: AsyncIterator[bytes] | None = None  # of a body that is not read at once

    @property
    def body_parts(self) -> AsyncIterator[bytes]:
        assert self.parts is not None, "the route is streamed"
        return self.parts

    @property
    def principal(self) -> Principal:
        assert self.known is not None, "the route has a scope"
        return self.known

    @property
    def key(self) -> Keyed:
        assert self.keyed is not None, "the route is idempotent"
        return self.keyed


class Answer(Struct, frozen=True):
    """`document` is a struct to encode, or bytes to send as they are; with `parts` it is made as it is sent.

    `payment` is for the log.
    """

    status: int
    document: Any = b""
    headers: dict[str, str] = {}
    media_type: str = "application/json"
    payment: str | None = None
    parts: AsyncIterator[bytes] | None = None


Handler = Callable[[Call], Awaitable[Answer]]


def headers_of(status: int, replayed: bool) -> dict[str, str]:
    """Of what may be told before it is known how it ends."""
    headers = {"Idempotent-Replayed": "true"} if replayed else {}
    return {**headers, "Retry-After": str(ASK_AGAIN_SECONDS)} if status == 202 else headers


def payment_id(call: Call) -> str:
    """From the path. Raises MalformedId, shown as not found."""
    number_of(call.path["payment"], "pay")
    return call.path["payment"]


class Route(Struct, frozen=True, kw_only=True):
    """One line of the URL table. `scope` None: no API key is asked for.

    `answers` maps a status to what is answered (None: no JSON document); `problems` are those a caller of this
    route can meet beside those every route has. `raw`: the body is not JSON of ours, the handler reads it.
    `streamed`: the body has no end to wait for, the handler takes it in parts.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    scope: str | None
    answers: dict[int, Any]
    body: type[Body] | None = None
    query: type[Body] = NoQuery
    problems: tuple[type[Problem], ...] = ()
    idempotent: bool = False
    raw: bool = False
    streamed: bool = False
    tag: str = ""
