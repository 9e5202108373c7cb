"""Idempotency keys behave as each PSP's documents say, and as they do when they are broken."""

import json
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

import Adyen
import msgspec
import pytest

from .conftest import QUICK, Server, adyen_payment, decode

FORM = {"amount": "1299", "currency": "eur", "payment_method": "pm_card_visa", "confirm": "true"}


def stripe_post(server: Server, key: str, idem: str, **more: str) -> tuple[int, dict, Any]:
    """(status, headers in lower case, body) of a confirmed payment."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    headers = {"authorization": f"Bearer {key}", "idempotency-key": idem}
    body = urllib.parse.urlencode(FORM | more)
    connection.request("POST", "/stripe/v1/payment_intents", body, headers)
    answer = connection.getresponse()
    found = {name.lower(): value for name, value in answer.getheaders()}
    return answer.status, found, decode(answer.read())


def test_stripe_replays_the_stored_answer(sandbox: Server, key: str):
    status, headers, first = stripe_post(sandbox, key, "k-replay")
    assert (status, headers.get("idempotent-replayed")) == (200, None)
    again, replayed, second = stripe_post(sandbox, key, "k-replay")
    assert (again, second) == (200, first)
    assert replayed["idempotent-replayed"] == "true"
    assert replayed["original-request"] == headers["request-id"] != replayed["request-id"]
    assert len(sandbox.truth(psp_reference=first["id"])) == 1


def test_stripe_replays_a_decline(sandbox: Server, key: str):
    token = "pm_card_visa_chargeDeclined"
    first = stripe_post(sandbox, key, "k-decline", payment_method=token)
    second = stripe_post(sandbox, key, "k-decline", payment_method=token)
    assert first[0] == second[0] == 402
    assert first[2] == second[2]


def test_stripe_refuses_a_key_with_other_parameters(sandbox: Server, key: str):
    stripe_post(sandbox, key, "k-changed")
    status, _, body = stripe_post(sandbox, key, "k-changed", amount="1300")
    assert (status, body["error"]["type"]) == (400, "idempotency_error")


def test_stripe_does_not_store_what_never_executed(sandbox: Server, key: str):
    assert stripe_post(sandbox, key, "k-invalid", amount="none")[0] == 400
    assert stripe_post(sandbox, key, "k-invalid")[0] == 200


def test_keys_belong_to_an_account(sandbox: Server, key: str):
    first = stripe_post(sandbox, key, "k-shared")[2]
    second = stripe_post(sandbox, key + "x", "k-shared")[2]
    assert first["id"] != second["id"]


@pytest.fixture(scope="module")
def slow_server() -> Iterator[Server]:
    server = Server(msgspec.structs.replace(QUICK, latency_ms=1_200))
    yield server
    server.stop()


def twice(post: Any) -> list[Any]:
    """Both answers of two concurrent calls."""
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(post())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_stripe_answers_409_while_a_key_is_in_use(slow_server: Server, key: str):
    answers = twice(lambda: stripe_post(slow_server, key, "k-busy"))
    assert sorted(status for status, _, _ in answers) == [200, 409]
    [busy] = [body for status, _, body in answers if status == 409]
    assert busy["error"]["code"] == "idempotency_key_in_use"
    assert stripe_post(slow_server, key, "k-busy")[1]["idempotent-replayed"] == "true"
    assert len(slow_server.truth()) == 1


def adyen_post(server: Server, request: dict[str, Any], idem: str) -> tuple[int, Any]:
    status, body = server.call("POST", "/adyen/v71/payments", request, x_api_key="k", idempotency_key=idem)
    return status, json.loads(body)


def test_adyen_answers_704_while_a_key_is_in_use(slow_server: Server, merchant: str):
    request = adyen_payment(merchant, "busy")
    answers = twice(lambda: adyen_post(slow_server, request, f"{merchant}-busy"))
    assert sorted(status for status, _ in answers) == [200, 422]
    [busy] = [body for status, body in answers if status == 422]
    assert busy["errorCode"] == "704"
    assert len(slow_server.truth(merchant_account=merchant)) == 1


def test_adyen_replays_a_finished_request(sandbox: Server, adyen_client, merchant):
    pay = adyen_client.checkout.payments_api.payments
    request = adyen_payment(merchant, "again")
    first = pay(request, idempotency_key=f"{merchant}-1").message
    assert pay(request, idempotency_key=f"{merchant}-1").message == first
    assert len(sandbox.truth(merchant_account=merchant)) == 1
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity):
        pay(request | {"reference": "other"}, idempotency_key=f"{merchant}-1")
    capture = adyen_client.checkout.modifications_api.capture_authorised_payment
    change = {"merchantAccount": merchant, "amount": request["amount"]}
    received = [capture(change, first["pspReference"], idempotency_key=f"{merchant}-c").message for _ in range(2)]
    assert received[0] == received[1]
    assert len(sandbox.truth(merchant_account=merchant, operation="capture")) == 1


def test_without_a_key_every_request_is_a_payment(sandbox: Server, adyen_client, merchant):
    for _ in range(2):
        adyen_client.checkout.payments_api.payments(adyen_payment(merchant, "twice"))
    assert len(sandbox.truth(merchant_account=merchant)) == 2


def test_broken_idempotency_moves_money_again(sandbox: Server, key: str, merchant: str):
    first = stripe_post(sandbox, key, "k-broken")[2]
    sandbox.fault("*", "broken_idempotency")
    second = stripe_post(sandbox, key, "k-broken")[2]
    assert second["id"] != first["id"]
    request = adyen_payment(merchant, "broken")
    for _ in range(2):
        adyen_post(sandbox, request, f"{merchant}-broken")
    assert len(sandbox.truth(merchant_account=merchant)) == 2
