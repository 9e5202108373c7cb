"""A slice of `make faults`: every crash point once and a few cuts, always the same ones."""

import pytest

from tests.faults.cells import DIMENSIONS, OF_PAYMENTS, Cell, all_pairs, covering, pairs_of, why_not
from tests.faults.cuts import Where
from tests.faults.report import Plan, report
from tests.faults.suite import makers, run, stage

SEED = 1
EPISODES = (
    ("sale", "charge_then_drop"), ("capture", "charge_then_500"), ("refund", "reset_midway"), ("cascade", "decline"),
    ("continuation", "lost_notification"), ("fresh", "slow"),
)  # fmt: skip
TWICE = ("sale", "broken_idempotency")
CUTS = [
    Where("api-psp", "up", 200, "", "sale", "stripe"),
    Where("api-psp", "down", 0, "", "refund", "adyen"),
    Where("api-psp", "up", -1, "", "sale", "adyen"),
    Where("client-api", "down", 1, "", "capture", "stripe"),
    Where("api-database", "down", 0, "apply", "sale", "adyen"),
    Where("api-vault", "down", 0, "", "sale", "adyen", "coded"),
    Where("api-vault", "up", -1, "", "sale", "stripe", "card"),
    Where("vault-psp", "down", 0, "", "authorize", "stripe", "coded"),
]


def slice_of(draw: list[Cell]) -> list[Cell]:
    """One cell per point, in as few episodes as hold them all."""
    found = []
    for n, point in enumerate(OF_PAYMENTS):
        turns = [*EPISODES[n % len(EPISODES) :], *EPISODES, TWICE]
        operation, behavior = next(
            e for e in turns if why_not({"point": point, "operation": e[0], "behavior": e[1]}) is None
        )
        given = {"point": point, "operation": operation, "behavior": behavior}
        turns = [(draw[n].connector, draw[n].card), ("stripe", draw[n].card), ("stripe", "token"), ("stripe", "coded")]
        connector, card = next((c, k) for c, k in turns if why_not({**given, "connector": c, "card": k}) is None)
        found.append(Cell(point, operation, behavior, draw[n].client, connector, card))
    return found


@pytest.mark.timeout(900)
async def test_whatever_dies_or_is_cut_the_money_is_right():
    cells = slice_of(covering(SEED))
    said = []
    async with stage() as place:
        outcome = await run(place, makers(cells, [], CUTS, SEED), 8, 600, said.append)
    document = report(Plan(cells, [], [str(where) for where in CUTS], []), {}, outcome, SEED)
    assert document["violations"] == []
    assert document["unreached"] == []
    assert document["deaths"] >= len(OF_PAYMENTS)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_cells_hold_every_pair_that_can_be(seed: int):
    due, never = all_pairs()
    cells = covering(seed)
    held = {pair for cell in cells for pair in pairs_of({name: getattr(cell, name) for name in DIMENSIONS})}
    assert held == due
    assert not held & set(never)
    assert covering(seed) == cells
