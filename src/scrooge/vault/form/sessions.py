"""Capture sessions: a shop's server asks for one, a browser shows its form, and it takes one card, once."""

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from scrooge.cards import holds_card_number
from scrooge.errors import (
    BodyTooLarge,
    IdempotencyKeyReused,
    InvalidField,
    MissingField,
    OriginRefused,
    PanRefused,
    Problem,
    ServiceTokenRefused,
    SessionExhausted,
    SessionExpired,
    SessionUsed,
)
from scrooge.ids import encode, new_id, number_of
from scrooge.postgres.database import load, run
from scrooge.postgres.rows import instant, microseconds, public
from scrooge.vault.doors import Call, first_use, json_answer
from scrooge.vault.form import page
from scrooge.vault.instruments import CardGiven, Text, Wish, shown, tokenize
from scrooge.vault.writer import Session

Q = load(Path(__file__).with_suffix(".sql"))
BODY_MAX = 4096
# Before a session's id, the key its card is kept under. No caller's own key begins so: those are ASCII.
KEY = "§ "
CORE_KEY = encode("key", 0)  # on which the core's sessions hang: nobody has it
# As browsers write one. It goes into a header, so nothing else passes.
ORIGIN = re.compile(r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::[1-9][0-9]{0,4})?")
Word = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[!-~]+$")]
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
# What a payer reads in place of the form.
SAID: dict[type[Problem], tuple[str, str]] = {
    SessionUsed: ("This form was used already", "It takes one card. Go back to the shop to use another one."),
    SessionExpired: ("This form has run out", "Go back to the shop and try again."),
    SessionExhausted: ("Too many tries", "Go back to the shop and try again."),
    OriginRefused: ("This form belongs to another site", "It cannot be shown here."),
}


class CreateSession(Struct, forbid_unknown_fields=True):
    """`origin`: where the page with the form in it comes from. `security_code`: is it asked for?"""

    customer: Text
    origin: Annotated[str, Meta(min_length=1, max_length=255)]
    security_code: bool = True
    ttl_seconds: Annotated[int, Meta(ge=60, le=86_400)] = 1800


class TakeCard(Struct, forbid_unknown_fields=True):
    """`attempt` is the page's own name for this card: sent again after a lost answer, it is answered again."""

    card: CardGiven
    attempt: Annotated[str, Meta(min_length=16, max_length=64, pattern=r"^[0-9a-zA-Z_-]+$")] | None = None


class CreateCoreSession(CreateSession, forbid_unknown_fields=True, kw_only=True):
    """For a page of the core's own; whose payer it is, the core says."""

    merchant: Word
    live: bool


async def create(call: Call) -> Response:
    """For a merchant's server."""
    caller = await call.merchant("sessions")
    body = call.json(CreateSession)
    return json_answer(201, await begun(call, body, caller.key_id, caller.merchant, caller.livemode))


async def create_for_core(call: Call) -> Response:
    """For the core, whose page says with it which script shows the form."""
    claims = call.core()
    body = call.json(CreateCoreSession)
    number_of(body.merchant, "mer")
    if not await first_use(call, claims):
        raise ServiceTokenRefused("this token was used before")
    document = await begun(call, body, CORE_KEY, body.merchant, body.live)
    piece, _ = page.PIECES["scrooge.js"]
    script = {"url": f"{call.v.settings.base()}/scrooge.js", "integrity": piece.integrity}
    return json_answer(201, document | {"script": script})


async def begun(call: Call, body: CreateSession, key: str, merchant: str, live: bool) -> dict[str, Any]:
    """The session, which begins with this. Raises InvalidField, PanRefused."""
    if holds_card_number(body.customer):
        raise PanRefused("'customer' looks like a card number", param="customer")
    origin = checked_origin(body.origin, live)
    token = secrets.token_urlsafe(32)
    call.object = new_id("cse", 0)
    row = await call.v.writer.sessions.put(
        Session(
            digest=digest_of(token), id=call.object, vault_key=key, merchant=merchant,
            livemode=live, customer=body.customer, origin=origin, security_code=body.security_code,
            seconds=body.ttl_seconds, act=call.act("session", origin=origin, live=live),
        )
    )  # fmt: skip
    assert row is not None
    return {
        "id": call.object,
        "object": "capture_session",
        "livemode": live,
        "customer": body.customer,
        "origin": origin,
        "security_code": body.security_code,
        "url": f"{call.v.settings.base()}/form/{token}",
        "token": token,
        "created_at": instant(microseconds(row["created_at"]) or 0),
        "expires_at": instant(microseconds(row["expires_at"]) or 0),
    }


def checked_origin(text: str, live: bool) -> str:
    """Raises InvalidField. Only a page that came over TLS may show the form, or one of this machine in test mode."""
    origin = text.lower()
    if not ORIGIN.fullmatch(origin):
        raise InvalidField("an origin is like https://shop.example: no path, and no slash at its end", param="origin")
    parts = urlsplit(origin)
    if parts.scheme == "http" and (live or parts.hostname not in LOOPBACK):
        raise InvalidField("https, or in test mode http on this machine itself", param="origin")
    return origin.removesuffix(DEFAULT_PORTS[parts.scheme])


async def show(call: Call) -> Response:
    """The form, for the browser that the session is for; what cannot be used is said in a page too."""
    origin = None
    try:
        session = await found(call)
        origin = session["origin"]
        if session["used"]:
            raise SessionUsed("the session has taken its card")
        if session["over"]:
            raise SessionExpired("the session has run out")
        check_referer(call.headers.get("referer"), origin)
    except Problem as problem:
        if type(problem) not in SAID:
            raise
        await call.v.writer.noted(call.act("form", problem.code))
        call.noted = True
        title, text = SAID[type(problem)]
        html = page.gone(code=problem.code, title=title, text=text, origin=origin)
        return HTMLResponse(html, problem.status, page.headers(origin))
    html = page.form(
        origin=origin,
        action=f"/v1/capture-sessions/{call.request.path_params['token']}/card",
        code=session["security_code"],
        livemode=session["livemode"],
        today=datetime.now(UTC).date(),
    )
    return HTMLResponse(html, 200, page.headers(origin))


def check_referer(referer: str | None, origin: str) -> None:
    """What a browser says of the page around the form, if it says anything. Raises OriginRefused.

    It proves little, since a site may keep its browsers from saying it; frame-ancestors is what keeps the form from
    being shown anywhere else. But where it is said and wrong, the form is not even sent.
    """
    parts = urlsplit(referer or "")
    if referer and f"{parts.scheme}://{parts.netloc}".lower() != origin:
        raise OriginRefused("the page around the form is not the session's")


async def take(call: Call) -> Response:
    """The one card, from the form and from nowhere else."""
    if len(call.body) > BODY_MAX:
        raise BodyTooLarge(f"the largest body is {BODY_MAX} bytes")
    session = await found(call)
    own = call.v.settings.base()
    if call.headers.get("origin") != own or call.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise OriginRefused("cards are taken from the vault's own form only")
    body = call.json(TakeCard)
    attempt = digest_of(body.attempt or secrets.token_urlsafe(32))
    if session["used"] and not hmac.compare_digest(session["attempt"], attempt):
        raise SessionUsed("the session has taken its card")
    if session["over"]:
        raise SessionExpired("the session has run out")
    if not session["used"] and await run(call.v.db, Q["try"], session["digest"], attempt) is None:
        raise SessionExhausted("too many cards were tried")
    if session["security_code"] and body.card.cvc is None:
        raise MissingField("card.cvc is required", param="card.cvc")
    wish = Wish(
        vault_key=public("key", session["vault_key_id"]) or "",
        key=f"{KEY}{session['id']}",
        merchant=public("mer", session["merchant_id"]) or "",
        livemode=session["livemode"],
        customer=session["customer"],
        card=body.card,
    )
    try:
        row, _ = await tokenize(call, wish)
    except IdempotencyKeyReused:
        raise SessionUsed("the session has taken its card") from None
    return json_answer(201, shown(row), {"Cross-Origin-Resource-Policy": "same-origin"})


async def found(call: Call) -> Any:
    """Raises SessionExpired where there is none: one that is long over is not remembered."""
    row = await run(call.v.db, Q["find"], digest_of(call.request.path_params["token"]), KEY)
    if row is None:
        raise SessionExpired("there is no such session, or it ran out long ago")
    call.object = public("cse", row["id"]) or ""
    call.who = f"session:{call.object}"
    return row


def digest_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def script(request: Request) -> Response:
    """What a shop's page loads; it may pin the content, so it is asked for anew every time."""
    piece, text = page.PIECES["scrooge.js"]
    tag = f'"{piece.sha384[:32]}"'
    headers = {
        "Access-Control-Allow-Origin": "*",  # An integrity is checked only where the page may read what it loads.
        "Cache-Control": "no-cache",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "ETag": tag,
        "X-Content-Type-Options": "nosniff",
    }
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(text, headers=headers, media_type="text/javascript")
