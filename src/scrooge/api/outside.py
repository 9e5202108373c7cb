"""What PSPs and payers call: notifications, and the way back from an authentication."""

from html import escape
from urllib.parse import parse_qsl

from scrooge.api.call import Answer, Call
from scrooge.errors import InvalidField
from scrooge.flows import challenge, receive

FIELDS_MAX = 100
DONE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Thank you</title>
<p>Thank you. The payment {reference} goes on; you can close this page.</p>
</html>
"""


async def notification(call: Call) -> Answer:
    """Verify, store, answer; nothing else. What it means is applied by a worker."""
    status, body = await receive.accept(call.s, call.path["account"], call.raw, call.headers)
    kind = "application/json" if body.startswith("{") else "text/plain"
    return Answer(status, body.encode(), media_type=kind)


async def come_back(call: Call) -> Answer:
    """The payer's browser, by GET or by a form of the issuer's. Goes on to the caller's return_url."""
    p, url = await challenge.come_back(call.s, call.path["token"], details_of(call))
    if url is None:
        page = DONE.format(reference=escape(p.reference))
        return Answer(200, page.encode(), {"Cache-Control": "no-store"}, "text/html", p.id)
    return Answer(303, b"", {"Location": url, "Cache-Control": "no-store"}, "text/plain", p.id)


def details_of(call: Call) -> dict[str, str]:
    """What the browser brought, from the query and from a form. PostgreSQL cannot keep NUL."""
    is_form = "urlencoded" in call.headers.get("content-type", "")
    form = call.raw.decode("latin-1") if is_form else ""
    found: dict[str, str] = {}
    for part in (call.query_text, form):
        try:
            pairs = parse_qsl(part, keep_blank_values=True, max_num_fields=FIELDS_MAX)
        except ValueError:
            raise InvalidField("too many fields") from None
        found |= {name: value for name, value in pairs if "\0" not in name + value}
    return found
