"""Batches: make them, upload their lines, send them, read what became of each line."""

from collections.abc import AsyncIterator, Sequence

import msgspec

from scrooge.admission import Aside, Rank
from scrooge.api import batch_answers as ba
from scrooge.api import batch_bodies as bb
from scrooge.api import batch_lines as lines_as_sent
from scrooge.api import batch_show as show
from scrooge.api import pages
from scrooge.api.call import Answer, Call
from scrooge.api.facts import facts_of
from scrooge.api.payments import headers_of, moment_of, retry_until
from scrooge.domain.batch import LINES_MAX, Act
from scrooge.errors import InvalidField, UnknownConnectorAccount, UnsupportedMediaType
from scrooge.flows.batches import desk, upload
from scrooge.flows.scrooge import now
from scrooge.storage import batch_lines, batches
from scrooge.storage.batch_lines import Found
from scrooge.storage.batches import Batch, Draft, Pacing
from scrooge.storage.chunks import Progress, progress

NDJSON = "application/x-ndjson"
LINES_A_PAGE = 500
ENCODER = msgspec.json.Encoder()


async def create(call: Call) -> Answer:
    body: bb.CreateBatch = call.body
    window = body.window
    not_before = None if window.not_before is None else moment_of(window.not_before, "window.not_before", 0)
    deadline = None if window.deadline is None else moment_of(window.deadline, "window.deadline", 0)
    if deadline is not None and deadline <= max(not_before or 0, now()):
        raise InvalidField("a window ends after it begins, and not before now", param="window.deadline")
    draft = Draft(
        name=body.name, kind=body.kind, not_before=not_before, deadline=deadline, pacing=await pacing_of(call, body),
        on_health_alarm=body.on_health_alarm, retry_until=retry_until(body.retry_until),
        descriptor=body.statement_descriptor,
    )  # fmt: skip
    batch, replayed = await desk.create(call.s, call.principal, call.key, draft)
    return Answer(201, await shown(call, batch), headers_of(201, replayed))


async def pacing_of(call: Call, body: bb.CreateBatch) -> Pacing:
    """Raises UnknownConnectorAccount."""
    rates: dict[str, float] = {}
    for name, rate in body.pacing.per_connector.items():
        account = await call.s.directory.account(name, call.principal.merchant)
        if account is None:
            raise UnknownConnectorAccount("no such connector account", param=f"pacing.per_connector.{name}")
        rates[account.id] = rate
    return Pacing(max_tps=body.pacing.max_tps, per_connector=rates, per_bin=body.pacing.per_bin)


async def several(call: Call) -> Answer:
    query: bb.BatchFilter = call.query
    before = pages.position_of(call, query.cursor, "cursor", tuple[str])[0] if query.cursor else None
    found = await batches.page(
        call.s.db, call.principal.merchant, call.principal.livemode, before, query.status, query.limit + 1
    )
    data = found[: query.limit]
    cursor = pages.cursor_of(call, [data[-1].id]) if len(found) > query.limit else None
    document = ba.BatchList(
        data=[await shown(call, b) for b in data], **pages.listed(call, cursor, more=cursor is not None)
    )
    return Answer(200, document, pages.link(call, cursor))


async def read(call: Call) -> Answer:
    batch = await desk.visible(call.s, call.principal, call.path["batch"])
    history = [show.act(a) for a in await batches.acts(call.s.db, batch.id)]
    return Answer(200, msgspec.structs.replace(await shown(call, batch), history=history))


async def put_input(call: Call) -> Answer:
    query: bb.InputPlace = call.query
    if call.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("send the lines as they are, without Content-Encoding")
    batch = await desk.visible(call.s, call.principal, call.path["batch"])
    total = None if query.total is None else int(query.total)
    with desk.uploading(call.s, call.principal), Aside(call.s.admission, Rank.PAYMENT):
        batch = await upload.upload(call.s, batch, call.body_parts, lines_as_sent.read, int(query.start), total)
    return Answer(200, await shown(call, batch))


async def start(call: Call) -> Answer:
    return await changed(call, Act.START)


async def pause(call: Call) -> Answer:
    return await changed(call, Act.PAUSE)


async def resume(call: Call) -> Answer:
    return await changed(call, Act.RESUME)


async def cancel(call: Call) -> Answer:
    return await changed(call, Act.CANCEL)


async def changed(call: Call, act: Act) -> Answer:
    body: bb.ChangeBatch = call.body
    return Answer(
        200, await shown(call, await desk.change(call.s, call.principal, call.path["batch"], act, body.reason))
    )


async def results(call: Call) -> Answer:
    query: bb.AfterLine = call.query
    batch = await desk.visible(call.s, call.principal, call.path["batch"])
    over = show.settled(batch, await sent(call, batch))
    return Answer(200, media_type=NDJSON, parts=results_of(call, batch, line_of(query), over))


def line_of(query: bb.AfterLine) -> int:
    return min(int(query.after), LINES_MAX)  # There is none behind that.


async def results_of(call: Call, batch: Batch, after: int, over: bool) -> AsyncIterator[bytes]:
    while True:
        found = await batch_lines.taken(call.s.db, batch.id, after, LINES_A_PAGE)
        over_now = show.ended(found, over)
        yield await told(call, over_now)
        if len(over_now) < LINES_A_PAGE:
            return
        after = over_now[-1].line


async def existing(call: Call) -> Answer:
    query: bb.AfterLine = call.query
    batch = await desk.visible(call.s, call.principal, call.path["batch"])
    return Answer(200, media_type=NDJSON, parts=existing_of(call, batch, line_of(query)))


async def existing_of(call: Call, batch: Batch, after: int) -> AsyncIterator[bytes]:
    while True:
        found = await batch_lines.found(call.s.db, batch.id, after, LINES_A_PAGE)
        yield await told(call, found)
        if len(found) < LINES_A_PAGE:
            return
        after = found[-1].line


async def told(call: Call, found: Sequence[Found]) -> bytes:
    payments = await batch_lines.payments_of(call.s.db, found)
    facts = await facts_of(call, list(payments.values()), cards=False)
    return ENCODER.encode_lines([show.result(line, payments.get(line.payment or ""), facts) for line in found])


async def errors(call: Call) -> Answer:
    query: bb.AfterLine = call.query
    batch = await desk.visible(call.s, call.principal, call.path["batch"])
    return Answer(200, media_type=NDJSON, parts=errors_of(call, batch, line_of(query)))


async def errors_of(call: Call, batch: Batch, after: int) -> AsyncIterator[bytes]:
    while True:
        found = await batch_lines.wrong(call.s.db, batch.id, after, LINES_A_PAGE)
        yield ENCODER.encode_lines([show.wrong(line) for line in found])
        if len(found) < LINES_A_PAGE:
            return
        after = found[-1].line


async def sent(call: Call, batch: Batch) -> Progress:
    return Progress() if batch.started_at is None else await progress(call.s.db, batch.id)


async def shown(call: Call, batch: Batch) -> ba.Batch:
    directory = call.s.directory
    names = {}
    for account_id in batch.pacing.per_connector:
        account = await directory.known(account_id)
        names[account_id] = account.name if account else account_id
    return show.batch(batch, await sent(call, batch), await directory.caller_name(batch.caller), names, now())
