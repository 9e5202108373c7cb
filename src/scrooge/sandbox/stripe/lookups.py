"""Reading back: retrieve is consistent at once, lists and search see a payment a little later."""

import re
import time
from collections.abc import Iterable
from itertools import dropwhile, islice, takewhile
from typing import Any, TypeVar

import msgspec

from ..records import Record
from ..world import World
from . import form as f
from .documents import Document, charge_document, intent_document, list_document, refund_document
from .errors import Refused
from .intents import find_intent
from .records import Charge, Event, Intent, Refund, Who

Row = TypeVar("Row", bound=Record)

# One clause of Stripe's search language; a backslash escapes inside quotes.
_CLAUSE = re.compile(
    r"""(?P<field>\w+)(\[(?P<q>['"])(?P<key>(?:\\.|(?!(?P=q)).)*)(?P=q)\])?\s*:\s*
    (?P<p>['"])(?P<value>(?:\\.|(?!(?P=p)).)*)(?P=p)""",
    re.VERBOSE,
)
_AND = re.compile(r"\s+AND\s+")
_ESCAPED = re.compile(r"\\(.)")
_FIELDS = ("metadata", "status", "currency", "customer")
_COMPARE = {
    "gt": lambda have, want: have > want,
    "gte": lambda have, want: have >= want,
    "lt": lambda have, want: have < want,
    "lte": lambda have, want: have <= want,
}


def read_intent(world: World, who: Who, form: f.Form, id_: str) -> Document:
    """GET /v1/payment_intents/{id}."""
    return intent_document(world, find_intent(world, who, id_), f.expansions(form))


def read_charge(world: World, who: Who, _form: f.Form, id_: str) -> Document:
    """GET /v1/charges/{id}."""
    charge = world.state.get(Charge, id_)
    if charge is None or charge.account != who.account:
        raise Refused.missing("charge", id_, "id")
    return charge_document(world, charge)


def read_event(world: World, who: Who, _form: f.Form, id_: str) -> Document:
    """GET /v1/events/{id}."""
    event = world.state.get(Event, id_)
    if event is None or event.account != who.account:
        raise Refused.missing("event", id_, "id")
    return msgspec.json.decode(event.body)


def list_intents(world: World, who: Who, form: f.Form, _: str) -> Document:
    """GET /v1/payment_intents: newest first, by creation and customer."""
    now, customer = time.time(), f.text(form, "customer")
    rows = (
        row
        for row in _newest(world, Intent, ("intents", who.account))
        if row.visible_at <= now
        and _created_within(row.created, form)
        and customer in (None, row.facts.get("customer"))
    )
    page, more = _page(rows, form)
    expand = f.expansions(form)
    return list_document("/v1/payment_intents", [intent_document(world, row, expand) for row in page], more)


def list_refunds(world: World, who: Who, form: f.Form, _: str) -> Document:
    """GET /v1/refunds, of one payment_intent or charge or of all."""
    of = f.text(form, "payment_intent") or f.text(form, "charge")
    key = ("refunds", who.account, of) if of else ("refunds", who.account)
    rows = (row for row in _newest(world, Refund, key) if _created_within(row.created, form))
    page, more = _page(rows, form)
    return list_document("/v1/refunds", [refund_document(row) for row in page], more)


def list_events(world: World, who: Who, form: f.Form, _: str) -> Document:
    """GET /v1/events, by type or types."""
    types = {*f.mapping(form, "types").values(), form.get("type")} - {None}
    rows = (
        row
        for row in _newest(world, Event, ("events", who.account))
        if _created_within(row.created, form) and (not types or row.type in types)
    )
    page, more = _page(rows, form)
    return list_document("/v1/events", [msgspec.json.decode(row.body) for row in page], more)


def search_intents(world: World, who: Who, form: f.Form, _: str) -> Document:
    """GET /v1/payment_intents/search: `field:"value"` clauses joined by AND."""
    clauses = _clauses(str(f.required(form, "query")).strip())
    pairs = [(key, value) for field, key, value in clauses if field == "metadata"]
    key = ("metadata", who.account, *pairs[0]) if pairs else ("intents", who.account)
    horizon = time.time() - world.config.search_lag_ms / 1000
    found = (
        row
        for row in _newest(world, Intent, key)
        if row.visible_at <= horizon and all(_matches(row, *clause) for clause in clauses)
    )
    page, more = _page(found, {"limit": form.get("limit", "10")})
    expand = f.expansions(form)
    return {
        "object": "search_result",
        "data": [intent_document(world, row, expand) for row in page],
        "has_more": more,
        "next_page": None,
        "url": "/v1/payment_intents/search",
    }


def _newest(world: World, kind: type[Row], key: tuple[str, ...]) -> Iterable[Row]:
    """The records under this key of the index, newest first."""
    return (world.state.need(kind, id_) for id_ in reversed(world.state.index.get(key, [])))


def _clauses(query: str) -> list[tuple[str, str, str]]:
    """(field, key, value) of each clause; raises Refused where the query cannot be read."""
    clauses, at = [], 0
    while match := _CLAUSE.match(query, at):
        if match["field"] not in _FIELDS:
            break
        key, value = (_ESCAPED.sub(r"\1", part or "") for part in match.group("key", "value"))
        clauses.append((match["field"], key, value))
        joint = _AND.match(query, match.end())
        if joint is None:
            at = match.end()
            break
        at = joint.end()
    if query[at:].strip() or not clauses:
        raise Refused.invalid("query", f"We were unable to parse your search query: {query}")
    return clauses


def _matches(intent: Intent, field: str, key: str, value: str) -> bool:
    have: Any = {
        "metadata": intent.metadata.get(key),
        "status": intent.status,
        "currency": intent.currency.lower(),
        "customer": intent.facts.get("customer"),
    }[field]
    return have == value


def _created_within(created: int, form: f.Form) -> bool:
    """Stripe's `created`: an exact time or a mapping of gt, gte, lt, lte."""
    wanted = form.get("created")
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return created == f.whole(form, "created", 0)
    return all(_COMPARE[name](created, f.whole(wanted, name, 0)) for name in wanted if name in _COMPARE)


def _page(rows: Iterable[Row], form: f.Form) -> tuple[list[Row], bool]:
    """One page of rows that are newest first, and whether there are more."""
    limit = min(f.whole(form, "limit", 1) or 10, 100)
    if before := form.get("ending_before"):
        newer = list(takewhile(lambda row: row.id != before, rows))
        return newer[-limit:], len(newer) > limit
    rest = iter(rows)
    if after := form.get("starting_after"):
        rest = islice(dropwhile(lambda row: row.id != after, rest), 1, None)
    page = list(islice(rest, limit + 1))
    return page[:limit], len(page) > limit
