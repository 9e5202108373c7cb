"""What callers may send about webhook endpoints and deliveries."""

from typing import Annotated, Literal

from msgspec import Meta, field

from scrooge.api.bodies import Body, Cursor, Limit

EndpointUrl = Annotated[
    str,
    Meta(
        max_length=1024,
        pattern=r"^https?://[A-Za-z0-9\[][!-~]*$",
        description="https on the Internet; in test mode this machine too, where a setting allows it.",
        examples=["https://shop.example/webhooks/scrooge"],
    ),
]
EventPattern = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^(\*|[a-z][a-z_]{0,62}\*?)$")]
EventPatterns = Annotated[
    list[EventPattern],
    Meta(
        min_length=1,
        max_length=50,
        description="Types, or beginnings of types with a * at the end.",
        examples=[["sale_*", "refund_reversed"]],
    ),
]
Description = Annotated[str, Meta(max_length=256, pattern=r"^[^\u0000-\u001f\u007f]*$")]
Edge = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[!-~]+$", examples=["2026-11-20T10:00:00Z"])]


class CreateWebhookEndpoint(Body, frozen=True, kw_only=True):
    """Without `events`: all of them."""

    url: EndpointUrl
    events: EventPatterns = field(default_factory=lambda: ["*"])
    description: Description = ""


class ChangeWebhookEndpoint(Body, frozen=True, kw_only=True):
    """What is not given stays. Enabled again, it goes on with the first event it missed."""

    url: EndpointUrl | None = None
    events: EventPatterns | None = None
    description: Description | None = None
    enabled: bool | None = None


class RotateWebhookSecret(Body, frozen=True, kw_only=True):
    """For so long the secret until now signs too, so that no webhook is refused while you change it."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=7 * 86_400, examples=[86_400])] = 86_400


class ReplayWebhooks(Body, frozen=True, kw_only=True):
    """From one moment or event id to another, both included; without `to` until now."""

    from_: Edge = field(name="from")
    to: Edge | None = None


class DeliveryFilter(Body, frozen=True, kw_only=True):
    state: Literal["pending", "delivered", "dead"] | None = None
    limit: Limit = 20
    cursor: Cursor | None = None
