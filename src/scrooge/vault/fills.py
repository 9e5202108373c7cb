"""A card goes into a request of the core's, on its way to the PSP; the answer comes back without it."""

import time
from typing import Annotated

import asyncpg
import msgspec
import structlog
from msgspec import Meta, Struct, structs
from starlette.responses import Response

from scrooge.connectors.connector import CardTemplate
from scrooge.connectors.filling import Ready, prepared
from scrooge.crash import ON_ITS_WAY, reach
from scrooge.errors import (
    CannotOpen,
    CardGone,
    DatabaseUnavailable,
    FillTooLate,
    MalformedId,
    NotFound,
    Problem,
    SecurityCodeGone,
    ServiceTokenRefused,
    TemplateMismatch,
)
from scrooge.ids import number_of
from scrooge.service import CLOCK_SKEW_SECONDS, Claims
from scrooge.vault import egress
from scrooge.vault.checks import Card
from scrooge.vault.doors import Call, first_use, json_answer
from scrooge.vault.egress import Sent
from scrooge.vault.ending import ANSWER_MAX, ends, name_of
from scrooge.vault.filling import clean, clean_text, values_of
from scrooge.vault.sealing import context, opened
from scrooge.vault.writer import Ended, Fill, Granted

log = structlog.get_logger()
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9_-]+$")]
Word = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
Header = Annotated[str, Meta(max_length=4096, pattern=r"^[ -~]*$")]
# These are the HTTP client's own; a caller who could set them could smuggle a request into ours.
NOT_GIVEN = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type", "te", "upgrade"})


class AskFill(Struct, forbid_unknown_fields=True):
    """What the core's connector rendered, with placeholders; `timeout` in seconds is the PSP's.

    `again`: the very same was asked before. Then it goes as it went then, or not at all.
    """

    attempt: Word
    merchant: Word
    instrument: Word
    connector: Name
    template: Name
    live: bool
    method: Word
    path: Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^/[!-~]*$")]
    content_type: Annotated[str, Meta(max_length=128)]
    body: str
    timeout: Annotated[float, Meta(gt=0, le=60)]
    again: bool = False
    headers: Annotated[dict[Word, Header], Meta(max_length=32)] = {}
    names: Annotated[dict[Name, Annotated[str, Meta(max_length=64)]], Meta(max_length=8)] = {}
    base_url: Annotated[str, Meta(max_length=512)] | None = None

    def __repr__(self) -> str:
        return "AskFill()"


CODE = "security_code"
NOT_SENT = {"sent": False}
REFUSED: dict[str, Problem] = {
    "service_token_refused": ServiceTokenRefused("this token was used before"),
    "not_found": NotFound("no such instrument of this merchant", param="instrument"),
    "card_gone": CardGone("the card was deleted or shredded", param="instrument"),
    "security_code_gone": SecurityCodeGone("it went with a security code that is gone", param="instrument"),
}
# Whatever the core waits for, this request will never be sent again.
UNREPEATABLE = frozenset({"card_gone", "security_code_gone"})
GONE = {"sent": False, "repeatable": False}


class Looked(Struct, frozen=True):
    """A fill that nothing in it speaks against: only the card is lacking."""

    ask: AskFill
    template: CardTemplate
    url: str
    ready: Ready
    request: bytes  # its name


async def fill(call: Call) -> Response:
    """Everything that can be refused is, before the card is granted; what is granted is on record before it leaves.

    From "sent": false the core concludes that no money moved. So it is said only where this copy of the request, and
    no other before it, has used up its token: none was sent, and none will be. Nor is it said after the send.
    """
    claims = call.core()
    try:
        looked = look(call, claims)
        granted = await grant(call, claims, looked)
    except (DatabaseUnavailable, FillTooLate):
        raise
    except (Problem, asyncpg.PostgresError):
        if not call.members and await first_use(call, claims):
            call.members = NOT_SENT
        raise
    call.members = NOT_SENT
    reach("vault.grant.after")
    if granted.answer is not None:
        return json_answer(200, structs.replace(msgspec.json.decode(granted.answer, type=Sent), stored=True))
    ask = looked.ask
    card, code = await open_card(call, looked, granted)
    body = looked.ready.filled(values_of(card, code))
    headers = {**ask.headers, "Content-Type": ask.content_type}
    left = ask.timeout - (time.monotonic() - call.began)
    if left <= 0:
        return json_answer(200, Sent("not_sent", 0.0, reason="no time was left"))
    call.members = {}
    reach("vault.send.written", ON_ITS_WAY)
    sent = await egress.send(call.v.http, ask.method, looked.url, headers, body, left)
    reach("vault.send.after")
    heard = without_card(looked.template, sent, card)
    if granted.code is not None and ends(
        call.v.connectors[ask.connector], ask.attempt, heard, not ask.again, ask.template
    ):
        call.v.behind(over(call, looked, heard))
    return json_answer(200, heard)


async def over(call: Call, looked: Looked, heard: Sent) -> None:
    """The authorization has ended: its security code goes now, and a core that was cut off can have the answer.

    Not a refusal that may be of this send alone: of a send before it, whose answer was lost, that says nothing.
    """
    kept = msgspec.json.encode(heard)
    ask = looked.ask
    whatever_came_before = ends(call.v.connectors[ask.connector], ask.attempt, heard, False, ask.template)
    told_again = whatever_came_before and len(kept) <= ANSWER_MAX
    ended = Ended(looked.ask.instrument, looked.request, kept if told_again else None)
    try:
        await call.v.writer.ends.put(ended)
    except (DatabaseUnavailable, asyncpg.PostgresError) as error:  # Then the code lives out its minutes.
        log.error("security_code_not_ended", instrument=looked.ask.instrument, error=type(error).__name__)


def look(call: Call, claims: Claims) -> Looked:
    """Raises every Problem that needs no look at the database."""
    ask = call.json(AskFill)
    if time.time() - claims.issued_at > ask.timeout + CLOCK_SKEW_SECONDS:
        raise FillTooLate("the core no longer waits for this")
    check_ids(ask)
    call.object = ask.instrument
    book = call.v.book
    template = book.template(ask.connector, ask.template, ask.live)
    check_request(template, ask)
    base_url = book.base_url(ask.connector, ask.live, ask.base_url, ask.names)
    ready = prepared(template, ask.body)  # A body that cannot be filled must not use up the security code.
    call.v.keyring.opened()  # Nor must a fill by a vault that waits for its custodians.
    url = base_url + ask.path
    return Looked(ask, template, url, ready, name_of(ask.attempt, ask.connector, ask.template, url, ask.body))


async def grant(call: Call, claims: Claims, looked: Looked) -> Granted:
    """On record, and the token used up. Raises what is in REFUSED, and DatabaseUnavailable."""
    ask = looked.ask
    reach("vault.grant.before")
    call.noted = True
    act = call.act("fill", connector=ask.connector, template=ask.template, attempt=ask.attempt, live=ask.live)
    granted = await call.v.writer.fills.put(
        Fill(
            instrument=ask.instrument, merchant=ask.merchant, livemode=ask.live, token=claims.id,
            expires_at=claims.expires_at, request=looked.request, attempt=ask.attempt, again=ask.again,
            coded=CODE in looked.ready.places, act=act,
        )
    )  # fmt: skip
    assert granted is not None
    if granted.outcome != "done":
        problem = REFUSED[granted.outcome]
        if not isinstance(problem, ServiceTokenRefused):
            call.members = GONE if granted.outcome in UNREPEATABLE else NOT_SENT
        raise type(problem)(problem.detail, param=problem.param)
    return granted


def check_ids(ask: AskFill) -> None:
    """Raises NotFound."""
    for value, prefix in ((ask.instrument, "ins"), (ask.merchant, "mer")):
        try:
            number_of(value, prefix)
        except MalformedId:
            raise NotFound("no such instrument of this merchant", param="instrument") from None


def check_request(template: CardTemplate, ask: AskFill) -> None:
    """Raises TemplateMismatch."""
    for name in ("method", "path", "content_type"):
        if getattr(ask, name) != getattr(template, name):
            raise TemplateMismatch(f"the {name} is not the template's", param=name)
    if NOT_GIVEN & {name.lower() for name in ask.headers}:
        raise TemplateMismatch("a header that only the vault sets", param="headers")


async def open_card(call: Call, looked: Looked, granted: Granted) -> tuple[Card, str | None]:
    """Raises CardGone, and SecurityCodeGone where it went with a code that this process cannot open."""
    ask, code = looked.ask, granted.code
    try:
        card = await opened(call.v.keyring, ask.instrument, ask.merchant, ask.live, granted.sealed)
    except CannotOpen:
        log.critical("card_cannot_be_opened", instrument=ask.instrument)
        raise CardGone("the card cannot be opened with the vault's keys", param="instrument") from None
    found = call.v.codes.open(context(ask.instrument, ask.merchant, ask.live), code) if code else None
    if code and found is None:
        log.warning("security_code_gone", instrument=ask.instrument)
        if ask.again and CODE in looked.ready.places:
            call.members, call.noted = GONE, False
            raise SecurityCodeGone("it went with a security code that is gone", param="instrument")
    return card, found


def without_card(template: CardTemplate, sent: Sent, card: Card) -> Sent:
    headers = {name: clean_text(value, card) for name, value in sent.headers.items()}
    return Sent(
        sent.outcome, sent.seconds, sent.status, headers, clean(template, sent.body, card), sent.reason, sent.late
    )
