"""Accounts of stored value made by hand, for tests of the database alone."""

from typing import Any

from scrooge.ids import bucket_in, bucket_of, hex_of, new_id


async def opened(connection: Any, merchant: str, available: int = 0, **more: Any) -> str:
    """An account in euros with its instrument and credential, as the owner of the tables makes one."""
    account = new_id("sva", bucket_of(merchant, new_id("req", 0)))
    bucket, instrument = bucket_in(account), new_id("ins", bucket_in(account))
    await connection.execute(
        "INSERT INTO stored_value_accounts (bucket, id, merchant_id, caller_id, livemode, customer, currency, purpose,"
        " instrument_id, expires_at, closed_at) VALUES ($1, $2, $3, $3, false, 'user-1', 'EUR', 'test', $4, $5, $6)",
        bucket, hex_of(account), hex_of(merchant), hex_of(instrument), more.get("expires_at"), more.get("closed_at"),
    )  # fmt: skip
    return account
