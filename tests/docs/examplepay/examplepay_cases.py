"""ExamplePay's words and what each means: what the contract suite asks of a connector, answered.

A pytest plugin, too: loaded with `-p examplepay_cases`, it puts itself among the cases of the suite.
"""

import hashlib
import hmac
from typing import Any

import msgspec
from msgspec import structs
from scrooge_examplepay import DECLINES, EXAMPLEPAY
from tests.connectors.cases import CASES
from tests.connectors.cases.case import NOW, Ask, Cases, Headers, Item, Notice, Reply, Story

from scrooge.connectors.connector import Command, Notification
from scrooge.domain.attempt import Operation, State
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

SIGNING_KEY = "sig_9f2c"
TEN = Money(1000, "EUR")
AUTHORIZE = Command(
    operation=Operation.AUTHORIZE, amount=TEN, reference="pay_1-1", payment="pay_1", merchant_account="Example",
    psp_token="tok_1", return_url="https://shop.example/return",
)  # fmt: skip
BACK = structs.replace(AUTHORIZE, psp_reference="xp_1", details={"result": "ok"})
AFTER = structs.replace(AUTHORIZE, psp_token=None, parent_psp_reference="xp_1")
CAPTURE = structs.replace(AFTER, operation=Operation.CAPTURE, reference="pay_1-2")
VOID = structs.replace(AFTER, operation=Operation.VOID, reference="pay_1-3")
REFUND = structs.replace(AFTER, operation=Operation.REFUND, reference="pay_1-4")
COMMANDS = {c.operation: c for c in (AUTHORIZE, CAPTURE, VOID, REFUND)}


def says(status: str, command: Command = AUTHORIZE, **more: Any) -> dict[str, Any]:
    """A document of theirs."""
    money = {"minor": command.amount.minor, "currency": "EUR"}
    return {"id": "xp_1", "status": status, "reference": command.reference, **money, **more}


def error(code: str, message: str = "Why") -> dict[str, str]:
    return {"code": code, "message": message}


def reply(item: Item, claim: str, command: Command, body: Any, expected: Any, **more: Any) -> Reply:
    return Reply(item=item, claim=claim, command=command, body=body, expected=expected, **more)


def declined(code: str) -> Reply:
    outcome = Declined(DECLINES.get(code, Decline.UNMAPPED), code, "Why", psp_reference="xp_1")
    return reply(Item.UNMAPPED, code, AUTHORIZE, says("declined", **error(code)), outcome)


LOST = Unknown("HTTP 200: the answer cannot be read", "xp_1")
REPLIES = (
    reply(Item.APPROVED, "an approval", AUTHORIZE, says("approved"), Approved("xp_1", TEN)),
    *(reply(Item.APPROVED, f"a {c.operation}", c, says("approved", c), Approved("xp_1", TEN))
      for c in (CAPTURE, VOID, REFUND)),
    reply(Item.UNMAPPED, "a decline without words", AUTHORIZE, says("declined", code="fraud"),
          Declined(Decline.SUSPECTED_FRAUD, "fraud", psp_reference="xp_1")),
    reply(Item.CHALLENGE, "a redirect", AUTHORIZE, says("redirect", url="https://bank.example/1"),
          ActionRequired(NextAction("https://bank.example/1"), "xp_1")),
    reply(Item.PENDING, "it will tell us", REFUND, says("pending", REFUND), Pending("xp_1")),
    reply(Item.EXPLAINED, "a bad field", AUTHORIZE, error("bad_token"), Rejected("422 bad_token: Why"), status=422),
    reply(Item.SERVER_ERROR, "theirs", AUTHORIZE, error("oops"), Unknown("HTTP 503"), status=503),
    reply(Item.UNREADABLE, "a new status keeps the id", AUTHORIZE, says("novel"), LOST),
    reply(Item.UNREADABLE, "another attempt's answer", AUTHORIZE, says("approved", CAPTURE), LOST),
    reply(Item.UNREADABLE, "another amount", AUTHORIZE, says("approved", minor=1),
          Unknown("the PSP approved 0.01 EUR, asked was 10.00 EUR", "xp_1", differs=True)),
    reply(Item.FINISHED, "the stored answer", AUTHORIZE, says("approved"), Approved("xp_1", TEN), first=False),
    reply(Item.FINISHED, "a stored refusal", AUTHORIZE, error("bad_token"), Rejected("422 bad_token: Why"),
          status=422, first=False, headers={"Replayed": "true"}),
    reply(Item.FINISHED, "a fresh refusal says nothing of the first", AUTHORIZE, error("no_key"),
          Unknown("on a replay: 401 no_key: the key was refused"), status=401, first=False),
    reply(Item.IN_PROGRESS, "still running", AUTHORIZE, error("busy"), Unknown("HTTP 409: the first request is still running"),
          status=409, first=False),
    reply(Item.QUESTION, "the payer succeeded", BACK, says("approved"), Approved("xp_1", TEN), ask=Ask.CONTINUE),
    reply(Item.QUESTION, "details refused", BACK, error("bad_details"),
          Unknown("the details were refused with HTTP 422"), status=422, ask=Ask.CONTINUE),
    *(reply(Item.QUESTION, f"a {c.operation} is found", c, {"found": [says("approved", c)]}, Approved("xp_1", TEN),
            ask=Ask.INQUIRE) for c in COMMANDS.values()),
    reply(Item.QUESTION, "nothing is found", AUTHORIZE, {"found": []},
          Unknown("not found at ExamplePay", absent=True), ask=Ask.INQUIRE),
)  # fmt: skip


# --- notifications -----------------------------------------------------------------------------


def news(event: str, operation: str, status: str, command: Command = AUTHORIZE) -> dict[str, Any]:
    return {"event": event, "operation": operation, **says(status, command)}


def signed(document: Any, at: int) -> tuple[bytes, Headers]:
    raw = msgspec.json.encode(document)
    mac = hmac.new(SIGNING_KEY.encode(), raw, hashlib.sha256).hexdigest()
    return raw, {"examplepay-signature": mac}


def notice(claim: str, document: dict[str, Any], operation: Operation | None, outcome: Any) -> Notice:
    expected = Notification(
        event_id=document["event"], kind=document["operation"], operation=operation, outcome=outcome,
        reference=document["reference"], psp_reference="xp_1",
    )  # fmt: skip
    return Notice(claim, document, expected)


REFUNDED = news("ev_2", "refund", "approved", REFUND)
TAKEN_BACK = news("ev_3", "refund", "reversed", REFUND)
GOOD, SIGNATURE = signed(REFUNDED, NOW)

EXAMPLEPAY_CASES = Cases(
    connector=EXAMPLEPAY,
    credentials={"api_key": "xp_test_51", "signing_key": SIGNING_KEY},
    authorize=AUTHORIZE,
    commands=COMMANDS,
    replies=REPLIES,
    declines=DECLINES,
    declined=declined,
    notices=(
        notice("an approval", news("ev_1", "authorize", "approved"), Operation.AUTHORIZE, Approved("xp_1", TEN)),
        notice("a refund", REFUNDED, Operation.REFUND, Approved("xp_1", TEN)),
        notice("a refund that failed later", TAKEN_BACK, Operation.REFUND,
               Reversed("taken back by ExamplePay", ReversalKind.FAILED, "xp_1")),
        notice("a kind that we do not handle", news("ev_4", "chargeback", "approved"), None, None),
    ),
    stories=(Story("a refund that failed later", (REFUNDED, TAKEN_BACK), State.REVERSED),),
    signed=signed,
    forgeries={
        "nothing": (b"", {}, NOW),
        "no signature": (GOOD, {}, NOW),
        "another amount": (GOOD.replace(b"1000", b"9000"), SIGNATURE, NOW),
    },
    not_representable=(Money(1255, "KWD"),),
    echoes=lambda text: error("no_key", f"unknown key {text}"),
)  # fmt: skip

CASES["examplepay"] = EXAMPLEPAY_CASES
