"""A payment with what `expand` asks for: attempts, journals, routing, and all of it in the order it happened."""

from typing import Any

import msgspec
from msgspec import structs

from scrooge.api import answers, show
from scrooge.api.show import Facts
from scrooge.domain.attempt import Attempt
from scrooge.domain.payment import Payment
from scrooge.postgres.rows import instant
from scrooge.storage import books, listing, routing
from scrooge.storage.books import Entries

ROUTED, SENT, HEARD, POSTED = 1, 2, 3, 4  # Of things that bear the same time, causes come first.
Row = tuple[int, int, str, str | None, dict[str, Any]]


async def expanded(db: Any, p: Payment, facts: Facts, parts: frozenset[str]) -> answers.Payment:
    """`parts` of attempts, timeline, journals, routing, risk."""
    shown = show.payment(p, facts)
    wanted = await routing.decisions(db, p.id) if parts & {"routing", "risk", "timeline"} else []
    decisions = [(attempt, msgspec.json.decode(text)) for attempt, text in wanted]
    journals = await books.journals_of(db, p.id) if parts & {"journals", "timeline"} else []
    if "attempts" in parts:
        shown = structs.replace(shown, attempts=[show.attempt(a, p.currency, facts) for a in p.attempts])
    if "journals" in parts:
        shown = structs.replace(shown, journals=[journal_of(j) for j in journals])
    checks = [(attempt, d.pop("risk")) for attempt, d in decisions if "risk" in d]
    if "risk" in parts:
        shown = structs.replace(shown, risk=[{"attempt": attempt, "check": check} for attempt, check in checks])
    if "routing" in parts:
        told = [
            answers.Routing(attempt=a, decision=decision, authentication=authentication(p.attempt(a)) if a else None)
            for a, decision in decisions
        ]
        shown = structs.replace(shown, routing=told)
    if "timeline" in parts:
        events = await listing.events_of(db, p.id)
        shown = structs.replace(shown, timeline=timeline(p, facts, events, journals, decisions, checks))
    return shown


def timeline(
    p: Payment,
    facts: Facts,
    events: list[listing.Event],
    journals: list[Entries],
    decisions: list[tuple[str | None, dict[str, Any]]],
    checks: list[tuple[str | None, dict[str, Any]]],
) -> list[answers.Moved]:
    """Made from what is kept: the payment, its attempts, its events and its journals."""
    rows: list[Row] = [(p.created_at, 0, "payment_created", p.id, {"caller": facts.callers[p.caller]})]
    for a in p.attempts:
        content = {
            "number": a.number,
            "connector_account": facts.accounts[a.connector_account].name,
            "amount": show.amount(a.minor, p.currency),
        }
        rows.append((a.sent_at, SENT, f"{'sale' if a.sale else a.operation}_sent", a.id, content))
        asked = authentication(a)
        if asked is not None:
            rows.append((a.sent_at, ROUTED, "authentication_chosen", a.id, asked))
        if a.followed:
            rows.append((a.concluded_at or a.sent_at, POSTED, "next_step", a.id, {"because": a.followed}))
    chosen = [(attempt or p.id, d) for attempt, d in decisions if d.get("policy")]  # Else nothing was decided.
    rows += [(max(d["at"], p.created_at), ROUTED, "payment_routed", a, routed(d)) for a, d in chosen]
    rows += [(max(c["at"], p.created_at), ROUTED, "risk_checked", a, looked_at(c)) for a, c in checks]
    rows += [(e.created_at, HEARD, e.type, e.attempt or p.id, e.content) for e in events]
    rows += [(j.created_at, POSTED, "journal_posted", j.id, {"effect": j.effect}) for j in journals]
    rows.sort(key=lambda row: row[:2])
    return [
        answers.Moved(seq=seq, at=instant(at), type=kind, ref=ref, content=content)
        for seq, (at, _, kind, ref, content) in enumerate(rows, start=1)
    ]


def looked_at(check: dict[str, Any]) -> dict[str, Any]:
    """The short of it; the whole is in `risk`."""
    rules = [hit["rule"] for hit in check.get("hits", [])]
    return {"policy": check["policy"], "did": check["did"], "would": check["would"], "rules": rules}


def authentication(a: Attempt) -> dict[str, str] | None:
    """Without whose payment it counts among."""
    c = a.authentication
    if c is None:
        return None
    told = {"ask": c.ask, "because": c.because, "source": c.source, "liability": c.liability}
    return told | ({"exemption": c.exemption} if c.exemption else {})


def routed(decision: dict[str, Any]) -> dict[str, Any]:
    """The short of it; the whole is in `routing`."""
    kept = {name: decision[name] for name in ("policy", "way", "because")}
    return {**kept, "accounts": [a["name"] for a in decision["accounts"]], "excluded": decision.get("excluded", {})}


def journal_of(j: Entries) -> answers.Journal:
    return answers.Journal(
        id=j.id,
        object="journal",
        effect=j.effect,
        attempt=j.attempt,
        created_at=instant(j.created_at),
        postings=[
            answers.Posting(account=line.account, amount=show.amount(line.minor, line.currency)) for line in j.lines
        ],
    )
