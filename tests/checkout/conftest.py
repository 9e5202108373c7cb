"""A whole checkout in a real Chromium: core, vault, simulated PSPs, and the sample shop, each a process of its own."""

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright

from scrooge.postgres.rows import public
from scrooge.sandbox.shop.server import ShopConfig
from scrooge.vault.form.page import snippet
from tests.conftest import drop_database, free_port, make_database, sandbox, wait_for
from tests.vault.house import House, house
from tests.world import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE = 60_000  # milliseconds for a step on a busy machine


class Visit:
    """One browser of a payer: its page, and everything it asked for or complained about."""

    def __init__(self, page: Page, context: BrowserContext) -> None:
        self.page, self.context = page, context
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        self.messages: list[str] = []  # that the shop's page heard
        context.on("request", lambda request: self.requests.append(request))
        context.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def listen(self) -> None:
        """To what the frame tells the page around it."""
        await self.context.expose_binding("heard", lambda _, text: self.messages.append(text))
        script = "window.addEventListener('message', (e) => window.heard(`${e.origin} ${JSON.stringify(e.data)}`))"
        await self.context.add_init_script(f"if (window === window.top) {{ {script} }}")

    @property
    def form(self):
        return self.page.frame_locator("iframe")

    async def checkout(self, shop_url: str, psp: str = "stripe") -> None:
        """From the shop's front to the card form."""
        await self.page.goto(shop_url)
        await self.page.get_by_label(psp[:1].upper() + psp[1:]).check()
        await self.page.get_by_role("button", name="To the checkout").click()
        await self.form.get_by_label("Card number").wait_for()

    async def fill(
        self, number: str, expiry: str = "1230", code: str = "123", name: str = "", *, typed: bool = False
    ) -> None:
        """Each at once, as a browser that knows the card does; `typed`: key by key."""
        for label, text in (("Card number", number), ("Expiry date", expiry), ("Security code", code)):
            await self.form.get_by_label(label).fill("" if typed else text)
            if typed:
                await self.form.get_by_label(label).press_sequentially(text)
        await self.form.get_by_label("Name on the card").fill(name)

    async def send(self) -> None:
        await self.form.get_by_role("button").click()

    async def heading(self, text: str) -> None:
        await self.page.get_by_role("heading", name=text).wait_for()

    def told(self, number: str) -> dict[str, int]:
        """To which origins a number went, in an address, a header or a body, and how often."""
        found: dict[str, int] = {}
        for request in self.requests:
            everything = " ".join((request.url, request.post_data or "", *request.headers.values()))
            if number in "".join(c for c in everything if c not in " -%+"):
                parts = urlsplit(request.url)
                found[f"{parts.scheme}://{parts.netloc}"] = found.get(f"{parts.scheme}://{parts.netloc}", 0) + 1
        return found


class Checkout:
    """Where everything is, and the keys to it."""

    browser: Browser

    def __init__(self, world: World, vault: House, vault_key: str, shop_url: str) -> None:
        self.world, self.vault, self.vault_key, self.shop_url = world, vault, vault_key, shop_url
        self.vault_url = vault.url

    @asynccontextmanager
    async def visit(self, **options: Any) -> AsyncIterator[Visit]:
        context = await self.browser.new_context(**{"viewport": {"width": 375, "height": 740}, **options})
        context.set_default_timeout(PATIENCE)
        try:
            visit = Visit(await context.new_page(), context)
            await visit.listen()
            yield visit
        finally:
            await context.close()

    async def session(self, **more: Any) -> dict[str, Any]:
        """A capture session as the shop's server gets one."""
        body = {"customer": "payer-1", "origin": self.shop_url, **more}
        headers = {"Authorization": f"Bearer {self.vault_key}"}
        async with self.world.http.post(f"{self.vault_url}/v1/capture-sessions", json=body, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return await answer.json()

    async def payment(self, page: Page) -> dict[str, Any]:
        """What the core knows of the order that the page is about."""
        reference = page.url.rpartition("/")[2].partition("?")[0]
        _, found = await self.world.get(f"/v1/payments?reference={reference}")
        assert len(found["data"]) == 1, "an order is paid by one payment"
        return found["data"][0]


@pytest.fixture(scope="session")
async def checkout(stack: Checkout) -> AsyncIterator[Checkout]:
    """With a browser."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    async with async_playwright() as playwright:
        stack.browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield stack
        await stack.browser.close()


@pytest.fixture(scope="session")
async def stack(server_url: str, template_url: str, tmp_path_factory) -> AsyncIterator[Checkout]:
    """Without one."""
    folder = tmp_path_factory.mktemp("checkout")
    url = await make_database(server_url, urlsplit(template_url).path[1:])
    port = free_port()
    shop_url = f"http://localhost:{port}"
    with sandbox() as psps:
        async with house(server_url, folder, psps) as vault:
            world = World(url, psps, str(folder))
            world.env |= vault.core_env
            shop = None
            try:
                await world.open()
                key = await vault.new_key(await merchant_of(url))
                config = ShopConfig(
                    host="localhost", port=port, api_url=world.api_url, api_key=world.key, vault_url=vault.url,
                    vault_key=key, snippet=snippet(vault.url), accounts=["stripe", "adyen"],
                )  # fmt: skip
                (folder / "shop.json").write_bytes(msgspec.json.encode(config))
                command = [sys.executable, "-m", "scrooge", "shop", "--config", str(folder / "shop.json")]
                shop = subprocess.Popen(command, stderr=subprocess.DEVNULL)
                wait_for(f"{shop_url}/healthz", shop)
                yield Checkout(world, vault, key, shop_url)
            finally:
                if shop is not None:
                    shop.kill()
                    shop.wait()
                await world.close()
    await drop_database(server_url, url)


async def merchant_of(database_url: str) -> str:
    """The one that the world made."""
    connection = await asyncpg.connect(database_url)
    number = await connection.fetchval("SELECT id FROM merchants WHERE name = 'tests'")
    await connection.close()
    return public("mer", number) or ""
