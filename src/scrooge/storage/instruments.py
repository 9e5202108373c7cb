"""Instruments: what a payer pays with, and the credentials for it at each PSP. Card numbers never come here."""

from collections import OrderedDict
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from scrooge.domain.mandate import Mandate, Revoked
from scrooge.ids import hex_of
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.lane import Lane
from scrooge.postgres.rows import key_of, microseconds, public
from scrooge.storage import errands, mandates
from scrooge.storage.errands import FORGET_CARD, FORGET_NETWORK_TOKEN, FORGET_TOKEN, Errand

Q = load(Path(__file__).with_suffix(".sql"))
LAST = "f" * 32
RECENT_MAX = 4096


class Credential(Struct, frozen=True):
    """The instrument as one PSP knows it."""

    connector_account: str
    psp_token: str
    psp_customer: str | None = None
    source: str = "given"  # by the caller; or "saved" when the PSP returned it, or "updated" by the PSP
    card_fingerprint: str | None = None  # the card number's at that connector, digested; None: not heard yet


class NetworkToken(Struct, frozen=True):
    """What stands for its card at a token provider, of which the number is never kept."""

    connector_account: str  # the provider's
    token: str
    status: str  # active or suspended
    last4: str | None
    exp: str | None


class StoredValue(Struct, frozen=True):
    """An account of stored value, as far as who pays from it must know. Moments are Unix microseconds."""

    id: str
    currency: str
    expires_at: int | None
    closed_at: int | None


class StoredValueRow(Struct, frozen=True):
    id: str
    currency: str
    expires_at: datetime | None
    closed_at: datetime | None


class Instrument(Struct, frozen=True, kw_only=True):
    id: str
    merchant: str
    livemode: bool
    customer: str
    brand: str | None = None
    iin: str | None = None
    last4: str | None = None
    exp: str | None = None  # YYYY-MM
    credentials: tuple[Credential, ...] = ()
    vault: bool = False  # the vault holds its card, and the card may be used
    card_status: str | None = None  # of the vault's card: active, expired, replaced, deleted
    network_token: NetworkToken | None = None
    fingerprint: str | None = None
    network_transaction_id: str | None = None
    stored_value: StoredValue | None = None  # the account for which it stands; None: it is a card
    approved_by: str | None = None  # the connector account that approved it last, where it is a stored credential
    created_at: int = 0  # Unix microseconds
    renewed_at: int | None = None  # the same: when its card was last found to be a newer one


async def add(db: Database, instrument: Instrument) -> None:
    """Keeps an instrument with its credentials, in the order given: the order in which they are tried."""
    bucket, number = key_of(instrument.id)
    async with db.transaction() as connection:
        await run(
            connection,
            Q["add"],
            bucket,
            number,
            hex_of(instrument.merchant),
            instrument.livemode,
            instrument.customer,
            instrument.brand,
            instrument.iin,
            instrument.last4,
            instrument.exp,
            instrument.network_transaction_id,
        )
        for position, c in enumerate(instrument.credentials):
            await run(
                connection,
                Q["add_credential"],
                bucket,
                number,
                hex_of(c.connector_account),
                position,
                c.psp_token,
                c.psp_customer,
            )


class Reader:
    """Instruments read together with others that are wanted at the same moment."""

    def __init__(self, db: Database) -> None:
        self.lane: Lane[str, Instrument] = Lane("instrument", db, read, lambda name: name, shared=True)
        self.mandates: Lane[str, Mandate] = Lane("mandate", db, mandates.read_many, lambda name: name, shared=True)
        self.recent: OrderedDict[str, Instrument] = OrderedDict()  # without their credentials, for who shows them

    async def instrument(self, merchant: str, instrument_id: str) -> Instrument | None:
        """Raises MalformedId."""
        key_of(instrument_id)
        found = await self.lane.put(instrument_id)
        if found is None or found.merchant != merchant:
            return None
        self.recent[instrument_id] = structs.replace(found, credentials=())
        if len(self.recent) > RECENT_MAX:
            self.recent.popitem(last=False)
        return found

    async def mandate(self, mandate_id: str) -> Mandate | None:
        """From its row. Raises MalformedId."""
        return await self.mandates.put(mandate_id)


async def read(db: Any, ids: list[str]) -> dict[str, Instrument]:
    keys = [key_of(i) for i in ids]
    rows = await run(db, Q["read"], [bucket for bucket, _ in keys], [number for _, number in keys])
    return {i.id: i for i in map(instrument_of, rows)}


async def of_customer(
    db: Any, merchant: str, customer: str, livemode: bool, before: str | None, limit: int
) -> tuple[list[Instrument], str | None]:
    """Newest first, those before an id; and the id to go on before, when there are more."""
    last = hex_of(before) if before else LAST
    rows = await run(db, Q["of_customer"], hex_of(merchant), customer, livemode, last, limit + 1)
    found = [instrument_of(row) for row in rows[:limit]]
    return found, found[-1].id if len(rows) > limit else None


async def delete(connection: Any, merchant: str, instrument_id: str) -> bool:
    """In the caller's transaction: no payment finds it any more, and every credential is an errand until it is gone
    where it is kept. The row stays, for the payments that name it. False when there is none."""
    bucket, number = key_of(instrument_id)
    row = await run(connection, Q["delete"], bucket, number, hex_of(merchant))
    if row is None:
        return False
    about = {"merchant": merchant, "livemode": row["livemode"], "instrument": instrument_id}
    due = [Errand(kind=FORGET_CARD, **about)] if row["at_vault"] else []
    for c in await run(connection, Q["delete_credentials"], bucket, number):
        due.append(
            Errand(
                kind=FORGET_TOKEN,
                connector_account=public("con", c["connector_account_id"]),
                psp_token=c["psp_token"],
                psp_customer=c["psp_customer"] or row["customer"],
                **about,
            )
        )
    token = await run(connection, Q["delete_network_token"], bucket, number)
    if token is not None and token["token"] is not None:
        provider = public("con", token["connector_account_id"])
        due.append(Errand(kind=FORGET_NETWORK_TOKEN, connector_account=provider, psp_token=token["token"], **about))
    await errands.add(connection, due)
    gone = Revoked("the instrument was deleted", "merchant")
    await mandates.revoke(connection, await mandates.of_instrument(connection, instrument_id), gone)
    return True


def stored_value_of(row: Any) -> StoredValue | None:
    if row["stored_value"] is None:
        return None
    a = msgspec.json.decode(row["stored_value"], type=StoredValueRow)
    return StoredValue(public("sva", a.id) or "", a.currency, microseconds(a.expires_at), microseconds(a.closed_at))


def instrument_of(row: Any) -> Instrument:
    keys = msgspec.json.decode(row["keys"]) if row["keys"] else []
    token = msgspec.json.decode(row["network_token"]) if row["network_token"] else None
    return Instrument(
        id=public("ins", row["id"]) or "",
        merchant=public("mer", row["merchant_id"]) or "",
        livemode=row["livemode"],
        customer=row["customer"],
        brand=row["brand"],
        iin=row["iin"],
        last4=row["last4"],
        exp=row["exp"],
        credentials=tuple(
            Credential(
                public("con", k["connector_account"]) or "",
                k["psp_token"],
                k["psp_customer"],
                k["source"],
                k["card_fingerprint"],
            )
            for k in keys
        ),
        vault=row["vault"] and row["card_status"] == "active",
        card_status=row["card_status"],
        network_token=NetworkToken(
            public("con", token["connector_account"]) or "",
            token["token"],
            token["status"],
            token["last4"],
            token["exp"],
        )
        if token
        else None,
        fingerprint=row["fingerprint"],
        network_transaction_id=row["network_transaction_id"],
        stored_value=stored_value_of(row),
        approved_by=public("con", row["approved_by"]),
        created_at=microseconds(row["created_at"]) or 0,
        renewed_at=microseconds(row["renewed_at"]),
    )
