"""A decline that no table maps is kept for somebody to map, as codes and not as words."""

import json
import uuid

import pytest
from tests.flows.test_routed import pay
from tests.world import World

from scrooge.domain.declines import Decline
from scrooge.domain.outcome import Declined, Outcome
from scrooge.errors import DatabaseUnavailable
from scrooge.flows import cascade
from scrooge.flows.remembering import Remembering
from scrooge.flows.scrooge import Scrooge
from scrooge.flows.unmapped import WORDS, Unmapped, code_of
from scrooge.storage import unmapped
from scrooge.storage.directory import Principal
from scrooge.storage.unmapped import Code


@pytest.fixture
async def who(s: Scrooge, world: World) -> Principal:
    found = await s.directory.principal(world.key)
    assert found is not None
    return found


def says(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> None:
    async def ask(*_, **__) -> Outcome:
        return outcome

    monkeypatch.setattr(cascade, "ask", ask)


async def inbox(world: World, code: str) -> list[dict]:
    status, found = await world.get("/v1/routing/unmapped-declines")
    assert status == 200, found
    return [row for row in found["data"] if row["code"] == code]


async def test_a_code_that_nobody_has_mapped_is_one_line_however_often_it_is_heard(
    world: World, s: Scrooge, who: Principal, monkeypatch: pytest.MonkeyPatch
):
    code = f"new_{uuid.uuid4().hex[:8]}".replace("9", "x")
    says(monkeypatch, Declined(Decline.UNMAPPED, code, "call 4242424242424242", network_code="51"))
    card = await world.instrument(stripe="pm_card_visa")
    for _ in range(3):
        p = await pay(s, who, card)
        assert p.attempts[-1].decline == Decline.UNMAPPED
    await Remembering(s.db, s.learning).lessons()
    await Remembering(s.db, s.learning).lessons()  # Once, whoever looks again.
    [row] = await inbox(world, code)
    assert (row["connector"], row["network_code"], row["declines"], row["payment"]) == ("stripe", "51", 3, p.id)
    assert (row["suggestion"], row["mapped"]) == ("insufficient_funds", None)
    assert "4242" not in json.dumps(row)


async def test_what_is_mapped_is_not_in_it(world: World, s: Scrooge, who: Principal, monkeypatch: pytest.MonkeyPatch):
    says(monkeypatch, Declined(Decline.STOLEN_CARD, "stolen_card"))
    await pay(s, who, await world.instrument(stripe="pm_card_visa"))
    assert not s.learning.unmapped.heard


@pytest.mark.parametrize("text", ["call 4242 4242 4242 4242", "4242424242424242", "x" * 65, "a b", "ü"])
def test_words_and_numbers_are_no_codes(text: str):
    assert code_of(text) == WORDS
    assert code_of("do_not_honor") == "do_not_honor"


async def test_a_psp_that_invents_codes_fills_no_table(world: World, s: Scrooge, who: Principal):
    account, payment = (
        world.accounts["stripe"]["id"],
        (await pay(s, who, await world.instrument(stripe="pm_card_visa"))).id,
    )
    before = len(await unmapped.page(s.db, who.merchant, False, 1000))
    for n in range(4):
        code = Code(who.merchant, False, account, f"invented_{n}", "", "visa")
        await unmapped.add(s.db, [(code, 1, payment)], most=before + 2)
    rows = {r.code: r.declines for r in await unmapped.page(s.db, who.merchant, False, 1000)}
    assert rows["(more)"] == 2 and len(rows) == before + 3
    assert {"invented_0", "invented_1"} <= rows.keys()


async def test_what_could_not_be_told_is_told_later(monkeypatch: pytest.MonkeyPatch):
    u, code, told = Unmapped(), Code("mer", False, "con", "x", "", ""), []
    u.heard[code] = 2, "pay_1"

    async def add(db, heard):
        u.heard[code] = u.heard.get(code, (0, ""))[0] + 1, "pay_2"  # Another is heard meanwhile.
        told.append(heard)
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(unmapped, "add", add)
    with pytest.raises(DatabaseUnavailable):
        await u.tell(None)
    assert u.heard[code][0] == 3
