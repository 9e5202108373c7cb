"""The feed: every event once, in an order that nothing can slip behind."""

from scrooge.api import bodies, pages, reports, show
from scrooge.api.call import Answer, Call
from scrooge.storage import listing

START = ("0", "0" * 32)


async def feed(call: Call) -> Answer:
    query: bodies.EventFilter = call.query
    after = START
    if query.after:
        after = pages.position_of(call, query.after, "after", tuple[str, str])
    types = query.types.split(",") if query.types else None
    who = call.principal
    found, place, more = await listing.feed(call.s.db, who.merchant, who.livemode, after, types, query.limit)
    cursor = pages.cursor_of(call, list(place))
    shown = [
        reports.Event(
            id=e.id,
            object="event",
            type=e.type,
            created_at=show.moment(e.created_at),
            payment=e.payment,
            attempt=e.attempt,
            object_version=e.object_version,
            livemode=who.livemode,
            data=e.content,
        )
        for e in found
    ]
    document = reports.EventList(data=shown, **pages.listed(call, cursor, more=more))
    return Answer(200, document, pages.link(call, cursor, "after") if more else {})
