"""The shop's server: it opens capture sessions with its vault key, and pays with its API key and the instrument."""

import secrets
import signal
import sys
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import msgspec
import uvicorn
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from . import page

ORDERS_MAX = 1000
TIMEOUT = aiohttp.ClientTimeout(total=60)


class ShopConfig(Struct, frozen=True, kw_only=True):
    """What a merchant has: two URLs with a key each, and the snippet that its checkout page holds."""

    host: str = "127.0.0.1"
    port: int = 8082
    api_url: str
    api_key: str
    vault_url: str
    vault_key: str
    snippet: str
    accounts: list[str]

    def __repr__(self) -> str:
        return f"ShopConfig(host={self.host!r}, port={self.port})"


class Order(Struct):
    """Kept in memory: what was chosen, the form to pay it with, and the payment once there is one."""

    id: str
    amount: str
    account: str
    customer: str
    session_url: str
    payment: str | None = None


class Refused(Exception):
    """Scrooge or the vault said no; the text is for the shopper."""


class Shop:
    def __init__(self, config: ShopConfig) -> None:
        self.config = config
        self.orders: OrderedDict[str, Order] = OrderedDict()
        self.http: aiohttp.ClientSession

    # --- what the shop asks Scrooge and the vault for ---

    async def ask(self, method: str, url: str, key: str, body: Any = None, once: str = "") -> dict[str, Any]:
        """Raises Refused. `once` is the idempotency key: asked again, it is answered again."""
        headers = {"Authorization": f"Bearer {key}", **({"Idempotency-Key": once} if once else {})}
        try:
            async with self.http.request(method, url, json=body, headers=headers) as answer:
                document = msgspec.json.decode(await answer.read())
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
            raise Refused("The payment service does not answer. Please try again.") from None
        if answer.status >= 300:
            raise Refused(f"{document.get('title', 'Refused')}: {document.get('detail', answer.status)}")
        return document

    async def open(self, amount: str, account: str, origin: str) -> Order:
        order_id = f"tea-{secrets.token_hex(6)}"
        customer = f"shopper-{order_id}"
        body = {"customer": customer, "origin": origin, "security_code": True}
        url = f"{self.config.vault_url}/v1/capture-sessions"
        session = await self.ask("POST", url, self.config.vault_key, body)
        order = Order(order_id, amount, account, customer, session["url"])
        self.orders[order_id] = order
        while len(self.orders) > ORDERS_MAX:
            self.orders.popitem(last=False)
        return order

    async def pay(self, order: Order, instrument: str, origin: str) -> dict[str, Any]:
        body = {
            "reference": order.id,
            "amount": {"value": order.amount, "currency": page.CURRENCY},
            "instrument": instrument,
            "customer": order.customer,
            **({} if order.account == page.ROUTED else {"connector_account": order.account}),
            "return_url": f"{origin}/orders/{order.id}",
        }
        payment = await self.ask("POST", f"{self.config.api_url}/v1/payments", self.config.api_key, body, order.id)
        order.payment = payment["id"]
        return payment

    async def found(self, order: Order) -> dict[str, Any]:
        return await self.ask("GET", f"{self.config.api_url}/v1/payments/{order.payment}", self.config.api_key)

    # --- pages ---

    async def front(self, _: Request) -> Response:
        return self.shown(page.goods(self.config.accounts))

    async def buy(self, request: Request) -> Response:
        fields = dict(parse_qsl((await request.body()).decode(errors="replace")))
        amount, account = fields.get("amount", ""), fields.get("account", "")
        if amount not in page.GOODS or account not in {page.ROUTED, *self.config.accounts}:
            return self.sorry("Choose what you would like, and how it is paid.", 422)
        try:
            order = await self.open(amount, account, origin_of(request))
        except Refused as no:
            return self.sorry(str(no), 502)
        return RedirectResponse(f"/orders/{order.id}", 303)

    async def order(self, request: Request) -> Response:
        order = self.orders.get(request.path_params["id"])
        if order is None:
            return self.sorry("There is no such order. It may be from before the shop was started again.", 404)
        if order.payment is None:
            return self.shown(page.checkout(order.id, order.amount, order.session_url, self.config.snippet))
        try:
            payment = await self.found(order)
        except Refused as no:
            return self.sorry(str(no), 502)
        account, status = payment["connector_account"], payment["status"]
        return self.shown(page.result(order.id, order.amount, account, status, bank_of(payment)))

    async def take(self, request: Request) -> Response:
        """The checkout's script brings the instrument; it is told where the browser goes next."""
        order = self.orders.get(request.path_params["id"])
        try:
            instrument = msgspec.json.decode(await request.body(), type=dict[str, str])["instrument"]
            if order is None:
                raise Refused("There is no such order.")
            payment = await self.pay(order, instrument, origin_of(request))
        except (msgspec.DecodeError, KeyError):
            return answer({"problem": "The card form told nothing."}, 422)
        except Refused as no:
            return answer({"problem": str(no)}, 502)
        return answer({"go": bank_of(payment) or f"/orders/{order.id}"})

    def sorry(self, text: str, status: int) -> Response:
        content = f'<p>{page.escape(text)}</p>\n<p><a href="/">Start again</a></p>'
        return self.shown(page.page("Sorry", content, kind="bad"), status)

    def shown(self, html: str, status: int = 200) -> Response:
        """The policy is what docs/vault.md tells a shop to have: the vault's script and frame, and nothing else."""
        vault = self.config.vault_url
        policy = (
            f"default-src 'none'; script-src 'self' {vault}; style-src 'self'; img-src data:; frame-src {vault}; "
            "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(html, status, {"Content-Security-Policy": policy, "Cache-Control": "no-store"})


def bank_of(payment: dict[str, Any]) -> str | None:
    """Where the payer has to go, if the payment waits for that."""
    return payment["next_action"]["url"] if payment["status"] == "requires_action" else None


def origin_of(request: Request) -> str:
    """As the browser knows us: 127.0.0.1 and localhost are different origins."""
    return f"{request.url.scheme}://{request.url.netloc}"


def answer(document: dict[str, str], status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")


def read_config(file: Path) -> ShopConfig:
    """Raises OSError, msgspec.DecodeError: nobody writes this file by hand."""
    return msgspec.json.decode(file.read_bytes(), type=ShopConfig)


def create_app(config: ShopConfig) -> Starlette:
    shop = Shop(config)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as shop.http:
            yield

    async def style(_: Request) -> Response:
        return Response(page.STYLE, media_type="text/css")

    async def script(_: Request) -> Response:
        return Response(page.SCRIPT, media_type="text/javascript")

    async def healthz(_: Request) -> Response:
        return answer({"status": "ok"})

    routes = [
        Route("/", shop.front),
        Route("/orders", shop.buy, methods=["POST"]),
        Route("/orders/{id}", shop.order),
        Route("/orders/{id}/pay", shop.take, methods=["POST"]),
        Route("/shop.css", style),
        Route("/checkout.js", script),
        Route("/healthz", healthz),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def run(config: ShopConfig) -> None:
    """Serve until SIGTERM or SIGINT, then end with exit code 0."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        create_app(config), host=config.host, port=config.port, log_level="warning", access_log=False,
        server_header=False, timeout_graceful_shutdown=5,
    )  # fmt: skip
