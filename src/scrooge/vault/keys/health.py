"""How the keys are: what is in use, for how long yet, what needs them, and what must be done soon or now."""

from datetime import datetime, timedelta

from msgspec import Struct

from scrooge.errors import Problem, SettingsError
from scrooge.postgres.database import Database, run
from scrooge.vault.keys import registry
from scrooge.vault.keys.keyring import Keyring
from scrooge.vault.keys.keyset import Purpose
from scrooge.vault.keys.named import of_uri
from scrooge.vault.keys.registry import Q, State, Version
from scrooge.vault.keys.wrapping import active_kek, named_by

WARN_DAYS = 14
DAY = timedelta(days=1)


class Key(Struct, frozen=True, kw_only=True):
    """`days_left` until it may encrypt no more, for a key in use; `cards`, for the registry's key, is none."""

    name: str
    key_id: int
    purpose: Purpose
    live: bool
    state: State
    compromised: bool
    age_days: int
    days_left: int | None
    not_after: datetime
    cards: int


class WrappedBy(Struct, frozen=True):
    uri: str
    age_days: int
    days_left: int
    not_after: datetime
    shares_needed: int | None


class Health(Struct, frozen=True):
    """`wrong` must be done now, `soon` within days. `verified`: every row of the registry was checked with its keys."""

    keys: list[Key]
    kek: WrappedBy | None
    verified: bool
    wrong: list[str]
    soon: list[str]


async def versions(db: Database) -> list[Version]:
    return [k.version for k in await registry.read(db)]


async def moment(db: Database) -> datetime:
    """By the database's clock."""
    return (await run(db, Q["moment"]))["at"]


async def look(db: Database, uris: str) -> Health:
    """`uris` is SCROOGE_VAULT_KEK. Raises DatabaseUnavailable."""
    wrong, soon = [], []
    at = await moment(db)
    cards = {r["key_id"]: r["cards"] for r in await run(db, Q["counted"])}
    keys = [key_of(v, at, cards) for v in await versions(db)]
    row = await active_kek(db)
    kek = None
    if row is not None:
        kek = WrappedBy(
            row.uri, (at - row.created_at) // DAY, (row.not_after - at) // DAY, row.not_after, row.threshold
        )
        told(wrong, soon, row.not_after, at, f"the key-encryption key {row.uri}", "scrooge vault keys rewrap --to URI")
    for k in keys:
        if k.state is State.ACTIVE:
            told(wrong, soon, k.not_after, at, f"key {k.name}", "scrooge vault keys rotate")
        elif k.state is State.PRE_ACTIVE:
            soon.append(f"key {k.name} was made and is not in use: scrooge vault keys rotate goes on with it")
        elif k.state is State.DECRYPT_ONLY and k.cards:
            (wrong if k.compromised else soon).append(
                f"{k.cards} cards are under {k.name}: scrooge vault keys reencrypt"
            )
        elif k.state is State.DECRYPT_ONLY:
            soon.append(f"key {k.name} is not needed any more: scrooge vault keys retire --all")
    unopened = (await run(db, Q["unopened"]))["cards"]
    if unopened:
        wrong.append(f"{unopened} cards do not open: docs/vault.md, Keys; audit: card_reencrypted, does_not_open")
    verified, why = await verify(db, uris) if row is not None else (False, None)
    if why is not None:
        wrong.append(why)
    return Health(keys, kek, verified, wrong, soon)


def key_of(v: Version, at: datetime, cards: dict[int, int]) -> Key:
    left = (v.not_after - at) // DAY if v.state is State.ACTIVE else None
    return Key(
        name=v.name, key_id=v.key_id, purpose=v.purpose, live=v.livemode, state=v.state, compromised=v.compromised,
        age_days=(at - v.created_at) // DAY, days_left=left, not_after=v.not_after, cards=cards.get(v.key_id, 0),
    )  # fmt: skip


def told(wrong: list[str], soon: list[str], not_after: datetime, at: datetime, what: str, fix: str) -> None:
    if at >= not_after:
        wrong.append(f"{what} has reached the end of its cryptoperiod and encrypts no more: {fix}")
    elif at >= not_after - WARN_DAYS * DAY:
        soon.append(f"{what} reaches the end of its cryptoperiod on {not_after:%Y-%m-%d}: {fix}")


async def verify(db: Database, uris: str) -> tuple[bool, str | None]:
    """Whether the registry was checked, and what is wrong. With shares, only an open vault can check it."""
    try:
        keks = [kek for kek in (of_uri(uri.strip()) for uri in uris.split(",") if uri.strip()) if kek is not None]
        row = await active_kek(db)
        assert row is not None
        if await named_by(row, keks) is None:
            if row.threshold is not None:
                return False, None
            return False, f"the keys are wrapped by {row.uri}: SCROOGE_VAULT_KEK must name it"
        await Keyring(db, keks).refresh()
    except (Problem, SettingsError) as error:
        return False, str(error)
    return True, None
