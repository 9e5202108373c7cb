"""Errands: what must be done at a PSP or at the vault and moves no money. Rows until they are done, and after."""

from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.ids import bucket_in, hex_of, new_id
from scrooge.postgres.database import Database, load, run
from scrooge.postgres.rows import encoded, key_of, public, uuid_of

Q = load(Path(__file__).with_suffix(".sql"))
FORGET_CARD, FORGET_TOKEN, RENEW_CARD = "forget_vault_card", "forget_psp_token", "renew_vault_card"
KEEP_TOKEN, READ_TOKEN = "keep_psp_token", "read_psp_token"
MAKE_NETWORK_TOKEN, READ_NETWORK_TOKEN = "make_network_token", "read_network_token"
FORGET_NETWORK_TOKEN = "forget_network_token"  # noqa: S105 - a kind of errand


class Errand(Struct, frozen=True, kw_only=True):
    """`exp` is the new one of a card to renew; token, customer and connector account are of a token to forget."""

    kind: str
    merchant: str
    livemode: bool
    instrument: str
    connector_account: str | None = None
    psp_token: str | None = None
    psp_customer: str | None = None
    exp: str | None = None
    id: str = ""
    tries: int = 0
    state: str = "due"


async def add(connection: Any, errands: list[Errand]) -> None:
    """In the transaction of what makes them necessary."""
    rows = [
        {
            "bucket": bucket_in(e.instrument), "id": hex_of(new_id("ern", bucket_in(e.instrument))),
            "merchant_id": hex_of(e.merchant), "livemode": e.livemode, "instrument_id": hex_of(e.instrument),
            "kind": e.kind, "connector_account_id": uuid_of(e.connector_account), "psp_token": e.psp_token,
            "psp_customer": e.psp_customer, "exp": e.exp,
        }
        for e in errands
    ]  # fmt: skip
    if rows:
        await run(connection, Q["add"], encoded(rows))


async def claim(db: Any, limit: int) -> list[Errand]:
    """Errands whose turn it is, each handed to one worker only."""
    return [
        Errand(
            kind=row["kind"],
            merchant=public("mer", row["merchant_id"]) or "",
            livemode=row["livemode"],
            instrument=public("ins", row["instrument_id"]) or "",
            connector_account=public("con", row["connector_account_id"]),
            psp_token=row["psp_token"],
            psp_customer=row["psp_customer"],
            exp=row["exp"],
            id=public("ern", row["id"]) or "",
            tries=row["tries"],
            state=row["state"],
        )
        for row in await run(db, Q["claim"], limit)
    ]


async def finish(db: Database, errand: Errand, note: str) -> None:
    await run(db, Q["finish"], *key_of(errand.id), note)


async def leave(db: Database, errand: Errand, note: str) -> None:
    await run(db, Q["leave"], *key_of(errand.id), note)


async def park(connection: Any, errand: Errand, note: str) -> bool:
    """False when it was parked before."""
    return await run(connection, Q["park"], *key_of(errand.id), note) is not None


async def token_in_use(db: Database, connector_account: str, psp_token: str) -> bool:
    return await run(db, Q["token_in_use"], hex_of(connector_account), psp_token) is not None


async def renewing(db: Database, instrument: str) -> bool:
    """The vault has yet to hear of this instrument's newer card."""
    return await run(db, Q["renewing"], hex_of(instrument)) is not None


async def parked(db: Database, limit: int) -> list[dict[str, Any]]:
    """What was given up, for an operator."""
    return [
        {
            "id": public("ern", row["id"]), "kind": row["kind"], "merchant": public("mer", row["merchant_id"]),
            "mode": "live" if row["livemode"] else "test", "instrument": public("ins", row["instrument_id"]),
            "connector_account": public("con", row["connector_account_id"]), "tries": row["tries"],
            "created_at": row["created_at"], "due_at": row["due_at"], "note": row["note"],
        }
        for row in await run(db, Q["parked"], limit)
    ]  # fmt: skip


async def hurry(db: Database, ids: list[str] | None) -> list[str]:
    """Has what was given up tried now, these or all; whose turn it is."""
    rows = await run(db, Q["hurry"], None if ids is None else [hex_of(i) for i in ids])
    return [public("ern", row["id"]) or "" for row in rows]


async def backlog(db: Database) -> dict[str, Any]:
    return dict(await run(db, Q["backlog"]))
