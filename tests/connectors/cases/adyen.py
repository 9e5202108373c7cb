"""Adyen's replies, and what each means."""

from typing import Any

from msgspec import structs

from scrooge.connectors.adyen import ADYEN
from scrooge.connectors.connector import Command
from scrooge.domain.declines import Decline
from scrooge.domain.outcome import (
    ActionRequired,
    Approved,
    Declined,
    NextAction,
    Pending,
    Rejected,
    ReversalKind,
    Reversed,
    Unknown,
)
from scrooge.money import Money

from .adyen_news import FORGERIES, NOTICES, STORIES, signed
from .adyen_words import (
    ALIAS,
    AUTHORIZE,
    BACK,
    CAPTURE,
    CREDENTIALS,
    INCREMENT,
    REFUND,
    SALE,
    VERIFY,
    VOID,
    amount,
    error,
    payment,
    received,
    refusal,
)
from .case import Ask, Cases, Item, Reply, declines_in

ADYEN_DECLINES = declines_in("""
    authentication_required: 38
    authentication_failed: 11 39 42
    blocked_by_psp: 46
    canceled_by_payer: 15 16
    do_not_honor: 2 3 27
    expired_card: 6
    incorrect_address: 32
    incorrect_cvc: 24
    incorrect_number: 8
    incorrect_pin: 17 18 19 33 36 41 43
    insufficient_funds: 12
    invalid_amount: 7
    issuer_unavailable: 9
    limit_exceeded: 28 29
    not_supported: 10 23 34 35 37 40 44 45
    processing_error: 4 21
    restricted_card: 5 25
    authorization_revoked: 26
    suspected_fraud: 14 20 22 31
""")


def declined(code: str) -> Reply:
    known = ADYEN_DECLINES.get(code, Decline.UNMAPPED)
    outcome = Declined(known, code, "Why", psp_reference="AUTH1")
    return reply(Item.UNMAPPED, f"{code} is {known}", AUTHORIZE, refusal(code), outcome)


def reply(item: Item, claim: str, command: Command, body: Any, expected: Any, **more: Any) -> Reply:
    return Reply(item=item, claim=claim, command=command, body=body, expected=expected, **more)


I = Item  # noqa: E741 - read aloud in the table
EUROS = Money(1299, "EUR")
KEY = {"Idempotency-Key": "pay_1-1"}
LOST = Unknown("HTTP 200: the answer cannot be read", "AUTH1")
REDIRECT = {"type": "redirect", "url": "https://checkoutshopper-test.adyen.com/3ds", "method": "GET"}
FORM = {**REDIRECT, "method": "POST", "data": {"MD": "md", "PaReq": "pareq"}}
RUNNING = Unknown("HTTP 422: the first request is still running")
BUSY = "request already processed or in progress"

REPLIES = (
    reply(I.APPROVED, "approved with all facts", AUTHORIZE,
          payment("Authorised", amount=amount(), additionalData={
              "networkTxReference": "736000000000017", "cvcResult": "1 Matches",
              "alias": "H167852639363479", "aliasType": "Default",
              "avsResult": "4 AVS not supported for this card type", "threeDAuthenticated": "true",
              "tokenization.storedPaymentMethodId": "M5N7TQ4TG5PFWR50",
              "refusalReasonRaw": "AUTHORISED"}),
          Approved("AUTH1", EUROS, network_transaction_id="736000000000017",
                   psp_token="M5N7TQ4TG5PFWR50", card_fingerprint=ALIAS,
                   checks={"cvc": "1 Matches", "avs": "4 AVS not supported for this card type",
                           "three_d_secure": "true"})),
    reply(I.APPROVED, "an older name of the token", AUTHORIZE,
          payment("Authorised", additionalData={"recurring.recurringDetailReference": "8315"}),
          Approved("AUTH1", EUROS, psp_token="8315")),
    reply(I.APPROVED, "a card is verified", VERIFY, payment("Authorised", amount=amount(0)),
          Approved("AUTH1", Money(0, "EUR"))),
    reply(I.APPROVED, "a sale", SALE, payment("Authorised"), Approved("AUTH1", EUROS)),
    reply(I.APPROVED, "a part, where Adyen calls it so", AUTHORIZE,
          payment("PartiallyAuthorised", amount=amount(500)),
          Approved("AUTH1", Money(500, "EUR"), partial=True)),
    reply(I.APPROVED, "pesos come in hundredths", structs.replace(AUTHORIZE, amount=Money(12, "CLP")),
          payment("Authorised", amount=amount(1200, "CLP")), Approved("AUTH1", Money(12, "CLP"))),
    reply(I.APPROVED, "rupiah come whole", structs.replace(AUTHORIZE, amount=Money(1200, "IDR")),
          payment("Authorised", amount=amount(12, "IDR")), Approved("AUTH1", Money(1200, "IDR"))),
    reply(I.UNMAPPED, "all raw codes of a decline are kept", AUTHORIZE,
          refusal("12", "Not enough balance", refusalReasonRaw="51 : Insufficient funds",
                  merchantAdviceCode="24: Retry after 1 hour"),
          Declined(Decline.INSUFFICIENT_FUNDS, "12", "Not enough balance", "51", "24", "AUTH1")),
    reply(I.UNMAPPED, "words that are no code are not taken for one", AUTHORIZE,
          refusal("2", "Refused", refusalReasonRaw="REFUSED", merchantAdviceCode=""),
          Declined(Decline.DO_NOT_HONOR, "2", "Refused", None, None, "AUTH1")),
    reply(I.UNMAPPED, "the issuer's code tells a lost card from a blocked one", AUTHORIZE,
          refusal("5", "Blocked Card", refusalReasonRaw="41 : Lost card"),
          Declined(Decline.LOST_CARD, "5", "Blocked Card", "41", None, "AUTH1")),
    reply(I.UNMAPPED, "an error of the acquirer is a decline", AUTHORIZE,
          refusal("4", "Acquirer Error", "Error"),
          Declined(Decline.PROCESSING_ERROR, "4", "Acquirer Error", psp_reference="AUTH1")),
    reply(I.UNMAPPED, "canceled without a code", AUTHORIZE, payment("Cancelled"),
          Declined(Decline.CANCELED_BY_PAYER, "15", "Cancelled", psp_reference="AUTH1")),
    reply(I.CHALLENGE, "a redirect", AUTHORIZE, payment("RedirectShopper", action=REDIRECT),
          ActionRequired(NextAction("https://checkoutshopper-test.adyen.com/3ds"), "AUTH1")),
    reply(I.CHALLENGE, "a form to post", AUTHORIZE, payment("RedirectShopper", action=FORM),
          ActionRequired(NextAction("https://checkoutshopper-test.adyen.com/3ds", "POST",
                                    {"MD": "md", "PaReq": "pareq"}), "AUTH1")),
    reply(I.CHALLENGE, "Adyen need not name the payment yet", AUTHORIZE,
          {"resultCode": "RedirectShopper", "action": REDIRECT},
          ActionRequired(NextAction("https://checkoutshopper-test.adyen.com/3ds"))),
    reply(I.PENDING, "pending", AUTHORIZE, payment("Pending"), Pending("AUTH1")),
    reply(I.PENDING, "received", AUTHORIZE, payment("Received"), Pending("AUTH1")),
    reply(I.PENDING, "a capture is only accepted", CAPTURE,
          received(CAPTURE, "CAP1", amount=amount(1000)), Pending("CAP1"), status=201),
    reply(I.PENDING, "a void is only accepted", VOID, received(VOID, "CAN1"), Pending("CAN1"),
          status=201),
    reply(I.PENDING, "a refund is only accepted", REFUND,
          received(REFUND, "REF1", amount=amount(1000)), Pending("REF1"), status=201),
    reply(I.PENDING, "an increment is only accepted", INCREMENT,
          received(INCREMENT, "ADJ1", amount=amount(1799)), Pending("ADJ1"), status=201),
    reply(I.EXPLAINED, "a bad field", AUTHORIZE, error(422, "14_030", pspReference="ERR1"),
          Rejected("422 14_030: Why"), status=422),
    reply(I.EXPLAINED, "a bad body", AUTHORIZE, error(400, "702"), Rejected("400 702: Why"),
          status=400),
    reply(I.EXPLAINED, "a bad key is not repeated", AUTHORIZE, error(401, "000"),
          Rejected("401 000: the API key was refused"), status=401),
    reply(I.EXPLAINED, "a bad key without a word", AUTHORIZE, b"",
          Rejected("401: the credentials were refused"), status=401),
    reply(I.EXPLAINED, "another's merchant account", CAPTURE, error(403, "901"),
          Rejected("403 901: Why"), status=403),
    reply(I.SERVER_ERROR, "an error of theirs", AUTHORIZE, error(500, "905"), Unknown("HTTP 500"),
          status=500),
    reply(I.SERVER_ERROR, "an empty one", AUTHORIZE, b"", Unknown("HTTP 502"), status=502),
    reply(I.UNREADABLE, "a web page", AUTHORIZE, b"<html>",
          Unknown("HTTP 200: the answer cannot be read")),
    reply(I.UNREADABLE, "nothing", AUTHORIZE, b"", Unknown("HTTP 200: the answer cannot be read")),
    reply(I.UNREADABLE, "a list", AUTHORIZE, [], Unknown("HTTP 200: the answer cannot be read")),
    reply(I.UNREADABLE, "an approval that names no payment", AUTHORIZE,
          {"resultCode": "Authorised"}, Unknown("HTTP 200: the answer cannot be read")),
    reply(I.UNREADABLE, "a new result keeps the id", AUTHORIZE, payment("Novel"), LOST),
    reply(I.UNREADABLE, "an authentication alone is no payment", AUTHORIZE,
          payment("AuthenticationFinished"), LOST),
    reply(I.UNREADABLE, "an action in a component", AUTHORIZE,
          payment("IdentifyShopper", action={"type": "threeDS2"}), LOST),
    reply(I.UNREADABLE, "a redirect into a script", AUTHORIZE,
          payment("RedirectShopper", action={**REDIRECT, "url": "javascript:alert(1)"}), LOST),
    reply(I.UNREADABLE, "a redirect by another method", AUTHORIZE,
          payment("RedirectShopper", action={**REDIRECT, "method": "PUT"}), LOST),
    reply(I.UNREADABLE, "another attempt's answer", AUTHORIZE,
          payment("Authorised", merchantReference="pay_2-1"), LOST),
    reply(I.UNREADABLE, "another amount than asked", AUTHORIZE,
          payment("Authorised", amount=amount(129900)),
          Unknown("the PSP approved 1299.00 EUR, asked was 12.99 EUR", "AUTH1", differs=True)),
    reply(I.UNREADABLE, "a part that Adyen does not call so", AUTHORIZE,
          payment("Authorised", amount=amount(500)),
          Unknown("the PSP approved 5.00 EUR, asked was 12.99 EUR", "AUTH1", differs=True)),
    reply(I.UNREADABLE, "a modification in a new state", CAPTURE,
          received(CAPTURE, "CAP1", status="done"),
          Unknown("HTTP 201: the answer cannot be read", "CAP1"), status=201),
    reply(I.UNREADABLE, "another modification's answer", CAPTURE, received(REFUND, "CAP1"),
          Unknown("HTTP 201: the answer cannot be read", "CAP1"), status=201),
    reply(I.UNREADABLE, "a status that Adyen does not use", AUTHORIZE, error(418, "418"),
          Unknown("HTTP 418: the answer cannot be read"), status=418),
    reply(I.FINISHED, "a stored approval stands", AUTHORIZE, payment("Authorised"),
          Approved("AUTH1", EUROS), first=False, headers=KEY),
    reply(I.FINISHED, "a refusal under the key is the only answer there is", AUTHORIZE,
          error(422, "14_030"), Rejected("422 14_030: Why"), status=422, first=False, headers=KEY),
    reply(I.FINISHED, "a refusal before the key was looked at says nothing of the first", AUTHORIZE,
          error(401, "000"), Unknown("on a replay: 401 000: the API key was refused"), status=401,
          first=False),
    reply(I.FINISHED, "a key used for another request", AUTHORIZE,
          error(422, "708", "Idempotency key was used with another body"),
          Unknown("HTTP 422: the key was used for another request"), status=422, first=False, headers=KEY),
    reply(I.IN_PROGRESS, "the first is still running", AUTHORIZE, error(422, "704", BUSY), RUNNING,
          status=422, first=False, headers=KEY),
    reply(I.IN_PROGRESS, "even a first send may meet one", CAPTURE, error(422, "704", BUSY), RUNNING,
          status=422),
    reply(I.IN_PROGRESS, "Adyen calls it transient", AUTHORIZE, error(422, "703", pspReference="ERR1"), RUNNING,
          status=422, first=False, headers={**KEY, "transient-error": "true"}),
    reply(I.QUESTION, "the payer succeeded", BACK, payment("Authorised"), Approved("AUTH1", EUROS),
          ask=Ask.CONTINUE),
    reply(I.QUESTION, "the payer failed", BACK, refusal("11", "3D Not Authenticated"),
          Declined(Decline.AUTHENTICATION_FAILED, "11", "3D Not Authenticated",
                   psp_reference="AUTH1"), ask=Ask.CONTINUE),
    reply(I.QUESTION, "the payer is sent on", BACK, payment("RedirectShopper", action=REDIRECT),
          ActionRequired(NextAction("https://checkoutshopper-test.adyen.com/3ds"), "AUTH1"),
          ask=Ask.CONTINUE),
    reply(I.QUESTION, "details refused are no payment refused", BACK, error(422, "101"),
          Unknown("the details were refused with HTTP 422", refused=True), status=422, ask=Ask.CONTINUE),
    reply(I.QUESTION, "a cancellation by reference is accepted, whether or not there is a payment", AUTHORIZE,
          {"merchantAccount": "ExampleEU", "paymentReference": "pay_1-1", "pspReference": "CAN9",
           "reference": "pay_1-1", "status": "received"},
          Unknown("a reversal was asked for"), status=201, ask=Ask.REVERSE, first=False),
    reply(I.QUESTION, "a cancellation refused says nothing of the payment", AUTHORIZE,
          error(422, "100", pspReference="CAN9"),
          Unknown("a reversal was refused with HTTP 422"), status=422, headers=KEY, ask=Ask.REVERSE,
          first=False),
    reply(I.QUESTION, "a reversal of what Adyen named, and has nothing under",
          structs.replace(AUTHORIZE, psp_reference="AUTH1"),
          error(422, "167", message="Original pspReference required for this operation"),
          Reversed("it never was authorized at Adyen: Original pspReference required for this operation",
                   ReversalKind.EXPIRED, "AUTH1"), status=422, headers=KEY, ask=Ask.REVERSE, first=False),
    reply(I.QUESTION, "a reversal refused for another reason", structs.replace(AUTHORIZE, psp_reference="AUTH1"),
          error(422, "100"), Unknown("a reversal was refused with HTTP 422"), status=422, headers=KEY, ask=Ask.REVERSE,
          first=False),
    reply(I.QUESTION, "a cancellation that Adyen would not take for a name", AUTHORIZE, error(422, "167"),
          Unknown("a reversal was refused with HTTP 422"), status=422, headers=KEY, ask=Ask.REVERSE, first=False),
)  # fmt: skip

ADYEN_CASES = Cases(
    connector=ADYEN,
    credentials=CREDENTIALS,
    authorize=AUTHORIZE,
    commands={c.operation: c for c in (AUTHORIZE, CAPTURE, VOID, REFUND, INCREMENT, VERIFY)},
    replies=REPLIES,
    declines=ADYEN_DECLINES,
    declined=declined,
    notices=NOTICES,
    stories=STORIES,
    signed=signed,
    forgeries=FORGERIES,
    not_representable=(Money(1250, "CVE"), Money(1, "IDR")),
    echoes=lambda text: error(401, "000", f"Unauthorized: {text}"),
)
