"""Webhooks on their way: the feed is spread to endpoints, and each endpoint has a lane of its own to its receiver."""

import asyncio
import random
import time
from datetime import UTC, datetime

import msgspec
import structlog

from scrooge.crash import reach
from scrooge.errors import SettingsError
from scrooge.flows.announce import shown
from scrooge.flows.scrooge import Scrooge, now
from scrooge.flows.webhooks import loopback_allowed, secrets_of
from scrooge.ids import hex_of
from scrooge.metrics import BREAKS, WEBHOOK_ENDPOINTS_DISABLED, WEBHOOKS
from scrooge.postgres.rows import instant
from scrooge.storage import changes, endpoints, webhooks
from scrooge.storage.endpoints import Endpoint
from scrooge.storage.listing import Event
from scrooge.storage.webhooks import Delivery, Tried
from scrooge.webhooks.schedule import Verdict, verdict
from scrooge.webhooks.sender import Reply
from scrooge.webhooks.signing import headers_of

log = structlog.get_logger()
PAGE = 500  # events of the feed at once
PAGES_A_TURN = 20
IN_FLIGHT = 8  # to one endpoint from one process; to one that fails, 1
LANE_SECONDS = 2.0  # A lane that finds more to send goes on for so long before it lets others be chosen.
LEASE = 30  # seconds beyond the timeout for which a claimed delivery is nobody else's
DAY = 86_400


async def spread(s: Scrooge, endpoint_id: str) -> None:
    """Makes the deliveries of what the feed shows beyond the endpoint's cursor; what is left waits for a next turn."""
    for _ in range(PAGES_A_TURN):
        if not await webhooks.spread(s.db, endpoint_id, PAGE):
            return


async def go_on(s: Scrooge, replay_id: str) -> None:
    """The same for a replay."""
    for _ in range(PAGES_A_TURN):
        if not await webhooks.replay(s.db, replay_id, PAGE):
            return


# --- one endpoint's lane --------------------------------------------------------------------


async def lane(s: Scrooge, e: Endpoint) -> None:
    """Sends what is due to one endpoint. Its slowness costs it alone."""
    until = time.monotonic() + LANE_SECONDS
    at_once = 1 if e.failing_since is not None else IN_FLIGHT
    try:
        while await batch(s, e, at_once) == at_once > 1 and time.monotonic() < until:
            pass
    finally:
        s.sender.lanes.pop(e.id, None)


async def batch(s: Scrooge, e: Endpoint, at_once: int) -> int:
    """Claims, sends together, files. Says how many the receiver took."""
    keys = opened(s, e)
    claimed = await webhooks.claim(s.db, e, at_once, s.settings.webhook_timeout_seconds + LEASE)
    if not claimed:
        return 0
    reach("webhook.claimed")
    tried = await asyncio.gather(*(deliver(s, e, keys, d, event) for d, event in claimed))
    reach("webhook.sent")
    await webhooks.file(s.db, e.id, [row for row, _ in tried])
    verdicts = [v for _, v in tried]
    await judge(s, e, verdicts)
    return sum(v.state == "delivered" for v in verdicts)


def opened(s: Scrooge, e: Endpoint) -> list[str]:
    """What signs; nothing when no configured key opens it: that is a failure like others, and seen like them."""
    try:
        return secrets_of(s, e)
    except SettingsError as error:
        log.error("webhook_secret_not_opened", endpoint=e.id, error=str(error))
        return []


async def deliver(s: Scrooge, e: Endpoint, keys: list[str], d: Delivery, event: Event | None) -> tuple[Tried, Verdict]:
    reply = await sent(s, e, keys, d, event) if keys else Reply(None, "its secret cannot be opened", "", None, 0)
    said = verdict(reply, d.tries, random.random())  # noqa: S311 - spreads load, guards nothing
    WEBHOOKS.labels("delivered" if reply.taken else "dead" if said.state == "dead" else "failed").inc()
    log.info(
        "webhook_sent", endpoint=e.id, delivery=d.id, event_id=d.event, http_status=reply.status, error=reply.error,
        cause=reply.cause, tries=d.tries, milliseconds=reply.milliseconds, state=said.state,
    )  # fmt: skip
    row = Tried(
        id=hex_of(d.id), tries=d.tries, state=said.state, due_in=said.due_in, status=reply.status, error=reply.error,
        reply=reply.text, milliseconds=reply.milliseconds,
    )  # fmt: skip
    return row, said


async def sent(s: Scrooge, e: Endpoint, keys: list[str], d: Delivery, event: Event | None) -> Reply:
    body = msgspec.json.encode(payload(e, d, event))
    return await s.sender.post(
        e.url,
        headers_of(d.event, datetime.now(UTC), body, keys),
        body,
        seconds=s.settings.webhook_timeout_seconds,
        loopback=loopback_allowed(s, e.livemode),
    )


def payload(e: Endpoint, d: Delivery, event: Event | None) -> dict[str, object]:
    """As Standard Webhooks asks: type, timestamp of what happened, data. The event is as the feed shows it."""
    if event is None:
        at = instant(d.created_at)
        data: dict[str, object] = {
            "id": d.event, "object": "event", "type": d.type, "created_at": at, "livemode": e.livemode, "data": {},
        }  # fmt: skip
        return {"type": d.type, "timestamp": at, "data": data}
    return {"type": event.type, "timestamp": instant(event.created_at), "data": shown(event, e.livemode)}


async def judge(s: Scrooge, e: Endpoint, verdicts: list[Verdict]) -> None:
    """What a batch says about the endpoint itself: it works again, it fails, it is gone, it has failed for days."""
    if any(v.gone for v in verdicts):
        await disable(s, e, "gone")
    elif any(v.state == "delivered" for v in verdicts):
        if e.failing_since is not None:
            await endpoints.recovered(s.db, e.id)
    elif await endpoints.failed(s.db, e.id) > s.settings.webhook_failing_days * DAY:
        await disable(s, e, "failing")


async def disable(s: Scrooge, e: Endpoint, reason: str) -> None:
    """Nothing is lost by it: the feed is read on from here when the merchant enables the endpoint again."""
    if not await endpoints.disable(s.db, e.id, reason):
        return
    WEBHOOK_ENDPOINTS_DISABLED.labels(reason).inc()
    log.error("webhook_endpoint_disabled", endpoint=e.id, merchant=e.merchant, reason=reason)
    if reason == "failing":
        detail = {"endpoint": e.id, "merchant": e.merchant, "failing_since": instant(e.failing_since or now())}
        await changes.open_break(
            s.db, "webhook_endpoint_disabled", e.id, detail, merchant=e.merchant, livemode=e.livemode
        )
        BREAKS.labels("webhook_endpoint_disabled").inc()
