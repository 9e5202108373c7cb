"""`risk explain`: what the rules would say now of a payment with an instrument, and what they have counted."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from scrooge.api.parsing import address_of
from scrooge.cli.output import Json, document, say, table
from scrooge.cli.routing.desk import Live, Merchant, at_desk, id_of
from scrooge.errors import NotFound
from scrooge.flows import cards, risk_policies
from scrooge.flows.risking import About
from scrooge.flows.scrooge import Scrooge
from scrooge.money import Money
from scrooge.risk.check import Verdict
from scrooge.risk.recent import Tally
from scrooge.storage.directory import Principal
from scrooge.storage.policies import Desk

HEARD_SECONDS = 10.0  # to hear what other processes saw
Found = tuple[str | None, Verdict | None, Mapping[str, Tally]]


def explain(
    amount: Annotated[str, typer.Option(help="Like 12.99.")],
    currency: Annotated[str, typer.Option(help="Like EUR.")],
    instrument: Annotated[str, typer.Option(metavar="INSTRUMENT_ID", help="With what is paid.")],
    ip: Annotated[str | None, typer.Option(help="The payer's address.")] = None,
    email: Annotated[str | None, typer.Option(help="The payer's.")] = None,
    policy: Annotated[str | None, typer.Option(metavar="POLICY_ID", help="A version that is not active.")] = None,
    merchant: Merchant = "default",
    live: Live = False,
    as_json: Json = False,
) -> None:
    """Show what the rules would do with a payment now, and what is counted. Asks no service, and counts nothing."""
    one = id_of(instrument, "ins", "an instrument")
    version = None if policy is None else id_of(policy, "rsk", "a risk policy")
    minor, payer = Money.parse(amount, currency).minor, address_of(ip)

    async def work(s: Scrooge, desk: Desk) -> Found:
        found = await cards.instrument(s, desk.merchant, one)
        if found is None or found.livemode is not desk.livemode:
            raise NotFound("no such instrument")
        await heard(s)
        who = Principal("", desk.merchant, desk.merchant_name, "", "", frozenset(), desk.livemode)
        about = About(reference="", minor=minor, currency=currency, ip=payer, email=email)
        return await risk_policies.explain(s, who, desk, about, found, version)

    shown = told(*at_desk(merchant, live, work))
    if as_json:
        document(shown)
    else:
        tell(shown)


async def heard(s: Scrooge) -> None:
    """This process was just born: what is counted, it has to hear first."""
    async with asyncio.timeout(HEARD_SECONDS):
        while s.risk.active.active and s.risk.turns == 0:  # noqa: ASYNC110 - for a second, once
            await asyncio.sleep(0.05)


def told(version: str | None, verdict: Verdict | None, counts: Mapping[str, Tally]) -> dict[str, Any]:
    """As the API says it."""
    hits = verdict.hits if verdict else ()
    return {
        "policy": version,
        "did": verdict.does if verdict else "allow",
        "would": verdict.would if verdict else "allow",
        "hits": [{"rule": h.rule, "does": h.does, "because": h.because, "enforced": h.enforced} for h in hits],
        "counts": {name: [t.attempts, t.declines, t.others] for name, t in counts.items()},
    }


def tell(shown: dict[str, Any]) -> None:
    if shown["policy"] is None:
        say("No risk policy is active: nothing is checked.")
        return
    would = "" if shown["would"] == shown["did"] else f"; if all that watches decided: {shown['would']}"
    typer.echo(f"{shown['policy']}: {shown['did']}{would}")
    for hit in shown["hits"]:
        watches = "" if hit["enforced"] else " (it only watches)"
        typer.echo(f"  {hit['rule']} {hit['does']}s: {hit['because']}{watches}")
    table(
        ("COUNTED OF", "ATTEMPTS", "DECLINES", "DIFFERENT CARDS"),
        [(name, *map(str, several)) for name, several in shown["counts"].items()],
        right=("ATTEMPTS", "DECLINES", "DIFFERENT CARDS"),
    )
