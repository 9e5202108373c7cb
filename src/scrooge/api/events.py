"""The feed: every event once, in an order that nothing can slip behind."""

import msgspec

from scrooge.api import bodies, pages, reports
from scrooge.api.call import Answer, Call
from scrooge.domain.news import TYPES
from scrooge.errors import InvalidField
from scrooge.flows import announce
from scrooge.storage import listing

START = ("0", "0" * 32)


async def feed(call: Call) -> Answer:
    query: bodies.EventFilter = call.query
    after = START
    if query.after:
        after = pages.position_of(call, query.after, "after", tuple[str, str])
    types = query.types.split(",") if query.types else None
    if types and not set(types) <= set(TYPES):
        raise InvalidField(f"a type that does not exist; there are {', '.join(TYPES)}", param="types")
    who = call.principal
    found, place, more = await listing.feed(call.s.db, who.merchant, who.livemode, after, types, query.limit)
    cursor = pages.cursor_of(call, list(place))
    shown = [msgspec.convert(announce.shown(e, who.livemode), reports.Event) for e in found]
    document = reports.EventList(data=shown, **pages.listed(call, cursor, more=more))
    return Answer(200, document, pages.link(call, cursor, "after") if more else {})
