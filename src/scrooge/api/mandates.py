"""Mandates: what payers agreed to, for which payments, and that it ends."""

import re
from typing import Literal

from msgspec import UNSET

from scrooge.api import mandate_answers as answers
from scrooge.api import pages
from scrooge.api.call import Answer, Call
from scrooge.api.show import amount
from scrooge.domain.mandate import Mandate, Revoked, consent_of
from scrooge.errors import NotFound
from scrooge.flows import mandates
from scrooge.flows.mandates import paid_with
from scrooge.postgres.rows import instant
from scrooge.storage import instruments
from scrooge.storage import mandates as rows
from scrooge.storage.instruments import Instrument

NAME = re.compile(r"[^\x00-\x1f\x7f]{1,128}")  # as a payment may name its customer
STORED: Literal["stored"] = "stored"


async def read(call: Call) -> Answer:
    return Answer(200, await one(call, await mandates.visible(call.s, call.principal, call.path["mandate"])))


async def revoke(call: Call) -> Answer:
    body: answers.RevokeMandate = call.body
    why = Revoked(body.reason, body.by)
    return Answer(200, await one(call, await mandates.revoke(call.s, call.principal, call.path["mandate"], why)))


async def of_customer(call: Call) -> Answer:
    query: answers.MandatePage = call.query
    who = call.principal
    before = pages.position_of(call, query.cursor, "cursor", tuple[str])[0] if query.cursor else None
    customer = call.path["customer"]
    if not NAME.fullmatch(customer):
        raise NotFound("nobody can be called so")
    found, place = await rows.of_customer(call.s.db, who.merchant, customer, who.livemode, before, query.limit)
    cursor = pages.cursor_of(call, [place]) if place else None
    document = answers.MandateList(
        data=await several(call, found), **pages.listed(call, cursor, more=cursor is not None)
    )
    return Answer(200, document, pages.link(call, cursor))


async def one(call: Call, m: Mandate) -> answers.Mandate:
    return (await several(call, [m]))[0]


async def several(call: Call, found: list[Mandate]) -> list[answers.Mandate]:
    paid = await instruments.read(call.s.db, list({m.instrument for m in found}))
    return [await shown(call, m, paid.get(m.instrument)) for m in found]


async def shown(call: Call, m: Mandate, i: Instrument | None) -> answers.Mandate:
    """`i`: its instrument, unless that was deleted."""
    named = paid_with(i, m).network_transaction_id if i else m.network_transaction_id
    kept = []
    for c in i.credentials if i else ():
        account = await call.s.directory.account_by_id(c.connector_account)
        assert account is not None, "connector accounts are never deleted"
        kept.append(answers.Stored(connector_account=account.name, token=STORED))
    own = i is not None and (i.vault or (i.network_token is not None and i.network_token.status == "active"))
    t, why = m.terms, m.revoked
    return answers.Mandate(
        id=m.id,
        object="mandate",
        version=m.version,
        livemode=m.livemode,
        customer=m.customer,
        instrument=m.instrument,
        use=m.use,
        status=m.status,
        network_transaction_ids={(i.brand if i else None) or "unknown": named} if named else {},
        credentials=kept,
        portable=own and named is not None,
        consent=answers.Consent(
            at=instant(m.consent_at),
            payment=consent_of(m.id),
            max=None if t.max_minor is None or t.currency is None else amount(t.max_minor, t.currency),
            interval=t.period,
            description=t.description,
            fallback=t.fallback,
        ),
        earlier=[
            answers.EarlierCard(instrument=c.instrument, verification=c.verification, until=instant(c.until))
            for c in m.earlier
        ],
        revoked=answers.RevokedMandate(at=instant(why.at), because=why.because, by=why.by) if why else UNSET,
    )
