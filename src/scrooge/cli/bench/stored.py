"""Payments from stored value: what an authorize-and-capture costs, over many accounts and from a single one."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import aiohttp
from msgspec import structs

from scrooge.cli.bench.options import Options
from scrooge.cli.bench.result import Round
from scrooge.cli.bench.server import Server, ask
from scrooge.cli.bench.shop import AT_ONCE, payer_name
from scrooge.cli.bench.stage import Setup, Stage, stage
from scrooge.cli.demo.shop import asked

ACCOUNTS = 256
LOADED = {"value": "9000000.00", "currency": "EUR"}
LIMIT = {"SCROOGE_STORED_VALUE_LOAD_MAX_MINOR": str(10**12)}
WARM_SECONDS = 2.0


async def stored_value(where: Server, setup: Setup, o: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Round by round in turn: cards at the minimal PSP, many accounts, one account. Raises CrewError."""
    setup = structs.replace(setup, environment={**setup.environment, **LIMIT})
    async with stage(where, setup) as at:
        found = await opened(at)
        means = {"cards": at.shop.instruments, "accounts": found, "one_account": found[:1]}
        rounds: dict[str, list[Round]] = {name: [] for name in means}
        await at.warm(o.clients, min(WARM_SECONDS, o.seconds))
        for _ in range(o.rounds):
            for name, instruments in means.items():
                at.shop = structs.replace(at.shop, instruments=instruments)
                rounds[name].append(await at.round(at.plan(o.clients, o.seconds, rate=o.rate)))
                one = rounds[name][-1]
                say(f"{name}: {one.payments_per_second:,.0f} payments/s, {one.cpu_ms_per_payment} ms, {one.errors}")
        unpaid = await ask(
            at.url,
            "SELECT count(*) FILTER (WHERE p.status <> 'captured') AS unpaid,"
            " count(*) FILTER (WHERE i.stored_value_id IS NOT NULL) AS stored"
            "  FROM payments p JOIN instruments i ON i.id = p.instrument_id",
        )
        ended = await at.ended(copies=unpaid["stored"])
        return {
            **{name: structs.asdict(middle(several)) for name, several in rounds.items()},
            "unpaid": unpaid["unpaid"], **ended, "ok": ended["ok"] and unpaid["unpaid"] == 0,
        }  # fmt: skip


def middle(rounds: list[Round]) -> Round:
    return sorted(rounds, key=lambda r: r.payments_per_second)[len(rounds) // 2]


async def opened(at: Stage) -> list[str]:
    """Accounts with more on them than a run can spend: the instruments that pay from them."""
    gate, run = asyncio.Semaphore(AT_ONCE), secrets.token_hex(3)
    headers = {"Authorization": f"Bearer {at.shop.key}"}
    async with aiohttp.ClientSession(headers=headers) as http:

        async def one(number: int) -> str:
            body = {
                "reference": f"{run}-{number}",
                "customer": payer_name(number),
                "currency": "EUR",
                "purpose": "bench",
            }
            async with gate:
                made = await keyed(http, f"{at.api_url}/v1/stored-value-accounts", body)
                load = {"reference": "first", "amount": LOADED}
                await keyed(http, f"{at.api_url}/v1/stored-value-accounts/{made['id']}/loads", load)
                return made["instrument"]

        return [await one(0), *await asyncio.gather(*(one(number) for number in range(1, ACCOUNTS)))]


async def keyed(http: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> dict[str, Any]:
    return await asked(http, "POST", url, json=body, headers={"Idempotency-Key": secrets.token_hex(16)})
