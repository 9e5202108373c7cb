"""Custodians: the ceremony that gives each a share of the key-encryption key, and the sealed vault that waits for them.

PCI DSS 3.7.6 (split knowledge, dual control) and 3.7.8 (custodians accept their duties in writing): a share is taken
from the custodian whose it is, once, and after the acceptance was given; what is entered is forgotten after a while.
"""

import hmac
import re
import secrets
import time
from collections.abc import Sequence

from msgspec import Struct

from scrooge.errors import SettingsError, ShareRefused
from scrooge.postgres.database import Database, run
from scrooge.vault import audit
from scrooge.vault.audit import CONTROL, Act
from scrooge.vault.keys import kek, shares
from scrooge.vault.keys.acts import Operator
from scrooge.vault.keys.keyring import Keyring
from scrooge.vault.keys.registry import Q
from scrooge.vault.keys.wrapping import KekRow, NewKek, active_kek, is_right, new_kek_id

Entered = dict[int, tuple[bytes, float]]  # by number: a share, and when it came
KEPT_SECONDS = 15 * 60  # how long an entered share waits for the others
NAME = re.compile(r"[a-z0-9][a-z0-9@._-]{0,63}")  # as the database has it
DUTIES = (
    "I accept the duties of a key custodian: I keep my share secret and apart from every other share, I give it to"
    " nobody, I use it only when the vault is opened, and I report at once when it may be known to others."
)


class Ceremony(Struct, frozen=True):
    """A new key-encryption key in shares: `texts` is each custodian's name and share, to be shown to that one alone."""

    new: NewKek
    texts: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return f"Ceremony({[name for name, _ in self.texts]})"


def ceremony(custodians: Sequence[str], threshold: int) -> Ceremony:
    """Raises SettingsError."""
    wrong = [name for name in custodians if not NAME.fullmatch(name)]
    if wrong or len(set(custodians)) != len(custodians):
        raise SettingsError("custodians are different people: names of 1 to 64 of a-z, 0-9 and . _ - @")
    if not 2 <= threshold <= len(custodians) <= shares.MOST:
        raise SettingsError(f"it takes at least 2 shares, and there are at most {shares.MOST}")
    secret, salt = shares.new_secret(), secrets.token_bytes(32)
    split = list(enumerate(shares.split(secret, threshold, len(custodians)), start=1))
    commitments = [shares.commitment(salt, number, share) for number, share in split]
    new = NewKek(
        kek=kek.of_secret(secret), id=new_kek_id(), threshold=threshold, salt=salt,
        shares=tuple(zip(custodians, commitments, strict=True)),
    )  # fmt: skip
    texts = tuple((name, shares.text_of(*one)) for name, one in zip(custodians, split, strict=True))
    return Ceremony(new, texts)


class Progress(Struct, frozen=True):
    """How far the vault is with opening: `entered` of `needed` shares."""

    sealed: bool
    entered: int
    needed: int


class Custodians:
    """The shares that were entered into this vault. They are in its memory alone, and not for long."""

    def __init__(self, db: Database, keyring: Keyring) -> None:
        self.db, self.keyring, self.shelf = db, keyring, keyring.shelf

    def __repr__(self) -> str:
        return "Custodians()"

    async def enter(self, custodian: str, text: str, *, accepts: bool, origin: str) -> Progress:
        """Takes a share; the last one needed opens the vault. Raises ShareRefused, and every entry is on record."""
        by = Operator(f"custodian:{custodian[:48]}", origin)
        try:
            row, number, share = await self.checked(custodian, text, accepts)
        except ShareRefused as refused:
            await self.note(Act(who=by.who, act="share_entered", object="kek", outcome=refused.code, origin=origin,
                                detail={"why": refused.detail}))  # fmt: skip
            raise
        async with self.db.transaction() as connection:
            await run(connection, Q["acknowledge"], row.id, number)
            await audit.append(connection, CONTROL, [by.act("share_entered", row.id, number=number, accepts=accepts)])
        with self.shelf.changing() as held:
            held.shares[number] = (share, time.monotonic())
            entered = dict(held.shares)
        assert row.threshold is not None
        progress = Progress(True, len(entered), row.threshold)
        return await self.opened(row, by, entered) if progress.entered >= row.threshold else progress

    async def checked(self, custodian: str, text: str, accepts: bool) -> tuple[KekRow, int, bytes]:
        row = await active_kek(self.db)
        if row is None or row.threshold is None or row.salt is None:
            raise ShareRefused("the vault's key-encryption key is not in shares")
        if self.keyring.brought(row.id) is not None:
            raise ShareRefused("the vault is open already")
        entered = self.forget(row.id)
        number, share = shares.read(text)
        mine = next((r for r in await run(self.db, Q["shares"], row.id) if r["custodian"] == custodian), None)
        commitment = b"" if mine is None else mine["commitment"]
        right = hmac.compare_digest(commitment, shares.commitment(row.salt, number, share))
        if mine is None or not right or mine["number"] != number:
            raise ShareRefused("this is not the share of that custodian")
        if number in entered:
            raise ShareRefused("this share was entered already; it takes those of other custodians")
        if mine["acknowledged_at"] is None and not accepts:
            raise ShareRefused("the custodian must accept the duties of one first (--accept)", duties=DUTIES)
        return row, number, share

    async def opened(self, row: KekRow, by: Operator, entered: Entered) -> Progress:
        """Makes the key of the shares and proves it before anything is opened with it."""
        secret = shares.combine({number: share for number, (share, _) in entered.items()})
        with self.shelf.changing() as held:
            held.shares.clear()
        if not await is_right(kek.of_secret(secret), row):
            raise ShareRefused("these shares do not make the key: all must be entered again")
        with self.shelf.changing() as held:
            held.secrets[row.id] = secret
        await self.keyring.refresh()
        await self.note(by.act("vault_opened", row.id))
        return Progress(False, 0, row.threshold or 0)

    def forget(self, kek_id: str | None = None) -> Entered:
        """Those that waited too long for the others, and shares of another key than this. What is left."""
        now = time.monotonic()
        with self.shelf.changing() as held:
            kept = held.shares if kek_id in {None, held.waiting_for} else {}
            held.shares = {n: (share, at) for n, (share, at) in kept.items() if now - at < KEPT_SECONDS}
            held.waiting_for = kek_id or held.waiting_for
            return held.shares

    async def progress(self) -> Progress:
        row = await active_kek(self.db)
        if row is None:
            return Progress(self.keyring.sealed, 0, 0)
        return Progress(self.keyring.sealed, len(self.forget(row.id)), row.threshold or 0)

    async def note(self, act: Act) -> None:
        async with self.db.transaction() as connection:
            await audit.append(connection, CONTROL, [act])
