"""The names behind the ids of payments, fetched for a whole page at once."""

import time

from scrooge.api.answers import PaymentInstrument
from scrooge.api.call import CARDS_MAX, Call
from scrooge.api.show import Facts
from scrooge.domain.payment import Payment
from scrooge.errors import DatabaseUnavailable
from scrooge.storage import listing
from scrooge.storage.directory import ConnectorAccount

GOOD_SECONDS = 60.0


async def facts_of(call: Call, payments: list[Payment], *, cards: bool = True) -> Facts:
    """Nothing here needs the database for a payment that was just made: a PSP may have been asked by now."""
    directory = call.s.directory
    accounts: dict[str, ConnectorAccount] = {}
    for account_id in {a.connector_account for p in payments for a in p.attempts}:
        account = await directory.known(account_id)
        assert account is not None, "connector accounts are never deleted"
        accounts[account_id] = account
    return Facts(
        merchant=call.principal.merchant_name,
        callers={c: await directory.caller_name(c) for c in {p.caller for p in payments}},
        accounts=accounts,
        cards=await cards_of(call, {p.instrument for p in payments if p.instrument}) if cards else {},
        challenge_seconds=call.s.settings.challenge_seconds,
    )


async def cards_of(call: Call, instruments: set[str]) -> dict[str, PaymentInstrument]:
    """What is shown of instruments: read once a minute and process, or known from paying with it.

    Where it cannot be read now, the outcome is told with what was known of it, or without it.
    """
    at = time.monotonic()
    for i in instruments:
        if (c := call.s.reader.recent.pop(i, None)) is not None:
            call.cards[i] = (
                at + GOOD_SECONDS,
                PaymentInstrument(id=i, brand=c.brand, iin=c.iin, last4=c.last4, exp=c.exp),
            )
    missing = [i for i in instruments if i not in call.cards or call.cards[i][0] < at]
    unread: dict[str, PaymentInstrument] = {}
    if missing:
        try:
            for c in await listing.cards(call.s.db, missing):
                shown = PaymentInstrument(id=c.id, brand=c.brand, iin=c.iin, last4=c.last4, exp=c.exp)
                call.cards[c.id] = at + GOOD_SECONDS, shown
        except DatabaseUnavailable:
            unread = {i: PaymentInstrument(id=i, brand=None, iin=None, last4=None, exp=None) for i in missing}
    found = {i: call.cards[i][1] for i in instruments if i in call.cards}
    while len(call.cards) > CARDS_MAX:
        call.cards.popitem(last=False)
    return {**unread, **found}
