"""What callers get back about webhook endpoints and deliveries."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from scrooge.api.answers import Answered, Listed, Moment

DisabledReason = Annotated[str, Meta(extra_json_schema={"enum": ["merchant", "gone", "failing"]})]
DeliveryState = Annotated[str, Meta(extra_json_schema={"enum": ["pending", "delivered", "dead"]})]
Origin = Annotated[str, Meta(extra_json_schema={"enum": ["feed", "replay", "test"]})]
ReplayState = Annotated[str, Meta(extra_json_schema={"enum": ["running", "done"]})]


class WebhookEndpoint(Answered, frozen=True, kw_only=True):
    """`secret` is there when it was just made, and never again. `failing_since`: nothing was taken from then on."""

    id: str
    object: Literal["webhook_endpoint"]
    url: str
    events: list[str]
    description: str
    livemode: bool
    enabled: bool
    disabled_reason: DisabledReason | None
    failing_since: Moment | None
    previous_secret_until: Moment | None
    created_at: Moment
    secret: str | UnsetType = UNSET


class WebhookEndpointList(Listed, frozen=True, kw_only=True):
    data: list[WebhookEndpoint]


class DeletedWebhookEndpoint(Answered, frozen=True, kw_only=True):
    id: str
    object: Literal["webhook_endpoint"]
    deleted: bool


class WebhookDelivery(Answered, frozen=True, kw_only=True):
    """One event on its way to one endpoint. `event` is the `webhook-id` of every try."""

    id: str
    object: Literal["webhook_delivery"]
    endpoint: str
    event: str
    payment: str | None
    type: str
    origin: Origin
    state: DeliveryState
    tries: int
    next_try_at: Moment | None
    last_try_at: Moment | None
    last_status: int | None
    last_error: str | None
    last_reply: str | None
    last_milliseconds: int | None
    created_at: Moment
    delivered_at: Moment | None


class WebhookDeliveryList(Listed, frozen=True, kw_only=True):
    data: list[WebhookDelivery]


class WebhookReplay(Answered, frozen=True, kw_only=True):
    """`deliveries` is how many a worker has made until now; `from_at` and `to_at` are moments, to the minute where an
    event's id was given.
    """

    id: str
    object: Literal["webhook_replay"]
    endpoint: str
    from_at: Moment
    to_at: Moment
    state: ReplayState
    deliveries: int
    created_at: Moment
    done_at: Moment | None
