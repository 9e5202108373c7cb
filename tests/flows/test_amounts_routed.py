"""An amount that one PSP cannot be asked for goes to one that can, with a policy and without; nobody else sees it."""

from typing import Any

import pytest
from tests.flows.test_unwell import explained, policy  # noqa: F401 - a fixture
from tests.world import World

BOTH = {"stripe": "pm_card_visa", "adyen": "stored_visa"}
FINE = {"value": "1.234", "currency": "KWD"}  # Stripe takes steps of 0.010, Adyen any.
WHY = "Stripe takes KWD in steps of 0.010; got 1.234 KWD"


async def routing(world: World, payment: dict[str, Any]) -> dict[str, Any]:
    _, found = await world.get(f"/v1/payments/{payment['id']}?expand=routing")
    return found["routing"][-1]["decision"]


async def went_to(world: World, **more: Any) -> dict[str, Any]:
    status, made = await world.pay(instrument=await world.instrument(**BOTH), **FINE, **more)
    assert status == 201, made
    assert made["status"] == "captured"
    assert made["connector_account"] == "adyen"
    return await routing(world, made)


async def test_without_a_policy_the_next_account_takes_it_and_the_record_says_why(world: World):
    decision = await went_to(world)
    assert (decision["way"], decision["excluded"]) == ("given", {"stripe": WHY})


async def test_a_policy_passes_over_an_account_that_cannot_be_asked_for_it(world: World, policy: str):  # noqa: F811
    for _ in range(4):
        decision = await went_to(world)
        assert ([a["name"] for a in decision["accounts"]], decision["excluded"]) == (["adyen"], {"stripe": WHY})


async def test_explain_says_so_with_an_instrument_and_without(world: World, policy: str):  # noqa: F811
    card = await world.instrument(**BOTH)
    for more in ({}, {"instrument": card}):
        status, found = await world.post("/v1/routing/explain", {"payment": {"amount": FINE, **more}})
        assert status == 200, found
        assert (found["accounts"], found["excluded"]["stripe"]) == (["adyen"], WHY)


@pytest.mark.parametrize(
    "more", [{}, {"connector_account": "stripe"}], ids=["the only account", "the account asked for"]
)
async def test_where_nobody_else_could_take_it_the_amount_is_refused_and_nothing_is_used_up(
    world: World, more: dict[str, Any]
):
    card = await world.instrument(**(BOTH if more else {"stripe": BOTH["stripe"]}))
    status, problem = await world.pay(instrument=card, reference=f"fine-{len(more)}", **FINE, **more)
    assert (status, problem["code"], problem["detail"]) == (422, "amount_not_representable", WHY)
    status, made = await world.pay(
        instrument=card, reference=f"fine-{len(more)}", **(FINE | {"value": "1.230"}), **more
    )
    assert (status, made["status"]) == (201, "captured")
