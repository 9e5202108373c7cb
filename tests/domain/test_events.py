"""The types of events: one table, which says what the domain can announce and what the documents promise."""

import re
from itertools import product
from pathlib import Path

from msgspec import structs

from scrooge.domain.attempt import Attempt, Closed, Operation, State
from scrooge.domain.mandate import ACTIVATED, UPDATED, WITHDRAWN
from scrooge.domain.news import FAILED, LATER, OF_STORED_VALUE, REVIEW, TEST, TYPES, event_of

PAGE = Path(__file__).parent.parent.parent / "docs" / "webhooks.md"
ATTEMPT = Attempt(id="att_1", number=1, operation=Operation.AUTHORIZE, minor=100, connector_account="con_1")


WAYS = {operation: {False, operation is Operation.AUTHORIZE} for operation in Operation}
OF_AUTHORIZATIONS = {State.ACTION_REQUIRED, State.REVERSING}


def announced() -> set[str | None]:
    """By any change. Only an authorization waits for the payer, lapses, or is given back."""
    found = set()
    for operation, sale in [(operation, sale) for operation, ways in WAYS.items() for sale in ways]:
        first = operation is Operation.AUTHORIZE
        a = structs.replace(ATTEMPT, operation=operation, sale=sale)
        asks = {State.ACTION_REQUIRED} if operation is Operation.VERIFY else set()
        states = [state for state in State if first or state not in OF_AUTHORIZATIONS - asks]
        for before, after, closed in product(states, states, (None, Closed.EXPIRED) if first else (None,)):
            found.add(event_of(structs.replace(a, state=before), structs.replace(a, state=after, closed=closed)))
    return found - {None}


def test_the_table_is_what_changes_of_attempts_announce():
    assert announced() | {FAILED, REVIEW, *LATER, ACTIVATED, UPDATED, WITHDRAWN, *OF_STORED_VALUE} == set(TYPES)
    assert len(set(TYPES)) == len(TYPES)


def test_the_documents_promise_the_types_there_are():
    section = PAGE.read_text().partition("## Types")[2].partition("## ")[0]
    rows = re.findall(r"^\| (`.+?) \| (.+) \|$", section, re.MULTILINE)
    beginnings = [b for first, _ in rows for b in re.findall(r"`([a-z]+_)`", first)]
    endings = {e: re.findall(r"`([a-z]+_)`", told) or beginnings for e, told in rows if e.startswith("`_")}
    of_attempts = {b + e.strip("`_") for e, of in endings.items() for b in of}
    assert of_attempts | {FAILED, REVIEW, *LATER, ACTIVATED, UPDATED, WITHDRAWN, *OF_STORED_VALUE} == set(TYPES)
    assert all(f"`{name}`" in section for name in (FAILED, *LATER, ACTIVATED, WITHDRAWN, *OF_STORED_VALUE))
    assert f"there is `{TEST}`" in section
