"""What PSPs and payers call: notifications, and the way back from an authentication."""

from html import escape
from urllib.parse import parse_qsl

from scrooge.api.call import Answer, Call
from scrooge.api.updating import payer
from scrooge.domain.payment import Payment, status_of
from scrooge.errors import InvalidField
from scrooge.flows import challenge, receive

FIELDS_MAX = 100
PAID = ("Payment approved", "The payment {reference} was approved. You can close this page and go back to the shop.")
REFUSED = (
    "Payment declined",
    "The payment {reference} was declined. Go back to the shop to try again or to pay another way.",
)
CHECKED = (
    "Payment being checked",
    "The payment {reference} is still being checked. Please do not pay again: the shop will tell you how it ended.",
)
STOPPED = (
    "Payment not completed",
    "The payment {reference} did not go through. Go back to the shop to try again or to pay another way.",
)
SAID = {
    "authorized": PAID, "captured": PAID, "partially_captured": PAID, "declined": REFUSED, "failed": STOPPED,
    "expired": STOPPED, "processing": CHECKED,
    "voided": ("Payment canceled", "The payment {reference} was canceled. Nothing will be taken."),
    "refunded": ("Payment refunded", "The payment {reference} was approved, and has been refunded since."),
    "partially_refunded": ("Payment refunded", "The payment {reference} was approved, and partly refunded since."),
    "requires_action": ("Not finished yet", "The payment {reference} waits for one more step. Go back to the shop."),
}  # fmt: skip
BACK = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1.125rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 32rem; padding: 0 1rem;
  overflow-wrap: anywhere; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
</main>
</body>
</html>
"""
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # The address holds the token.
}


async def notification(call: Call) -> Answer:
    """Verify, store, answer; nothing else. What it means is applied by a worker."""
    status, body = await receive.accept(call.s, call.path["account"], call.raw, call.headers)
    kind = "application/json" if body.startswith("{") else "text/plain"
    return Answer(status, body.encode(), media_type=kind)


async def come_back(call: Call) -> Answer:
    """The payer's browser, by GET or by a form of the issuer's. Goes on to the caller's return_url."""
    p, url = await challenge.come_back(call.s, call.path["token"], details_of(call))
    if url is None and p.minor == 0 and p.mandate is not None:
        return await payer.come_back(call, p)
    if url is None:
        return Answer(200, told(p).encode(), PAGE_HEADERS, "text/html", p.id)
    return Answer(303, b"", {"Location": url, "Cache-Control": "no-store"}, "text/plain", p.id)


def told(p: Payment) -> str:
    """What is true of the payment at this moment, for a payer whom nobody else tells."""
    title, text = SAID[status_of(p)]
    return BACK.format(title=title, text=text.format(reference=escape(p.reference)))


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
