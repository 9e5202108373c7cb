"""The page for people at /docs, made from the URL table and the OpenAPI document. No script, nothing loaded."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import msgspec

from scrooge.api.call import Route
from scrooge.api.fields import Field, address_example, example_of, field_of, fields_of
from scrooge.api.responses import problems_of, said
from scrooge.errors import Problem

STYLE = Path(__file__).with_suffix(".css").read_text()
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
# The first pattern that a path matches is its group.
GROUPS = (
    ("Payments", r"/v1/payments(?!.*/(captures|voids|refunds)$)", "One intent to take an amount from a payer."),
    ("Captures, voids and refunds", r"/v1/payments/", "Moving, releasing and giving back what was authorized."),
    ("Instruments", r"/v1/instruments", "A payer's card as the PSPs' tokens know it. Card numbers never come here."),
    ("Events", r"/v1/events", "What became true, in order, to be read at your own pace."),
    ("Connectors", r"/v1/connector", "The PSPs that can be called, and your contracts at them."),
    ("Ledger", r"/v1/ledger", "Double entry: where the money is, and every posting that brought it there."),
    ("Webhooks", r"/v1/webhook", "The same events, sent to a URL of yours, signed."),
    ("Routing", r"/v1/routing", "Where payments go: policies, prices, switches, and why."),
    ("Risk", r"/v1/risk", "What is checked before a payment is made."),
    ("Breaks and decisions", r"/v1/(breaks|decisions)", "What a person has to look at, and what two people decide."),
    ("More", r"/v1/", "Everything else an API key opens."),
    ("For PSPs, payers and operators", r"/", "Called without an API key."),
)
START = (
    "Send an API key as `Authorization: Bearer <key>`. The command `scrooge keys create` makes one; each endpoint "
    "names the scope its key needs.",
    "Amounts are text with exactly the currency's decimals: `12.99` EUR, `1299` JPY.",
    "Whatever moves money takes an `Idempotency-Key`. Send the same key again after a lost answer: the payment is "
    "made once.",
    "201 means that we know how it ended, and a declined payment is such an answer: read `status`. 202 with "
    "`outcome_certainty` `unknown` means that we cannot tell yet and are asking the PSP: read the payment later; "
    "do not pay again.",
    "Refusals are `application/problem+json`. Branch on `code`, which never changes; `param` names the field.",
    "Lists give `next_cursor`: send it as `cursor`, and to the events as `after`, for the next page.",
)
# What is noted beside a field that is always there and one that is not: of what we answer, of what we are sent.
MARKS = {False: ("", "<small>(where it applies)</small>"), True: ("<b>required</b>", "")}
SERVER = "SCROOGE=http://127.0.0.1:8080\nKEY=sk_test_..."


def page(routes: Sequence[Route], document: dict[str, Any]) -> str:
    groups = [(title, words, members) for title, words, members in grouped(routes) if members]
    sections = "".join(section(title, words, members, document) for title, words, members in groups)
    version = escape(document["info"]["version"])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Scrooge: HTTP API</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#start">To the content</a>\n<div class="frame">\n<header>\n<h1>Scrooge: HTTP API</h1>\n'
        "<p>Payments through every PSP by one contract: one request to take money, one word for how it ended, and "
        "never a second payment for a lost answer.</p>\n"
        f'<p class="quiet">Version {version}. For programs: <a href="/openapi.json">/openapi.json</a> '
        "(OpenAPI 3.1), made from the same table as this page.</p>\n</header>\n"
        f"{contents(groups)}<main>\n"
        f"{first_steps()}{sections}{shared_problems(routes)}{objects(document)}</main>\n</div>\n</body>\n</html>\n"
    )


def grouped(routes: Sequence[Route]) -> Iterable[tuple[str, str, list[Route]]]:
    found: dict[str, list[Route]] = {title: [] for title, _, _ in GROUPS}
    for route in routes:
        found[next(title for title, pattern, _ in GROUPS if re.match(pattern, route.path))].append(route)
    return [(title, words, found[title]) for title, _, words in GROUPS]


def contents(groups: Iterable[tuple[str, str, list[Route]]]) -> str:
    parts = ['<nav aria-label="Contents">\n<details open>\n<summary>Contents</summary>\n']
    parts.append('<p><a href="#start">First steps</a></p>\n')
    for title, _, members in groups:
        lines = "".join(
            f'<li><span class="verb">{r.method}</span> '
            f'<a href="#{anchor(r)}">{escape(r.path.removeprefix("/v1"))}</a></li>\n'
            for r in members
        )
        parts.append(f'<p><a href="#{slug(title)}">{escape(title)}</a></p>\n<ul>\n{lines}</ul>\n')
    parts.append('<p><a href="#problems">Problems of every request</a></p>\n<p><a href="#objects">Objects</a></p>\n')
    return "".join([*parts, "</details>\n</nav>\n"])


def first_steps() -> str:
    lines = "".join(f"<li>{text(line)}</li>\n" for line in START)
    return (
        f'<section id="start">\n<h2>First steps</h2>\n<ul class="start">\n{lines}</ul>\n'
        "<p>The examples below expect two variables in your shell:</p>\n"
        f'<pre tabindex="0"><code>{escape(SERVER)}</code></pre>\n</section>\n'
    )


def section(title: str, words: str, members: list[Route], document: dict[str, Any]) -> str:
    articles = "".join(endpoint(route, document) for route in members)
    return f'<section id="{slug(title)}">\n<h2>{escape(title)}</h2>\n<p>{text(words)}</p>\n{articles}</section>\n'


def endpoint(route: Route, document: dict[str, Any]) -> str:
    operation = document["paths"][route.path][route.method.lower()]
    components = document["components"]["schemas"]
    scope = f"Scope <code>{escape(route.scope)}</code>" if route.scope else "No API key"
    asked = [field_of(p["name"], {**described(p), **p["schema"]}, required=p["required"])
             for p in operation["parameters"] if p["in"] != "path"]  # fmt: skip
    parts = [
        f'<article id="{anchor(route)}">\n<h3><span class="verb {route.method.lower()}">{route.method}</span> '
        f'<a href="#{anchor(route)}"><code>{escape(route.path)}</code></a></h3>\n'
        f'<p>{text(route.summary)}.</p>\n<p class="quiet">{scope}</p>\n',
        listed("Parameters", asked),
    ]
    if route.body is not None:
        schema = components[route.body.__name__]
        about = f"<p>{text(schema['description'])}</p>\n" if "description" in schema else ""
        parts.append(listed("Body", fields_of(schema, components, inner=True), about))
    parts += [answers(route), refusals(route), curl(route, operation, components), "</article>\n"]
    return "".join(parts)


def described(parameter: dict[str, Any]) -> dict[str, Any]:
    return {"description": parameter["description"]} if "description" in parameter else {}


def listed(title: str, fields: Iterable[Field], about: str = "") -> str:
    rows = "".join(row(field) for field in fields)
    shown = f"<dl>\n{rows}</dl>\n" if rows else ""
    return f"<h4>{title}</h4>\n{about}{shown}" if about or shown else ""


def row(field: Field, marks: tuple[str, str] = ("<b>required</b>", "")) -> str:
    mark = marks[0] if field.required else marks[1]
    kind = escape(field.kind)
    if field.refers:
        kind = kind.replace(field.refers, f'<a href="#object-{field.refers}">{field.refers}</a>')
    return (
        f"<div><dt><code>{escape(field.name)}</code> <small>{kind}</small> {mark}</dt>"
        f"<dd>{text(field.rule)}</dd></div>\n"
    )


def answers(route: Route) -> str:
    rows = []
    for status, kind in route.answers.items():
        name = kind.__name__ if kind else ""
        shown = f' <small><a href="#object-{name}">{name}</a></small>' if name else ""
        words = said(status, route)
        rows.append(f"<div><dt><code>{status}</code>{shown}</dt><dd>{escape(words)}</dd></div>\n")
    return f"<h4>Answers</h4>\n<dl>\n{''.join(rows)}</dl>\n"


def refusals(route: Route) -> str:
    if not route.problems:
        return '<p class="quiet">Refused only as <a href="#problems">every request</a> can be.</p>\n'
    count = len(set(route.problems))
    return (
        f"<details>\n<summary>{count} {'problem' if count == 1 else 'problems'} of its own</summary>\n"
        f'{problem_rows(route.problems)}<p class="quiet">And those of <a href="#problems">every request</a>.</p>\n'
        "</details>\n"
    )


def problem_rows(problems: Iterable[type[Problem]]) -> str:
    found = sorted(set(problems), key=lambda p: (p.status, p.code))
    rows = "".join(
        f"<div><dt><code>{p.code}</code> <small>{p.status}</small></dt><dd>{text(meaning(p))}</dd></div>\n"
        for p in found
    )
    return f"<dl>\n{rows}</dl>\n"


def meaning(problem: type[Problem]) -> str:
    return " ".join((problem.__doc__ or "").split())


def shared_problems(routes: Sequence[Route]) -> str:
    found = {problem for route in routes for problem in problems_of(route) if problem not in route.problems}
    return (
        '<section id="problems">\n<h2>Problems of every request</h2>\n<p>Those that any endpoint of its kind can '
        f"answer, beside its own.</p>\n{problem_rows(found)}</section>\n"
    )


def objects(document: dict[str, Any]) -> str:
    components = document["components"]["schemas"]
    parts = ['<section id="objects">\n<h2>Objects</h2>\n<p>Fields may be added to answers in later versions.</p>\n']
    for name, schema in components.items():
        about = f"<p>{text(schema['description'])}</p>\n" if "description" in schema else ""
        marks = MARKS[schema.get("additionalProperties") is False]
        rows = "".join(row(field, marks) for field in fields_of(schema, components, inner=False))
        shown = f"<dl>\n{rows}</dl>\n" if rows else ""
        parts.append(f'<article id="object-{name}">\n<h3><code>{name}</code></h3>\n{about}{shown}</article>\n')
    return "".join([*parts, "</section>\n"])


def curl(route: Route, operation: dict[str, Any], components: dict[str, Any]) -> str:
    if route.scope is None:
        return ""
    schema = components[route.body.__name__] if route.body else {}
    body = example_of(schema, components) if schema.get("properties") else None
    verb = "" if route.method == "GET" or (route.method == "POST" and body) else f" -X {route.method}"
    lines = [f'curl{verb} "$SCROOGE{address_example(route.path, operation["parameters"])}"']
    lines.append('-H "Authorization: Bearer $KEY"')
    if route.idempotent:  # A key of its own for each: pasted one after the other, they all work.
        lines.append(f"-H 'Idempotency-Key: order-9912-{route.path.rpartition('/')[2]}'")
    if body:
        lines.append("-H 'Content-Type: application/json'")
        lines.append(f"-d '{msgspec.json.format(msgspec.json.encode(body), indent=2).decode()}'")
    code = escape(" \\\n  ".join(lines), quote=False)
    return f'<h4>Example</h4>\n<pre tabindex="0"><code>{code}</code></pre>\n'


def text(words: str) -> str:
    """Escaped, with `literals` as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(words, quote=False))


def anchor(route: Route) -> str:
    return slug(f"{route.method} {route.path}")


def slug(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
