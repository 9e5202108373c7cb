"""The official `stripe` library completes every operation against the sandbox."""

import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest
import stripe

from scrooge.sandbox.cards import TEST_CARDS

from .conftest import Receiver, Server, wait_for


def pay(client: stripe.StripeClient, reference: str, **more: Any) -> stripe.PaymentIntent:
    params = {
        "amount": 1299,
        "currency": "eur",
        "payment_method": "pm_card_visa",
        "confirm": True,
        "capture_method": "manual",
        "return_url": "https://shop.example/return",
        "metadata": {"reference": reference},
        "expand": ["latest_charge"],
    }
    return client.v1.payment_intents.create(params=params | more)


def what(lines: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(line["operation"], line["outcome"], line["minor"]) for line in lines]


def test_an_authorization_is_captured_and_refunded(sandbox: Server, stripe_client):
    intent = pay(stripe_client, "full")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 1299)
    card = intent.latest_charge.payment_method_details.card
    assert len(card.network_transaction_id) == 15
    assert card.capture_before > intent.created
    assert card.checks.cvc_check == "pass"
    captured = stripe_client.v1.payment_intents.capture(
        intent.id, params={"metadata": {"capture_reference": "full-c1"}}
    )
    assert (captured.status, captured.amount_received) == ("succeeded", 1299)
    refund = stripe_client.v1.refunds.create(
        params={"payment_intent": intent.id, "amount": 300, "metadata": {"reference": "full-r1"}}
    )
    assert (refund.status, refund.amount) == ("succeeded", 300)
    lines = sandbox.truth(merchant_account=sandbox.truth(reference="full")[0]["merchant_account"])
    assert [(x["reference"], x["operation"], x["minor"]) for x in lines] == [
        ("full", "authorize", 1299),
        ("full-c1", "capture", 1299),
        ("full-r1", "refund", 300),
    ]
    assert lines[0]["currency"] == "EUR"
    assert lines[0]["psp_reference"] == intent.id


def test_a_partial_capture_releases_the_rest(sandbox: Server, stripe_client):
    intent = pay(stripe_client, "partial")
    after = stripe_client.v1.payment_intents.capture(intent.id, params={"amount_to_capture": 1000})
    assert (after.status, after.amount_received, after.amount_capturable) == ("succeeded", 1000, 0)
    charge = stripe_client.v1.charges.retrieve(after.latest_charge)
    assert (charge.amount_captured, charge.amount_refunded, charge.refunded) == (1000, 299, False)
    assert what(sandbox.truth(psp_reference=intent.id)) == [
        ("authorize", "approved", 1299),
        ("capture", "approved", 1000),
    ]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_client.v1.refunds.create(params={"payment_intent": intent.id, "amount": 1001})
    assert refused.value.param == "amount"


def test_a_capture_that_is_not_final_keeps_the_rest(sandbox: Server, stripe_client):
    intent = pay(stripe_client, "multi")
    capture = stripe_client.v1.payment_intents.capture
    first = capture(intent.id, params={"amount_to_capture": 500, "final_capture": False})
    assert (first.status, first.amount_capturable) == ("requires_capture", 799)
    assert capture(intent.id).amount_received == 1299
    assert [line["minor"] for line in sandbox.truth(psp_reference=intent.id)] == [1299, 500, 799]


def test_more_than_authorized_is_not_captured(stripe_client):
    intent = pay(stripe_client, "too-much")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_client.v1.payment_intents.capture(intent.id, params={"amount_to_capture": 1300})
    assert refused.value.code == "amount_too_large"


def test_a_cancel_voids(sandbox: Server, stripe_client):
    intent = pay(stripe_client, "void")
    canceled = stripe_client.v1.payment_intents.cancel(intent.id)
    assert (canceled.status, canceled.amount_capturable) == ("canceled", 0)
    assert what(sandbox.truth(psp_reference=intent.id))[-1] == ("void", "approved", 1299)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_client.v1.payment_intents.capture(intent.id)
    assert refused.value.code == "payment_intent_unexpected_state"


def test_automatic_capture_is_one_sale(sandbox: Server, stripe_client):
    intent = pay(stripe_client, "sale", capture_method="automatic")
    assert intent.status == "succeeded"
    assert what(sandbox.truth(psp_reference=intent.id)) == [("sale", "approved", 1299)]


def test_a_decline_tells_the_networks_code(sandbox: Server, stripe_client):
    with pytest.raises(stripe.CardError) as declined:
        pay(stripe_client, "no", payment_method="pm_card_visa_chargeDeclinedInsufficientFunds")
    error = declined.value.error
    assert (error.code, error.decline_code) == ("card_declined", "insufficient_funds")
    assert error.payment_intent.status == "requires_payment_method"
    charge = stripe_client.v1.charges.retrieve(error.payment_intent.latest_charge)
    assert charge.outcome.network_decline_code == "51"
    assert what(sandbox.truth(reference="no")) == [("authorize", "declined", 1299)]


@pytest.mark.parametrize("card", [c for c in TEST_CARDS if c.connector == "stripe"], ids=lambda c: c.token)
def test_every_test_card_does_what_it_says(stripe_client, card):
    try:
        status = pay(stripe_client, f"card-{card.token}", payment_method=card.token).status
    except stripe.CardError:
        status = "declined"
    expected = {"challenge": "requires_action", "pending": "processing"}
    word = card.outcome.split(":")[0].split("_")[0]
    refused = word == "declined" or card.outcome == "sca_strict"  # The other is exempted: it is EUR 12.99.
    assert status == expected.get(word, "declined" if refused else "requires_capture")


def test_a_number_is_declined_like_its_token(stripe_client):
    method = stripe_client.v1.payment_methods.create(
        params={
            "type": "card",
            "card": {"number": "4000000000009979", "exp_month": 3, "exp_year": 2034, "cvc": "123"},
        }
    )
    with pytest.raises(stripe.CardError) as declined:
        pay(stripe_client, "number", payment_method=method.id)
    assert declined.value.error.decline_code == "stolen_card"
    assert declined.value.error.network_advice_code == "03"


def test_a_number_that_is_none_is_a_card_error(stripe_client):
    card = {"number": "4242424242424241", "exp_month": 3, "exp_year": 2034}
    with pytest.raises(stripe.CardError) as refused:
        pay(
            stripe_client,
            "luhn",
            payment_method=None,
            payment_method_data={"type": "card", "card": card},
        )
    assert refused.value.code == "incorrect_number"


class Stay(urllib.request.HTTPRedirectHandler):
    """Does not follow redirects."""

    def redirect_request(self, *_: Any) -> None:
        return None


def answer_challenge(url: str, result: str) -> dict[str, list[str]]:
    """Post the payer's answer; the query of where the browser is sent."""
    assert "Confirm the payment" in urllib.request.urlopen(url, timeout=5).read().decode()
    opener = urllib.request.build_opener(Stay)
    with pytest.raises(urllib.error.HTTPError) as sent:
        opener.open(url, data=f"result={result}".encode(), timeout=5)
    assert sent.value.code == 303
    return urllib.parse.parse_qs(urllib.parse.urlsplit(sent.value.headers["location"]).query)


@pytest.mark.parametrize(
    ("result", "status", "redirect"),
    [
        ("success", "requires_capture", "succeeded"),
        ("fail", "requires_payment_method", "failed"),
    ],
)
def test_a_challenge_decides_the_payment(sandbox, stripe_client, result, status, redirect):
    intent = pay(stripe_client, f"3ds-{result}", payment_method="pm_card_threeDSecure2Required")
    assert intent.status == "requires_action"
    assert sandbox.truth(psp_reference=intent.id) == []
    query = answer_challenge(intent.next_action.redirect_to_url.url, result)
    assert query["payment_intent"] == [intent.id]
    assert query["payment_intent_client_secret"] == [intent.client_secret]
    assert query["redirect_status"] == [redirect]
    assert stripe_client.v1.payment_intents.retrieve(intent.id).status == status
    outcome = "approved" if result == "success" else "declined"
    assert what(sandbox.truth(psp_reference=intent.id)) == [("authorize", outcome, 1299)]


def test_who_leaves_the_bank_without_an_answer_may_come_again(sandbox, stripe_client):
    intent = pay(stripe_client, "3ds-abandon", payment_method="pm_card_threeDSecure2Required")
    url = intent.next_action.redirect_to_url.url
    assert answer_challenge(url, "abandon")["redirect_status"] == ["pending"]
    assert stripe_client.v1.payment_intents.retrieve(intent.id).status == "requires_action"
    assert sandbox.truth(psp_reference=intent.id) == []
    assert answer_challenge(url, "success")["redirect_status"] == ["succeeded"]
    assert stripe_client.v1.payment_intents.retrieve(intent.id).status == "requires_capture"


def test_a_bank_that_does_not_answer_never_will(sandbox, stripe_client):
    intent = pay(stripe_client, "3ds-timeout", payment_method="pm_card_threeDSecure2Required")
    url = intent.next_action.redirect_to_url.url
    assert never_answered(url, "timeout") == never_answered(url, "success")
    assert stripe_client.v1.payment_intents.retrieve(intent.id).status == "requires_action"
    assert sandbox.truth(psp_reference=intent.id) == []


def never_answered(url: str, result: str) -> str:
    """The page that says so, which does not lead anywhere."""
    with urllib.request.urlopen(url, data=f"result={result}".encode(), timeout=5) as answer:
        page = answer.read().decode()
    assert "Your bank does not answer" in page
    assert urllib.request.urlopen(url, timeout=5).read().decode() == page
    return page


def test_the_bank_says_what_it_asks_about(stripe_client):
    intent = pay(stripe_client, "3ds-page", payment_method="pm_card_threeDSecure2Required")
    page = urllib.request.urlopen(intent.next_action.redirect_to_url.url, timeout=5).read().decode()
    assert "12.99 EUR" in page
    assert "•••• 3220" in page
    assert "<script" not in page


def test_the_second_answer_to_a_challenge_changes_nothing(sandbox, stripe_client):
    intent = pay(stripe_client, "3ds-twice", payment_method="pm_card_threeDSecure2Required")
    url = intent.next_action.redirect_to_url.url
    answer_challenge(url, "success")
    assert answer_challenge(url, "fail")["redirect_status"] == ["succeeded"]
    assert len(sandbox.truth(psp_reference=intent.id)) == 1


def test_nobody_is_challenged_off_session(stripe_client):
    with pytest.raises(stripe.CardError) as declined:
        pay(
            stripe_client,
            "mit",
            payment_method="pm_card_authenticationRequired",
            off_session=True,
        )
    assert declined.value.code == "authentication_required"


def test_a_soft_decline_passes_with_a_challenge(stripe_client):
    token = "pm_card_sandbox_softDecline"
    with pytest.raises(stripe.CardError):
        pay(stripe_client, "soft", payment_method=token)
    options = {"card": {"request_three_d_secure": "any"}}
    again = pay(stripe_client, "soft-2", payment_method=token, payment_method_options=options)
    answer_challenge(again.next_action.redirect_to_url.url, "success")
    assert stripe_client.v1.payment_intents.retrieve(again.id).status == "requires_capture"


def test_a_refund_can_fail_later(sandbox: Server, stripe_client):
    intent = pay(stripe_client, "rf", payment_method="pm_card_refundFail", capture_method="automatic")
    refund = stripe_client.v1.refunds.create(params={"payment_intent": intent.id, "metadata": {"reference": "rf-1"}})
    assert refund.status == "succeeded"
    wait_for(lambda: stripe_client.v1.refunds.retrieve(refund.id).status == "failed")
    assert what(sandbox.truth(psp_reference=refund.id)) == [
        ("refund", "approved", 1299),
        ("refund", "reversed", 1299),
    ]


def test_a_pending_refund_is_no_truth_until_it_succeeds(sandbox: Server, stripe_client):
    intent = pay(stripe_client, "rp", payment_method="pm_card_pendingRefund", capture_method="automatic")
    refund = stripe_client.v1.refunds.create(params={"payment_intent": intent.id})
    assert refund.status == "pending"
    wait_for(lambda: stripe_client.v1.refunds.retrieve(refund.id).status == "succeeded")
    assert what(sandbox.truth(psp_reference=refund.id)) == [("refund", "approved", 1299)]


def test_processing_concludes_by_itself(sandbox: Server, stripe_client):
    intent = pay(stripe_client, "pend", payment_method="pm_card_sandbox_pending")
    assert (intent.status, sandbox.truth(psp_reference=intent.id)) == ("processing", [])
    retrieve = stripe_client.v1.payment_intents.retrieve
    wait_for(lambda: retrieve(intent.id).status == "requires_capture")
    assert what(sandbox.truth(psp_reference=intent.id)) == [("authorize", "approved", 1299)]


def test_a_hold_that_expires_is_canceled(sandbox: Server, stripe_client):
    intent = pay(stripe_client, "exp", payment_method="pm_card_sandbox_expires")
    wait_for(lambda: stripe_client.v1.payment_intents.retrieve(intent.id).status == "canceled")
    assert what(sandbox.truth(psp_reference=intent.id))[-1] == ("authorize", "reversed", 1299)


def test_a_payment_is_found_by_search_and_list(stripe_client):
    intent = pay(stripe_client, "find-me")
    pay(stripe_client, "not-me")
    found = stripe_client.v1.payment_intents.search(params={"query": "metadata['reference']:'find-me'"})
    assert [row.id for row in found.data] == [intent.id]
    listed = stripe_client.v1.payment_intents.list(params={"limit": 1, "created": {"gte": intent.created}})
    assert len(listed.data) == 1
    assert listed.has_more
    assert intent.id in [row.id for row in listed.auto_paging_iter()]


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        (r"metadata['reference']:'it\'s AND me'", True),
        ("""metadata["reference"]:"it's AND me" AND status:'requires_capture'""", True),
        (r"status:'succeeded' AND metadata['reference']:'it\'s AND me'", False),
        ("currency:'eur' AND status:'requires_capture'", True),
    ],
)
def test_searches_are_read_as_stripe_reads_them(stripe_client, query: str, matches: bool):
    intent = pay(stripe_client, "it's AND me")
    found = stripe_client.v1.payment_intents.search(params={"query": query})
    assert [row.id for row in found.data] == [intent.id] * matches


@pytest.mark.parametrize("query", ["reference:'x'", "status:'x' OR status:'y'", "status:x", "*"])
def test_a_search_nobody_can_read_is_refused(stripe_client, query: str):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_client.v1.payment_intents.search(params={"query": query})
    assert refused.value.param == "query"


def test_accounts_do_not_see_each_other(sandbox: Server, stripe_client):
    intent = pay(stripe_client, "mine")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe_client.v1.payment_intents.retrieve(intent.id, options={"stripe_account": "acct_other"})
    assert refused.value.http_status == 404


def test_an_unknown_parameter_is_refused(sandbox: Server, key: str):
    status, body = sandbox.call("POST", "/stripe/v1/payment_intents?colour=red", authorization=f"Bearer {key}")
    assert status == 400
    assert b"parameter_unknown" in body


def test_without_a_test_key_nothing_happens(sandbox: Server):
    assert sandbox.call("GET", "/stripe/v1/payment_intents")[0] == 401
    live = "Bearer sk_live_" + "1" * 8
    assert sandbox.call("GET", "/stripe/v1/payment_intents", authorization=live)[0] == 401


@pytest.mark.parametrize(
    ("currency", "units", "iso", "minor"),
    [
        ("isk", 120000, "ISK", 1200),
        ("jpy", 1200, "JPY", 1200),
        ("mga", 5, "MGA", 500),
        ("kwd", 1250, "KWD", 1250),
        ("ugx", 500000, "UGX", 5000),
    ],
)
def test_truth_counts_in_iso_minor_units(sandbox, stripe_client, currency, units, iso, minor):
    intent = pay(stripe_client, currency, amount=units, currency=currency)
    [line] = sandbox.truth(psp_reference=intent.id)
    assert (line["currency"], line["minor"], intent.amount_capturable) == (iso, minor, units)


def test_an_amount_that_is_no_whole_minor_unit_is_refused(stripe_client):
    with pytest.raises(stripe.InvalidRequestError):
        pay(stripe_client, "isk", amount=12345, currency="isk")


def test_events_are_signed_as_the_library_expects(stripe_client, receiver: Receiver):
    endpoint = stripe_client.v1.webhook_endpoints.create(params={"url": receiver.url, "enabled_events": ["*"]})
    intent = pay(stripe_client, "hook")
    stripe_client.v1.payment_intents.capture(intent.id)
    stripe_client.v1.refunds.create(params={"payment_intent": intent.id})
    receiver.wait(5)
    events = [
        stripe.Webhook.construct_event(body, headers["Stripe-Signature"], endpoint.secret)
        for headers, body in receiver.taken
    ]
    assert sorted(event.type for event in events) == [
        "charge.captured",
        "charge.refunded",
        "payment_intent.amount_capturable_updated",
        "payment_intent.succeeded",
        "refund.created",
    ]
    listed = stripe_client.v1.events.list(params={"type": "refund.created"})
    assert listed.data[0].data.object.payment_intent == intent.id
    stripe_client.v1.webhook_endpoints.delete(endpoint.id)


def test_a_receiver_that_fails_is_tried_again(stripe_client, receiver: Receiver):
    receiver.refuse_first = 1
    stripe_client.v1.webhook_endpoints.create(
        params={"url": receiver.url, "enabled_events": ["payment_intent.succeeded"]}
    )
    pay(stripe_client, "again", capture_method="automatic")
    first, second = receiver.wait(2)
    assert first == second


def test_a_saved_card_pays_off_session(stripe_client):
    customer = stripe_client.v1.customers.create(params={"email": "payer@example.com"})
    method = stripe_client.v1.payment_methods.attach("pm_card_mastercard", params={"customer": customer.id})
    intent = pay(
        stripe_client,
        "saved",
        customer=customer.id,
        payment_method=method.id,
        off_session=True,
    )
    card = intent.latest_charge.payment_method_details.card
    assert (card.brand, len(card.network_transaction_id)) == ("mastercard", 13)
