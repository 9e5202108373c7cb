"""The inbox of decline codes that no table maps."""

from scrooge.api import pages, routing_answers, routing_bodies
from scrooge.api.call import Answer, Call
from scrooge.postgres.rows import instant
from scrooge.routing.declines.catalogue import suggested
from scrooge.storage import unmapped
from scrooge.storage.unmapped import Row


async def several(call: Call) -> Answer:
    query: routing_bodies.UnmappedFilter = call.query
    who = call.principal
    found = await unmapped.page(call.s.db, who.merchant, who.livemode, query.limit)
    data = [shown(row) for row in found]
    return Answer(200, routing_answers.UnmappedDeclineList(data=data, **pages.listed(call, None, more=False)))


def shown(row: Row) -> routing_answers.UnmappedDecline:
    suggestion, mapped = suggested(row.connector, row.code, row.network_code, row.brand)
    return routing_answers.UnmappedDecline(
        object="unmapped_decline",
        connector=row.connector,
        code=row.code,
        network_code=row.network_code or None,
        brand=row.brand or None,
        declines=row.declines,
        first_seen=instant(row.first_seen),
        last_seen=instant(row.last_seen),
        payment=row.payment,
        suggestion=suggestion,
        mapped=mapped,
    )
