"""Every kind of fault at every PSP where it means something: what a client sees on the wire, and what really moved."""

import hashlib
import http.client
import json
import time
import urllib.parse
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from .conftest import Receiver, Server, adyen_payment, listening, stripe_at, wait_for
from .test_faults import lost
from .test_idempotency import FORM

LAG_MS = 3_000
NUMBER = "4000009912345678"


class Psp(NamedTuple):
    name: str
    pay: Callable[[str], tuple[int, bytes]]  # by idempotency key
    truth: Callable[[], list[dict[str, Any]]]
    listen: Callable[[str], object]

    def moved(self) -> int:
        return len(self.truth())


@pytest.fixture(params=["stripe", "adyen"])
def psp(request: pytest.FixtureRequest, sandbox: Server, key: str, merchant: str, adyen_client: Any) -> Psp:
    def post(path: str, body: str, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=60)
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def stripe(idem: str) -> tuple[int, bytes]:
        headers = {"authorization": f"Bearer {key}", "idempotency-key": idem}
        return post("/stripe/v1/payment_intents", urllib.parse.urlencode(FORM), headers)

    def adyen(idem: str) -> tuple[int, bytes]:
        headers = {"x-api-key": "k", "idempotency-key": f"{merchant}-{idem}", "content-type": "application/json"}
        return post("/adyen/v72/payments", json.dumps(adyen_payment(merchant, idem)), headers)

    account = f"acct_{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    params: Any = {"enabled_events": ["payment_intent.succeeded"]}
    if request.param == "adyen":
        return Psp("adyen", adyen, lambda: sandbox.truth(merchant_account=merchant),
                   lambda url: listening(adyen_client, merchant, url))  # fmt: skip
    return Psp("stripe", stripe, lambda: sandbox.truth(merchant_account=account),
               lambda url: stripe_at(sandbox, key).v1.webhook_endpoints.create(params=params | {"url": url}))  # fmt: skip


@pytest.mark.parametrize(("kind", "moved"), [("drop_request", 0), ("charge_then_drop", 1), ("reset_midway", 1)])
def test_a_connection_that_breaks_tells_nothing_and_the_same_key_finds_out(
    sandbox: Server, psp: Psp, kind: str, moved: int
):
    sandbox.fault(psp.name, kind)
    assert lost(lambda: psp.pay(kind))
    assert psp.moved() == moved
    sandbox.call("DELETE", "/faults")
    assert psp.pay(kind)[0] == 200
    assert psp.moved() == 1


@pytest.mark.parametrize(("kind", "moved"), [("charge_then_500", 1), ("500_before", 0)])
def test_a_500_looks_the_same_whether_the_money_moved_or_not(sandbox: Server, psp: Psp, kind: str, moved: int):
    sandbox.fault(psp.name, kind)
    status, body = psp.pay(kind)
    assert status == 500
    assert psp.moved() == moved
    assert not [line for line in psp.truth() if line["psp_reference"].encode() in body], "it names no payment"


def test_a_slow_answer_comes_after_the_money_moved(sandbox: Server, psp: Psp):
    sandbox.fault(psp.name, "slow", delay_ms=300)
    started = time.monotonic()
    assert psp.pay("slow")[0] == 200
    assert time.monotonic() - started >= 0.3
    assert psp.moved() == 1


def test_garbage_is_a_200_that_names_no_payment(sandbox: Server, psp: Psp):
    sandbox.fault(psp.name, "garbage")
    for n in range(4):
        status, body = psp.pay(f"garbage-{n}")
        assert status == 200
        with pytest.raises((ValueError, KeyError)):
            json.loads(body)["id" if psp.name == "stripe" else "pspReference"]
    assert psp.moved() == 4


def test_a_wrong_amount_is_told_and_the_right_one_moves(sandbox: Server, psp: Psp):
    sandbox.fault(psp.name, "wrong_amount")
    told = json.loads(psp.pay("wrong")[1])["amount"]
    assert (told if psp.name == "stripe" else told["value"]) == 1399
    assert [line["minor"] for line in psp.truth()] == [1299]


@pytest.mark.parametrize("connector", ["stripe", "adyen"])
def test_a_psp_that_repeats_the_card_does_so_in_its_answers_and_its_notification(
    sandbox: Server, key: str, merchant: str, adyen_client: Any, receiver: Receiver, connector: str
):
    sandbox.fault(connector, "echo_card")
    headers = {"idempotency-key": f"echo-{merchant}"}
    if connector == "adyen":
        listening(adyen_client, merchant, receiver.url)
        card = {"type": "scheme", "number": NUMBER, "expiryMonth": "03", "expiryYear": "2034", "cvc": "739"}
        body = json.dumps(adyen_payment(merchant, "echo") | {"paymentMethod": card})
        headers |= {"x-api-key": "k", "content-type": "application/json"}
        path = "/adyen/v72/payments"
    else:
        params: Any = {"enabled_events": ["*"], "url": receiver.url}
        stripe_at(sandbox, key).v1.webhook_endpoints.create(params=params)
        card = {"number": NUMBER, "exp_month": "3", "exp_year": "2034", "cvc": "739"}
        form = {f"payment_method_data[card][{name}]": value for name, value in card.items()}
        less = {name: value for name, value in FORM.items() if name != "payment_method"}
        body = urllib.parse.urlencode(less | form | {"payment_method_data[type]": "card"})
        headers |= {"authorization": f"Bearer {key}", "content-type": "application/x-www-form-urlencoded"}
        path = "/stripe/v1/payment_intents"
    for _ in range(2):
        connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=60)
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        assert answer.status == 200, told
        assert (told["echoed"]["number"], told["echoed"]["cvc"]) == (NUMBER, "739")
    receiver.wait(1)
    assert receiver.documents()[0]["echoed"]["value"] == int(NUMBER)


def test_broken_idempotency_moves_the_money_again_under_the_same_key(sandbox: Server, psp: Psp):
    sandbox.fault(psp.name, "broken_idempotency")
    answers = [psp.pay("twice") for _ in range(2)]
    assert [status for status, _ in answers] == [200, 200]
    assert answers[0][1] != answers[1][1]
    assert len({line["psp_reference"] for line in psp.truth()}) == 2


def test_an_outage_answers_503_and_moves_nothing(sandbox: Server, psp: Psp):
    sandbox.fault(psp.name, "outage")
    status, body = psp.pay("outage")
    assert (status, body[:5]) == (503, b"<html")
    assert psp.moved() == 0


def test_inquiry_lag_hides_a_payment_from_adyens_cancel_by_reference(sandbox: Server, adyen_client: Any, merchant: str):
    pay = adyen_client.checkout.payments_api.payments
    cancel = adyen_client.checkout.modifications_api.cancel_authorised_payment

    def voided(reference: str) -> int:
        cancel({"merchantAccount": merchant, "paymentReference": reference})
        return len(sandbox.truth(merchant_account=merchant, operation="void"))

    pay(adyen_payment(merchant, "seen"))
    assert voided("seen") == 1, "without the fault it is found at once"
    sandbox.fault("adyen", "inquiry_lag", delay_ms=LAG_MS)
    pay(adyen_payment(merchant, "hidden"))
    assert voided("hidden") == 1, "not found yet"
    wait_for(lambda: voided("hidden") == 2)


@pytest.fixture
def told(psp: Psp, receiver: Receiver) -> Receiver:
    psp.listen(receiver.url)
    return receiver


def automatic(psp: Psp, idem: str) -> str:
    """The PSP's reference of a new payment."""
    return json.loads(psp.pay(idem)[1])["id" if psp.name == "stripe" else "pspReference"]


def subjects(receiver: Receiver) -> list[str]:
    """Which payments the notifications were about, in the order they came."""
    return [
        d["data"]["object"]["id"] if "data" in d else d["notificationItems"][0]["NotificationRequestItem"]["pspReference"]
        for d in receiver.documents()
    ]  # fmt: skip


def test_a_duplicate_notification_comes_twice(sandbox: Server, psp: Psp, told: Receiver):
    sandbox.fault(psp.name, "duplicate_notification")
    payment = automatic(psp, "twice")
    told.wait(2)
    assert subjects(told) == [payment] * 2


@pytest.mark.parametrize("kind", ["late_notification", "reordered_notifications"])
def test_a_notification_that_is_held_back_is_overtaken(sandbox: Server, psp: Psp, told: Receiver, kind: str):
    sandbox.fault(psp.name, kind, delay_ms=2_000)
    first = automatic(psp, "first")
    sandbox.call("DELETE", "/faults")
    second = automatic(psp, "second")
    told.wait(2)
    assert subjects(told) == [second, first]


def test_a_lost_notification_never_comes(sandbox: Server, psp: Psp, told: Receiver):
    sandbox.fault(psp.name, "lost_notification")
    automatic(psp, "lost")
    sandbox.call("DELETE", "/faults")
    payment = automatic(psp, "kept")
    told.wait(1)
    assert subjects(told) == [payment]
