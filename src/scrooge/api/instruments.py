"""Instruments: what a payer pays with, by the tokens that PSPs gave for it. Never card numbers."""

import time

from scrooge.api import bodies, instrument_answers, pages
from scrooge.api.call import Answer, Call
from scrooge.errors import InvalidField, ModeMismatch, NotFound, UnknownConnectorAccount, UnsupportedOperation
from scrooge.flows import cards, errands
from scrooge.ids import bucket_of, new_id, number_of
from scrooge.postgres.rows import instant
from scrooge.storage import instruments
from scrooge.storage.instruments import Credential, Instrument


async def create(call: Call) -> Answer:
    body: bodies.CreateInstrument = call.body
    merchant = call.principal.merchant
    card = body.card or bodies.InstrumentCard()
    instrument = Instrument(
        id=new_id("ins", bucket_of(merchant, body.customer)), merchant=merchant,
        livemode=call.principal.livemode, customer=body.customer, brand=card.brand, iin=card.iin,
        last4=card.last4, exp=card.exp, credentials=await credentials_of(call, body.credentials),
        network_transaction_id=body.network_transaction_id, created_at=time.time_ns() // 1000,
    )  # fmt: skip
    await instruments.add(call.s.db, instrument)
    return Answer(201, await shown(call, instrument))


async def credentials_of(call: Call, asked: list[bodies.InstrumentCredential]) -> tuple[Credential, ...]:
    """Raises UnknownConnectorAccount, ModeMismatch, InvalidField for two at one connector account."""
    found: dict[str, Credential] = {}
    for position, c in enumerate(asked):
        param = f"credentials.{position}.connector_account"
        account = await call.s.directory.account(c.connector_account, call.principal.merchant)
        if account is None:
            raise UnknownConnectorAccount("no such connector account", param=param)
        if call.s.directory.is_ledger(account.id):
            raise InvalidField("stored value has instruments of its own: open an account of it", param=param)
        if account.livemode is not call.principal.livemode:
            raise ModeMismatch("the connector account is of the other mode", param=param)
        if account.id in found:
            raise InvalidField("one credential per connector account", param=param)
        found[account.id] = Credential(account.id, c.psp_token, c.psp_customer)
    return tuple(found.values())


async def read(call: Call) -> Answer:
    return Answer(200, await shown(call, await instrument_of(call)))


async def delete(call: Call) -> Answer:
    instrument = await instrument_of(call)
    if instrument.stored_value is not None:
        raise UnsupportedOperation("it stands for an account of stored value: close that instead")
    if not await errands.forget(call.s, instrument.merchant, instrument.id):
        raise NotFound("no such instrument")
    return Answer(200, instrument_answers.Deleted(id=instrument.id, object="instrument", deleted=True))


async def of_customer(call: Call) -> Answer:
    query: bodies.InstrumentFilter = call.query
    who = call.principal
    before = pages.position_of(call, query.cursor, "cursor", tuple[str])[0] if query.cursor else None
    found, place = await instruments.of_customer(
        call.s.db, who.merchant, query.customer, who.livemode, before, query.limit
    )
    cursor = pages.cursor_of(call, [place]) if place else None
    document = instrument_answers.InstrumentList(
        data=[await shown(call, i) for i in found], **pages.listed(call, cursor, more=cursor is not None)
    )
    return Answer(200, document, pages.link(call, cursor))


async def instrument_of(call: Call) -> Instrument:
    """Raises NotFound, for one of the other mode as well."""
    number_of(call.path["instrument"], "ins")
    found = await cards.instrument(call.s, call.principal.merchant, call.path["instrument"])
    if found is None or found.livemode is not call.principal.livemode:
        raise NotFound("no such instrument")
    return found


async def shown(call: Call, i: Instrument) -> instrument_answers.Instrument:
    credentials: list[instrument_answers.PspToken | instrument_answers.VaultCard | instrument_answers.NetworkToken] = []
    for c in i.credentials:
        account = await call.s.directory.account_by_id(c.connector_account)
        assert account is not None, "connector accounts are never deleted"
        credentials.append(
            instrument_answers.PspToken(
                connector_account=account.name, psp_token=c.psp_token, psp_customer=c.psp_customer, source=c.source
            )
        )
    if i.card_status is not None and i.card_status != "deleted":
        credentials.append(instrument_answers.VaultCard(status=i.card_status))
    if i.network_token is not None:
        t = i.network_token
        credentials.append(instrument_answers.NetworkToken(last4=t.last4, exp=t.exp, status=t.status))
    return instrument_answers.Instrument(
        id=i.id,
        object="instrument",
        livemode=i.livemode,
        customer=i.customer,
        card=instrument_answers.Card(brand=i.brand, iin=i.iin, last4=i.last4, exp=i.exp),
        credentials=credentials,
        fingerprint=i.fingerprint,
        has_network_transaction_id=i.network_transaction_id is not None,
        stored_value_account=i.stored_value.id if i.stored_value else None,
        created_at=instant(i.created_at),
    )
