"""What is announced: one event for each thing that became true, written in the commit that made it so."""

import msgspec

from scrooge.domain.attempt import OPEN, Attempt, Operation
from scrooge.domain.means import need_of
from scrooge.domain.news import FAILED, NEEDED, OF_STORED_VALUE, REVIEW, event_of
from scrooge.domain.payment import Payment, standing, status_of
from scrooge.domain.recovery import Phase
from scrooge.ids import retyped
from scrooge.money import decimal, exponent_of
from scrooge.postgres.rows import instant
from scrooge.risk.record import Kept
from scrooge.storage.changes import Announcement
from scrooge.storage.listing import Event


def announcement(p: Payment, before: Attempt | None, after: Attempt, account: str) -> Announcement | None:
    """The event of one attempt's change; None when nothing became true. `account`: the connector account's name."""
    event = event_of(before, after)
    return None if event is None else Announcement(after.id, event, content_of(p, after, account))


def next_step(p: Payment, a: Attempt, account: str) -> list[Announcement]:
    """The event of the payment's last step after a decline, where there is one to tell."""
    r = p.retry
    assert r is not None
    told: dict[str, object] = {"because": r.because, "retries": r.round}
    match r.phase:
        case Phase.SCHEDULED:
            kind, told = "retry_scheduled", {"at": instant(r.at or 0), **told}
        case Phase.RECOVERED | Phase.LOST | Phase.CANCELED:
            kind, told = "retry_ended", {"outcome": r.phase, **told}
        case Phase.CUSTOMER:
            need = need_of(r.decline, a.advice_code)
            told = {"need": need, "until": instant(p.retry_until or 0), "update_links": update_links(p), **told}
            kind = NEEDED
        case _:
            return []
    return [Announcement(a.id, kind, {**content_of(p, a, account), "retry": told})]


def update_links(p: Payment) -> str | None:
    """Where a POST answers with the page on which the payer gives another card. Its URL is a secret: asked for."""
    return None if p.mandate is None else f"/v1/payments/{p.id}/update-links"


def content_of(p: Payment, a: Attempt, account: str) -> dict[str, object]:
    """What an event tells: the attempt and the payment as they now are."""
    public = {"capture": "cap", "void": "voi", "refund": "ref", "increment": "inc"}.get(a.operation)
    return {
        "operation": a.operation,
        "id": retyped(p.id, "ver") if not p.minor else retyped(a.id, public) if public else a.id,
        "state": a.state,
        "amount": {"value": p.money(a.money).value, "currency": p.currency},
        "reference": a.caller_reference,
        "connector_account": account,
        "psp_reference": a.psp_reference,
        **({"decline": a.decline} if a.decline else {}),
        **({"reason": a.reason} if a.reason and a.state not in OPEN else {}),
        "payment": state_of(p),
    }


def failure(p: Payment) -> Announcement:
    """The event of a payment that ends before any PSP is asked."""
    assert p.failure is not None
    operation = "sale" if p.sale else Operation.AUTHORIZE
    told = {"code": p.failure.code, "detail": p.failure.detail, "reasons": p.failure.reasons}
    return Announcement(None, FAILED, {"operation": operation, "failure": told, "payment": state_of(p)})


def review(p: Payment, check: Kept | None) -> Announcement:
    """The event of a payment that goes on, and that somebody should look at."""
    return Announcement(None, REVIEW, {"check": msgspec.to_builtins(check), "payment": state_of(p)})


def state_of(p: Payment) -> dict[str, object]:
    t = standing(p)
    amounts = {"amount": p.minor, "amount_authorized": t.authorized, "amount_captured": t.captured,
               "amount_refunded": t.refunded, "amount_voided": t.voided}  # fmt: skip
    exponent = exponent_of(p.currency)
    told = {name: {"value": decimal(minor, exponent), "currency": p.currency} for name, minor in amounts.items()}
    part = {"part_of": p.part_of} if p.part_of else {}
    return {"id": p.id, "reference": p.reference, "status": status_of(p), **told, **part}


def shown(e: Event, livemode: bool) -> dict[str, object]:
    """An event as a merchant sees it: in the feed and in a webhook alike."""
    return {
        "id": e.id,
        "object": "event",
        "type": e.type,
        "created_at": instant(e.created_at),
        "payment": retyped(e.payment, "sva") if e.type in OF_STORED_VALUE else e.payment,
        "attempt": e.attempt,
        "object_version": e.object_version,
        "livemode": livemode,
        "data": e.content,
    }
