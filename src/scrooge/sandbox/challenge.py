"""The issuer's page for 3-D Secure: a payer, or a test, says how authentication ends."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from urllib.parse import parse_qsl

from msgspec import structs
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from .records import Challenge
from .world import World

Answered = Callable[[World, Challenge], str]

# What can be posted as `result`: the payer's words for it, and what the button says of itself.
RESULTS = {
    "success": "Confirm the payment",
    "fail": "Fail the authentication",
    "abandon": "Leave without answering",
    "timeout": "Let the bank fall silent",
}
_PAGE = Path(__file__).with_suffix(".html").read_text()
_STYLE = Path(__file__).with_suffix(".css").read_text()
# No form-action: a browser would hold the way back to the shop against it.
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; base-uri 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def page(title: str, text: str, more: str = "", status: int = 200) -> HTMLResponse:
    """A page that works without scripts, by keyboard and by screen reader. `more` is HTML already."""
    html = _PAGE.format(title=escape(title), text=escape(text), more=more, style=_STYLE)
    return HTMLResponse(html, status, _HEADERS)


def question(challenge: Challenge) -> str:
    """What is to be paid, and the ways to answer."""
    facts = {
        "Amount": challenge.amount,
        "Shop": challenge.merchant,
        "Card": challenge.last4 and f"•••• {challenge.last4}",
    }
    rows = [f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items() if text]
    buttons = {
        name: f'<button name="result" value="{name}"{"" if name == "success" else " class=other"}>{words}</button>'
        for name, words in RESULTS.items()
    }
    first = buttons.pop("success")
    others = f"<legend>Or see what else can happen:</legend>\n{''.join(buttons.values())}"
    table = f"<dl>\n{''.join(rows)}\n</dl>\n" if rows else ""
    return f'{table}<form method="post">\n{first}\n<fieldset>\n{others}\n</fieldset>\n</form>'


def challenge_route(world: World, answered: Mapping[str, Answered]) -> Route:
    """GET shows the page; POST with a `result` answers it, or ends it without an answer."""

    async def acs(request: Request) -> Response:
        challenge = world.state.get(Challenge, request.path_params["id"])
        if challenge is None:
            return page("Unknown challenge", "There is no such authentication.", status=404)
        if request.method == "GET" and challenge.answer == "timeout":
            return silent()
        if request.method == "GET":
            text = "The shop asks you to confirm with your bank that it is you who pays."
            return page("Confirm your payment", text, question(challenge))
        result = await _result(request)
        if result not in RESULTS:
            return page("Not an answer", f"result must be one of {', '.join(RESULTS)}.", question(challenge), 422)
        if not challenge.answer and result != "abandon":
            # The first answer stands; a second one only leads back to the shop.
            challenge = structs.replace(challenge, answer=result)
            world.state.put(challenge)
        if challenge.answer == "timeout":
            world.state.commit()
            return silent()
        target = answered[challenge.connector](world, challenge)
        world.state.commit()
        if not target:
            return page("Thank you", "You can return to the shop.")
        return RedirectResponse(target, 303)

    return Route("/acs/{id}", acs, methods=["GET", "POST"])


def silent() -> HTMLResponse:
    """What a payer sees of a bank that is down."""
    text = "We could not check that it is you, and will not tell the shop anything. You can close this page."
    return page("Your bank does not answer", text)


async def _result(request: Request) -> str:
    """`result` from the form body or the query."""
    fields = dict(parse_qsl((await request.body()).decode(errors="replace")))
    return fields.get("result") or request.query_params.get("result", "")
