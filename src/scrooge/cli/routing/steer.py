"""`routing explain, switch, switches, unswitch, tariffs`: why a payment goes where it goes, and steering by hand."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from scrooge.cli.output import Json, document, table
from scrooge.cli.routing.desk import Live, Merchant, at_desk, findings_told, id_of, read_file
from scrooge.errors import NotFound, SettingsError
from scrooge.flows import switches as flow
from scrooge.flows.explain import Explanation
from scrooge.flows.explain import explain as explained
from scrooge.flows.scrooge import Scrooge, now
from scrooge.money import Money
from scrooge.postgres.rows import instant
from scrooge.routing.facts import Facts
from scrooge.storage import policies
from scrooge.storage.access import find_caller
from scrooge.storage.policies import Desk, Switch

DURATION = re.compile(r"([1-9][0-9]{0,4})([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
SHOWN = 1000
Fact = Annotated[str, typer.Option(help="Unknown unless given.")]


class State(StrEnum):
    ON = "on"
    DRAIN = "drain"
    OFF = "off"


def explain(
    amount: Annotated[str, typer.Option(help="Like 12.99.")],
    currency: Annotated[str, typer.Option(help="Like EUR.")],
    brand: Fact = "",
    country: Fact = "",
    iin: Fact = "",
    issuer: Fact = "",
    funding: Fact = "",
    product: Fact = "",
    purpose: Fact = "",
    initiator: Annotated[str, typer.Option(help="customer or merchant.")] = "customer",
    caller: Annotated[str | None, typer.Option(help="Whose payment; nobody's in particular unless given.")] = None,
    policy: Annotated[str | None, typer.Option(metavar="POLICY_ID", help="A version that is not active.")] = None,
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Show which accounts could take a payment, why the others could not, and each score. Sends nothing."""
    version = None if policy is None else id_of(policy, "pol", "a policy")
    minor = Money.parse(amount, currency).minor

    async def work(s: Scrooge, desk: Desk) -> Explanation:
        caller_id = "" if caller is None else await find_caller(s.db, desk.merchant, caller)
        if caller_id is None:
            raise NotFound(f"there is no caller {caller!r}")
        facts = Facts(
            currency=currency, minor=minor, at=now(), merchant=merchant, caller=caller or "", brand=brand,
            country=country, iin=iin, issuer=issuer, funding=funding, product=product, purpose=purpose,
            initiator=initiator,
        )  # fmt: skip
        return await explained(s, desk, facts, None, None, version, caller_id)

    with findings_told(as_json):
        found = at_desk(merchant, live, work)
    if as_json:
        document(found)
    else:
        tell(found)


def tell(found: Explanation) -> None:
    typer.echo(
        f"policy {found.policy or 'none'}: {found.because}" + (f"; rules {', '.join(found.rules)}" * bool(found.rules))
    )
    columns = ("account", "share", "value", "approval", "cost", "waiting", "steering")
    scores = {score["name"]: score for score in found.scores}
    table(columns, (line(name, scores.get(name)) for name in found.accounts), right=columns[1:])
    if found.excluded:
        typer.echo("")
        table(("not eligible", "why"), sorted(found.excluded.items()))


def line(name: str, score: dict[str, Any] | None) -> tuple[str, ...]:
    """Values and costs in minor units."""
    if score is None:
        return (name, *[""] * 6)
    numbers = (score["value"], score["approval"], score["cost_nano"] / 10**9, score["waiting"], score["steering"])
    return (name, f"{score['share']:.1%}", *(f"{number:.3f}" for number in numbers))


def switch(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name or id of a connector account.")],
    state: Annotated[State, typer.Argument(help="off and drain send new payments elsewhere; on overrules health.")],
    reason: Annotated[str, typer.Option(help="For those who wonder.")],
    duration: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="Like 90s, 30m, 2h or 7d; until ended unless given.")
    ] = None,
    when: Annotated[
        str, typer.Option(metavar="JSON", help="""Only these payments, like '{"brand": ["visa"]}'.""")
    ] = "{}",
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Switch an account for new payments; earlier ones are captured, refunded and resolved there all the same."""
    if not reason.strip():
        raise SettingsError("--reason: say why")
    expires = None if duration is None else now() + seconds_of(duration) * 1_000_000
    condition = condition_of(when)
    made = at_desk(
        merchant, live, lambda s, desk: flow.switch(s, desk, account, str(state), condition, reason, expires)
    )
    if as_json:
        document(shown(made))
    else:
        typer.echo(f"{made.id}: {made.account_name} is {made.state}" + until(made))


def switches(
    every: Annotated[bool, typer.Option("--all", help="Also those that were ended or ran out.")] = False,
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Show what is switched by hand, newest first."""
    found = at_desk(merchant, live, lambda s, desk: policies.switches(s.db, desk, counting=not every, limit=SHOWN))
    if as_json:
        document({"switches": [shown(w) for w in found]})
        return
    rows = (
        (w.id, w.account_name, w.state, msgspec.json.encode(w.when).decode() if w.when else "", w.reason, w.author,
         *(instant(at) if at else "" for at in (w.created_at, w.expires_at, w.ended_at)))
        for w in found
    )  # fmt: skip
    table(("id", "account", "state", "when", "reason", "author", "created_at", "expires_at", "ended_at"), rows)


def unswitch(
    switch_id: Annotated[str, typer.Argument(metavar="SWITCH_ID", help="As `routing switches` shows.")],
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """End a switch."""
    one = id_of(switch_id, "swi", "a switch")
    ended = at_desk(merchant, live, lambda s, desk: flow.end_switch(s, desk, one))
    if as_json:
        document(shown(ended))
    else:
        typer.echo(f"{ended.id} counts no more")


def tariffs(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Prices in TOML, or in JSON (name.json).")],
    notes: Annotated[str, typer.Option(help="Where they are from.")] = "",
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Say what the accounts cost; counts at once. Exit 3 if the prices do not hold together."""
    content = read_file(file)
    with findings_told(as_json):
        made, new = at_desk(merchant, live, lambda s, desk: flow.set_tariffs(s, desk, content, notes))
    if as_json:
        document({"id": made.id, "version": made.version, "new": new})
    else:
        typer.echo(f"{made.id}: version {made.version} counts" + ("" if new else ", as before"))


def seconds_of(text: str) -> int:
    found = DURATION.fullmatch(text)
    if found is None:
        raise typer.BadParameter("takes a number and s, m, h or d, like 2h", param_hint="--for")
    return int(found[1]) * SECONDS[found[2]]


def condition_of(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise typer.BadParameter("""takes a JSON object like '{"brand": ["visa"]}'""", param_hint="--when") from None


def until(w: Switch) -> str:
    return f" until {instant(w.expires_at)}" if w.expires_at else " until it is ended"


def shown(w: Switch) -> dict[str, Any]:
    moments = {name: getattr(w, name) for name in ("created_at", "expires_at", "ended_at")}
    return {**msgspec.structs.asdict(w), **{name: instant(at) if at else None for name, at in moments.items()}}
