"""Cards with their numbers and security codes, as the PSPs' documents say they are taken, checked, refused and kept."""

import Adyen
import pytest
import stripe

from .conftest import adyen_payment

VISA, AMEX = "4242424242424242", "378282246310005"


def intent(client: stripe.StripeClient, number: str = VISA, cvc: str | None = "123", **more: object):
    card = {"number": number, "exp_month": 3, "exp_year": 2034, **({"cvc": cvc} if cvc else {})}
    data = {"type": "card", "card": card, "billing_details": {"name": "Alex Example"}}
    params = {"amount": 1299, "currency": "eur", "confirm": True, "expand": ["latest_charge"], **more}
    return client.v1.payment_intents.create({**params, "payment_method_data": data})


@pytest.mark.parametrize(
    ("number", "cvc", "check"),
    [(VISA, "123", "pass"), (VISA, None, None), (AMEX, "1234", "pass"), ("4000000000000101", "123", "fail"),
     ("4000000000000101", None, None)],
)  # fmt: skip
def test_stripe_says_what_came_of_the_security_code(stripe_client, number: str, cvc: str | None, check: str | None):
    paid = intent(stripe_client, number, cvc)
    assert paid.status == "succeeded"
    assert paid.latest_charge.payment_method_details.card.checks.cvc_check == check


@pytest.mark.parametrize(
    ("number", "cvc", "code"),
    [("4000000000000127", "123", "incorrect_cvc"), (VISA, "12", "invalid_cvc"), (VISA, "12x", "invalid_cvc"),
     (AMEX, "123", "invalid_cvc"), ("4242424242424241", "123", "incorrect_number")],
)  # fmt: skip
def test_stripe_refuses_a_card_by_its_code_or_number(stripe_client, number: str, cvc: str, code: str):
    with pytest.raises(stripe.CardError) as refused:
        intent(stripe_client, number, cvc)
    assert refused.value.code == code


def test_stripe_keeps_a_card_for_its_customer_when_it_is_to_be_used_again(stripe_client):
    customer = stripe_client.v1.customers.create({}).id
    once, kept = intent(stripe_client, customer=customer), None
    kept = intent(stripe_client, customer=customer, setup_future_usage="off_session")
    owners = [stripe_client.v1.payment_methods.retrieve(str(i.payment_method)).customer for i in (once, kept)]
    assert owners == [None, customer]
    again = {"amount": 500, "currency": "eur", "confirm": True, "off_session": True, "customer": customer}
    paid = stripe_client.v1.payment_intents.create({**again, "payment_method": str(kept.payment_method)})
    assert paid.status == "succeeded"


def by_card(merchant: str, cvc: str | None, number: str = VISA, **more: object):
    card = {"type": "scheme", "number": number, "expiryMonth": "03", "expiryYear": "2034", "holderName": "Alex Example"}
    return adyen_payment(merchant, "o-1", paymentMethod={**card, **({"cvc": cvc} if cvc else {})}, **more)


@pytest.mark.parametrize(
    ("cvc", "result", "words"),
    [("737", "Authorised", "1 Matches"), (None, "Authorised", "6 No CVC/CVV provided"),
     ("002", "Refused", "2 Doesn't match"), ("004", "Refused", "4 No CVC/CVV provided, but was required"),
     ("005", "Authorised", "5 Issuer not certified for CVC/CVV"), ("009", "Authorised", "1 Matches")],
)  # fmt: skip
def test_adyen_answers_with_the_result_that_the_code_asks_for(
    adyen_client: Adyen.Adyen, merchant: str, cvc: str | None, result: str, words: str
):
    paid = adyen_client.checkout.payments_api.payments(by_card(merchant, cvc)).message
    assert (paid["resultCode"], paid["additionalData"]["cvcResult"]) == (result, words)
    assert paid.get("refusalReason") == (None if result == "Authorised" else "CVC Declined")


def test_adyen_refuses_a_code_of_another_length(adyen_client: Adyen.Adyen, merchant: str):
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity, match="103"):
        adyen_client.checkout.payments_api.payments(by_card(merchant, "73"))


def test_adyen_refuses_the_card_whose_code_is_wrong(adyen_client: Adyen.Adyen, merchant: str):
    paid = adyen_client.checkout.payments_api.payments(by_card(merchant, "737", "4000000000000127")).message
    assert (paid["resultCode"], paid["refusalReasonCode"]) == ("Refused", "24")


def test_adyen_keeps_a_card_for_its_shopper_and_takes_it_again_by_its_token(adyen_client: Adyen.Adyen, merchant: str):
    saving = {"storePaymentMethod": True, "shopperReference": "user-1", "recurringProcessingModel": "Subscription"}
    api = adyen_client.checkout.payments_api
    first = api.payments(by_card(merchant, "737", **saving)).message["additionalData"]
    again = adyen_payment(
        merchant, "o-2", first["tokenization.storedPaymentMethodId"], shopperReference="user-1",
        shopperInteraction="ContAuth", recurringProcessingModel="Subscription",
    )  # fmt: skip
    assert api.payments(again).message["resultCode"] == "Authorised"
