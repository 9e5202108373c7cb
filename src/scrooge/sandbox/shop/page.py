"""The shop's pages: what is for sale, the checkout with the vault's card form in it, and how the payment ended."""

from html import escape
from pathlib import Path

HERE = Path(__file__).parent
STYLE = (HERE / "shop.css").read_text()
SCRIPT = (HERE / "checkout.js").read_text()
GOODS = {"4.90": "A cup of tea", "12.99": "A tin of tea", "49.00": "A chest of tea"}
CURRENCY = "EUR"
CARDS = (
    ("4242 4242 4242 4242", "approved"),
    ("4000 0027 6000 3184", "the bank asks the payer (3-D Secure)"),
    ("4000 0000 0000 9995", "declined: insufficient funds"),
    ("3782 822463 10005", "American Express, four digits for a security code"),
)
# By the payment's status: is it good news, the headline, and what the shopper reads.
ENDS = {
    "captured": ("good", "Thank you, it is paid", "Your tea is on its way."),
    "authorized": ("good", "Thank you", "Your bank holds the amount until the tea is sent."),
    "declined": ("bad", "The card was declined", "Nothing was taken. Try another card."),
    "expired": ("bad", "Too late", "Your bank was not answered in time. Nothing was taken."),
    "failed": ("bad", "The payment did not go through", "Nothing was taken. Please try again."),
    "requires_action": (
        "",
        "Your bank waits for you",
        "The payment is not finished: your bank has not confirmed it yet.",
    ),
    "processing": ("", "We are still checking", "Please do not pay again: this page finds out how it ended."),
}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · The Tea Shop</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/shop.css">
{head}</head>
<body>
<div class="page">
<header><b>The Tea Shop</b><span>a sample; no tea, no money</span></header>
<main{kind}>
<h1>{title}</h1>
{content}
</main>
<footer>Cards are typed into the vault's form. This shop's own pages and server never see one.</footer>
</div>
</body>
</html>
"""


ROUTED = "any"  # instead of an account


def page(title: str, content: str, *, head: str = "", kind: str = "") -> str:
    """`content` and `head` are HTML already."""
    shown = f' class="{kind}"' if kind else ""
    return PAGE.format(title=escape(title), content=content, head=head, kind=shown)


def goods(accounts: list[str]) -> str:
    """The way Scrooge would go comes first; the others are for seeing each PSP."""
    amounts = "\n".join(
        f'<label><input type="radio" name="amount" value="{value}"{" checked" if value == "12.99" else ""} required>'
        f"{name}<span>{value} {CURRENCY}</span></label>"
        for value, name in GOODS.items()
    )
    choices = {ROUTED: "Whichever Scrooge routes it to", **{name: name.capitalize() for name in accounts}}
    psps = "\n".join(
        f'<label><input type="radio" name="account" value="{escape(name)}"{"" if i else " checked"} required>'
        f"{escape(words)}</label>"
        for i, (name, words) in enumerate(choices.items())
    )
    form = (
        f'<form method="post" action="/orders">\n<fieldset>\n<legend>Goods</legend>\n{amounts}\n</fieldset>\n'
        f"<fieldset><legend>Which PSP takes the payment?</legend>\n{psps}\n</fieldset>\n"
        "<button>To the checkout</button>\n</form>"
    )
    return page("What would you like?", form)


def checkout(order_id: str, amount: str, session_url: str, snippet: str) -> str:
    """`snippet` loads the vault's script; it is HTML already."""
    rows = "\n".join(f'<tr><th scope="row">{number}</th><td>{what}</td></tr>' for number, what in CARDS)
    content = (
        f"<p>{escape(GOODS[amount])}: <b>{amount} {CURRENCY}</b></p>\n"
        f'<div id="card" data-session="{escape(session_url)}" data-pay="/orders/{escape(order_id)}/pay" '
        f'data-label="Pay {amount} {CURRENCY}"></div>\n<p id="problem" role="alert"></p>\n'
        f"<details><summary>Cards that work here</summary>\n<table>{rows}</table>\n"
        '<p class="quiet under">Any expiry date to come, and any security code.</p></details>'
    )
    head = f'{snippet}\n<script src="/checkout.js" defer></script>\n'
    return page("Checkout", content, head=head)


def result(order_id: str, amount: str, account: str | None, status: str, bank: str | None) -> str:
    """`bank`: where the payer goes on, if the bank still waits."""
    kind, title, text = ENDS.get(status, ("", status.replace("_", " ").capitalize(), "See the payment in Scrooge."))
    facts = {
        "Amount": f"{amount} {CURRENCY}",
        "Order": order_id,
        **({"Paid through": account.capitalize()} if account else {}),
        "Status": status.replace("_", " "),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items())
    more = ""
    if bank:
        more += f'<p><a class="button" href="{escape(bank)}">Go on at your bank</a></p>\n'
    again = "Buy more tea" if kind == "good" else "Start again"
    more += f'<p><a href="/">{again}</a></p>'
    head = '<meta http-equiv="refresh" content="2">\n' if status == "processing" else ""
    return page(title, f"<p>{text}</p>\n<dl>{rows}</dl>\n{more}", head=head, kind=kind)
