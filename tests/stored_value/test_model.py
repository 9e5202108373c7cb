"""Any moves, in any order, in batches of any size: the database does what a small model in Python does."""

import asyncio
from collections import defaultdict
from typing import Any

import asyncpg
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from scrooge.ids import bucket_in, hex_of, new_id
from scrooge.postgres.database import connect
from scrooge.storage.stored_value import Move, move
from tests.stored_value.rows import opened

MERCHANT = new_id("mer", 0)


class Model(Struct):
    """One account, told in the plainest way."""

    available: int = 0
    held: int = 0
    holds: dict[str, int] = {}
    taken: dict[str, int] = {}

    def decide(self, m: Move) -> str | None:
        top = m.authorization or ""
        match m.kind:
            case "load":
                self.available += m.minor
            case "hold" | "sale":
                if self.available < m.minor:
                    return "insufficient_funds"
                self.available -= m.minor
                if m.kind == "sale":
                    self.taken[top] = self.taken.get(top, 0) + m.minor
                else:
                    self.held += m.minor
                    self.holds[top] = self.holds.get(top, 0) + m.minor
            case "capture" | "release":
                if self.holds.get(top, 0) < m.minor:
                    return "no_room"
                self.holds[top] -= m.minor
                self.held -= m.minor
                if m.kind == "release":
                    self.available += m.minor
                else:
                    self.taken[top] = self.taken.get(top, 0) + m.minor
                if m.final:
                    self.available += self.holds[top]
                    self.held -= self.holds[top]
                    self.holds[top] = 0
            case "refund":
                if self.taken.get(top, 0) < m.minor:
                    return "no_room"
                self.taken[top] -= m.minor
                self.available += m.minor
        return None


STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),  # account
        st.sampled_from(["load", "hold", "sale", "capture", "capture", "release", "refund"]),
        st.integers(1, 60),
        st.integers(0, 3),  # which authorization before
        st.booleans(),  # final
        st.integers(1, 6),  # how many go together
        st.booleans(),  # asked twice
    ),
    min_size=1, max_size=40,
)  # fmt: skip


# What fails is shown as it was found: making it smaller takes minutes on a database.
FOUND = (Phase.explicit, Phase.reuse, Phase.generate)


@settings(max_examples=60, deadline=None, phases=FOUND, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
@example(
    [
        (0, "load", 60, 0, False, 1, False),
        (0, "hold", 40, 0, False, 1, False),
        (0, "capture", 25, 0, True, 1, True),
        (0, "refund", 26, 0, False, 1, False),
        (0, "refund", 25, 0, False, 1, True),
    ]
)
def test_whatever_is_asked_the_database_does_what_the_model_does(database_url: str, steps: list[Any]):
    asyncio.run(play(database_url, steps))


async def play(url: str, steps: list[Any]) -> None:
    owner = await asyncpg.connect(url)
    db = await connect(url, size=1)
    accounts = [await opened(owner, MERCHANT) for _ in range(2)]
    models: dict[str, Model] = defaultdict(lambda: Model(holds={}, taken={}))
    tops: dict[str, list[str]] = defaultdict(list)
    batch: list[Move] = []
    room = 0
    try:
        for place, (n, kind, minor, nth, final, together, twice) in enumerate(steps):
            account = accounts[n]
            attempt = new_id("att", bucket_in(account))
            if kind in {"capture", "release", "refund"} and not tops[account]:
                kind = "hold"
            top = (
                attempt
                if kind in {"hold", "sale"}
                else tops[account][nth % len(tops[account])]
                if tops[account]
                else ""
            )
            if kind in {"hold", "sale"}:
                tops[account].append(attempt)
            asked = Move(
                account=account, kind=kind, minor=minor, currency="EUR", merchant=MERCHANT, livemode=False,
                caller="checkout", final=final and kind == "capture",
                **({"reference": f"load-{place}"} if kind == "load" else {"attempt": attempt, "authorization": top}),
            )  # fmt: skip
            batch.append(asked)
            room = room or together
            room -= 1
            if room == 0 or twice:
                await compare(db, batch, models)
                if twice:
                    again = await move(db, batch)
                    assert not any(found.fresh for found in again.values())
                batch, room = [], 0
        await compare(db, batch, models)
        for account in accounts:
            row = await owner.fetchrow(
                "SELECT available_minor, held_minor FROM stored_value_accounts WHERE id = $1", hex_of(account)
            )
            assert tuple(row) == (models[account].available, models[account].held)
            posted = await owner.fetch(
                "SELECT account, -sum(p.minor)::int AS minor FROM postings p JOIN stored_value_moves m ON m.id = p.payment_id"
                " WHERE m.account_id = $1 GROUP BY 1",
                hex_of(account),
            )
            books = {r["account"]: r["minor"] for r in posted}
            assert sum(books.values()) == 0
            assert books.get("liabilities.stored_value", 0) == models[account].available
            assert books.get("liabilities.stored_value_held", 0) == models[account].held
    finally:
        await db.close()
        await owner.close()


async def compare(db: Any, batch: list[Move], models: dict[str, Model]) -> None:
    """In the order in which the database takes a batch: by account, then as they came."""
    if not batch:
        return
    found = await move(db, batch)
    for m in sorted(batch, key=lambda m: (bucket_in(m.account), hex_of(m.account))):
        declined = models[m.account].decide(m)
        assert found[m.name].declined == declined, m
        if m.kind != "capture":
            assert (found[m.name].available, found[m.name].held) == (
                models[m.account].available, models[m.account].held,
            )  # fmt: skip
