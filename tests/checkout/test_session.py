"""A session is for one card, one page and one time, whatever a browser or a network does."""

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from aiohttp import web

from tests.conftest import free_port

from .conftest import Checkout
from .test_checkout import VISA


@pytest.fixture
async def around() -> AsyncIterator[int]:
    """A port at which every page has a frame: the one that its query names; "quiet" does not say who it is."""

    async def page(request: web.Request) -> web.Response:
        policy = "no-referrer" if request.path == "/quiet" else "origin"
        text = f'<meta name="referrer" content="{policy}"><iframe src="{request.query["form"]}"></iframe>'
        return web.Response(text=f"<!doctype html><title>x</title>{text}", content_type="text/html")

    app = web.Application()
    app.router.add_get("/{name}", page)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    for host in ("127.0.0.1", "localhost"):
        with suppress(OSError):  # They may be the same.
            await web.TCPSite(runner, host, port).start()
    yield port
    await runner.cleanup()


async def test_the_form_shows_in_pages_of_the_sessions_origin_only(checkout: Checkout, around: int):
    session = await checkout.session(origin=f"http://localhost:{around}")
    for place, failure in (
        (f"http://127.0.0.1:{around}/open", "net::ERR_BLOCKED_BY_RESPONSE"),
        (f"http://127.0.0.1:{around}/quiet", "net::ERR_BLOCKED_BY_RESPONSE"),
        (f"http://localhost:{around}/open", None),
    ):
        async with checkout.visit() as visit:
            await visit.page.goto(f"{place}?form={session['url']}")  # Until the frame has loaded, or failed to.
            [frame] = visit.page.frames[1:]
            assert visit.requests[-1].failure == failure
            assert ("Card number" in await frame.content()) is (failure is None)


async def test_after_a_lost_answer_the_same_card_is_sent_again_and_kept_once(checkout: Checkout):
    async with checkout.visit() as visit:
        await visit.checkout(checkout.shop_url)
        lost: list[str] = []

        async def lose(route):
            """The vault gets it, the browser never hears of it."""
            answer = await route.fetch()
            lost.append((await answer.json())["id"])
            await route.abort()

        await visit.page.route("**/card", lose, times=1)
        await visit.fill(VISA)
        await visit.send()
        failure = visit.form.get_by_role("alert").filter(has_text="No answer came")
        await failure.wait_for()
        assert await visit.form.locator(":focus").inner_text() == "Try again"
        await visit.page.keyboard.press("Enter")
        await visit.heading("Thank you, it is paid")
        payment = await checkout.payment(visit.page)
        assert [payment["instrument"]["id"]] == lost


async def test_a_form_that_took_its_card_is_over(checkout: Checkout):
    async with checkout.visit() as visit:
        await visit.checkout(checkout.shop_url)
        session_url = await visit.page.locator("#card").get_attribute("data-session") or ""
        await visit.fill(VISA)
        await visit.page.route("**/pay", lambda route: route.abort())  # The shop's server is away: nothing is paid.
        await visit.send()
        await visit.page.get_by_text("No answer came. Trying again").wait_for()
        await visit.page.reload()
        await visit.page.get_by_text("The card form cannot be used (session_used)").wait_for()
        await visit.form.get_by_text("This form was used already").wait_for()
        assert await visit.form.locator("form").count() == 0
    async with checkout.world.http.get(session_url) as answer:
        assert answer.status == 410
