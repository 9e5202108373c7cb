"""The demo's merchant: callers with keys, accounts at both PSPs that notify us, instruments of every kind.

Kept in the demo's directory, so that the next start goes on with the same ones.
"""

import hashlib
import os
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from scrooge.cli.output import say
from scrooge.errors import Problem
from scrooge.sandbox.cards import TEST_CARDS
from scrooge.storage.access import create_caller, create_key, create_merchant
from scrooge.storage.database import Database

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
    "challenge": ("pm_card_authenticationRequired", "stored_challenge_always"),
}


class Shop(Struct):
    """`keys` by caller; `instruments` by kind of payer, one for each PSP that comes first."""

    api_url: str
    sandbox_url: str
    keys: dict[str, str]
    accounts: dict[str, str] = {}  # connector: the name of our account there
    instruments: dict[str, list[str]] = {}


class Refused(Problem):
    """The demo asked for something that was refused: a bug, or data that something else changed."""


def remembered(folder: Path, api_url: str, sandbox_url: str) -> Shop | None:
    """The shop of an earlier start on the same ports."""
    try:
        shop = msgspec.json.decode((folder / "shop.json").read_bytes(), type=Shop)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return shop if (shop.api_url, shop.sandbox_url) == (api_url, sandbox_url) else None


def write_private(path: Path, content: Any) -> None:
    """Whole or not at all, and for our eyes only: there are keys in it."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    os.replace(unfinished, path)


async def open_shop(folder: Path, db: Database, http: aiohttp.ClientSession, api_url: str, sandbox_url: str) -> Shop:
    """The remembered shop, or a new one."""
    shop = remembered(folder, api_url, sandbox_url)
    if shop is not None:
        return shop
    say("opening the shop: merchant demo, callers checkout, subscriptions and ads")
    merchant = await create_merchant(db, MERCHANT)
    keys = {}
    for caller in CALLERS:
        _, keys[caller] = await create_key(db, await create_caller(db, merchant, caller), ["*"], False)
    shop = Shop(api_url, sandbox_url, keys)
    await open_stripe(shop, http)
    await open_adyen(shop, http)
    for kind, (at_stripe, at_adyen) in CARDS.items():
        tokens = [(shop.accounts["stripe"], at_stripe), (shop.accounts["adyen"], at_adyen)]
        shop.instruments[kind] = [await instrument(shop, http, kind, t) for t in (tokens, tokens[::-1])]
    write_private(folder / "shop.json", shop)
    return shop


async def open_stripe(shop: Shop, http: aiohttp.ClientSession) -> None:
    """Stripe signs with a secret that it makes when the target is registered."""
    api_key = f"sk_test_{uuid.uuid4().hex}"
    # The name that the simulated Stripe gives an account without one.
    merchant_account = f"acct_{hashlib.sha256(api_key.encode()).hexdigest()[:16]}"
    account = await add_account(shop, http, "stripe", merchant_account, {"api_key": api_key})
    target = await asked(
        http,
        "POST",
        f"{shop.sandbox_url}/stripe/v1/webhook_endpoints",
        data={"url": f"{shop.api_url}/notifications/{account}", "enabled_events[]": "*"},
        headers={"Authorization": f"Bearer {api_key}"},
    )
    await add_credentials(shop, http, account, {"webhook_secret": target["secret"]})


async def open_adyen(shop: Shop, http: aiohttp.ClientSession) -> None:
    """Adyen's Management API registers the target, and makes its HMAC key when asked to."""
    merchant_account = f"Demo{uuid.uuid4().hex[:8]}ECOM"
    credentials = {"api_key": f"AQE{uuid.uuid4().hex}"}
    account = await add_account(shop, http, "adyen", merchant_account, credentials)
    webhooks = f"{shop.sandbox_url}/adyen/management/v3/merchants/{merchant_account}/webhooks"
    headers = {"X-API-Key": credentials["api_key"]}
    target = {
        "type": "standard",
        "url": f"{shop.api_url}/notifications/{account}",
        "active": True,
        "communicationFormat": "json",
    }
    webhook = await asked(http, "POST", webhooks, json=target, headers=headers)
    made = await asked(http, "POST", f"{webhooks}/{webhook['id']}/generateHmac", headers=headers)
    await add_credentials(shop, http, account, {"hmac_key": made["hmacKey"]})


async def add_account(
    shop: Shop, http: aiohttp.ClientSession, connector: str, merchant_account: str, credentials: dict[str, str]
) -> str:
    """The account's id. Its name is the connector's; one from other ports keeps that, and is drained."""
    held = await asked(http, "GET", f"{shop.api_url}/v1/connector-accounts", headers=authorized(shop))
    old = [a for a in held["data"] if a["connector"] == connector]
    for account in old:
        url = f"{shop.api_url}/v1/connector-accounts/{account['id']}/drain"
        await asked(http, "POST", url, headers=authorized(shop))
    name = connector if not old else f"{connector}_{len(old) + 1}"
    body = {
        "name": name,
        "connector": connector,
        "merchant_account": merchant_account,
        "mode": "test",
        "credentials": credentials,
        "base_url": f"{shop.sandbox_url}/{connector}",
    }
    url = f"{shop.api_url}/v1/connector-accounts"
    made = await asked(http, "POST", url, json=body, headers=authorized(shop))
    shop.accounts[connector] = name
    return made["id"]


async def add_credentials(shop: Shop, http: aiohttp.ClientSession, account: str, credentials: dict[str, str]) -> None:
    url = f"{shop.api_url}/v1/connector-accounts/{account}"
    await asked(http, "PATCH", url, json={"credentials": credentials}, headers=authorized(shop))


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
