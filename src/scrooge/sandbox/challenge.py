"""The issuer's page for 3-D Secure: a payer, or a test, says whether authentication succeeds."""

from collections.abc import Callable, Mapping
from html import escape
from urllib.parse import parse_qsl

from msgspec import structs
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from .records import Challenge
from .world import World

Answered = Callable[[World, Challenge], str]

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  body {{ font: 1.125rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 32rem; padding: 0 1rem;
         color: #1a1a1a; background: #fff; }}
  button {{ font: inherit; padding: .75rem 1.5rem; margin: .5rem .5rem 0 0; border-radius: .375rem;
           border: 2px solid #14532d; background: #14532d; color: #fff; cursor: pointer; }}
  button.fail {{ background: #fff; color: #7f1d1d; border-color: #7f1d1d; }}
  button:focus-visible {{ outline: 3px solid #1d4ed8; outline-offset: 2px; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
{form}
</main>
</body>
</html>"""
_FORM = """<form method="post">
<button name="result" value="success">Complete authentication</button>
<button name="result" value="fail" class="fail">Fail authentication</button>
</form>"""


def page(title: str, text: str, form: str = "", status: int = 200) -> HTMLResponse:
    """A page that works without scripts, by keyboard and by screen reader."""
    html = _PAGE.format(title=escape(title), text=escape(text), form=form)
    return HTMLResponse(html, status, {"cache-control": "no-store"})


def challenge_route(world: World, answered: Mapping[str, Answered]) -> Route:
    """GET shows the page; POST with `result=success` or `result=fail` answers it."""

    async def acs(request: Request) -> Response:
        challenge = world.state.get(Challenge, request.path_params["id"])
        if challenge is None:
            return page("Unknown challenge", "There is no such authentication.", status=404)
        if request.method == "GET":
            text = "This is the simulated bank of the sandbox. No real card is involved."
            return page("Confirm your payment", text, _FORM)
        result = await _result(request)
        if result not in ("success", "fail"):
            return page("Not an answer", "result must be success or fail.", _FORM, 422)
        if not challenge.answer:
            # The first answer stands; a second one only leads back to the shop.
            challenge = structs.replace(challenge, answer=result)
            world.state.put(challenge)
        target = answered[challenge.connector](world, challenge)
        world.state.commit()
        if not target:
            return page("Thank you", "You can return to the shop.")
        return RedirectResponse(target, 303)

    return Route("/acs/{id}", acs, methods=["GET", "POST"])


async def _result(request: Request) -> str:
    """`result` from the form body or the query."""
    fields = dict(parse_qsl((await request.body()).decode(errors="replace")))
    return fields.get("result") or request.query_params.get("result", "")
