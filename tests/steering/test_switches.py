"""Switches and prices: what is said counts at once, for whom it was said, as long as it was said."""

from tests.steering.conftest import Desk


async def switched(desk: Desk, account: str, state: str, **more: object) -> dict:
    body = {"connector_account": account, "state": state, "reason": "their status page is red", **more}
    status, made = await desk.ask("POST", "switches", body)
    assert status == 201, made
    return made


async def test_a_switched_account_gets_no_new_payment_until_the_switch_is_ended(desk: Desk):
    await desk.activated(await desk.drafted("stripe_eu", "adyen_eu"))
    made = await switched(desk, "stripe_eu", "off")
    found = await desk.explained()
    assert found["accounts"] == ["adyen_eu"]
    assert found["excluded"]["stripe_eu"] == "switched to off: their status page is red"
    for _ in range(2):  # Said twice, the same answer.
        status, ended = await desk.ask("DELETE", f"switches/{made['id']}")
        assert (status, ended["counts"]) == (200, False)
        assert ended["ended_by"].startswith("key:")
    assert sorted((await desk.explained())["accounts"]) == ["adyen_eu", "stripe_eu"]


async def test_a_switch_for_some_payments_leaves_the_others_alone(desk: Desk):
    await desk.activated(await desk.drafted("stripe_eu", "adyen_eu"))
    await switched(desk, "adyen_eu", "drain", when={"brand": ["visa"]}, expires_in_seconds=60)
    assert (await desk.explained(brand="visa"))["accounts"] == ["stripe_eu"]
    assert "adyen_eu" in (await desk.explained(brand="mastercard"))["accounts"]


async def test_of_switches_for_the_same_payments_the_last_one_counts(desk: Desk):
    first = await switched(desk, "adyen_eu", "off")
    second = await switched(desk, "adyen_eu", "on")
    assert [w["id"] for w in (await desk.ask("GET", "switches"))[1]["data"]] == [second["id"]]
    shown = (await desk.ask("GET", "switches?all=true"))[1]["data"]
    assert [w["id"] for w in shown] == [second["id"], first["id"]]


async def test_a_switch_that_makes_no_sense_is_refused(desk: Desk):
    body = {"connector_account": "stripe_eu", "state": "off", "reason": "x"}
    assert (await desk.ask("POST", "switches", body | {"connector_account": "nobody"}))[0] == 422
    status, problem = await desk.ask("POST", "switches", body | {"when": {"brand": ["vsa"]}})
    assert (status, problem["param"]) == (422, "when.brand[0]")
    assert (await desk.ask("POST", "switches", body | {"when": {"color": ["red"]}}))[0] == 422


async def test_prices_count_at_once_and_are_told_by_account(desk: Desk):
    await desk.activated(await desk.drafted("stripe_eu", "adyen_eu"))
    fees = [{"component": "blended", "name": "all", "rate": "1.5", "fixed": {"EUR": "0.10"}}]
    document = {"tariffs": [{"account": "stripe_eu", "valid_from": "2020-01-01", "fees": fees}]}
    status, made = await desk.ask("POST", "tariffs", {"document": document})
    assert (status, made["version"]) == (201, 1)
    assert (await desk.ask("POST", "tariffs", {"document": document}))[0] == 200
    scores = {score["name"]: score for score in (await desk.explained(value="10.00"))["scores"]}
    # 1.5 % of 10.00 EUR and 0.10 EUR: 25 minor units, in billionths.
    assert scores["stripe_eu"]["cost"] == {"blended": 25 * 10**9}
    assert scores["adyen_eu"]["cost_unknown"] == ["no tariff"]


async def test_prices_that_do_not_hold_together_are_refused_with_the_place(desk: Desk):
    tariff = {"account": "stripe_eu", "valid_from": "2020-01-01"}
    for document, place in [
        ({"tariffs": [tariff | {"account": "nobody"}]}, "tariffs[0].account"),
        ({"tariffs": [tariff, tariff]}, "tariffs[1]"),
        ({"tariffs": [tariff | {"valid_from": "2020-13-01"}]}, "tariffs[0]"),
    ]:
        status, problem = await desk.ask("POST", "tariffs", {"document": document})
        assert (status, problem["code"], problem["findings"][0]["place"]) == (422, "tariffs_refused", place)
