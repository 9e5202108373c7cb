"""Instruments for merchants: a card is taken, kept sealed, shown by what may be shown of it, and shredded."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct
from starlette.responses import Response

from scrooge import reading
from scrooge.cards import holds_card_number
from scrooge.errors import CardGone, IdempotencyKeyReused, MalformedId, NotFound, PanRefused
from scrooge.ids import bucket_of, hex_of, new_id, number_of
from scrooge.postgres.database import run
from scrooge.postgres.rows import instant, key_of, microseconds, public
from scrooge.vault import audit
from scrooge.vault.checks import Card, checked, checked_code
from scrooge.vault.doors import Call, json_answer
from scrooge.vault.keys.keyset import key_id_of
from scrooge.vault.sealing import context, sealed
from scrooge.vault.vault import CARDS
from scrooge.vault.writer import Keep

Text = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\u0000-\u001f\u007f]+$")]


class CardGiven(Struct, forbid_unknown_fields=True):
    """As the payer wrote it. Spaces and dashes between the digits do not matter."""

    number: Annotated[str, Meta(min_length=1, max_length=40)]
    exp_month: int
    exp_year: int
    cvc: Annotated[str, Meta(min_length=1, max_length=8)] | None = None
    holder: Annotated[str, Meta(max_length=200)] | None = None

    def __repr__(self) -> str:
        return "CardGiven()"


class CreateInstrument(Struct, forbid_unknown_fields=True):
    type: Literal["card"]
    customer: Text
    card: CardGiven


class Wish(Struct, frozen=True, kw_only=True):
    """A card to keep, for whom, and under which key of which caller: repeated, it is the same card."""

    vault_key: str
    key: str
    merchant: str
    livemode: bool
    customer: str
    card: CardGiven


async def create(call: Call) -> Response:
    caller = await call.merchant("tokenize")
    key = reading.idempotency_key(call.headers, required=True)
    body = call.json(CreateInstrument)
    if holds_card_number(body.customer):
        raise PanRefused("'customer' looks like a card number", param="customer")
    wish = Wish(
        vault_key=caller.key_id, key=key, merchant=caller.merchant, livemode=caller.livemode,
        customer=body.customer, card=body.card,
    )  # fmt: skip
    row, fresh = await tokenize(call, wish)
    return json_answer(201, shown(row), {} if fresh else {"Idempotent-Replayed": "true"})


async def tokenize(call: Call, wish: Wish) -> tuple[Any, bool]:
    """What may be shown of the card, and whether it is new. Raises what is wrong with it, IdempotencyKeyReused."""
    v, given, live = call.v, wish.card, wish.livemode
    card = checked(
        given.number, given.exp_month, given.exp_year, given.holder, live=live, today=datetime.now(UTC).date()
    )
    code = checked_code(given.cvc, card.brand)
    card_id = new_id("ins", bucket_of(wish.merchant, wish.customer))
    content = sealed(v.keyring, card_id, wish.merchant, live, card)
    fingerprint = v.keyring.fingerprint(live, wish.merchant, card.number)
    asked = canonical(wish, card, code)
    call.object, call.noted = card_id, True
    keep = Keep(
        vault_key=wish.vault_key, key=wish.key, asked=v.keyring.fingerprint(live, wish.merchant, asked), id=card_id,
        merchant=wish.merchant, livemode=live, customer=wish.customer, brand=card.brand, iin=card.iin,
        last4=card.last4, exp=card.exp, sealed=content, key_id=key_id_of(content), fingerprint=fingerprint,
        fingerprint_key=key_id_of(fingerprint),
        code=v.codes.seal(context(card_id, wish.merchant, live), code) if code else None,
        act=call.act("tokenize", brand=card.brand, live=live),
    )  # fmt: skip
    kept = await v.writer.keeps.put(keep)
    assert kept is not None
    if kept.fresh:
        row = {name: getattr(keep, name) for name in ("livemode", "customer", "brand", "iin", "last4", "exp")}
        return {**row, "id": UUID(hex_of(card_id)), "created_at": kept.created_at}, True
    before = await run(v.db, CARDS["key"], hex_of(wish.vault_key), wish.key)
    call.noted = False
    if not v.keyring.is_fingerprint(live, wish.merchant, asked, before["fingerprint"]):
        raise IdempotencyKeyReused("this key was used for another card", param="Idempotency-Key")
    call.noted = True
    return await run(v.db, CARDS["read"], before["bucket"], before["card_id"]), False


def canonical(wish: Wish, card: Card, code: str | None) -> str:
    """What makes two requests the same; only ever kept as a keyed hash.

    Of the security code only whether there is one: whoever has the key has three digits back from their hash at once,
    and this hash is kept for weeks (PCI DSS 3.3.1).
    """
    parts = (wish.customer, card.number, card.exp, card.holder, code is not None)
    return msgspec.json.encode(parts).decode()


async def read(call: Call) -> Response:
    caller = await call.merchant("read")
    return json_answer(200, shown(await row_of(call, caller.merchant, caller.livemode)))


async def delete(call: Call) -> Response:
    caller = await call.merchant("delete")
    row = await row_of(call, caller.merchant, caller.livemode)
    await shred(call, public("ins", row["id"]) or "", caller.merchant, "delete")
    return json_answer(200, {"id": public("ins", row["id"]), "object": "instrument", "deleted": True})


async def shred(call: Call, card_id: str, merchant: str, act: str) -> bool:
    """What could be opened is gone, with its audit, in one commit. False when it was before."""
    bucket, number = key_of(card_id)
    async with call.v.db.transaction() as connection:
        row = await run(connection, CARDS["shred"], bucket, number, hex_of(merchant), "deleted")
        await run(connection, CARDS["shred_code"], bucket, number)
        outcome = "done" if row is not None else "nothing_to_do"
        await audit.append(connection, audit.CONTROL, [call.act(act, outcome)])
    call.noted = True
    return row is not None


async def row_of(call: Call, merchant: str, livemode: bool) -> Any:
    """Raises NotFound, for another merchant's and the other mode's too, and CardGone."""
    card_id = call.request.path_params["instrument"]
    try:
        number_of(card_id, "ins")
    except MalformedId:
        raise NotFound("no such instrument") from None
    call.object = card_id
    row = await run(call.v.db, CARDS["read"], *key_of(card_id))
    if row is None or public("mer", row["merchant_id"]) != merchant or row["livemode"] is not livemode:
        raise NotFound("no such instrument")
    if row["status"] == "deleted":
        raise CardGone("the instrument was deleted")
    return row


def shown(row: Any) -> dict[str, Any]:
    return {
        "id": public("ins", row["id"]),
        "object": "instrument",
        "livemode": row["livemode"],
        "customer": row["customer"],
        "card": {name: row[name] for name in ("brand", "iin", "last4", "exp")},
        "credentials": [{"type": "vault_card"}],
        "created_at": instant(microseconds(row["created_at"]) or time.time_ns() // 1000),
    }
