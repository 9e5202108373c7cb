"""Payments under a mandate, and its end. What is asked of one here is asked again by the statement that records.

A mandate is known from the moment of its payment; its row is written with all else that the approval teaches. Whoever
asks for one in between has that learned at once, so that nobody waits for a worker.
"""

from msgspec import structs

from scrooge.domain.attempt import OPEN, State
from scrooge.domain.mandate import USES, Mandate, Revoked, Status, Terms, consent_of, mandate_of
from scrooge.domain.payment import Payment, authorization_of
from scrooge.errors import (
    AmountOverMandate,
    InvalidField,
    MalformedId,
    MandatePending,
    MandateRevoked,
    ModeMismatch,
    NotFound,
    UnknownMandate,
)
from scrooge.flows.saving import learn
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import number_of
from scrooge.money import Money
from scrooge.storage import mandates, payments
from scrooge.storage.directory import Principal
from scrooge.storage.instruments import Instrument


async def active(s: Scrooge, principal: Principal, mandate_id: str) -> Mandate:
    """Raises UnknownMandate, ModeMismatch, MandatePending, MandateRevoked."""
    try:
        number_of(mandate_id, "man")
    except MalformedId:
        raise UnknownMandate("no such mandate", param="mandate") from None
    found = await known(s, mandate_id)
    if found is None or found.merchant != principal.merchant:
        raise UnknownMandate("no such mandate", param="mandate")
    if found.livemode is not principal.livemode:
        raise ModeMismatch("the mandate is of the other mode", param="mandate")
    if found.revoked is not None:
        raise MandateRevoked(f"revoked by the {found.revoked.by}: {found.revoked.because}", param="mandate")
    if found.status is Status.PENDING:
        raise MandatePending("the payment with which the payer agreed is not approved yet", param="mandate")
    return found


def within(m: Mandate, amount: Money) -> None:
    """Raises AmountOverMandate."""
    if m.terms.max_minor is None or m.terms.currency is None:
        return
    most = Money(m.terms.max_minor, m.terms.currency)
    if amount.currency != most.currency or amount.minor > most.minor:
        told = {"value": most.value, "currency": most.currency}
        raise AmountOverMandate(f"the payer agreed to {most} at most", param="amount", max=told)


async def of_payment(s: Scrooge, principal: Principal, p: Payment) -> Mandate | None:
    """The mandate under which a payment was made, if it was and may be again. Raises MandateRevoked."""
    return None if p.mandate is None else await active(s, principal, p.mandate)


def paid_with(instrument: Instrument, m: Mandate | None) -> Instrument:
    """The mandate's instrument, with the scheme's id of the payment in which the payer agreed.

    Raises InvalidField for any other: the payer agreed to nothing for that.
    """
    if m is None:
        return instrument
    if instrument.id != m.instrument:
        raise InvalidField("the mandate is for another instrument", param="instrument")
    if m.network_transaction_id is None:
        return instrument
    return structs.replace(instrument, network_transaction_id=m.network_transaction_id)


async def known(s: Scrooge, mandate_id: str) -> Mandate | None:
    """As it is now, whoever it belongs to: from its row, else from the payment with which the payer agreed."""
    found = await s.reader.mandate(mandate_id)
    if found is not None:
        return found
    p = await payments.read(s.db, consent_of(mandate_id))
    if p is None or p.save_for is None or p.initiator != "customer":
        return None
    taught = next((a for a in p.attempts if a.teaches is not None and a.state is State.APPROVED), None)
    if taught is not None:
        await learn(s, p.id, taught.id)
    written = (await mandates.read_many(s.db, [mandate_id])).get(mandate_id)
    return written or pending(p)


def pending(p: Payment) -> Mandate | None:
    """None: the payer agreed with a payment that was not approved."""
    a = authorization_of(p)
    if a is None or a.state not in OPEN or p.save_for is None:
        return None
    return Mandate(
        id=mandate_of(p.id), merchant=p.merchant, livemode=p.livemode, caller=p.caller, customer=p.customer or "",
        instrument=p.instrument or "", use=USES[p.save_for], status=Status.PENDING, terms=p.save_terms or Terms(),
        consent_at=p.created_at,
    )  # fmt: skip


async def visible(s: Scrooge, principal: Principal, mandate_id: str) -> Mandate:
    """Raises NotFound, for one of another merchant or mode as well, and MalformedId, shown as not found."""
    number_of(mandate_id, "man")
    found = await known(s, mandate_id)
    if found is None or found.merchant != principal.merchant or found.livemode is not principal.livemode:
        raise NotFound("no such mandate")
    return found


async def revoke(s: Scrooge, principal: Principal, mandate_id: str, why: Revoked) -> Mandate:
    """Nothing is paid under it any more; what is out at a PSP stays out. Doing it twice changes nothing."""
    m = await visible(s, principal, mandate_id)
    if m.revoked is None:
        async with s.db.transaction() as connection:
            if m.status is Status.PENDING:
                await mandates.write(connection, [m])
            await mandates.revoke(connection, [m], why)  # Its event tells who did it, and why.
    return (await mandates.read_many(s.db, [m.id]))[m.id]
