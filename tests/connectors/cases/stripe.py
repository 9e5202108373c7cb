"""Stripe's replies, and what each means."""

from typing import Any

from msgspec import structs

from scrooge.connectors.connector import Command
from scrooge.connectors.stripe import STRIPE
from scrooge.domain.declines import Decline
from scrooge.domain.outcome import Approved, Declined, Pending, Rejected, ReversalKind, Reversed, Unknown
from scrooge.money import Money

from .case import Ask, Cases, Item, Reply, declines_in
from .stripe_increments import INCREMENT, INCREMENT_REPLIES
from .stripe_news import FORGERIES, NOTICES, STORIES, signed
from .stripe_setups import SETUP_REPLIES, VERIFY
from .stripe_words import (
    APPROVED,
    AUTHORIZE,
    CAPTURE,
    CARD,
    CARD_FINGERPRINT,
    CHALLENGE,
    CREDENTIALS,
    GONE,
    HELD,
    KNOWN,
    NO_FUNDS,
    POOR,
    REFUND,
    SALE,
    SOLD,
    TAKEN,
    VOID,
    WAITING,
    charge,
    error,
    intent,
    refund,
)

REPLAYED = {"Idempotent-Replayed": "true"}
UNEXPECTED = "payment_intent_unexpected_state"
NOBODY = Unknown("not found by reference", absent=True)


def declined(code: str) -> Reply:
    known = STRIPE_DECLINES.get(code, Decline.UNMAPPED)
    failed = intent("requires_payment_method")
    body = error("card_error", code="card_declined", decline_code=code, payment_intent=failed)
    outcome = Declined(known, code, "Why.", None, None, "pi_1")
    claim = f"{code} is {known}"
    return Reply(item=Item.UNMAPPED, claim=claim, command=AUTHORIZE, status=402, body=body, expected=outcome)


STRIPE_DECLINES = declines_in("""
    authentication_required: authentication_not_handled authentication_required mobile_device_authentication_required
    authentication_failed: payment_intent_authentication_failure payment_intent_payment_attempt_expired
    blocked_by_psp: card_decline_rate_limit_exceeded duplicate_transaction merchant_blacklist
    do_not_honor: approve_with_id call_issuer card_declined do_not_honor generic_decline no_action_taken payment_intent_payment_attempt_failed
    expired_card: expired_card invalid_expiry_month invalid_expiry_year
    incorrect_address: incorrect_address incorrect_postal_code incorrect_zip
    incorrect_cvc: incorrect_cvc invalid_cvc
    incorrect_number: incorrect_number invalid_number new_account_information_available
    incorrect_pin: incorrect_pin invalid_pin offline_pin_required online_or_offline_pin_required pin_try_exceeded
    insufficient_funds: insufficient_funds
    invalid_amount: invalid_amount
    issuer_unavailable: issuer_not_available
    limit_exceeded: card_velocity_exceeded withdrawal_count_limit_exceeded
    lost_card: lost_card
    not_supported: card_not_supported currency_not_supported service_not_allowed transaction_not_allowed
    processing_error: processing_error reenter_transaction try_again_later
    restricted_card: do_not_try_again invalid_account not_permitted pickup_card restricted_card testmode_decline
    authorization_revoked: revocation_of_all_authorizations revocation_of_authorization stop_payment_order
    stolen_card: stolen_card
    suspected_fraud: fraudulent security_violation
""")


def reply(item: Item, claim: str, command: Command, body: Any, expected: Any, **more: Any) -> Reply:
    return Reply(item=item, claim=claim, command=command, body=body, expected=expected, **more)


def found(claim: str, command: Command, body: Any, expected: Any, **more: Any) -> Reply:
    return reply(Item.QUESTION, claim, command, body, expected, ask=Ask.INQUIRE, **more)


def search(*intents: Any) -> dict[str, Any]:
    return {"object": "search_result", "data": list(intents), "has_more": False}


def listed(*refunds: Any) -> dict[str, Any]:
    return {"object": "list", "data": list(refunds), "has_more": False}


I = Item  # noqa: E741 - read aloud in the table
RUNNING = Unknown("HTTP 409: the first request is still running")

REPLIES = (
    reply(I.APPROVED, "a hold is approved with all facts", AUTHORIZE, HELD, APPROVED),
    reply(I.APPROVED, "a sale has no expiry", SALE, SOLD, structs.replace(APPROVED, expires_at=None)),
    reply(I.APPROVED, "an unexpanded card leaves facts out", AUTHORIZE,
          intent("requires_capture", amount_capturable=1299, latest_charge="ch_1"),
          Approved("pi_1", Money(1299, "EUR"), psp_token="pm_1")),
    *(reply(I.APPROVED, f"a hold until {odd!r} is one without a limit", AUTHORIZE,
            {**HELD, "latest_charge": charge(payment_method_details={"card": CARD | {"capture_before": odd}})},
            structs.replace(APPROVED, expires_at=None)) for odd in ("soon", 1.5, True, -1, 10**18)),
    reply(I.APPROVED, "a partial capture counts what was received", CAPTURE, TAKEN,
          Approved("pi_1", Money(1000, "EUR"))),
    reply(I.APPROVED, "a void has no amount of its own", VOID, GONE,
          Approved("pi_1", Money(1299, "EUR"))),
    reply(I.APPROVED, "a refund", REFUND, refund("succeeded"), Approved("re_1", Money(1000, "EUR"))),
    reply(I.APPROVED, "a yen is a yen", structs.replace(AUTHORIZE, amount=Money(1299, "JPY")),
          intent("requires_capture", amount_capturable=1299, currency="jpy"),
          Approved("pi_1", Money(1299, "JPY"), psp_token="pm_1")),
    reply(I.APPROVED, "a krona comes in hundredths", structs.replace(AUTHORIZE, amount=Money(12, "ISK")),
          intent("requires_capture", amount_capturable=1200, currency="isk"),
          Approved("pi_1", Money(12, "ISK"), psp_token="pm_1")),
    reply(I.APPROVED, "a void of what is canceled already is done", VOID,
          error("invalid_request_error", code=UNEXPECTED, payment_intent=GONE),
          Approved("pi_1", Money(1299, "EUR")), status=400),
    reply(I.APPROVED, "a capture that happened already is done", CAPTURE,
          error("invalid_request_error", code=UNEXPECTED, payment_intent=TAKEN),
          Approved("pi_1", Money(1000, "EUR")), status=400),
    reply(I.UNMAPPED, "all raw codes of a decline are kept", AUTHORIZE,
          error("card_error", **NO_FUNDS, payment_intent=intent("requires_payment_method")), POOR,
          status=402),
    reply(I.UNMAPPED, "the issuer's codes may be on the charge", AUTHORIZE,
          error("card_error", code="card_declined", decline_code="generic_decline",
                payment_intent=intent("requires_payment_method", latest_charge=charge(
                    outcome={"network_decline_code": "05", "advice_code": "do_not_try_again"}))),
          Declined(Decline.DO_NOT_HONOR, "generic_decline", "Why.", "05", "do_not_try_again", "pi_1"),
          status=402),
    reply(I.UNMAPPED, "a decline says which card it was", AUTHORIZE,
          error("card_error", code="expired_card", payment_method={"id": "pm_1", "card": CARD}),
          Declined(Decline.EXPIRED_CARD, "expired_card", "Why.", card_fingerprint=CARD_FINGERPRINT), status=402),
    reply(I.UNMAPPED, "an error's code serves where there is no decline code", AUTHORIZE,
          error("card_error", code="expired_card"),
          Declined(Decline.EXPIRED_CARD, "expired_card", "Why."), status=402),
    reply(I.CHALLENGE, "the payer is redirected", AUTHORIZE, WAITING, CHALLENGE),
    reply(I.PENDING, "a card that takes its time", AUTHORIZE, intent("processing"), Pending("pi_1")),
    reply(I.PENDING, "a refund that takes its time", REFUND, refund("pending"), Pending("re_1")),
    reply(I.PENDING, "a capture that takes its time", CAPTURE, {**TAKEN, "status": "processing"},
          Pending("pi_1")),
    reply(I.PENDING, "a refund that failed at once", REFUND,
          refund("failed", failure_reason="lost_or_stolen_card"),
          Reversed("refund failed: lost_or_stolen_card", ReversalKind.FAILED, "re_1")),
    reply(I.EXPLAINED, "a bad parameter", AUTHORIZE,
          error("invalid_request_error", code="parameter_unknown"),
          Rejected("400 parameter_unknown: Why."), status=400),
    reply(I.EXPLAINED, "a bad key is not repeated", AUTHORIZE,
          error("invalid_request_error", message="Invalid API Key provided: sk_test_4eC3"),
          Rejected("401 invalid_request_error: the API key was refused"), status=401),
    reply(I.EXPLAINED, "a key without the right", AUTHORIZE,
          error("invalid_request_error"), Rejected("403 invalid_request_error: Why."), status=403),
    reply(I.EXPLAINED, "no such intent", CAPTURE,
          error("invalid_request_error", code="resource_missing"),
          Rejected("404 resource_missing: Why."), status=404),
    reply(I.EXPLAINED, "too many requests", AUTHORIZE, error("rate_limit_error"),
          Rejected("429 rate_limit_error: Why."), status=429),
    reply(I.EXPLAINED, "captured by somebody else", CAPTURE,
          error("invalid_request_error", code=UNEXPECTED,
                payment_intent={**TAKEN, "metadata": {}}),
          Rejected(f"400 {UNEXPECTED}: Why.", "pi_1"), status=400),
    reply(I.SERVER_ERROR, "an error of theirs", AUTHORIZE, error("api_error"), Unknown("HTTP 500"),
          status=500),
    reply(I.SERVER_ERROR, "an empty one", AUTHORIZE, b"", Unknown("HTTP 503"), status=503),
    reply(I.SERVER_ERROR, "a stored one", AUTHORIZE, error("api_error"), Unknown("HTTP 500", stored=True),
          status=500, headers=REPLAYED, first=False),
    reply(I.UNREADABLE, "a web page", AUTHORIZE, b"<html>",
          Unknown("HTTP 200: the answer cannot be read")),
    reply(I.UNREADABLE, "nothing", AUTHORIZE, b"", Unknown("HTTP 200: the answer cannot be read")),
    reply(I.UNREADABLE, "a list", AUTHORIZE, [], Unknown("HTTP 200: the answer cannot be read")),
    reply(I.UNREADABLE, "a new status keeps the id", AUTHORIZE, intent("levitating"),
          Unknown("HTTP 200: the answer cannot be read", "pi_1")),
    reply(I.UNREADABLE, "an action in an application", AUTHORIZE,
          intent("requires_action", next_action={"type": "use_stripe_sdk"}),
          Unknown("HTTP 200: the answer cannot be read", "pi_1")),
    reply(I.UNREADABLE, "a redirect into a script", AUTHORIZE,
          intent("requires_action", next_action={
              "type": "redirect_to_url", "redirect_to_url": {"url": "javascript:alert(1)"}}),
          Unknown("HTTP 200: the answer cannot be read", "pi_1")),
    reply(I.UNREADABLE, "a decline without a reason", AUTHORIZE, intent("requires_payment_method"),
          Unknown("HTTP 200: the answer cannot be read", "pi_1")),
    reply(I.UNREADABLE, "another attempt's answer", AUTHORIZE,
          {**HELD, "metadata": {"reference": "pay_2-1"}},
          Unknown("HTTP 200: the answer cannot be read", "pi_1")),
    reply(I.UNREADABLE, "another refund's answer", REFUND,
          refund("succeeded", metadata={"reference": "pay_2-4"}),
          Unknown("HTTP 200: the answer cannot be read", "re_1")),
    reply(I.UNREADABLE, "taken where a hold was asked", AUTHORIZE, SOLD,
          Unknown("HTTP 200: the answer cannot be read", "pi_1")),
    reply(I.UNREADABLE, "held where a sale was asked", SALE, HELD,
          Unknown("HTTP 200: the answer cannot be read", "pi_1")),
    reply(I.UNREADABLE, "an amount that is no integer", AUTHORIZE,
          {**HELD, "amount_capturable": "1299"},
          Unknown("HTTP 200: the answer cannot be read", "pi_1")),
    reply(I.UNREADABLE, "another amount than asked", AUTHORIZE, {**HELD, "amount_capturable": 129900},
          Unknown("the PSP approved 1299.00 EUR, asked was 12.99 EUR", "pi_1", differs=True)),
    reply(I.UNREADABLE, "a sale that received another amount", SALE, {**SOLD, "amount_received": 99},
          Unknown("the PSP approved 0.99 EUR, asked was 12.99 EUR", "pi_1", differs=True)),
    reply(I.UNREADABLE, "another currency than asked", AUTHORIZE, {**HELD, "currency": "usd"},
          Unknown("the PSP approved 12.99 USD, asked was 12.99 EUR", "pi_1", differs=True)),
    reply(I.UNREADABLE, "a capture accepted but not done", CAPTURE, HELD,
          Unknown("HTTP 200: the answer cannot be read", "pi_1")),
    reply(I.UNREADABLE, "a payment required that no card declined", AUTHORIZE,
          error("invalid_request_error"), Unknown("HTTP 402: the answer cannot be read"), status=402),
    reply(I.FINISHED, "a stored approval stands", AUTHORIZE, HELD, APPROVED, first=False,
          headers=REPLAYED),
    reply(I.FINISHED, "an approval stands even where nothing was stored", AUTHORIZE, HELD, APPROVED,
          first=False),
    reply(I.FINISHED, "a stored decline stands", AUTHORIZE,
          error("card_error", **NO_FUNDS, payment_intent=intent("requires_payment_method")), POOR,
          status=402, first=False, headers=REPLAYED),
    reply(I.FINISHED, "a stored refusal stands", AUTHORIZE, error("invalid_request_error"),
          Rejected("400 invalid_request_error: Why."), status=400, first=False, headers=REPLAYED),
    reply(I.FINISHED, "a refusal of the replay says nothing of the first", AUTHORIZE,
          error("invalid_request_error"),
          Unknown("on a replay: 401 invalid_request_error: the API key was refused"), status=401,
          first=False),
    reply(I.FINISHED, "too many replays say nothing of the first", AUTHORIZE,
          error("rate_limit_error"), Unknown("on a replay: 429 rate_limit_error: Why."), status=429,
          first=False),
    reply(I.FINISHED, "a key used for another request", AUTHORIZE, error("idempotency_error"),
          Unknown("HTTP 400: the key was used for another request"), status=400, first=False),
    reply(I.IN_PROGRESS, "the first is still running", AUTHORIZE,
          error("idempotency_error", code="idempotency_key_in_use"), RUNNING, status=409, first=False),
    reply(I.IN_PROGRESS, "even a first send may meet one", AUTHORIZE,
          error("invalid_request_error"), RUNNING, status=409),
    found("by id", KNOWN, HELD, APPROVED),
    found("by reference", AUTHORIZE, search(HELD), APPROVED),
    found("a sale by reference", SALE, search(SOLD), structs.replace(APPROVED, expires_at=None)),
    found("nothing by reference", AUTHORIZE, search(), NOBODY),
    found("two by reference", AUTHORIZE, search(HELD, {**HELD, "id": "pi_2"}),
          Unknown("HTTP 200: the answer cannot be read")),
    found("held and since taken in part", KNOWN, TAKEN,
          Approved("pi_1", Money(1299, "EUR"), psp_token="pm_1")),
    found("declined", KNOWN, intent("requires_payment_method", last_payment_error=NO_FUNDS), POOR),
    found("canceled by us", KNOWN, GONE,
          Reversed("canceled at Stripe: requested_by_customer", ReversalKind.CANCELED, "pi_1")),
    found("lapsed", KNOWN, intent("canceled", cancellation_reason="automatic"),
          Reversed("canceled at Stripe: automatic", ReversalKind.EXPIRED, "pi_1")),
    found("no such id", KNOWN, error("invalid_request_error"),
          Unknown("not found: Stripe has no such object", absent=True), status=404),
    found("a question refused says nothing", KNOWN, error("rate_limit_error"),
          Unknown("the inquiry was refused with HTTP 429"), status=429),
    found("our capture", CAPTURE, TAKEN, Approved("pi_1", Money(1000, "EUR"))),
    found("an earlier capture is not this one", CAPTURE,
          {**TAKEN, "metadata": {"capture_reference": "pay_1-9"}},
          Unknown("not found: pi_1 is succeeded without this capture", absent=True)),
    found("a capture of another amount is not believed", CAPTURE, {**TAKEN, "amount_received": 1299},
          Unknown("the PSP approved 12.99 EUR, asked was 10.00 EUR", "pi_1", differs=True)),
    found("no capture yet", CAPTURE, HELD,
          Unknown("not found: pi_1 is requires_capture without this capture", absent=True)),
    found("our void", VOID, GONE, Approved("pi_1", Money(1299, "EUR"))),
    found("no void yet", VOID, HELD, Unknown("not found: pi_1 is requires_capture, not canceled", absent=True)),
    found("our refund by id", structs.replace(REFUND, psp_reference="re_1"), refund("succeeded"),
          Approved("re_1", Money(1000, "EUR"))),
    found("our refund among others", REFUND,
          listed(refund("succeeded", id="re_0", metadata={}), refund("succeeded")),
          Approved("re_1", Money(1000, "EUR"))),
    found("no refund of ours", REFUND, listed(refund("succeeded", metadata={})),
          Unknown("not found among the refunds of pi_1", absent=True)),
    found("no refund of ours among the first hundred", REFUND, {**listed(), "has_more": True},
          Unknown("not among the first refunds of pi_1, and there are more")),
    reply(I.QUESTION, "the payer succeeded", KNOWN, HELD, APPROVED, ask=Ask.CONTINUE),
    reply(I.QUESTION, "the payer failed", KNOWN,
          intent("requires_payment_method",
                 last_payment_error={"code": "payment_intent_authentication_failure"}),
          Declined(Decline.AUTHENTICATION_FAILED, "payment_intent_authentication_failure",
                   psp_reference="pi_1"), ask=Ask.CONTINUE),
    reply(I.QUESTION, "the payer is not done", KNOWN, WAITING, CHALLENGE, ask=Ask.CONTINUE),
    reply(I.QUESTION, "abandoned", KNOWN, intent("canceled", cancellation_reason="abandoned"),
          Reversed("the payer did not authenticate in time", ReversalKind.EXPIRED, "pi_1"),
          ask=Ask.ABANDON),
    reply(I.QUESTION, "the payer was faster than our cancellation", KNOWN,
          error("invalid_request_error", code=UNEXPECTED, payment_intent=HELD), APPROVED, status=400,
          ask=Ask.ABANDON),
    reply(I.QUESTION, "a cancellation refused is no payment refused", KNOWN,
          error("rate_limit_error"), Unknown("the cancellation was refused with HTTP 429"),
          status=429, ask=Ask.ABANDON),
    *INCREMENT_REPLIES,
    *SETUP_REPLIES,
)  # fmt: skip

STRIPE_CASES = Cases(
    connector=STRIPE,
    credentials=CREDENTIALS,
    authorize=AUTHORIZE,
    commands={c.operation: c for c in (AUTHORIZE, CAPTURE, VOID, REFUND, INCREMENT, VERIFY)},
    replies=REPLIES,
    declines=STRIPE_DECLINES,
    declined=declined,
    notices=NOTICES,
    stories=STORIES,
    signed=signed,
    forgeries=FORGERIES,
    not_representable=(Money(1250, "MGA"), Money(1251, "KWD"), Money(1, "TND")),
    echoes=lambda text: error("invalid_request_error", message=f"Invalid API Key: {text}"),
)
