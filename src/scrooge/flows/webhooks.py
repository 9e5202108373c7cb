"""Webhook endpoints as their merchant manages them, and the deliveries to them that are made by hand."""

from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from scrooge.domain.news import TEST, TYPES
from scrooge.errors import (
    EndpointDisabled,
    InvalidField,
    MalformedId,
    NotFound,
    ReplayRunning,
    SettingsError,
    TooManyEndpoints,
)
from scrooge.flows.scrooge import Scrooge, now
from scrooge.ids import number_of
from scrooge.postgres.rows import microseconds
from scrooge.storage import endpoints, webhooks
from scrooge.storage.directory import Principal
from scrooge.storage.endpoints import Endpoint, wanted
from scrooge.storage.webhooks import Delivery, Replay
from scrooge.urls import check_endpoint
from scrooge.webhooks.signing import new_secret

ENDPOINTS_MAX = 50  # of a merchant, in each mode
ROTATE_TRIES = 3


def loopback_allowed(s: Scrooge, livemode: bool) -> bool:
    """May webhooks go to this machine? For tests and demonstrations; never in live mode."""
    return not livemode and (s.settings.webhook_loopback or s.settings.embedded)


async def check(s: Scrooge, url: str, livemode: bool) -> None:
    """Raises BadUrl. Addresses are checked again whenever we connect: a name may lead elsewhere by then."""
    loopback = loopback_allowed(s, livemode)
    check_endpoint(url, loopback=loopback)
    await (s.sender.local if loopback else s.sender.public).check(url, "url")


def check_events(events: list[str]) -> None:
    """Whoever waits for a type that does not exist would wait for ever. Raises InvalidField."""
    known = (*TYPES, TEST)
    for number, event in enumerate(events):
        if not any(wanted([event], type_) for type_ in known):
            raise InvalidField(f"no type is or begins so; there are {', '.join(known)}", param=f"events.{number}")


async def create(s: Scrooge, who: Principal, url: str, events: list[str], description: str) -> tuple[Endpoint, str]:
    """The endpoint and its secret, which is shown now and never again.

    Raises BadUrl, InvalidField, TooManyEndpoints.
    """
    check_events(events)
    await check(s, url, who.livemode)
    secret = new_secret()
    sealed = s.directory.sealer.seal({"current": secret})
    made = await endpoints.add(
        s.db, who.merchant, who.livemode, url, events, description, sealed, ENDPOINTS_MAX, f"key:{who.key_id}"
    )
    if made is None:
        raise TooManyEndpoints(f"a merchant has at most {ENDPOINTS_MAX} in one mode; delete one")
    return made, secret


async def visible(s: Scrooge, who: Principal, endpoint_id: str) -> Endpoint:
    """Raises NotFound, for another merchant's and one of the other mode as well."""
    number_of(endpoint_id, "whe")
    found = await endpoints.read(s.db, endpoint_id)
    if found is None or found.merchant != who.merchant or found.livemode is not who.livemode:
        raise NotFound("no such webhook endpoint")
    return found


async def change(
    s: Scrooge, who: Principal, endpoint_id: str, url: str | None, events: list[str] | None, description: str | None,
    enabled: bool | None,
) -> Endpoint:  # fmt: skip
    """Raises NotFound, BadUrl, InvalidField."""
    await visible(s, who, endpoint_id)
    check_events(events or [])
    if url is not None:
        await check(s, url, who.livemode)
    changed = await endpoints.change(s.db, endpoint_id, url, events, description, enabled, f"key:{who.key_id}")
    if changed is None:
        raise NotFound("no such webhook endpoint")
    return changed


async def rotate(s: Scrooge, who: Principal, endpoint_id: str, overlap_seconds: int) -> tuple[Endpoint, str]:
    """A new secret beside the one until now, which signs too for as long as is said. Raises NotFound.

    One that cannot be opened any more is replaced alone.
    """
    secret = new_secret()
    for _ in range(ROTATE_TRIES):
        known = await visible(s, who, endpoint_id)
        before = {}
        with suppress(SettingsError):
            before = {"previous": s.directory.sealer.open_raw(known.sealed)["current"]}
        sealed = s.directory.sealer.seal({"current": secret, **before})
        rotated = await endpoints.rotate(s.db, known, sealed, overlap_seconds, f"key:{who.key_id}")
        if rotated is not None:
            return rotated, secret
    raise NotFound("the endpoint is being changed by others")


def secrets_of(s: Scrooge, e: Endpoint) -> list[str]:
    """What signs at this moment, the newest first."""
    opened = s.directory.sealer.open_raw(e.sealed)
    overlapping = e.previous_until is not None and now() < e.previous_until
    return [opened["current"], *([opened["previous"]] if overlapping and "previous" in opened else [])]


async def remove(s: Scrooge, who: Principal, endpoint_id: str) -> None:
    """Raises NotFound."""
    await visible(s, who, endpoint_id)
    await endpoints.remove(s.db, endpoint_id, f"key:{who.key_id}")


# --- deliveries by hand ---------------------------------------------------------------------


async def test(s: Scrooge, who: Principal, endpoint_id: str) -> Delivery:
    """An event of type `test`, whatever the endpoint wants to hear. Raises NotFound, EndpointDisabled."""
    if not (await visible(s, who, endpoint_id)).enabled:
        raise EndpointDisabled("enable the endpoint first: PATCH with enabled true")
    return await webhooks.add_test(s.db, endpoint_id)


async def delivery(s: Scrooge, who: Principal, delivery_id: str) -> Delivery:
    """Raises NotFound."""
    number_of(delivery_id, "whd")
    found = await webhooks.read(s.db, delivery_id)
    if found is None:
        raise NotFound("no such webhook delivery")
    await visible(s, who, found.endpoint)
    return found


async def retry(s: Scrooge, who: Principal, delivery_id: str) -> Delivery:
    """Now, and with a whole new schedule if it is not taken. Raises NotFound."""
    await delivery(s, who, delivery_id)
    return await webhooks.retry(s.db, delivery_id)


async def replay(s: Scrooge, who: Principal, endpoint_id: str, from_: str, to: str | None) -> Replay:
    """Events from one to another (moments or event ids, both included) are delivered anew.

    Raises NotFound, InvalidField, ReplayRunning.
    """
    endpoint = await visible(s, who, endpoint_id)
    from_at, from_id = edge(from_, "from", -webhooks.SLACK)
    to_at, to_id = edge(to, "to", webhooks.SLACK) if to else (now(), None)
    if from_at > to_at or (from_id and to_id and from_id > to_id):
        raise InvalidField("from comes before to", param="from")
    made = await webhooks.add_replay(s.db, endpoint, from_at, min(to_at, now()), from_id, to_id)
    if made is None:
        raise ReplayRunning("a replay to this endpoint is running; wait until it is done", retry_after=5)
    return made


async def replay_seen(s: Scrooge, who: Principal, replay_id: str) -> Replay:
    """Raises NotFound."""
    number_of(replay_id, "whr")
    found = await webhooks.read_replay(s.db, replay_id)
    if found is None:
        raise NotFound("no such webhook replay")
    await visible(s, who, found.endpoint)
    return found


def edge(text: str, param: str, slack: int) -> tuple[int, str | None]:
    """(Unix microseconds, the event's id if it is one). An id says only about when its event was written."""
    try:
        if text.startswith("evt_"):
            return (number_of(text, "evt") >> 80) * 1000 + slack, text
        at = msgspec.convert(text, datetime)
    except (MalformedId, msgspec.ValidationError):
        raise InvalidField("a moment as in RFC 3339, or an event's id", param=param) from None
    return microseconds(at if at.tzinfo else at.replace(tzinfo=UTC)) or 0, None
