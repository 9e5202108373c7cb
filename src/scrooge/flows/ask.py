"""Step 2 of the one road: asking a PSP. Nothing else calls one."""

from functools import lru_cache

import structlog
from msgspec import structs
from prometheus_client import Counter, Histogram

from scrooge.connectors.connector import Command, Endpoint, Request, Wire
from scrooge.connectors.limits import Lane, Slot
from scrooge.connectors.send import Answer, send
from scrooge.crash import ON_ITS_WAY, reach
from scrooge.domain.attempt import Attempt, Operation
from scrooge.domain.outcome import ActionRequired, Outcome, Unknown, name_of
from scrooge.domain.payment import Payment
from scrooge.errors import NotFound, Problem, PspOverloaded, PspUnavailable, SettingsError
from scrooge.flows.moves import moved
from scrooge.flows.scrooge import Scrooge, now
from scrooge.metrics import ATTEMPTS, PSP_SECONDS
from scrooge.storage.directory import ConnectorAccount

log = structlog.get_logger()
SECOND = 1_000_000


async def account_of(s: Scrooge, attempt: Attempt) -> ConnectorAccount:
    account = await s.directory.known(attempt.connector_account)
    if account is None:
        raise NotFound("the connector account of this payment is gone")
    return account


def command_of(p: Payment, a: Attempt, account: ConnectorAccount, **more: object) -> Command:
    """The attempt in the connector's terms; `more` is what only building needs (token, details)."""
    parent = p.attempt(a.parent) if a.parent else None
    command = Command(
        operation=a.operation,
        amount=p.money(a.total or a.minor),
        increase=p.money(a.minor) if a.total else None,
        incremental=p.incremental,
        reference=a.reference,
        payment=p.id,
        merchant_account=account.merchant_account,
        sale=a.sale,
        final=a.final,
        psp_reference=a.psp_reference,
        parent_psp_reference=parent.psp_reference if parent else None,
        customer=p.customer,
        initiator=p.initiator,
        save=p.save_for,
        statement_descriptor=p.statement_descriptor,
    )
    return structs.replace(command, **more) if more else command


async def ask(
    s: Scrooge,
    p: Payment,
    attempt_id: str,
    endpoint: Endpoint,
    request: Request,
    *,
    first: bool,
    again: bool = False,
    slot: Slot | None = None,
) -> Outcome:
    """One question to the PSP, with no transaction and no connection held. Never raises for what a PSP does.

    A first request leaves before its deadline or not at all: after it, the resolver may be asking already. `again`: it
    was sent before, so that a refusal says nothing about what became of it then.
    """
    a = p.attempt(attempt_id)
    account = await account_of(s, a)
    if s.directory.is_ledger(account.id):
        return await move(s, p, a, account, endpoint, request, slot)
    wire = s.directory.wire(account)
    command = command_of(p, a, account)
    provider = await provider_of(s, request)  # Before there is a slot, which only asking gives back.
    left = whole = float(s.settings.psp_timeout_seconds)
    if first:
        left = min(whole, whole - (now() - a.sent_at) / SECOND)  # Never more, if somebody turns the clock back.
        if left <= 0:
            return Unknown("it was too late to send")
    if slot is None:
        try:
            slot = await s.limits.take(account.id, Lane.RECOVERY)
        except (PspOverloaded, PspUnavailable) as busy:
            return Unknown(f"not asked: {busy.detail}")
    left = slot.timeout(left)
    reach("send.before")
    reach("send.written", ON_ITS_WAY)
    sending = send(
        s.http, wire, endpoint, command, request, first=first, timeout=left, vault=s.vault, provider=provider
    )  # fmt: skip
    with s.learning.listening(p, a, first) as ear:
        answer: Answer = await slot.ask(sending, patient=left > whole * 0.75)
        ear.heard(answer)
    reach("send.after")
    note(p, a, account.connector, answer, first)
    if isinstance(answer.outcome, Unknown) and answer.outcome.refused and a.action is not None and not again:
        return ActionRequired(a.action)  # What the payer brought was not good; the payer may come again.
    return answer.outcome


async def move(
    s: Scrooge, p: Payment, a: Attempt, account: ConnectorAccount, endpoint: Endpoint, request: Request,
    slot: Slot | None,
) -> Outcome:  # fmt: skip
    """The same of our own ledger: no deadline, no line, no wire."""
    if slot is not None:
        slot.release()
    outcome = await moved(s, p, a, endpoint, command_of(p, a, account), request)
    ATTEMPTS.labels(account.connector, a.operation, name_of(outcome)).inc()
    return outcome


async def provider_of(s: Scrooge, request: Request) -> Wire | None:
    """Who is asked for the network token that goes into the request. None: nobody can be, so nothing will be sent."""
    if request.token is None:
        return None
    try:
        account = await s.directory.known(request.token.provider)
        return s.directory.wire(account) if account is not None else None
    except (Problem, SettingsError, OSError) as error:  # Its credentials cannot be opened, say.
        log.error("token_provider_unusable", provider=request.token.provider, error=type(error).__name__)
        return None


@lru_cache(maxsize=1024)
def counters(connector: str, operation: Operation, kind: str) -> tuple[Counter, Histogram]:
    """Looked up by their labels once."""
    return ATTEMPTS.labels(connector, operation, kind), PSP_SECONDS.labels(connector, operation)


def note(p: Payment, a: Attempt, name: str, answer: Answer, first: bool) -> None:
    kind = name_of(answer.outcome)
    answers, seconds = counters(name, a.operation, kind)
    answers.inc()
    seconds.observe(answer.seconds)
    log.info(
        "psp_answered",
        payment=p.id,
        attempt=a.id,
        operation=a.operation,
        connector=name,
        outcome=kind,
        http_status=answer.status,
        milliseconds=round(answer.seconds * 1000, 1),
        first=first,
    )
