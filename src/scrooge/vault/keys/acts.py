"""What is done to the keys: made, put in use, taken out of it, destroyed, wrapped anew.

Each act is one transaction with its record, one at a time across all processes, and every row of the registry is
checked before it is believed.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from scrooge.errors import KeyInUse, KeyPeriodOver, SettingsError
from scrooge.postgres.database import Database, load, run
from scrooge.vault import audit
from scrooge.vault.audit import CONTROL, Act
from scrooge.vault.keys import registry
from scrooge.vault.keys.kek import Kek
from scrooge.vault.keys.keyring import REFRESH_SECONDS, STALE_SECONDS, Keyring
from scrooge.vault.keys.keyset import Purpose, mac_of, made
from scrooge.vault.keys.periods import Periods
from scrooge.vault.keys.registry import Kept, Q, State, Version, wrapping_context
from scrooge.vault.keys.wrapping import NewKek, active_kek, add_kek

REMEMBERED = load(Path(__file__).with_name("remembered.sql"))
REPEATED_DAYS = 31  # as idempotency keys are kept
GRACE_SECONDS = 5 * REFRESH_SECONDS  # A new key is not used before every process has surely heard of it.
SETTLED_SECONDS = 2 * STALE_SECONDS  # After so long nobody keeps a card any more that was sealed before a rotation.


class Operator(Struct, frozen=True):
    """Who does it and from where, for the record."""

    who: str
    origin: str

    def act(self, act: str, on: str, **detail: str | int | bool | None) -> Act:
        return Act(who=self.who, act=act, object=on, outcome="done", origin=self.origin, detail=detail)

    def failed(self, act: str, on: str, outcome: str) -> Act:
        return Act(who=self.who, act=act, object=on, outcome=outcome, origin=self.origin, detail={})


async def begin(connection: Any) -> datetime:
    """The turn to act on keys, and the moment, by the database's clock."""
    await run(connection, Q["turn"])
    return (await run(connection, Q["moment"]))["at"]


# --- making keys ------------------------------------------------------------------------------------------------------


async def first_keys(
    connection: Any, kek: Kek, kek_id: str, kept: Sequence[Kept], at: datetime, days: int
) -> list[Version]:
    """A key for every purpose of a mode that has none; none of live mode where the key-encryption key may not."""
    new: list[Version] = []
    for live in (False, True) if kek.live else (False,):
        missing = [p for p in Purpose if not any(
            k.version.state is State.ACTIVE and (k.version.purpose, k.version.livemode) == (p, live) for k in kept
        )]  # fmt: skip
        if not missing:
            continue
        assert len(missing) == len(Purpose), "a mode has all its keys or none"
        registry_id, registry_key = made(Purpose.REGISTRY)
        tagger = mac_of(registry_key)
        for purpose in Purpose:
            key_id, clear = (registry_id, registry_key) if purpose is Purpose.REGISTRY else made(purpose)
            v = Version(
                key_id=key_id, purpose=purpose, livemode=live, version=1, state=State.ACTIVE, created_at=at,
                not_after=at + timedelta(days=days), active_at=at,
            )  # fmt: skip
            wrapped = await kek.wrap(clear, wrapping_context(v))
            await registry.add(connection, v, tagger.compute_mac(registry.spoken(v)), kek_id, wrapped)
            new.append(v)
    return new


class Acts:
    """Acts on the keys of one database by one operator. The keyring must be open."""

    def __init__(self, db: Database, keyring: Keyring, periods: Periods, by: Operator) -> None:
        self.db, self.keyring, self.periods, self.by = db, keyring, periods, by

    async def looked(self, connection: Any) -> tuple[datetime, list[Kept]]:
        """The turn, and the registry as it is now, checked."""
        at = await begin(connection)
        kept = await registry.read(connection)
        await self.keyring.take(kept)
        return at, kept

    async def save(self, connection: Any, versions: Iterable[Version], *, by: int | None = None) -> None:
        """`by`: the registry key that authenticates the rows; the one in use, if none is said."""
        keys = self.keyring.opened()
        for v in versions:
            tagger = keys.registries[v.livemode][by or keys.active[Purpose.REGISTRY, v.livemode].key_id]
            await registry.keep(connection, v, tagger.compute_mac(registry.spoken(v)))

    async def prepare(self, wanted: Sequence[tuple[Purpose, bool]]) -> tuple[list[Version], datetime]:
        """First half of a rotation: new keys that every process learns and none uses. Repeated, it makes no others.

        Returns them and the moment from which they may be used. Raises KeyPeriodOver when the key-encryption key's is.
        """
        async with self.db.transaction() as connection:
            at, kept = await self.looked(connection)
            row = await active_kek(connection)
            assert row is not None, "an open keyring has a key-encryption key"
            kek = self.keyring.keks.get(row.id)
            if kek is None:
                raise SettingsError(f"the keys are wrapped by {row.uri} now: SCROOGE_VAULT_KEK must name it")
            if at >= row.not_after:
                raise KeyPeriodOver(f"{row.uri} has reached the end of its cryptoperiod: scrooge vault keys rewrap")
            versions = [k.version for k in kept]
            coming = {(v.purpose, v.livemode): v for v in versions if v.state is State.PRE_ACTIVE}
            for purpose, live in wanted:
                if (purpose, live) in coming:
                    continue
                last = max((v.version for v in versions if (v.purpose, v.livemode) == (purpose, live)), default=0)
                key_id, clear = made(purpose)
                v = Version(
                    key_id=key_id, purpose=purpose, livemode=live, version=last + 1, state=State.PRE_ACTIVE,
                    created_at=at, not_after=at + timedelta(days=self.periods.key_days),
                )  # fmt: skip
                keys = self.keyring.opened()
                tagger = keys.registries[live][keys.active[Purpose.REGISTRY, live].key_id]
                wrapped = await kek.wrap(clear, wrapping_context(v))
                await registry.add(connection, v, tagger.compute_mac(registry.spoken(v)), row.id, wrapped)
                await audit.append(connection, CONTROL, [self.by.act("key_made", v.name, key_id=key_id)])
                coming[purpose, live] = v
        found = [coming[pair] for pair in wanted]
        return found, max(v.created_at for v in found) + timedelta(seconds=GRACE_SECONDS)

    async def promote(self, wanted: Sequence[tuple[Purpose, bool]], *, emergency: bool = False) -> list[Version]:
        """Second half: what was prepared comes into use, and what was in use only opens from now on.

        `emergency`: the old keys may be known to others, and their rows say so.
        """
        async with self.db.transaction() as connection:
            at, kept = await self.looked(connection)
            versions = [k.version for k in kept]
            new = [v for v in versions if v.state is State.PRE_ACTIVE and (v.purpose, v.livemode) in wanted]
            early = [v for v in new if at < v.created_at + timedelta(seconds=GRACE_SECONDS)]
            if early:
                raise KeyInUse(f"key {early[0].name} is too new: some process may not know it yet")
            for v in new:
                ended = [
                    structs.replace(o, state=State.DECRYPT_ONLY, retired_at=at, compromised=o.compromised or emergency)
                    for o in versions
                    if (o.purpose, o.livemode, o.state) == (v.purpose, v.livemode, State.ACTIVE)
                ]
                await self.save(connection, ended)
                in_use = structs.replace(v, state=State.ACTIVE, active_at=at)
                await self.save(connection, [in_use])
                versions = [structs.replace(o) for o in replaced(versions, [*ended, in_use])]
                if v.purpose is Purpose.REGISTRY:  # Every row of the mode is authenticated anew.
                    await self.save(connection, [o for o in versions if o.livemode == v.livemode], by=v.key_id)
                detail = {"key_id": v.key_id, "emergency": emergency, "before": ended[0].key_id if ended else None}
                await audit.append(connection, CONTROL, [self.by.act("key_rotated", v.name, **detail)])
                await self.keyring.take(await registry.read(connection))
        return new

    # --- ending keys --------------------------------------------------------------------------------------------------

    async def retire(self, key_id: int) -> Version:
        """Destroys a key that nothing needs any more. Raises KeyInUse."""
        async with self.db.transaction() as connection:
            at, kept = await self.looked(connection)
            found = next((k for k in kept if k.version.key_id == key_id), None)
            if found is None or found.version.state is State.DESTROYED:
                raise KeyInUse("there is no such key, or it is destroyed already")
            v = found.version
            if v.state is not State.DECRYPT_ONLY:
                raise KeyInUse(f"key {v.name} is {v.state}: scrooge vault keys rotate puts another in its place")
            if v.retired_at is None or at < v.retired_at + timedelta(seconds=SETTLED_SECONDS):
                raise KeyInUse(f"key {v.name} was in use until just now: try again in {SETTLED_SECONDS:.0f} seconds")
            await run(connection, Q["lock_keyset"], key_id)
            if (await run(connection, Q["needed"], v.livemode, key_id))["needed"]:
                raise KeyInUse(f"cards still need key {v.name}: scrooge vault keys reencrypt")
            if (await run(connection, REMEMBERED["remembered"], key_id.to_bytes(4)))["needed"]:
                raise KeyInUse(f"repeated requests of up to {REPEATED_DAYS} days ago are known by key {v.name}: later")
            if any(int.from_bytes(k.mac[1:5]) == key_id for k in kept if k.version.key_id != key_id):
                raise KeyInUse(f"rows of the registry still need key {v.name}")
            gone = structs.replace(v, state=State.DESTROYED, destroyed_at=at)
            await self.save(connection, [gone])
            await run(connection, Q["destroy"], key_id)
            await audit.append(connection, CONTROL, [self.by.act("key_destroyed", v.name, key_id=key_id)])
        await self.keyring.refresh()
        return gone

    # --- another key-encryption key -----------------------------------------------------------------------------------

    async def rewrap(self, new: NewKek) -> None:
        """Wraps every key by another key-encryption key; the keys themselves, and what they sealed, stay."""
        async with self.db.transaction() as connection:
            at, kept = await self.looked(connection)
            rows = [k for k in kept if k.wrapped is not None]
            if not new.kek.live and any(k.version.livemode for k in rows):
                raise SettingsError(f"{new.kek.uri} is for test mode only, and there are keys of live mode")
            before = await active_kek(connection)
            assert before is not None, "an open keyring has a key-encryption key"
            await run(connection, Q["retire_kek"], before.id, at)
            await add_kek(connection, new, at, self.periods.kek_days)
            for k in rows:
                context = wrapping_context(k.version)
                clear = await (await self.keyring.kek_of(k)).unwrap(k.wrapped or b"", context)
                await run(connection, Q["rewrap"], k.version.key_id, new.id, await new.kek.wrap(clear, context))
            more = await first_keys(connection, new.kek, new.id, kept, at, self.periods.key_days)
            act = self.by.act("keys_rewrapped", new.kek.uri, before=before.uri, keys=len(rows), made=len(more))
            await audit.append(connection, CONTROL, [act])
        self.keyring.keks[new.id] = new.kek
        await self.keyring.refresh()


def replaced(versions: Iterable[Version], changed: Iterable[Version]) -> list[Version]:
    by_id = {v.key_id: v for v in changed}
    return [by_id.get(v.key_id, v) for v in versions]
