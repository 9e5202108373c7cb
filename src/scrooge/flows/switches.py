"""What people do about routing beside policies: say what accounts cost, and switch them by hand. It counts at once."""

from typing import Any

import msgspec

from scrooge.errors import InvalidField, NotFound, TooManySwitches, UnknownConnectorAccount
from scrooge.flows.policy_checks import accounts, findings, names, parsed, refuse
from scrooge.flows.scrooge import Scrooge, now
from scrooge.postgres.database import redone
from scrooge.routing import tariff
from scrooge.routing.policy.lint import Finding
from scrooge.routing.tariff import Prices
from scrooge.routing.when import When
from scrooge.routing.when import faults as wrong
from scrooge.storage import policies
from scrooge.storage.directory import note
from scrooge.storage.policies import Desk, Switch, Tariffs

SWITCHES_MOST = 200  # that count, of a merchant in one mode: every payment looks through those of its accounts


@redone
async def set_tariffs(s: Scrooge, desk: Desk, document: Any, notes: str) -> tuple[Tariffs, bool]:
    """(the version, whether it is new): they count at once. Raises TariffsRefused."""
    prices: Prices = parsed(document, Prices)
    known = await names(s, desk)
    unknown = [Finding(f"tariffs[{i}].account", f"there is no account {t.account!r}")
               for i, t in enumerate(prices.tariffs) if t.account not in known]  # fmt: skip
    faulty = await findings(
        s, lambda: (Finding(f[0], f[2]) for f in (f.partition(": ") for f in tariff.faults(prices)))
    )
    refuse([*unknown, *faulty], Prices)
    async with s.db.transaction() as connection:
        await policies.begin(connection)
        newest = await policies.tariffs(connection, desk)
        if newest and newest[0].digest == policies.digest_of(tariff.to_json(prices)):
            return newest[0], False
        tariffs_id = await policies.add_tariffs(connection, desk, prices, notes)
        await note(connection, desk.author, "routing_tariffs_set", tariffs_id, {"notes": notes})
    await s.routing.refresh()
    return (await policies.tariffs(s.db, desk, one=tariffs_id))[0], True


@redone
async def switch(
    s: Scrooge, desk: Desk, account: str, state: str, when: Any, reason: str, expires_at: int | None
) -> Switch:
    """Counts for new authorizations until it expires or is ended.

    Raises InvalidField, UnknownConnectorAccount, TooManySwitches.
    """
    found = next((a for a in await accounts(s, desk) if account in (a.id, a.name)), None)
    if found is None:
        raise UnknownConnectorAccount("no such connector account", param="connector_account")
    if expires_at is not None and expires_at <= now():
        raise InvalidField("the moment is over", param="expires_at")
    try:
        condition = msgspec.convert(when, When)
    except msgspec.ValidationError as error:
        raise InvalidField(str(error).partition(" - at ")[0], param="when") from None
    for place, what in wrong(condition):
        raise InvalidField(what, param=f"when.{place}")
    async with s.db.transaction() as connection:
        await policies.begin(connection)
        switch_id, replaced = await policies.switch(connection, desk, found.id, state, condition, reason, expires_at)
        if await policies.switches_counting(connection, desk) > SWITCHES_MOST:
            raise TooManySwitches(f"{SWITCHES_MOST} switches count already: end some first")
        detail = {"account": found.id, "state": state, "reason": reason, "replaces": replaced}
        await note(connection, desk.author, "routing_switched", switch_id, detail)
    await s.routing.refresh()
    return await read_switch(s, desk, switch_id)


async def read_switch(s: Scrooge, desk: Desk, switch_id: str) -> Switch:
    """Raises NotFound."""
    found = await policies.switches(s.db, desk, one=switch_id)
    if not found:
        raise NotFound("no such switch")
    return found[0]


@redone
async def end_switch(s: Scrooge, desk: Desk, switch_id: str) -> Switch:
    """Said twice, it is the same answer. Raises NotFound."""
    await read_switch(s, desk, switch_id)
    async with s.db.transaction() as connection:
        await policies.begin(connection)
        if await policies.end_switch(connection, desk, switch_id):
            await note(connection, desk.author, "routing_switch_ended", switch_id, {})
    await s.routing.refresh()
    return await read_switch(s, desk, switch_id)
