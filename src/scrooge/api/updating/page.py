"""The page on which a payer leaves a new card, and what it says at each step. Nothing of a card passes through it."""

import base64
import hashlib
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from scrooge.domain.outcome import NextAction
from scrooge.flows.update_links import Form, Step

HERE = Path(__file__).parent
PAGE = Template((HERE / "page.html").read_text())
STYLE, SCRIPT = (HERE / "page.css").read_text(), (HERE / "page.js").read_text()
BACK = "Go back to the shop"
# By step: is it good news, the headline, and what the payer reads.
SAID = {
    Step.DONE: ("good", "Your card was updated", "Later payments are made with it. You can close this page."),
    Step.CHECKING: (
        "", "We are still checking", "Please wait, and do not type the card again: this page finds out how it ended.",
    ),
    Step.BANK: ("", "Your bank waits for you", "Your bank wants to know that it is you. Nothing is taken now."),
    Step.GONE: (
        "", "This link cannot be used",
        "It was used already, has run out, or was never good. If you have just updated your card, there is nothing "
        "more to do. If not, ask the shop for a new link.",
    ),
    Step.DECLINED: (
        "bad", "The card was not accepted",
        "Its bank declined it, or did not confirm that it was you. Nothing was changed. Open the link that you were "
        "sent once more to use another card.",
    ),
}  # fmt: skip
AGAIN = {
    Step.DECLINED: "The bank declined this card, or did not confirm that it was you. Please use another one.",
    Step.REFUSED: "This card cannot be used here. Please use another one.",
    Step.LATER: "The card could not be checked just now. Please try again in a few minutes.",
}
STATUS = {Step.GONE: 404}


def source(text: str) -> str:
    """A script or style inside a page, as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def headers(form: Form | None = None, bank: NextAction | None = None) -> dict[str, str]:
    """With a form the vault's script and frame are let in, and a bank may be sent a form; nothing else ever is."""
    policy = {
        "default-src": "'none'",
        "style-src": source(STYLE),
        "img-src": "data:",
        "form-action": origin_of(bank.url) if bank is not None and bank.method == "POST" else "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    if form is not None:
        policy |= {
            "script-src": f"{source(SCRIPT)} {origin_of(form.script.url)}",
            "frame-src": origin_of(form.url),
            "connect-src": "'self'",
        }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",  # The address holds the token.
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def shown(title: str, content: str, *, kind: str = "", head: str = "") -> bytes:
    """`content` and `head` are HTML already."""
    marked = f' class="{kind}"' if kind else ""
    return PAGE.substitute(title=escape(title), content=content, kind=marked, head=head, style=STYLE).encode()


def with_form(form: Form, facts: dict[str, str], *, again: bool, problem: str) -> bytes:
    """`facts` about what is paid, by name; `again`: a payment that was declined is tried again with the card."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items())
    retried = " The payment that was declined is then tried again with it." if again else ""
    content = (
        f"<dl>{rows}</dl>\n"
        f"<p>Your bank is asked whether the new card is good; that costs nothing.{retried}</p>\n"
        f'<p id="problem" class="problem" role="alert">{escape(problem)}</p>\n'
        f'<div id="card" data-session="{escape(form.url)}"></div>\n'
        '<p class="quiet">With this you agree that the payments named above are made with this card from now on.</p>\n'
        '<noscript><p class="problem">This page needs JavaScript. Please turn it on, and load the page again.</p>'
        "</noscript>\n"
        f'<script src="{escape(form.script.url)}" integrity="{escape(form.script.integrity)}" crossorigin="anonymous">'
        f"</script>\n<script>{SCRIPT}</script>"
    )
    return shown("Update your card", content)


def way_to(bank: NextAction) -> str:
    """A link, or a form where the bank wants one."""
    words = "Go to your bank"
    if bank.method == "GET":
        return f'<p><a class="button" href="{escape(bank.url)}">{words}</a></p>'
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in bank.fields.items()
    )
    return f'<form method="post" action="{escape(bank.url)}">{fields}<button class="button">{words}</button></form>'


def told(step: Step, *, bank: NextAction | None = None, back: str | None = None, here: str | None = None) -> bytes:
    """`bank`: where the payer authenticates; `back`: where the shop wants them; `here`: looked at again by itself."""
    kind, title, text = SAID.get(step, SAID[Step.GONE])
    content = f"<p>{escape(text)}</p>"
    if step is Step.BANK and bank:
        content += f"\n{way_to(bank)}"
    if back:
        content += f'\n<p><a href="{escape(back)}">{BACK}</a></p>'
    head = f'<meta http-equiv="refresh" content="3;url={escape(here)}">\n' if step is Step.CHECKING and here else ""
    return shown(title, content, kind=kind, head=head)
