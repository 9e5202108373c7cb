"""Each fault does what it says, to whom it says, as often as its seed says."""

import http.client
import json
import time
from typing import Any

import pytest

from scrooge.sandbox.faults import KINDS

from .conftest import Receiver, Server, adyen_payment, listening, stripe_at, wait_for
from .test_idempotency import adyen_post, stripe_post


def lost(call: Any) -> bool:
    """Did the connection end without a whole answer?"""
    try:
        call()
    except (http.client.HTTPException, ConnectionError):
        return True
    return False


@pytest.fixture
def post(sandbox: Server, key: str) -> Any:
    return lambda idem, **more: stripe_post(sandbox, key, idem, **more)


def test_drop_request_drops_before_anything_happens(sandbox: Server, post, key: str):
    sandbox.fault("stripe", "drop_request")
    before = len(sandbox.truth())
    with pytest.raises(http.client.RemoteDisconnected):
        post("drop")
    assert len(sandbox.truth()) == before
    sandbox.call("DELETE", "/faults")
    assert post("drop")[1].get("idempotent-replayed") is None


def test_charge_then_drop_charges_and_says_nothing(sandbox: Server, post):
    sandbox.fault("stripe", "charge_then_drop")
    before = len(sandbox.truth())
    with pytest.raises(http.client.RemoteDisconnected):
        post("ctd")
    assert len(sandbox.truth()) == before + 1
    status, headers, _ = post("ctd")  # A replay charges nothing, so it is answered.
    assert (status, headers["idempotent-replayed"]) == (200, "true")
    assert len(sandbox.truth()) == before + 1


def test_charge_then_500_is_stored_at_stripe_and_not_at_adyen(sandbox: Server, post, merchant):
    sandbox.fault("*", "charge_then_500")
    before = len(sandbox.truth())
    assert post("ct5")[0] == 500
    status, headers, _ = post("ct5")
    assert (status, headers["idempotent-replayed"]) == (500, "true")
    assert len(sandbox.truth()) == before + 1
    request = adyen_payment(merchant, "ct5")
    assert adyen_post(sandbox, request, f"{merchant}-5")[0] == 500
    assert len(sandbox.truth(merchant_account=merchant)) == 1
    status, answer = adyen_post(sandbox, request, f"{merchant}-5")
    assert (status, answer["resultCode"]) == (200, "Authorised")
    assert len(sandbox.truth(merchant_account=merchant)) == 1


def test_500_before_looks_the_same_and_moves_nothing(sandbox: Server, post, merchant: str):
    sandbox.fault("*", "charge_then_500")
    after_effect = post("5-a")
    sandbox.call("DELETE", "/faults")
    sandbox.fault("*", "500_before")
    count = len(sandbox.truth())
    before_effect = post("5-b")
    assert len(sandbox.truth()) == count
    assert (before_effect[0], before_effect[2]) == (after_effect[0], after_effect[2])
    assert set(before_effect[1]) == set(after_effect[1])
    assert adyen_post(sandbox, adyen_payment(merchant, "5"), f"{merchant}-b")[0] == 500
    sandbox.call("DELETE", "/faults")
    assert adyen_post(sandbox, adyen_payment(merchant, "5"), f"{merchant}-b")[0] == 200


def test_slow_has_the_effect_first_and_answers_late(sandbox: Server, post):
    sandbox.fault("stripe", "slow", delay_ms=300)
    started = time.monotonic()
    status, _, body = post("slow")
    assert time.monotonic() - started >= 0.3
    assert status == 200
    assert len(sandbox.truth(psp_reference=body["id"])) == 1


def test_garbage_is_a_200_nobody_can_read(sandbox: Server, key: str):
    sandbox.fault("stripe", "garbage")
    for n in range(4):
        _, body = sandbox.call("POST", "/stripe/v1/customers", authorization=f"Bearer {key}")
        assert b'"id"' not in body or not body.endswith(b"}"), n
    sandbox.call("DELETE", "/faults")
    assert sandbox.call("POST", "/stripe/v1/customers", authorization=f"Bearer {key}")[0] == 200


def test_reset_midway_sends_half(sandbox: Server, post):
    sandbox.fault("stripe", "reset_midway")
    before = len(sandbox.truth())
    assert lost(lambda: post("reset"))
    assert len(sandbox.truth()) == before + 1


def test_wrong_amount_is_a_lie_on_the_wire_only(sandbox: Server, post, merchant: str):
    sandbox.fault("*", "wrong_amount")
    wrong = post("wrong")[2]
    assert wrong["amount"] == 1399
    assert sandbox.truth(psp_reference=wrong["id"])[0]["minor"] == 1299
    assert post("wrong")[2]["amount"] == 1299
    answer = adyen_post(sandbox, adyen_payment(merchant, "wrong"), f"{merchant}-w")[1]
    assert answer["amount"]["value"] == 1399
    assert sandbox.truth(merchant_account=merchant)[0]["minor"] == 1299


def test_an_outage_has_no_effect_and_spares_the_others(sandbox: Server, post, merchant: str):
    sandbox.fault("stripe", "outage")
    before = len(sandbox.truth())
    status, _, _ = raw_status(sandbox)
    assert status == 503
    assert len(sandbox.truth()) == before
    assert adyen_post(sandbox, adyen_payment(merchant, "up"), f"{merchant}-u")[0] == 200


def raw_status(sandbox: Server) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
    connection.request("POST", "/stripe/v1/payment_intents", "", {"authorization": "Bearer x"})
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def codes(receiver: Receiver) -> list[str]:
    return [
        document["notificationItems"][0]["NotificationRequestItem"]["eventCode"] for document in receiver.documents()
    ]


@pytest.fixture
def payment(sandbox: Server, adyen_client, merchant: str, receiver: Receiver) -> Any:
    """Makes a payment of a merchant whose notifications arrive at the receiver."""
    listening(adyen_client, merchant, receiver.url)
    pay = adyen_client.checkout.payments_api.payments
    return lambda reference="n": pay(adyen_payment(merchant, reference)).message["pspReference"]


def test_duplicate_notifications_arrive_twice(sandbox: Server, payment, receiver: Receiver):
    sandbox.fault("adyen", "duplicate_notification")
    payment()
    first, second = receiver.wait(2)
    assert first == second


def test_late_notifications_arrive_late(sandbox: Server, payment, receiver: Receiver):
    sandbox.fault("adyen", "late_notification", delay_ms=200)
    started = time.monotonic()
    payment()
    receiver.wait(1)
    assert time.monotonic() - started >= 0.2


def test_reordered_notifications_are_overtaken(
    sandbox: Server, payment, adyen_client, merchant: str, receiver: Receiver
):
    sandbox.fault("adyen", "reordered_notifications", delay_ms=2_000)
    psp = payment()
    sandbox.call("DELETE", "/faults")
    adyen_client.checkout.modifications_api.cancel_authorised_payment_by_psp_reference(
        {"merchantAccount": merchant}, psp
    )
    receiver.wait(2)
    assert codes(receiver) == ["CANCELLATION", "AUTHORISATION"]


def test_lost_notifications_never_arrive(sandbox: Server, payment, receiver: Receiver):
    sandbox.fault("adyen", "lost_notification")
    payment("lost")
    sandbox.call("DELETE", "/faults")
    payment("kept")
    [document] = receiver.wait(1)
    item = document["notificationItems"][0]["NotificationRequestItem"]
    assert item["merchantReference"] == "kept"


def test_inquiry_lag_hides_a_payment_from_search_but_not_from_its_id(sandbox: Server, key: str):
    sandbox.fault("stripe", "inquiry_lag", delay_ms=2_000)
    client = stripe_at(sandbox, key)
    intent = client.v1.payment_intents.create(
        params={"amount": 1299, "currency": "eur", "metadata": {"reference": "hidden"}}
    )

    def found() -> list[str]:
        query = {"query": "metadata['reference']:'hidden'"}
        return [row.id for row in client.v1.payment_intents.search(params=query).data]

    assert found() == []
    assert client.v1.payment_intents.list().data == []
    assert client.v1.payment_intents.retrieve(intent.id).id == intent.id
    wait_for(lambda: found() == [intent.id])


def test_a_rate_is_drawn_by_seed(sandbox: Server, key: str):
    def pattern() -> list[bool]:
        sandbox.fault("stripe", "drop_request", rate=0.5)
        calls = [lambda: sandbox.call("GET", "/stripe/v1/events", authorization=f"Bearer {key}")] * 24
        return [lost(call) for call in calls]

    first = pattern()
    assert first == pattern()
    assert 4 < sum(first) < 20


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"connector": "square", "kind": "slow", "rate": 1}, "connector"),
        ({"connector": "stripe", "kind": "gremlins", "rate": 1}, "kind"),
        ({"connector": "stripe", "kind": "slow", "rate": 1.5}, "rate"),
        ({"connector": "stripe", "kind": "slow", "rate": True}, "rate"),
        ({"connector": "stripe", "kind": "slow", "rate": 1, "seed": "x"}, "seed"),
        ({"connector": "stripe", "kind": "slow", "rate": 1, "delay_ms": -1}, "delay_ms"),
        ({"connector": "stripe", "kind": "slow", "rate": 1, "colour": "red"}, "colour"),
        (["slow"], "body"),
    ],
)
def test_a_bad_fault_is_422_and_names_the_field(sandbox: Server, fault: Any, field: str):
    status, body = sandbox.call("POST", "/faults", fault)
    assert status == 422
    assert json.loads(body)["param"] == field
    assert json.loads(sandbox.call("GET", "/faults")[1])["faults"] == []


def test_faults_are_listed_counted_and_turned_off(sandbox: Server, post):
    sandbox.fault("*", "charge_then_500", rate=1.0)
    post("counted")
    listed = json.loads(sandbox.call("GET", "/faults")[1])
    assert listed["faults"] == [{"connector": "*", "kind": "charge_then_500", "rate": 1.0, "seed": 7}]
    assert {"stripe", "charge_then_500"} <= {value for row in listed["struck"] for value in row.values()}
    assert json.loads(sandbox.call("DELETE", "/faults")[1])["faults"] == []


def test_the_contracts_kinds_are_all_here():
    assert set(KINDS) >= {
        "drop_request",
        "charge_then_drop",
        "charge_then_500",
        "500_before",
        "slow",
        "reset_midway",
        "garbage",
        "wrong_amount",
        "duplicate_notification",
        "late_notification",
        "reordered_notifications",
        "lost_notification",
        "inquiry_lag",
        "broken_idempotency",
        "outage",
        "echo_card",
    }
