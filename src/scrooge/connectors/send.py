"""The one place that talks to PSPs, itself or by way of the vault, and the one place that may conclude `Unknown`.

There are no retries here, at any layer: asking again is a decision of flows/resolve.py.
"""

import time
from enum import Enum

import aiohttp
import msgspec
import structlog
from msgspec import Struct, structs

from scrooge.cards import redacted
from scrooge.connectors import hop
from scrooge.connectors.client import NEVER_SENT, asking, bounded
from scrooge.connectors.connector import Command, Connector, Endpoint, Headers, Request, Wire
from scrooge.connectors.kit import KeyConflict, StillRunning
from scrooge.connectors.network_token import Filled, NoCryptogram, filled
from scrooge.connectors.vault_client import Vault, VaultNotReached, VaultSilent, ask_vault
from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import Approved, Outcome, Rejected, Unknown
from scrooge.metrics import NETWORK_TOKENS, VAULT_FILLS, VAULT_SECONDS
from scrooge.unanswered import why

log = structlog.get_logger()
WORDS = ("reason", "raw_code", "raw_message")  # of outcomes: what a PSP wrote freely

EXPLAINED: dict[type[Exception], str] = {
    StillRunning: "the first request is still running",
    KeyConflict: "the key was used for another request",
}


class Health(Enum):
    """What an answer says about the PSP itself, whatever it says about the payment."""

    GOOD = "good"
    BUSY = "busy"  # it asks us to send less
    FAILED = "failed"  # not reached, 5xx, or nothing readable
    LATE = "late"  # nothing in the time it had
    UNHEARD = "unheard"  # it was not asked, or the vault between us could not tell


class Answer(Struct, frozen=True):
    """What we concluded, how long it took (seconds), the HTTP status for the metrics, and how the PSP is."""

    outcome: Outcome
    seconds: float
    status: int | None
    health: Health = Health.GOOD


async def send(
    http: aiohttp.ClientSession,
    wire: Wire,
    endpoint: Endpoint,
    command: Command,
    request: Request,
    *,
    first: bool,
    timeout: float,  # noqa: ASYNC109 - it is the HTTP client's to keep
    vault: Vault | None = None,
    provider: Wire | None = None,
) -> Answer:
    """Ask once. `timeout` is in seconds and covers everything. What carries a card goes by way of the vault; the number
    of a network token is asked of `provider` first.

    Only the first send of a request may conclude `Rejected`: on a replay, an error that is not proven to be
    the stored original answer says nothing about what the first one did.
    """
    if request.fill is not None:
        return await send_by_vault(http, vault, wire, endpoint, command, request, first, timeout)
    if request.token is not None:
        return await send_with_token(http, provider, wire, endpoint, command, request, first, timeout)
    return await send_straight(http, wire, endpoint, command, request, first, timeout)


async def send_straight(
    http: aiohttp.ClientSession,
    wire: Wire,
    endpoint: Endpoint,
    command: Command,
    request: Request,
    first: bool,
    timeout: float,  # noqa: ASYNC109 - it is the HTTP client's to keep
    token: Filled | None = None,
) -> Answer:
    started = time.monotonic()
    status: int | None = None
    try:
        async with asking(http, wire, request, timeout) as reply:
            status = reply.status
            body = await bounded(reply)
            names = {k.lower(): v for k, v in reply.headers.items()}
        if token is not None:
            body, names = token.without(body, names)
        outcome, health = read(wire.connector, endpoint, command, status, names, body, first)
    except NEVER_SENT as error:
        reason = f"not sent: {why(error)}"
        outcome, health = nothing_left(reason, first), Health.FAILED
        log.warning("psp_not_reached", error=type(error).__name__, reference=command.reference)
    except Exception as error:  # The request may have arrived: whatever went wrong, we do not know.
        outcome = Unknown(why(error))
        health = Health.LATE if isinstance(error, TimeoutError) else Health.FAILED
        log.warning("psp_answer_lost", error=type(error).__name__, reference=command.reference)
    return Answer(outcome, time.monotonic() - started, status, health)


async def send_with_token(
    http: aiohttp.ClientSession,
    provider: Wire | None,
    wire: Wire,
    endpoint: Endpoint,
    command: Command,
    request: Request,
    first: bool,
    timeout: float,  # noqa: ASYNC109 - it is the HTTP client's to keep
) -> Answer:
    """The same with a network token, whose number is put in now. Trouble of its provider says nothing about the PSP."""
    started = time.monotonic()
    try:
        token = await filled(http, wire, provider, request, command.reference, timeout)
        left = timeout - (time.monotonic() - started)
        if left <= 0:  # By now somebody else may have asked.
            raise NoCryptogram("no time was left")
    except NoCryptogram as error:
        NETWORK_TOKENS.labels("unused").inc()
        log.warning("network_token_not_used", reason=str(error), reference=command.reference)
        outcome = nothing_left(f"not sent: {error}", first, not error.gone)
        return Answer(outcome, time.monotonic() - started, None, Health.UNHEARD)
    whole = structs.replace(request, body=token.body)
    return await send_straight(http, wire, endpoint, command, whole, first, left, token)


async def send_by_vault(
    http: aiohttp.ClientSession,
    vault: Vault | None,
    wire: Wire,
    endpoint: Endpoint,
    command: Command,
    request: Request,
    first: bool,
    timeout: float,  # noqa: ASYNC109 - it is the HTTP client's to keep
) -> Answer:
    """The same through the vault, which puts the card in. Trouble of its own says nothing about the PSP."""
    started = time.monotonic()
    seconds: float | None = None
    status: int | None = None
    health, result = Health.UNHEARD, "silent"
    try:
        if vault is None:
            raise VaultNotReached("no vault is set")
        asked = hop.question(wire, request, command.reference, timeout, not first)
        reply = await ask_vault(http, vault, "POST", hop.FILLS, asked, timeout=timeout)
        match hop.heard(reply.status, reply.body):
            case hop.Answered(status, given, text, seconds, stored):
                names = {name.lower(): value for name, value in given.items()}
                outcome, health = read(wire.connector, endpoint, command, status, names, text.encode(), first)
                result = "stored" if stored else "answered"
            case hop.NotSent(reason):
                outcome, health, result = nothing_left(f"not sent: {reason}", first), Health.FAILED, "not_sent"
            case hop.Lost(reason, late):
                outcome, health, result = Unknown(reason), Health.LATE if late else Health.FAILED, "lost"
            case hop.Refused(code, _, repeatable):
                outcome = nothing_left(f"not sent: the vault refused: {code}", first, repeatable)
                result = code
    except VaultNotReached as error:
        outcome, result = nothing_left(f"not sent: the vault: {error}", first), "not_reached"
    except (VaultSilent, hop.Unbelievable) as error:
        outcome = Unknown(f"the vault: {error}")
    except Exception as error:  # The vault may have sent it: whatever went wrong, we do not know.
        log.error("vault_answer_unreadable", error=type(error).__name__, reference=command.reference)
        outcome = Unknown("the vault's answer could not be used")
    whole = time.monotonic() - started
    VAULT_FILLS.labels(result).inc()
    if seconds is not None:
        VAULT_SECONDS.observe(max(0.0, whole - seconds))
    log.info("vault_filled", result=result, reference=command.reference, http_status=status)
    return Answer(outcome, whole if seconds is None else seconds, status, health)


def nothing_left(reason: str, first: bool, repeatable: bool = True) -> Outcome:
    """Not a byte has left for the PSP: now. What became of an earlier send of it, this does not say."""
    return Rejected(reason) if first else Unknown(reason, unrepeatable=not repeatable)


def read(
    connector: Connector,
    endpoint: Endpoint,
    command: Command,
    status: int,
    headers: Headers,
    body: bytes,
    first: bool,
) -> tuple[Outcome, Health]:
    """What a reply means, and what it says about the PSP. Never raises: what cannot be read is unknown, loudly."""
    if status >= 500:
        stored = connector.replayed(headers)  # A failure of then says nothing about now.
        return Unknown(f"HTTP {status}", stored=stored), Health.GOOD if stored else Health.FAILED
    health = Health.BUSY if status == 429 else Health.GOOD
    try:
        document = msgspec.json.decode(body) if body else {}
        outcome = endpoint.read(command, status, headers, document)
    except Exception as error:
        log.error(
            "psp_reply_unreadable",
            error=type(error).__name__,
            status=status,
            connector=connector.name,
            reference=command.reference,
            operation=command.operation,
        )
        explained = next((words for kind, words in EXPLAINED.items() if isinstance(error, kind)), None)
        unknown = Unknown(f"HTTP {status}: {explained or 'the answer cannot be read'}", reference_in(status, body))
        return unknown, health if explained else Health.FAILED
    if isinstance(outcome, Approved):
        outcome = checked(command, outcome)
    elif isinstance(outcome, Rejected) and not first and not connector.replayed(headers):
        outcome = Unknown(f"on a replay: {outcome.reason}", outcome.psp_reference)
    return without_cards(outcome), health


def without_cards(outcome: Outcome) -> Outcome:
    """What a PSP wrote freely is kept and shown: a card number in it is taken out."""
    words = {name: getattr(outcome, name, "") for name in WORDS}
    clean = {name: redacted(text) for name, text in words.items() if text and redacted(text) is not text}
    return structs.replace(outcome, **clean) if clean else outcome


def checked(command: Command, outcome: Approved) -> Outcome:
    """An approval of another amount or currency than asked is not believed, unless it is a partial approval.

    A PSP tells the whole of an increment; what it adds is what its attempt is about.
    """
    got, asked = outcome.amount, command.amount
    if got is None or got == asked:
        return structs.replace(outcome, amount=command.increase or got or asked)
    smaller = got.currency == asked.currency and 0 < got.minor < asked.minor
    if outcome.partial and smaller and command.operation is Operation.AUTHORIZE:
        return outcome
    log.critical(
        "psp_amount_differs",
        reference=command.reference,
        asked=str(asked),
        got=str(got),
        psp_reference=outcome.psp_reference,
    )
    return Unknown(f"the PSP approved {got}, asked was {asked}", outcome.psp_reference, differs=True)


def reference_in(status: int, body: bytes) -> str | None:
    """The PSP's id out of a reply we cannot read otherwise: it must not be lost. An error's names no payment."""
    if status >= 400:
        return None
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    found = document.get("pspReference") or document.get("id") if isinstance(document, dict) else None
    return found if isinstance(found, str) and len(found) <= 255 else None
