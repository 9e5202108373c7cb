"""Verifications of instruments: a card checked for nothing, on the same road as a payment."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from scrooge.api import answers, bodies, show
from scrooge.api.call import Answer, Call
from scrooge.api.facts import facts_of
from scrooge.api.payments import headers_of
from scrooge.domain.attempt import State
from scrooge.domain.payment import Payment, certain
from scrooge.flows import verify
from scrooge.flows.wanted import Wanted
from scrooge.ids import retyped
from scrooge.money import Money, exponent_of
from scrooge.postgres.rows import instant

WORDS = {
    State.APPROVED: "verified",
    State.DECLINED: "declined",
    State.ACTION_REQUIRED: "requires_action",
    State.REJECTED: "failed",
    State.REVERSED: "failed",
}
STATUSES = ["verified", "declined", "requires_action", "processing", "failed"]


class VerifyInstrument(bodies.Body, frozen=True, kw_only=True):
    """`currency` is the one that later payments will be in. With `save_for` what a payment would keep is kept."""

    reference: bodies.Reference
    currency: Annotated[str, Meta(min_length=3, max_length=3, examples=["EUR"])]
    return_url: bodies.Url | None = None
    connector_account: bodies.AccountName | None = None
    save_for: bodies.SaveFor | None = None


class Verification(answers.Answered, frozen=True, kw_only=True):
    """Whether the card's issuer says that it can be paid with. `payment` is the payment of zero behind it."""

    id: str
    object: Literal["verification"]
    status: Annotated[str, Meta(extra_json_schema={"enum": STATUSES})]
    outcome_certainty: answers.Certainty
    livemode: bool
    reference: str
    instrument: str
    currency: str
    payment: str
    attempt: str
    connector_account: str
    psp_reference: str | None
    network_transaction_id: str | None
    checks: dict[str, str]
    decline: answers.Decline | None
    reason: str | None
    created_at: answers.Moment
    next_action: answers.NextAction | UnsetType = UNSET


async def create(call: Call) -> Answer:
    body: VerifyInstrument = call.body
    exponent_of(body.currency)  # Raises UnknownCurrency.
    wanted = Wanted(
        reference=body.reference, amount=Money(0, body.currency), instrument=call.path["instrument"],
        capture="manual", return_url=body.return_url, connector_account=body.connector_account,
        save_for=body.save_for.use if body.save_for else None,
    )  # fmt: skip
    p, replayed = await verify.verify(call.s, call.principal, wanted, call.key)
    status = 201 if certain(p) else 202
    return Answer(status, await shown(call, p), headers_of(status, replayed), payment=p.id)


async def read(call: Call) -> Answer:
    p = await verify.seen(call.s, call.principal, call.path["verification"])
    return Answer(200, await shown(call, p), payment=p.id)


async def shown(call: Call, p: Payment) -> Verification:
    facts = await facts_of(call, [p], cards=False)
    [a] = p.attempts
    return Verification(
        id=retyped(p.id, "ver"),
        object="verification",
        status=WORDS.get(a.state, "processing"),
        outcome_certainty="certain" if certain(p) else "unknown",
        livemode=p.livemode,
        reference=p.reference,
        instrument=p.instrument or "",
        currency=p.currency,
        payment=p.id,
        attempt=a.id,
        connector_account=facts.accounts[a.connector_account].name,
        psp_reference=a.psp_reference,
        network_transaction_id=a.network_transaction_id,
        checks=a.checks,
        decline=show.decline(a, facts),
        reason=a.reason,
        created_at=instant(p.created_at),
        next_action=show.next_action(a, facts),
    )
