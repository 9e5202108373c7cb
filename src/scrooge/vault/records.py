"""What the core may know of cards, and tell about them: never a number."""

import base64
from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from starlette.responses import Response

from scrooge.errors import CardBusy, CardGone, InvalidField, MalformedId, NotFound, ServiceTokenRefused
from scrooge.ids import number_of
from scrooge.postgres.database import run
from scrooge.postgres.rows import instant, key_of, microseconds, public
from scrooge.vault import audit
from scrooge.vault.checks import Card, check_expiry
from scrooge.vault.doors import Call, first_use, json_answer
from scrooge.vault.instruments import shred
from scrooge.vault.keys.keyset import key_id_of
from scrooge.vault.sealing import opened, sealed
from scrooge.vault.vault import CARDS

NOTHING = "0", "00000000-0000-0000-0000-000000000000"
PAGE_MAX = 500
TRIES = 3


class ChangeCard(Struct, forbid_unknown_fields=True):
    """A new expiry, as an account updater tells it: YYYY-MM."""

    exp: Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]


async def read(call: Call) -> Response:
    await authenticated(call)
    return json_answer(200, shown(await row_of(call)))


async def change(call: Call) -> Response:
    await authenticated(call)
    asked = call.json(ChangeCard)
    row = await row_of(call)
    if row["status"] != "active":
        raise CardGone("the card was deleted or shredded")
    year, month = map(int, asked.exp.split("-"))
    check_expiry(month, year, datetime.now(UTC).date(), "exp")
    if (year, month) < tuple(map(int, row["exp"].split("-"))):
        raise InvalidField("the expiry is earlier than the one that is known", param="exp")
    for _ in range(TRIES):
        if await resealed(call, row, asked.exp):
            return json_answer(200, shown(await run(call.v.db, CARDS["read"], row["bucket"], row["id"])))
        row = await row_of(call)
        if row["status"] != "active":
            raise CardGone("the card was deleted or shredded")
    raise CardBusy("somebody else changed the card at this moment; send it again", retry_after=1)


async def resealed(call: Call, row: Any, exp: str) -> bool:
    """False when somebody else sealed the card anew meanwhile, as re-encryption does."""
    year, month = map(int, exp.split("-"))
    card_id, merchant = public("ins", row["id"]) or "", public("mer", row["merchant_id"]) or ""
    before = await opened(call.v.keyring, card_id, merchant, row["livemode"], row["sealed"])
    card = Card(before.number, month, year, before.holder)
    content = sealed(call.v.keyring, card_id, merchant, row["livemode"], card)
    async with call.v.db.transaction() as connection:
        place = key_of(card_id)
        kept = await run(connection, CARDS["reseal"], *place, row["sealed"], exp, content, key_id_of(content))
        if kept is None:
            return False
        await audit.append(connection, audit.CONTROL, [call.act("card_changed", exp=exp)])
    call.noted = True
    return True


async def delete(call: Call) -> Response:
    """Done or done before: the same answer, so that it can be asked for until it is heard."""
    await authenticated(call)
    row = await row_of(call)
    await shred(call, public("ins", row["id"]) or "", public("mer", row["merchant_id"]) or "", "card_deleted")
    return json_answer(200, shown(await run(call.v.db, CARDS["read"], row["bucket"], row["id"])))


async def changes(call: Call) -> Response:
    await authenticated(call)
    query = call.request.query_params
    after, limit = query.get("after", ""), query.get("limit", "100")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= PAGE_MAX):
        raise InvalidField(f"expected a number from 1 to {PAGE_MAX}", param="limit")
    place = place_of(after) if after else NOTHING
    rows = await run(call.v.db, CARDS["changes"], *place, int(limit))
    cursor = after
    if rows:
        cursor = base64.urlsafe_b64encode(msgspec.json.encode([rows[-1]["xid"], str(rows[-1]["id"])])).decode()
    document = {"data": [shown(r) for r in rows], "next_cursor": cursor, "has_more": len(rows) == int(limit)}
    return json_answer(200, document)


def place_of(cursor: str) -> tuple[str, str]:
    """Raises InvalidField."""
    try:
        xid, card = msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[str, str])
        int(xid)
        int(card.replace("-", ""), 16)
    except (ValueError, msgspec.DecodeError):
        raise InvalidField("not a cursor of this feed", param="after") from None
    return xid, card


async def authenticated(call: Call) -> None:
    """Raises ServiceTokenRefused, also for a token that was used before."""
    if not await first_use(call, call.core()):
        raise ServiceTokenRefused("this token was used before")


async def row_of(call: Call) -> Any:
    """Raises NotFound."""
    card_id = call.request.path_params["instrument"]
    try:
        number_of(card_id, "ins")
    except MalformedId:
        raise NotFound("no such card") from None
    call.object = card_id
    row = await run(call.v.db, CARDS["read"], *key_of(card_id))
    if row is None:
        raise NotFound("no such card")
    return row


def shown(row: Any) -> dict[str, Any]:
    """Status "expired" also where the last day has just passed: the row is shredded a little later."""
    year, month = map(int, row["exp"].split("-"))
    today: date = datetime.now(UTC).date()
    known = row["network_transaction_id"]
    past = (year, month) < (today.year, today.month)
    return {
        "id": public("ins", row["id"]),
        "merchant": public("mer", row["merchant_id"]),
        "livemode": row["livemode"],
        "customer": row["customer"],
        "brand": row["brand"],
        "iin": row["iin"],
        "last4": row["last4"],
        "exp": row["exp"],
        "fingerprint": row["fingerprint"].hex() if row["fingerprint"] else None,
        "status": "expired" if past and row["status"] == "active" else row["status"],
        "created_at": instant(microseconds(row["created_at"]) or 0),
        **({"network_transaction_id": known} if known else {}),
    }
