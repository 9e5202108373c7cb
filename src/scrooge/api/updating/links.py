"""Links by which payers give a mandate another card: for the merchant's server."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from scrooge.api.bodies import Body, Url
from scrooge.api.call import Answer, Call
from scrooge.flows import update_links
from scrooge.postgres.rows import instant
from scrooge.storage.update_links import Link

Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class CreateUpdateLink(Body, frozen=True, kw_only=True):
    """`ttl_seconds`: how long the link is good, seven days where nothing is said. `return_url`: where the page sends
    the payer in the end."""

    return_url: Url | None = None
    ttl_seconds: Annotated[int, Meta(ge=300, le=2_592_000)] = 604_800


class UpdateLink(Struct, frozen=True, kw_only=True):
    """A page on which the payer leaves another card. `url` is told once: whoever has it may use it."""

    id: str
    object: Literal["update_link"]
    livemode: bool
    status: Annotated[str, Meta(extra_json_schema={"enum": ["open", "used", "expired", "revoked"]})]
    mandate: str
    payment: str | None
    return_url: str | None
    tries: int
    created_at: Moment
    expires_at: Moment
    used_at: Moment | None
    url: str | UnsetType = UNSET


async def create(call: Call) -> Answer:
    body: CreateUpdateLink = call.body
    link, token = await update_links.make(
        call.s, call.principal, call.path["mandate"], None, body.return_url, body.ttl_seconds
    )
    return Answer(201, shown(link, f"{call.s.settings.base()}/update/{token}"))


async def create_of_payment(call: Call) -> Answer:
    body: CreateUpdateLink = call.body
    link, token = await update_links.of_payment(
        call.s, call.principal, call.path["payment"], body.return_url, body.ttl_seconds
    )
    return Answer(201, shown(link, f"{call.s.settings.base()}/update/{token}"))


async def read(call: Call) -> Answer:
    return Answer(200, shown(await update_links.visible(call.s, call.principal, call.path["update_link"])))


async def revoke(call: Call) -> Answer:
    return Answer(200, shown(await update_links.revoke(call.s, call.principal, call.path["update_link"])))


def shown(link: Link, url: str | UnsetType = UNSET) -> UpdateLink:
    return UpdateLink(
        id=link.id,
        object="update_link",
        livemode=link.livemode,
        status=link.status,
        mandate=link.mandate,
        payment=link.payment,
        return_url=link.return_url,
        tries=link.tries,
        created_at=instant(link.created_at),
        expires_at=instant(link.expires_at),
        used_at=None if link.used_at is None else instant(link.used_at),
        url=url,
    )
