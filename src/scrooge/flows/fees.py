"""What is known of a card when an attempt is recorded, so that its fees can be told when it ends."""

import structlog

from scrooge.domain.fees import Fees
from scrooge.domain.payment import Payment
from scrooge.flows.scrooge import Scrooge, now
from scrooge.routing import accruals
from scrooge.storage.instruments import Instrument

log = structlog.get_logger()


async def fees_of(s: Scrooge, p: Payment, instrument: Instrument) -> Fees | None:
    """None while nobody has said what anything costs: the books are then as if there were no fees."""
    if not s.routing.costs(p.merchant, p.livemode).version:
        return None
    told = s.bins(instrument.iin or "")
    facts = {
        "caller": await s.directory.caller_name(p.caller), "brand": instrument.brand or "", "iin": instrument.iin or "",
        "country": told.country, "issuer": told.issuer, "funding": told.funding, "product": told.product,
    }  # fmt: skip
    return Fees(facts={name: value for name, value in facts.items() if value})


def with_fees(s: Scrooge, before: Payment, after: Payment) -> Payment:
    """The payment after news, with the fees of what it ended. An estimate that cannot be made keeps no outcome from
    being kept."""
    try:
        return accruals.priced(before, after, s.routing.costs(after.merchant, after.livemode), now())
    except Exception:  # The money has moved, whatever is wrong with our idea of its price.
        log.exception("fees_not_told", payment=after.id)
        return after
