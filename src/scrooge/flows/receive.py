"""Notifications: verified, stored raw, answered; applied later, in any order and any number of times."""

import hashlib
import re
from collections.abc import Mapping

import structlog
from msgspec import structs

from scrooge.cards import redacted_document
from scrooge.connectors.connector import Notification
from scrooge.connectors.send import checked
from scrooge.crash import reach
from scrooge.domain.attempt import OPEN, Attempt, Operation, State
from scrooge.domain.outcome import (
    Approved,
    Declined,
    Outcome,
    Rejected,
    ReversalKind,
    Reversed,
    Unknown,
)
from scrooge.domain.payment import Payment
from scrooge.errors import ContradictoryOutcome, MalformedId, NotFound, NotificationRefused
from scrooge.flows import breaks, updates
from scrooge.flows.ask import SECOND, command_of
from scrooge.flows.perform import NOT_KEPT, apply
from scrooge.flows.scrooge import Scrooge, now
from scrooge.ids import number_of
from scrooge.metrics import NOTIFICATIONS
from scrooge.storage import inbox, payments
from scrooge.storage.directory import ConnectorAccount

log = structlog.get_logger()
OURS = re.compile(r"(pay_[0-9A-HJKMNP-TV-Z]{26})-([0-9]{1,5})")
PARK_TRIES = 14  # with the inbox's spacing: about four hours
LAST_TRY = 28  # and half a day after these


APPROVED_WITH = ("network_transaction_id", "psp_token", "psp_customer", "card_fingerprint")


class MalformedNotification(Exception):
    """A row of the inbox that says nothing this release can read."""


async def accept(s: Scrooge, account_id: str, raw: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    """Verify, store, and what to answer (status, body). Raises NotFound, NotificationRefused."""
    account = await s.directory.named(account_id)
    if account is None:
        raise NotFound("no such connector account")
    connector = s.connectors[account.connector]
    wire = s.directory.wire(account)
    if not connector.verify(raw, headers, wire.credentials, now() // SECOND):
        NOTIFICATIONS.labels(account.connector, "refused").inc()
        log.warning("notification_refused", connector_account=account.id)
        raise NotificationRefused("the signature does not verify")
    clean = raw
    try:
        read = connector.notifications(raw)
        clean = redacted_document(raw, {text for n in read for text in ids_of(n)})
        if clean is not raw:
            log.critical("card_number_in_notification", connector_account=account.id)
            read = connector.notifications(clean)
        items = [mine(n, account) for n in read]
    except Exception as error:  # Authentic, so it must not be lost, whatever it is.
        log.error("notification_unreadable", connector_account=account.id, error=type(error).__name__)
        clean = redacted_document(raw)
        items = [unreadable(raw)]
    raw = clean
    reach("inbox.before")
    try:
        new = await inbox.keep(s.inbox, account.id, items, raw)
    except inbox.REFUSED as error:  # It says what no column takes; as it came it can be kept.
        log.error("notification_unreadable", connector_account=account.id, error=type(error).__name__)
        items = [unreadable(raw)]
        new = await inbox.keep(s.inbox, account.id, items, raw)
    reach("inbox.after")
    NOTIFICATIONS.labels(account.connector, "stored").inc(new)
    NOTIFICATIONS.labels(account.connector, "repeated").inc(len(items) - new)
    return connector.accepted


def ids_of(n: Notification) -> set[str | None]:
    """What names things, which no redaction may touch: a scheme's number for a payment may look like a card's."""
    names = {n.event_id, n.reference, n.psp_reference, n.parent_psp_reference, n.merchant_account, n.psp_token}
    return names | {getattr(n.outcome, name, None) for name in APPROVED_WITH}


def unreadable(raw: bytes) -> Notification:
    return Notification(event_id=hashlib.sha256(raw).hexdigest(), kind="unreadable")


def mine(n: Notification, account: ConnectorAccount) -> Notification:
    """What is about another merchant account than this one's is kept, and never applied."""
    if n.merchant_account in {None, account.merchant_account}:
        return n
    return structs.replace(n, kind=f"{n.kind} of another merchant account", outcome=None, psp_token=None)


async def apply_one(s: Scrooge, row: inbox.Unread) -> None:
    """Applies one stored notification, or leaves it for its next turn.

    One that cannot be applied holds up no other, and is not tried for ever. Raises what made it fail, until it is
    given up; a database that cannot be reached is no reason. One that kills its worker each time is given up unseen.
    """
    reach("receive.claimed")
    if row.tries > LAST_TRY:
        await given_up(s, row, "it was claimed again and again, and never filed")
        return
    try:
        await apply_or_park(s, row)
    except Exception as error:
        passing = isinstance(error, NOT_KEPT) and not isinstance(error, inbox.REFUSED)
        NOTIFICATIONS.labels("*", "failed").inc()
        if passing or row.tries < PARK_TRIES:
            raise
        log.error("notification_given_up", event_id=row.event_id, error=type(error).__name__, exc_info=True)
        await given_up(s, row, f"applying it failed: {type(error).__name__}")


async def apply_or_park(s: Scrooge, row: inbox.Unread) -> None:
    n = row.notification
    if n is not None and n.psp_token is not None:
        await updates.heard(s, row, n)
        return
    if n is None or n.outcome is None:
        raise MalformedNotification(row.event_id)
    found = await match(s, row.connector_account, n)
    if found is None:
        if row.tries >= PARK_TRIES:
            await orphaned(s, row, n)
        return
    p, attempt, outcome = found
    state, note = "applied", None
    if isinstance(outcome, Unknown) and outcome.differs:  # An approval of another amount than asked is not believed.
        state, note = "contradicted", outcome.reason
        await breaks.difference(s, p, attempt.id, outcome)
    elif outcome is not None:
        try:
            await apply(s, p, attempt.id, outcome)
        except ContradictoryOutcome as error:
            state, note = "contradicted", error.detail
    reach("receive.applied")
    NOTIFICATIONS.labels("*", state).inc()
    await inbox.file(s.db, row, state, note)


async def orphaned(s: Scrooge, row: inbox.Unread, n: Notification) -> None:
    """News about nothing we know, long enough: kept, and shown to an operator."""
    detail = {"reference": n.reference, "psp_reference": n.psp_reference}
    await breaks.unapplied(s, row, "orphan_notification", detail)
    await inbox.file(s.db, row, "unhandled", "no attempt of ours matches")


async def given_up(s: Scrooge, row: inbox.Unread, why: str) -> None:
    """It failed for good: what it would tell is still in the inbox, as it came, and an operator hears of it."""
    n = row.notification
    told = {"reference": n.reference, "psp_reference": n.psp_reference} if n is not None else {}
    await breaks.unapplied(s, row, "poisoned_notification", {**told, "why": why, "tries": row.tries})
    await inbox.file(s.db, row, "unhandled", why)


# --- which attempt is it about? -------------------------------------------------------------


async def match(s: Scrooge, account_id: str, n: Notification) -> tuple[Payment, Attempt, Outcome | None] | None:
    """By our reference, else by the PSP's, else by the authorization it builds on. None: not known (yet)."""
    account = await s.directory.account_by_id(account_id)
    assert account is not None
    for payment_id in await candidates(s, account_id, n):
        p = await payments.read(s.db, payment_id)
        if p is None:
            continue
        attempts = [a for a in p.attempts if a.connector_account == account_id]
        news = of_verification(attempts, n)
        attempt = pick(attempts, news)
        if attempt is not None:
            return p, attempt, told(p, attempt, account, news)
    return None


def of_verification(attempts: list[Attempt], n: Notification) -> Notification:
    """A PSP that verifies by an authorization for nothing tells of one."""
    if n.operation is Operation.AUTHORIZE and any(a.operation is Operation.VERIFY for a in attempts):
        return structs.replace(n, operation=Operation.VERIFY)
    return n


async def candidates(s: Scrooge, account_id: str, n: Notification) -> list[str]:
    ours = OURS.fullmatch(n.reference or "")
    if ours is not None:
        return [ours[1]] if is_id(ours[1]) else []
    found: list[str] = []
    for psp_reference in (n.psp_reference, n.parent_psp_reference):
        if psp_reference:
            rows = await payments.attempts_at_psp(s.db, account_id, psp_reference)
            found += [payment_id for payment_id, _, _ in rows]
    return list(dict.fromkeys(found))


def is_id(text: str) -> bool:
    try:
        number_of(text, "pay")
    except MalformedId:
        return False
    return True


def pick(attempts: list[Attempt], n: Notification) -> Attempt | None:
    """The attempt a notification is about, among those of one payment at its account.

    News that names a reference is about that attempt or about nothing of ours: a refund made at the PSP's own
    site carries the payment's reference and must not be taken for a refund we asked.
    """
    if n.reference:
        named = [a for a in attempts if a.reference == n.reference]
        return next((a for a in named if a.operation is n.operation or belongs_to_authorization(a, n)), None)
    of_kind = [a for a in attempts if a.operation is n.operation]
    same = [a for a in of_kind if n.psp_reference and a.psp_reference == n.psp_reference]
    if same:
        return next((a for a in same if a.state in OPEN), same[-1])
    waiting = [a for a in of_kind if a.state in OPEN and builds_on(attempts, a, n)]
    if len(waiting) == 1:
        return waiting[0]
    names = {n.psp_reference, n.parent_psp_reference} - {None}
    behind = [a for a in attempts if a.psp_reference in names and belongs_to_authorization(a, n)]
    return behind[-1] if behind and not waiting else None


def builds_on(attempts: list[Attempt], a: Attempt, n: Notification) -> bool:
    parent = next((p for p in attempts if p.id == a.parent), None)
    return bool(n.parent_psp_reference and parent is not None and parent.psp_reference == n.parent_psp_reference)


def belongs_to_authorization(a: Attempt, n: Notification) -> bool:
    """A capture that came with the authorization (a sale), or a void we did not ask for."""
    with_sale = n.operation is Operation.CAPTURE and a.sale
    return a.operation is Operation.AUTHORIZE and (with_sale or n.operation is Operation.VOID)


def told(p: Payment, attempt: Attempt, account: ConnectorAccount, n: Notification) -> Outcome | None:
    """The news in terms of the attempt it was matched to; None when it teaches nothing about that one."""
    outcome = n.outcome
    if n.doubtful and attempt.state not in {State.SENT, State.UNKNOWN}:
        return None
    if attempt.operation is n.operation or outcome is None:
        if isinstance(outcome, Approved) and attempt.approved_minor and outcome.amount == p.money(attempt.money):
            return outcome  # A partial approval, as the reply had said.
        return checked(command_of(p, attempt, account), outcome) if isinstance(outcome, Approved) else outcome
    if n.operation is Operation.CAPTURE:  # The capture half of a sale.
        failed = isinstance(outcome, Declined | Rejected | Reversed)
        return Reversed("the capture of the sale failed") if failed else None
    if isinstance(outcome, Approved | Reversed):  # Voided at the PSP, not by us.
        return Reversed("canceled at the PSP", ReversalKind.CANCELED)
    return None
