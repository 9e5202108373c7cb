"""The bench's merchant: one caller with a key, one account at a PSP, and payers with instruments there."""

import asyncio
import hashlib
import secrets

import aiohttp
from msgspec import Struct

from scrooge.cli.bench.sample import Seller
from scrooge.cli.bench.server import opened, session
from scrooge.cli.demo.shop import asked
from scrooge.ids import hex_of, new_id
from scrooge.storage.access import create_caller, create_key, create_merchant

PAYERS = 256
AT_ONCE = 16


class Shop(Struct, frozen=True):
    key: str
    instruments: list[str]


def payer_name(number: int) -> str:
    return f"payer-{number:03d}"


async def sell(url: str) -> tuple[Seller, str]:
    """A merchant and a caller, and the caller's key."""
    async with opened(url) as db:
        merchant = await create_merchant(db, "bench")
        caller = await create_caller(db, merchant, "checkout")
        _, key = await create_key(db, caller, ["*"], False)
    return Seller(merchant, caller, new_id("con", 0)), key


async def sell_without_api(url: str) -> Seller:
    """For the limit: a connector account in the books, which nobody will ever call."""
    seller, _ = await sell(url)
    async with session(url) as connection:
        await connection.execute(
            "INSERT INTO connector_accounts (id, merchant_id, name, connector, merchant_account, livemode, credentials)"
            " VALUES ($1, $2, 'stripe', 'stripe', 'acct_bench', false, '')",
            hex_of(seller.account),
            hex_of(seller.merchant),
        )
    return seller


async def open_shop(url: str, api_url: str, psp_url: str, *, notified: bool) -> Shop:
    """Through the API, as an operator would."""
    _, key = await sell(url)
    headers = {"Authorization": f"Bearer {key}"}
    psp_key = f"sk_test_{secrets.token_hex(16)}"
    async with aiohttp.ClientSession(headers=headers) as http:
        account = {
            "name": "stripe",
            "connector": "stripe",
            # The name that the simulated Stripe gives an account without one.
            "merchant_account": f"acct_{hashlib.sha256(psp_key.encode()).hexdigest()[:16]}",
            "mode": "test",
            "credentials": {"api_key": psp_key},
            "base_url": f"{psp_url}/stripe",
        }
        made = await asked(http, "POST", f"{api_url}/v1/connector-accounts", json=account)
        if notified:
            await hear(http, api_url, psp_url, made["id"], psp_key)
        gate = asyncio.Semaphore(AT_ONCE)

        async def payer(number: int) -> str:
            body = {
                "customer": payer_name(number),
                "card": {"brand": "visa", "iin": "424242", "last4": "4242", "exp": "2034-12"},
                "credentials": [{"connector_account": "stripe", "psp_token": "pm_card_visa"}],
            }
            async with gate:
                return (await asked(http, "POST", f"{api_url}/v1/instruments", json=body))["id"]

        return Shop(key, await asyncio.gather(*(payer(number) for number in range(PAYERS))))


async def hear(http: aiohttp.ClientSession, api_url: str, psp_url: str, account_id: str, psp_key: str) -> None:
    """The PSP notifies us of everything, signed with the secret that it makes for us."""
    wanted = {"url": f"{api_url}/notifications/{account_id}", "enabled_events[]": "*"}
    endpoints = f"{psp_url}/stripe/v1/webhook_endpoints"
    target = await asked(http, "POST", endpoints, data=wanted, headers={"Authorization": f"Bearer {psp_key}"})
    change = {"credentials": {"webhook_secret": target["secret"]}}
    await asked(http, "PATCH", f"{api_url}/v1/connector-accounts/{account_id}", json=change)
