"""The page behind a link, as a payer's browser asks for it: shown, given a card, and come back to from a bank.

Of a link that is over, of one that never was, and of one that was guessed, the same is said.
"""

import msgspec
from msgspec import Struct

from scrooge.api.call import Answer, Call
from scrooge.api.updating import page
from scrooge.domain.mandate import Mandate
from scrooge.domain.outcome import NextAction
from scrooge.domain.payment import Payment
from scrooge.errors import VaultUnavailable
from scrooge.flows import update_links
from scrooge.flows.update_links import Stand, Step
from scrooge.money import Money
from scrooge.storage import instruments
from scrooge.storage.update_links import Link

HTML = "text/html"
BODY_MAX = 1024
WAITED = "waited"
AGAIN = frozenset({Step.REFUSED, Step.LATER})


class Sent(Struct, frozen=True):
    instrument: str


async def show(call: Call) -> Answer:
    link = await update_links.found(call.s, call.path["token"])
    if link is None:
        return said(Step.GONE)
    here, m = await update_links.stand(call.s, link, waited=WAITED in call.query_text)
    problem = call.query_text.rpartition("=")[2]
    if m is None or here.step not in {Step.FORM, Step.DECLINED}:
        return said(here.step, here, link, call.path["token"])
    try:
        form = await update_links.form(call.s, link, m, page.origin_of(call.s.settings.base()))
    except VaultUnavailable:
        html = page.shown("Please try again later", "<p>Cards cannot be taken just now. Load this page again soon.</p>")
        return Answer(503, html, page.headers() | {"Retry-After": "5"}, HTML)
    if form is None:
        return said(Step.GONE)
    step = Step(problem) if problem in AGAIN else here.step
    html = page.with_form(
        form, await facts_of(call, link, m), again=link.payment is not None, problem=page.AGAIN.get(step, "")
    )
    return Answer(200, html, page.headers(form), HTML)


async def take(call: Call) -> Answer:
    """From the page's own script; where the browser goes next."""
    own = page.origin_of(call.s.settings.base())
    foreign = (
        call.headers.get("origin", own) != own or call.headers.get("sec-fetch-site", "same-origin") != "same-origin"
    )
    is_json = call.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
    link = await update_links.found(call.s, call.path["token"])
    if link is None or foreign or not is_json or len(call.raw) > BODY_MAX:
        return next_is(call, Step.GONE)
    try:
        sent = msgspec.json.decode(call.raw, type=Sent)
    except msgspec.DecodeError:
        return next_is(call, Step.GONE)
    here = await update_links.take(call.s, link, sent.instrument)
    return next_is(call, here.step, here.verification)


def next_is(call: Call, step: Step, verification: Payment | None = None) -> Answer:
    """Always this page again, but for the bank's."""
    go = f"/update/{call.path['token']}"
    bank = bank_of(verification)
    if step is Step.BANK and bank is not None and bank.method == "GET":
        go = bank.url
    elif step in AGAIN:
        go += f"?problem={step}"
    elif step in {Step.DONE, Step.CHECKING}:
        go += f"?{WAITED}"
    return Answer(page.STATUS.get(step, 200), {"go": go}, {"Cache-Control": "no-store"})


async def come_back(call: Call, p: Payment) -> Answer:
    """From the bank, by the road of every payer who authenticates: without the token, which is kept nowhere."""
    here, link = await update_links.returned(call.s, p)
    return said(here.step, here, link)


def said(step: Step, here: Stand | None = None, link: Link | None = None, token: str | None = None) -> Answer:
    bank = bank_of(here.verification) if here else None
    html = page.told(
        step, bank=bank, back=link.return_url if link else None,
        here=f"/update/{token}?{WAITED}" if token else None,
    )  # fmt: skip
    return Answer(page.STATUS.get(step, 200), html, page.headers(bank=bank), HTML)


def bank_of(verification: Payment | None) -> NextAction | None:
    return verification.attempts[0].action if verification is not None else None


async def facts_of(call: Call, link: Link, m: Mandate) -> dict[str, str]:
    """What the payer has to recognize: what is paid for, and the card that it is paid with now."""
    found = (await instruments.read(call.s.db, [m.instrument])).get(m.instrument)
    facts = {"For": m.terms.description} if m.terms.description else {}
    if m.terms.max_minor is not None and m.terms.currency is not None:
        facts["At most"] = f"{Money(m.terms.max_minor, m.terms.currency)} each"
    if found is not None and found.last4:
        facts["Card now"] = f"{(found.brand or 'card').capitalize()} ending in {found.last4}"
    return facts
