"""Webhook endpoints, what was delivered to them, and deliveries by hand."""

from msgspec import UNSET

from scrooge.api import pages, webhook_answers, webhook_bodies
from scrooge.api.call import Answer, Call
from scrooge.api.show import instant_if
from scrooge.flows import webhooks as flow
from scrooge.postgres.rows import instant
from scrooge.storage import endpoints, webhooks
from scrooge.storage.endpoints import Endpoint
from scrooge.storage.webhooks import Delivery, Replay

STATES: list[str] = ["pending", "delivered", "dead"]


async def create(call: Call) -> Answer:
    body: webhook_bodies.CreateWebhookEndpoint = call.body
    made, secret = await flow.create(call.s, call.principal, body.url, body.events, body.description)
    return Answer(201, shown(made, secret))


async def several(call: Call) -> Answer:
    who = call.principal
    found = await endpoints.of_merchant(call.s.db, who.merchant, who.livemode)
    data = [shown(e) for e in found]
    return Answer(200, webhook_answers.WebhookEndpointList(data=data, **pages.listed(call, None, more=False)))


async def read(call: Call) -> Answer:
    return Answer(200, shown(await flow.visible(call.s, call.principal, call.path["webhook_endpoint"])))


async def change(call: Call) -> Answer:
    body: webhook_bodies.ChangeWebhookEndpoint = call.body
    endpoint = call.path["webhook_endpoint"]
    changed = await flow.change(call.s, call.principal, endpoint, body.url, body.events, body.description, body.enabled)
    return Answer(200, shown(changed))


async def delete(call: Call) -> Answer:
    endpoint = call.path["webhook_endpoint"]
    await flow.remove(call.s, call.principal, endpoint)
    return Answer(200, webhook_answers.DeletedWebhookEndpoint(id=endpoint, object="webhook_endpoint", deleted=True))


async def rotate(call: Call) -> Answer:
    body: webhook_bodies.RotateWebhookSecret = call.body
    endpoint = call.path["webhook_endpoint"]
    rotated, secret = await flow.rotate(call.s, call.principal, endpoint, body.overlap_seconds)
    return Answer(200, shown(rotated, secret))


async def test(call: Call) -> Answer:
    return Answer(202, delivery(await flow.test(call.s, call.principal, call.path["webhook_endpoint"])))


async def replay(call: Call) -> Answer:
    body: webhook_bodies.ReplayWebhooks = call.body
    made = await flow.replay(call.s, call.principal, call.path["webhook_endpoint"], body.from_, body.to)
    return Answer(202, shown_replay(made))


async def read_replay(call: Call) -> Answer:
    return Answer(200, shown_replay(await flow.replay_seen(call.s, call.principal, call.path["webhook_replay"])))


async def deliveries(call: Call) -> Answer:
    query: webhook_bodies.DeliveryFilter = call.query
    endpoint = await flow.visible(call.s, call.principal, call.path["webhook_endpoint"])
    before = pages.position_of(call, query.cursor, "cursor", tuple[str])[0] if query.cursor else None
    states: list[str] = [query.state] if query.state else STATES
    found, place = await webhooks.page(call.s.db, endpoint.id, states, before, query.limit)
    cursor = None if place is None else pages.cursor_of(call, [place])
    document = webhook_answers.WebhookDeliveryList(
        data=[delivery(d) for d in found], **pages.listed(call, cursor, more=cursor is not None)
    )
    return Answer(200, document, pages.link(call, cursor))


async def read_delivery(call: Call) -> Answer:
    return Answer(200, delivery(await flow.delivery(call.s, call.principal, call.path["webhook_delivery"])))


async def retry(call: Call) -> Answer:
    return Answer(202, delivery(await flow.retry(call.s, call.principal, call.path["webhook_delivery"])))


def shown(e: Endpoint, secret: str | None = None) -> webhook_answers.WebhookEndpoint:
    return webhook_answers.WebhookEndpoint(
        id=e.id,
        object="webhook_endpoint",
        url=e.url,
        events=list(e.events),
        description=e.description,
        livemode=e.livemode,
        enabled=e.enabled,
        disabled_reason=e.disabled_reason,
        failing_since=instant_if(e.failing_since),
        previous_secret_until=instant_if(e.previous_until),
        created_at=instant(e.created_at),
        secret=UNSET if secret is None else secret,
    )


def delivery(d: Delivery) -> webhook_answers.WebhookDelivery:
    return webhook_answers.WebhookDelivery(
        id=d.id,
        object="webhook_delivery",
        endpoint=d.endpoint,
        event=d.event,
        payment=d.payment,
        type=d.type,
        origin=d.origin,
        state=d.state,
        tries=d.tries,
        next_try_at=instant(d.due_at) if d.state == "pending" else None,
        last_try_at=instant_if(d.tried_at),
        last_status=d.status,
        last_error=d.error,
        last_reply=d.reply,
        last_milliseconds=d.milliseconds,
        created_at=instant(d.created_at),
        delivered_at=instant_if(d.delivered_at),
    )


def shown_replay(r: Replay) -> webhook_answers.WebhookReplay:
    return webhook_answers.WebhookReplay(
        id=r.id,
        object="webhook_replay",
        endpoint=r.endpoint,
        from_at=instant(r.from_at),
        to_at=instant(r.to_at),
        state=r.state,
        deliveries=r.made,
        created_at=instant(r.created_at),
        done_at=instant_if(r.done_at),
    )
