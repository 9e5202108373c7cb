"""What instruments learn: tokens that PSPs keep, the name of the first payment, another expiry. No rules here."""

from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from scrooge.domain.mandate import Mandate
from scrooge.ids import hex_of
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import key_of, public
from scrooge.storage import mandates

Q = load(Path(__file__).with_suffix(".sql"))


class Lesson(Struct, frozen=True):
    """An approved attempt that teaches its instrument something; `save_for` as its payment said."""

    payment: str
    attempt: str
    instrument: str
    save_for: str | None
    connector_account: str
    psp_token: str | None
    psp_customer: str | None
    network_transaction_id: str | None
    mandate: Mandate | None = None  # which the payer agreed to
    renews: bool = False  # with another card for one that is there


class Held(Struct, frozen=True):
    """An instrument whose row is locked."""

    id: str
    merchant: str
    livemode: bool
    customer: str
    deleted: bool
    vault: bool
    card_status: str | None
    brand: str | None
    last4: str | None
    exp: str | None
    network_transaction_id: str | None


async def to_learn(db: Database, limit: int) -> list[tuple[str, str]]:
    """(payment, attempt) of approved attempts that nothing was learned from yet."""
    rows = await run(db, Q["to_learn"], limit)
    return [(public("pay", row["payment_id"]) or "", public("att", row["id"]) or "") for row in rows]


async def take(connection: Any, payment: str, attempt: str) -> Lesson | None:
    """In the caller's transaction, which learns from it. None: somebody has."""
    key = (*key_of(payment), hex_of(attempt))
    about = await run(connection, Q["teaches"], *key)
    row = await run(connection, Q["take"], *key) if about is not None and about["teaches"] is not None else None
    if row is None:
        return None
    account = public("con", row["connector_account_id"]) or ""
    mandate = mandates.agreed(about)
    if mandate is not None:
        mandate = structs.replace(
            mandate, connector_account=account, network_transaction_id=row["network_transaction_id"]
        )
    return Lesson(
        payment,
        attempt,
        public("ins", about["teaches"]) or "",
        about["save_for"],
        account,
        row["psp_token"],
        row["psp_customer"],
        row["network_transaction_id"],
        mandate,
        about["mandate_id"] is not None,
    )


async def hold(connection: Any, instrument: str) -> Held | None:
    """Locks an instrument, deleted or not."""
    row = await run(connection, Q["lock"], *key_of(instrument))
    if row is None:
        return None
    return Held(
        id=instrument,
        merchant=public("mer", row["merchant_id"]) or "",
        livemode=row["livemode"],
        customer=row["customer"],
        deleted=row["deleted"],
        vault=row["vault"],
        card_status=row["card_status"],
        brand=row["brand"],
        last4=row["last4"],
        exp=row["exp"],
        network_transaction_id=row["network_transaction_id"],
    )


async def name_first_payment(connection: Any, instrument: str, network_transaction_id: str) -> None:
    await run(connection, Q["name_first_payment"], *key_of(instrument), network_transaction_id)


async def token_at(connection: Any, instrument: str, account: str) -> str | None:
    row = await run(connection, Q["token_at"], *key_of(instrument), hex_of(account))
    return None if row is None else str(row["psp_token"])


async def save_token(connection: Any, instrument: str, account: str, psp_token: str, psp_customer: str) -> None:
    await run(connection, Q["save_token"], *key_of(instrument), hex_of(account), psp_token, psp_customer)


class Owner(Struct, frozen=True):
    """An instrument that a token belongs to; the customer as the PSP knows them, or as the merchant does."""

    instrument: str
    merchant: str
    livemode: bool
    customer: str


async def owners(db: Any, account: str, psp_token: str) -> list[Owner]:
    rows = await run(db, Q["of_token"], hex_of(account), psp_token)
    return [
        Owner(
            public("ins", row["instrument_id"]) or "",
            public("mer", row["merchant_id"]) or "",
            row["livemode"],
            row["psp_customer"] or row["customer"],
        )
        for row in rows
    ]


async def drop_token(connection: Any, instrument: str, account: str, psp_token: str) -> bool:
    """The PSP will not take it any more. False when the instrument has another by now, or none."""
    return await run(connection, Q["drop_token"], *key_of(instrument), hex_of(account), psp_token) is not None


async def renew(connection: Any, instrument: str, last4: str, exp: str, brand: str | None) -> None:
    """The card behind a token has another expiry, or another number."""
    await run(connection, Q["renew"], *key_of(instrument), last4, exp, brand)


async def mark_updated(connection: Any, instrument: str, account: str, psp_token: str) -> None:
    """A PSP has told us so of its token."""
    await run(connection, Q["mark_updated"], *key_of(instrument), hex_of(account), psp_token)
