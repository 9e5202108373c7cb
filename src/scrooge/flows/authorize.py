"""Create a payment and authorize it: route, perform, and go elsewhere on a decline that allows it."""

import secrets

import structlog
from msgspec import Struct, structs

from scrooge.connectors.connector import Request, render
from scrooge.connectors.limits import Slot
from scrooge.crash import reach
from scrooge.domain.attempt import Attempt, Counted, Operation, State
from scrooge.domain.outcome import Outcome, Rejected
from scrooge.domain.payment import Payment, authorization_of, decide
from scrooge.domain.retry import Stop, next_step
from scrooge.errors import (
    AuthorizationLive,
    InstrumentNotOfCustomer,
    MalformedId,
    ModeMismatch,
    NotFound,
    Problem,
    PspOverloaded,
    ReattemptRefused,
    ReferenceExists,
    RequestInProgress,
    SettingsError,
    UnknownInstrument,
)
from scrooge.flows import cards
from scrooge.flows.ask import SECOND, account_of, ask, command_of
from scrooge.flows.keys import Keyed, earlier, guard_of
from scrooge.flows.perform import GRACE, NOT_KEPT, apply_or_unknown, change_of, latest, saved, time_to_ask
from scrooge.flows.route import Asked, Routed, asked_again, network_token_at, route_of
from scrooge.flows.scrooge import Scrooge, now
from scrooge.ids import bucket_in, bucket_of, new_id
from scrooge.money import Money
from scrooge.postgres.database import redone
from scrooge.routing.schemes.rules import card_key
from scrooge.storage import changes, payments
from scrooge.storage.directory import ConnectorAccount, Principal
from scrooge.storage.instruments import Instrument

log = structlog.get_logger()


class Wanted(Struct, frozen=True, kw_only=True):
    """What a caller asks for. `connector_account` (id or name), where given, is the only one to try."""

    reference: str
    amount: Money
    instrument: str
    customer: str | None = None
    initiator: str = "customer"
    purpose: str | None = None
    capture: str = "automatic"
    return_url: str | None = None
    statement_descriptor: str | None = None
    metadata: dict[str, str] = {}
    connector_account: str | None = None
    save_for: str | None = None


async def create(s: Scrooge, principal: Principal, wanted: Wanted, keyed: Keyed) -> tuple[Payment, bool]:
    """The payment, and whether it is the answer to an earlier request with the same key.

    Raises the Problems of what cannot be asked; never one for what a PSP answers.
    """
    try:
        instrument = await instrument_of(s, principal, wanted.instrument, wanted.customer)
        route = await route_of(s, principal, instrument, wanted.connector_account, asked(wanted))
        slot, account, behind = await s.limits.first(route.accounts, keyed.until)
    except Problem:
        before = await earlier(s, principal, keyed)  # The world may have changed since the key was used.
        if before is None:
            raise
        return before[0], True
    with slot:
        return await made(s, principal, wanted, keyed, instrument, route, slot, account, behind)


async def made(
    s: Scrooge, principal: Principal, wanted: Wanted, keyed: Keyed, instrument: Instrument,
    route: Routed, slot: Slot, account: str, behind: tuple[str, ...],
) -> tuple[Payment, bool]:  # fmt: skip
    """Records the payment with an attempt at the account that gave us a slot, and goes through with it."""
    bucket = bucket_of(principal.merchant, principal.caller, wanted.reference)
    created_at = now()
    p = Payment(
        id=new_id("pay", bucket), merchant=principal.merchant, caller=principal.caller,
        reference=wanted.reference, minor=wanted.amount.minor, currency=wanted.amount.currency,
        livemode=principal.livemode, sale=wanted.capture == "automatic", accounts=behind,
        customer=wanted.customer or instrument.customer, instrument=instrument.id,
        initiator=wanted.initiator, purpose=wanted.purpose, return_url=wanted.return_url,
        statement_descriptor=wanted.statement_descriptor, metadata=wanted.metadata, save_for=wanted.save_for,
        created_at=created_at,
    )  # fmt: skip
    p, request = await attempted(s, p, instrument, account)
    attempt = p.attempts[-1]
    ask_at = await time_to_ask(s, p, attempt)
    assert ask_at is not None
    s.limits.check(keyed.until)
    reach("record.before")
    try:
        recorded = await s.writer.create((p, guard_of(principal, keyed), request, ask_at, route.record(s, account)))
    except ReattemptRefused:
        before = await earlier(s, principal, keyed)
        if before is None:
            raise
        return before[0], True
    if not recorded:
        return await existing(s, principal, wanted.reference, bucket, keyed), True
    reach("record.after")
    route.left(s, p.id)
    return await through(s, p, instrument, request, slot), False


async def again(
    s: Scrooge, principal: Principal, payment_id: str, instrument_id: str | None, keyed: Keyed
) -> tuple[Payment, bool]:
    """A fresh authorization of a payment whose last one was declined, voided or expired."""
    p = await visible(s, principal, payment_id)
    before = await earlier(s, principal, keyed)
    if before is not None:
        return before[0], True
    instrument = await instrument_of(s, principal, instrument_id or p.instrument or "", p.customer)
    route = await route_of(s, principal, instrument, None, asked_again(p))
    slot, account, behind = await s.limits.first(route.accounts, keyed.until)
    with slot:
        try:
            recorded = await recorded_again(s, principal, p, instrument, keyed, route, account, behind)
        except AuthorizationLive:
            before = await earlier(s, principal, keyed)  # A copy of this request may be what made it live.
            if before is None:
                raise
            return before[0], True
        if recorded is not None:
            after, request = recorded
            return await through(s, after, instrument, request, slot), False
    before = await earlier(s, principal, keyed)
    assert before is not None
    return before[0], True


@redone
async def recorded_again(
    s: Scrooge, principal: Principal, p: Payment, instrument: Instrument, keyed: Keyed,
    route: Routed, account: str, behind: tuple[str, ...],
) -> tuple[Payment, Request] | None:  # fmt: skip
    """Decides under the lock and commits the attempt. None: the key was used meanwhile."""
    payment_id = p.id
    async with s.turn(p.id), s.db.transaction() as connection:
        current = await payments.lock(connection, payment_id)
        assert current is not None
        renewed = structs.replace(current, accounts=behind, answered=False, instrument=instrument.id)
        after, request = await attempted(s, renewed, instrument, account)
        attempt_id = after.attempts[-1].id
        guard = guard_of(principal, keyed)
        deadline = after.deadline_at
        if not await payments.claim_key(connection, guard, principal.caller, payment_id, attempt_id, deadline):
            return None
        s.limits.check(keyed.until)
        reach("record.before")
        why = {attempt_id: route.record(s, account)}
        await changes.save(connection, [await change_of(s, current, after, {attempt_id: request}, why)])
        reach("record.written")
    reach("record.after")
    route.left(s, payment_id)
    return structs.replace(after, version=current.version + 1), request


async def through(s: Scrooge, p: Payment, instrument: Instrument, request: Request, slot: Slot) -> Payment:
    """Ask about the last attempt, apply, and cascade while the outcome allows it."""
    tries = 0
    while True:
        tries += 1
        attempt = p.attempts[-1]
        connector = s.connectors[(await account_of(s, attempt)).connector]
        endpoint = connector.endpoints[Operation.AUTHORIZE]
        outcome = await ask(s, p, attempt.id, endpoint, request, first=True, slot=slot)
        again = by_card_instead(outcome, request, instrument)
        step = next_step(outcome, tries, len(p.accounts) + again)
        last = isinstance(step, Stop)
        after = await apply_or_unknown(s, p, attempt.id, outcome, answered=last, first=True)
        ended = after.attempt(attempt.id).state in {State.DECLINED, State.REJECTED}
        if last or after.answered or not ended or after.version == p.version:
            return after
        if again:
            instrument = structs.replace(instrument, network_token=None)
            after = structs.replace(after, accounts=(attempt.connector_account, *after.accounts))
        try:
            following = await elsewhere(s, after, instrument, slot)
        except NOT_KEPT as error:
            log.error("cascade_not_recorded", payment=p.id, error=type(error).__name__)
            return after
        if following is None:
            return await latest(s, after)
        p, request = following


def by_card_instead(outcome: Outcome, request: Request, instrument: Instrument) -> bool:
    """May the card itself go where its network token could not? Only what never left us, or was not processed, may."""
    return isinstance(outcome, Rejected) and request.token is not None and instrument.vault


async def elsewhere(s: Scrooge, p: Payment, instrument: Instrument, slot: Slot) -> tuple[Payment, Request] | None:
    """Records an attempt at the next account. None when somebody else changed the payment meanwhile."""
    try:
        if not slot.move(p.accounts[0]):
            raise PspOverloaded("the next PSP has no slot just now")
        after, request = await attempted(s, structs.replace(p, accounts=p.accounts[1:]), instrument, p.accounts[0])
    # The next PSP cannot take this amount or no more now, its credentials cannot be opened, or the authorization is
    # live again.
    except (Problem, SettingsError, OSError):
        after, request = (
            structs.replace(p, accounts=p.accounts[1:], answered=len(p.accounts) == 1),
            None,
        )
    requests = {after.attempts[-1].id: request} if request is not None else {}
    reach("cascade.before")
    if not await saved(s, p, after, requests):
        return None
    reach("cascade.after")
    after = structs.replace(after, version=p.version + 1)
    if request is not None:
        return after, request
    return await elsewhere(s, after, instrument, slot) if after.accounts else None


async def attempted(s: Scrooge, p: Payment, instrument: Instrument, account_id: str) -> tuple[Payment, Request]:
    """The payment with one more authorization at an account, and its request, built before it is recorded."""
    account = await s.directory.known(account_id)
    assert account is not None
    token = next((c for c in instrument.credentials if c.connector_account == account_id), None)
    instead = network_token_at(s, instrument, account) if token is None else None
    number, sent_at = len(p.attempts) + 1, now()
    return_token = secrets.token_hex(16)
    p = decide(
        p, Operation.AUTHORIZE, None, id=new_id("att", bucket_in(p.id)), number=number,
        connector_account=account_id, sale=p.sale, reference=f"{p.id}-{number}",
        return_token=return_token, sent_at=sent_at,
        teaches=instrument.id if teaches(p, instrument) else None,
        counted=counted(s, p, instrument, account, sent_at),
    )  # fmt: skip
    attempt: Attempt = p.attempts[-1]
    command = command_of(
        p,
        attempt,
        account,
        psp_token=token.psp_token if token else None,
        psp_customer=token.psp_customer if token else None,
        network_token=instead,
        vault_card=instrument.id if instrument.vault else None,
        network_transaction_id=instrument.network_transaction_id,
        return_url=f"{s.settings.base()}/return/{p.id}.{return_token}",
    )
    request = render(s.directory.wire(account).connector, command)
    deadline = sent_at + s.settings.psp_timeout_seconds * SECOND + GRACE
    return structs.replace(p, deadline_at=deadline), request


def asked(wanted: Wanted) -> Asked:
    money = wanted.amount
    return Asked(minor=money.minor, currency=money.currency, initiator=wanted.initiator, purpose=wanted.purpose)


def counted(s: Scrooge, p: Payment, instrument: Instrument, account: ConnectorAccount, at: int) -> Counted | None:
    """As what the attempt counts against the schemes' limits. No scheme hears of test mode, unless settings say so."""
    if not p.livemode and s.settings.scheme_limits != "all":
        return None
    card = card_key(instrument.fingerprint, None, account.connector, instrument.id)
    return Counted(card, instrument.brand or "", "", account.connector, at)


def teaches(p: Payment, instrument: Instrument) -> bool:
    """Does an approval bring something to keep: a token that is to be saved, the name of a card's first payment?"""
    return p.save_for is not None or (instrument.vault and instrument.network_transaction_id is None)


async def existing(s: Scrooge, principal: Principal, reference: str, bucket: int, keyed: Keyed) -> Payment:
    """Why a payment was not made: its key was used before, or its reference was."""
    try:
        before = await earlier(s, principal, keyed)
    except ReferenceExists:  # The key was used up by losing the reference to another; which one is found below.
        before = None
    if before is not None:
        return before[0]
    other = await payments.payment_of_reference(
        s.db, bucket, principal.merchant, principal.caller, principal.livemode, reference
    )
    if other is None:  # The one who held it gave up between our two looks.
        raise RequestInProgress("another request with this reference was running", retry_after=1)
    raise ReferenceExists("this reference was used before, under another key", param="reference", existing_id=other)


async def visible(s: Scrooge, principal: Principal, payment_id: str) -> Payment:
    """The payment, if it is the merchant's and of the key's mode. Raises NotFound either way, telling nothing."""
    await s.directory.refresh()
    p = await payments.read(s.db, payment_id)
    if p is None or p.merchant != principal.merchant or p.livemode is not principal.livemode:
        raise NotFound("no such payment")
    assert authorization_of(p) is not None or not p.attempts
    return p


async def instrument_of(s: Scrooge, principal: Principal, instrument_id: str, customer: str | None) -> Instrument:
    """Raises UnknownInstrument, ModeMismatch, InstrumentNotOfCustomer, VaultUnavailable."""
    try:
        found = await cards.instrument(s, principal.merchant, instrument_id)
    except MalformedId:
        found = None
    if found is None:
        raise UnknownInstrument("no such instrument", param="instrument")
    if found.livemode is not principal.livemode:
        raise ModeMismatch("the instrument is of the other mode", param="instrument")
    if customer is not None and customer != found.customer:
        raise InstrumentNotOfCustomer("the instrument belongs to another customer", param="customer")
    return found
