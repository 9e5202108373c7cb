"""The demo's merchant: callers with keys, accounts at both PSPs that notify us, instruments of every kind.

Kept in the demo's directory, so that the next start goes on with the same ones.
"""

import hashlib
import os
import secrets
import string
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from scrooge.cli.demo.vault import open_key, tokenize
from scrooge.cli.output import say
from scrooge.errors import Problem
from scrooge.postgres.database import Database
from scrooge.sandbox.cards import TEST_CARDS
from scrooge.storage.access import create_caller, create_key, create_merchant

MERCHANT = "demo"
CALLERS = ("checkout", "subscriptions", "ads")
# Kinds of payer, and the sandbox's card of each: (at Stripe, at Adyen).
CARDS = {
    "visa": ("pm_card_visa", "stored_visa"),
    "mastercard": ("pm_card_mastercard", "stored_mastercard"),
    "amex": ("pm_card_amex", "stored_amex"),
    "insufficient_funds": ("pm_card_visa_chargeDeclinedInsufficientFunds", "stored_insufficient_funds"),
    "do_not_honor": ("pm_card_visa_chargeDeclined", "stored_do_not_honor"),
    "expired_card": ("pm_card_chargeDeclinedExpiredCard", "stored_expired_card"),
    "suspected_fraud": ("pm_card_radarBlock", "stored_suspected_fraud"),
    "issuer_unavailable": ("pm_card_sandbox_issuerUnavailable", "stored_issuer_unavailable"),
    "funds_later": ("pm_card_sandbox_fundsLater", "stored_funds_later"),
    "challenge": ("pm_card_authenticationRequired", "stored_challenge_always"),
}


class Contract(Struct, frozen=True):
    """Our account at one PSP. The PSP's API key is kept, because the PSP knows us by it on other ports too."""

    id: str
    name: str
    merchant_account: str
    api_key: str


class Shop(Struct):
    """`keys` by caller; `instruments` by kind of payer: one for each PSP that comes first, and one in the vault."""

    api_url: str
    sandbox_url: str
    vault_url: str
    keys: dict[str, str]
    vault_key: str = ""
    contracts: dict[str, Contract] = {}  # by connector
    instruments: dict[str, list[str]] = {}

    @property
    def psps(self) -> list[str]:
        """The accounts that take payments; the token provider's does not."""
        return [self.contracts[psp].name for psp in ("stripe", "adyen")]


class Refused(Problem):
    """The demo asked for something that was refused: a bug, or data that something else changed."""


def remembered(folder: Path) -> Shop | None:
    """The shop of an earlier start, as it was then."""
    try:
        return msgspec.json.decode((folder / "shop.json").read_bytes(), type=Shop)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_private(path: Path, content: Any) -> None:
    """Whole or not at all, and for our eyes only: there are keys in it."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    os.replace(unfinished, path)


async def open_shop(
    folder: Path, db: Database, vault_database: str, http: aiohttp.ClientSession,
    api_url: str, sandbox_url: str, vault_url: str,
) -> Shop:  # fmt: skip
    """The remembered shop, moved here if it was elsewhere, or a new one."""
    shop = remembered(folder)
    if shop is None:
        shop = await new_shop(db, vault_database, http, api_url, sandbox_url, vault_url)
    elif (shop.api_url, shop.sandbox_url, shop.vault_url) != (api_url, sandbox_url, vault_url):
        say("the ports are not those of the last time: telling the accounts and the PSPs")
        shop.api_url, shop.sandbox_url, shop.vault_url = api_url, sandbox_url, vault_url
        for connector, contract in shop.contracts.items():
            await change_account(shop, http, contract, {"base_url": f"{sandbox_url}/{connector}"})
        await hear_from_stripe(shop, http)
        await hear_from_adyen(shop, http)
        await hear_from_provider(shop, http)
    elif set(CARDS) <= set(shop.instruments):
        return shop
    await add_cards(shop, http)
    write_private(folder / "shop.json", shop)
    return shop


async def new_shop(
    db: Database, vault_database: str, http: aiohttp.ClientSession, api_url: str, sandbox_url: str, vault_url: str
) -> Shop:
    say("opening the shop: merchant demo, callers checkout, subscriptions and ads")
    merchant = await create_merchant(db, MERCHANT)
    keys = {}
    for caller in CALLERS:
        _, keys[caller] = await create_key(db, await create_caller(db, merchant, caller), ["*"], False)
    vault_key = await open_key(vault_database, merchant)
    shop = Shop(api_url, sandbox_url, vault_url, keys, vault_key, {}, {})
    api_key = f"sk_test_{uuid.uuid4().hex}"
    # The name that the simulated Stripe gives an account without one.
    name = f"acct_{hashlib.sha256(api_key.encode()).hexdigest()[:16]}"
    await add_account(shop, http, "stripe", name, api_key)
    await add_account(shop, http, "adyen", f"Demo{uuid.uuid4().hex[:8]}ECOM", f"AQE{letters(32)}")
    await add_account(shop, http, "tsp", "requestor-1", f"tsp_test_{letters(24)}")
    await hear_from_stripe(shop, http)
    await hear_from_adyen(shop, http)
    await hear_from_provider(shop, http)
    await add_cards(shop, http)
    return shop


async def add_cards(shop: Shop, http: aiohttp.ClientSession) -> None:
    """Of the kinds that it has none of yet."""
    for kind, (at_stripe, at_adyen) in CARDS.items():
        if kind not in shop.instruments:
            tokens = [(shop.contracts["stripe"].name, at_stripe), (shop.contracts["adyen"].name, at_adyen)]
            several = [await instrument(shop, http, kind, t) for t in (tokens, tokens[::-1])]
            several.append(await tokenize(http, shop.vault_url, shop.vault_key, kind, at_stripe))
            shop.instruments[kind] = several


def letters(count: int) -> str:
    """Without digits, a row of which the API may take for a card number."""
    return "".join(secrets.choice(string.ascii_letters) for _ in range(count))


async def hear_from_stripe(shop: Shop, http: aiohttp.ClientSession) -> None:
    """One target, ours of now. Stripe signs with a secret that it makes when the target is registered."""
    contract = shop.contracts["stripe"]
    endpoints = f"{shop.sandbox_url}/stripe/v1/webhook_endpoints"
    headers = {"Authorization": f"Bearer {contract.api_key}"}
    old = await asked(http, "GET", endpoints, headers=headers)
    wanted = {"url": f"{shop.api_url}/notifications/{contract.id}", "enabled_events[]": "*"}
    target = await asked(http, "POST", endpoints, data=wanted, headers=headers)
    await change_account(shop, http, contract, {"credentials": {"webhook_secret": target["secret"]}})
    for endpoint in old["data"]:
        await asked(http, "DELETE", f"{endpoints}/{endpoint['id']}", headers=headers)


async def hear_from_adyen(shop: Shop, http: aiohttp.ClientSession) -> None:
    """Adyen's Management API registers the target and makes its HMAC key when asked to.

    A known target is changed, not replaced: what Adyen could not tell before, it goes on telling there.
    """
    contract = shop.contracts["adyen"]
    webhooks = f"{shop.sandbox_url}/adyen/management/v3/merchants/{contract.merchant_account}/webhooks"
    headers = {"X-API-Key": contract.api_key}
    url = f"{shop.api_url}/notifications/{contract.id}"
    known = (await asked(http, "GET", webhooks, headers=headers)).get("data", [])
    for webhook in known:
        await asked(http, "PATCH", f"{webhooks}/{webhook['id']}", json={"url": url}, headers=headers)
    if not known:
        target = {"type": "standard", "url": url, "active": True, "communicationFormat": "json"}
        webhook = await asked(http, "POST", webhooks, json=target, headers=headers)
        made = await asked(http, "POST", f"{webhooks}/{webhook['id']}/generateHmac", headers=headers)
        await change_account(shop, http, contract, {"credentials": {"hmac_key": made["hmacKey"]}})


async def hear_from_provider(shop: Shop, http: aiohttp.ClientSession) -> None:
    """Of network tokens. A shop that is older than they are has no provider."""
    contract = shop.contracts.get("tsp")
    if contract is not None:
        body = {"url": f"{shop.api_url}/notifications/{contract.id}"}
        headers = {"Authorization": f"Bearer {contract.api_key}"}
        target = await asked(http, "POST", f"{shop.sandbox_url}/tsp/v1/webhooks", json=body, headers=headers)
        await change_account(shop, http, contract, {"credentials": {"webhook_secret": target["secret"]}})


async def add_account(
    shop: Shop, http: aiohttp.ClientSession, connector: str, merchant_account: str, api_key: str
) -> None:
    """Named like the connector. One of a shop that was never finished keeps that name, and is drained."""
    url = f"{shop.api_url}/v1/connector-accounts"
    held = await asked(http, "GET", url, headers=authorized(shop))
    old = [a for a in held["data"] if a["connector"] == connector]
    for account in old:
        await asked(http, "POST", f"{url}/{account['id']}/drain", headers=authorized(shop))
    name = connector if not old else f"{connector}_{len(old) + 1}"
    body = {
        "name": name,
        "connector": connector,
        "merchant_account": merchant_account,
        "mode": "test",
        "credentials": {"api_key": api_key},
        "base_url": f"{shop.sandbox_url}/{connector}",
    }
    made = await asked(http, "POST", url, json=body, headers=authorized(shop))
    shop.contracts[connector] = Contract(made["id"], name, merchant_account, api_key)


async def change_account(shop: Shop, http: aiohttp.ClientSession, contract: Contract, changes: dict[str, Any]) -> None:
    url = f"{shop.api_url}/v1/connector-accounts/{contract.id}"
    await asked(http, "PATCH", url, json=changes, headers=authorized(shop))


async def instrument(shop: Shop, http: aiohttp.ClientSession, kind: str, tokens: list[tuple[str, str]]) -> str:
    numbers = {(c.connector, c.token): c.number for c in TEST_CARDS}
    number = numbers["stripe", CARDS[kind][0]]
    brand = kind if kind in ("mastercard", "amex") else "visa"
    body = {
        "customer": f"payer-{kind}",
        "card": {"brand": brand, "iin": number[:6], "last4": number[-4:], "exp": "2030-12"},
        "credentials": [{"connector_account": name, "psp_token": token} for name, token in tokens],
    }
    url = f"{shop.api_url}/v1/instruments"
    return (await asked(http, "POST", url, json=body, headers=authorized(shop)))["id"]


def authorized(shop: Shop, caller: str = "checkout") -> dict[str, str]:
    return {"Authorization": f"Bearer {shop.keys[caller]}"}


async def asked(http: aiohttp.ClientSession, method: str, url: str, **more: Any) -> dict[str, Any]:
    """Raises Refused for anything but success."""
    async with http.request(method, url, **more) as answer:
        body = await answer.read()
        if answer.status >= 300:
            raise Refused(f"{method} {url} answered {answer.status}: {body.decode(errors='replace')[:500]}")
        return msgspec.json.decode(body) if body else {}
