"""ExamplePay, a PSP that does not exist, taught to Scrooge: the worked example of CONTRIBUTING.md."""

import hashlib
import hmac
from collections.abc import Mapping

import msgspec

from scrooge.connectors.connector import (
    CardTemplate,
    Command,
    Connector,
    Endpoint,
    Headers,
    Json,
    Notification,
    Recovery,
    Request,
)
from scrooge.connectors.kit import (
    NOT_FOUND,
    StillRunning,
    UnreadableReply,
    card_fields,
    fill_of,
    json_request,
    money_of,
    parent_of,
    same,
    segment,
    token_of,
    units,
    unusable,
    web_address,
    without_version,
    words,
)
from scrooge.domain.attempt import Operation
from scrooge.domain.declines import Decline
from scrooge.domain.outcome import (
    ActionRequired,
    Approved,
    Declined,
    NextAction,
    Outcome,
    Pending,
    Rejected,
    ReversalKind,
    Reversed,
    Unknown,
)
from scrooge.money import Money

PAYMENTS = "/v1/payments"
CREDENTIALS = {"api_key": True, "signing_key": False}
EXPONENTS = {"KWD": 2}  # ExamplePay counts dinars in hundredths.
# Where the vault puts a card, on its way to ExamplePay; Scrooge itself never sees one.
CARD = CardTemplate(
    method="POST",
    path=PAYMENTS,
    content_type="application/json",
    number="card.number",
    exp_month="card.month",
    exp_year="card.year",
    security_code="card.code",
    kept=("id", "reference", "url"),
)

DECLINES = {
    "no_funds": Decline.INSUFFICIENT_FUNDS,
    "card_expired": Decline.EXPIRED_CARD,
    "fraud": Decline.SUSPECTED_FRAUD,
}


# --- requests: pure, and built before anything is recorded ------------------------------------


def amount(money: Money) -> Json:
    """Raises AmountNotRepresentable."""
    return {"minor": units(money, EXPONENTS), "currency": money.currency}


def authorize(command: Command) -> Request:
    document = {
        "merchant": command.merchant_account,
        "reference": command.reference,
        **instrument(command),
        "capture": command.sale,
        "return_url": command.return_url,
        **amount(command.amount),
    }
    return json_request(PAYMENTS, document, command.reference, fill_of(command))


def instrument(command: Command) -> Json:
    """ExamplePay's own token, or placeholders for the card. Raises UnsupportedOperation."""
    if fill_of(command) is None:
        return {"token": token_of(command)}
    return {"card": {place.removeprefix("card."): put for place, put in card_fields(CARD, command)}}


def modification(what: str):
    def build(command: Command) -> Request:
        path = f"{PAYMENTS}/{segment(parent_of(command))}/{what}"
        return json_request(path, {"reference": command.reference, **amount(command.amount)}, command.reference)

    return build


def proceed(command: Command) -> Request:
    """What the payer brought back from the authentication."""
    path = f"{PAYMENTS}/{segment(command.psp_reference or '')}/confirm"
    return json_request(path, {"details": dict(command.details)}, f"{command.reference}-continue")


def question(command: Command) -> Request:
    return Request("GET", f"{PAYMENTS}?reference={segment(command.reference)}")


# --- replies: what cannot be read is raised, and becomes `unknown` ----------------------------


def read(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    if status >= 400:
        return refused(status, document)
    if document["reference"] != command.reference:
        raise UnreadableReply("the answer is about another attempt")
    return outcome_of(document)


def outcome_of(document: Json) -> Outcome:
    psp_reference = document["id"]
    match document["status"]:
        case "approved":
            return Approved(psp_reference, money_of(document["minor"], document["currency"], EXPONENTS))
        case "pending":
            return Pending(psp_reference)
        case "redirect":
            return ActionRequired(NextAction(web_address(document["url"])), psp_reference)
        case "declined":
            code = str(document["code"])
            decline = DECLINES.get(code, Decline.UNMAPPED)
            return Declined(decline, code, words(document.get("message")), psp_reference=psp_reference)
        case "reversed":
            return Reversed("taken back by ExamplePay", ReversalKind.FAILED, psp_reference)
        case other:
            raise UnreadableReply(f"status {other}")


def refused(status: int, document: Json) -> Outcome:
    if status == 409:
        raise StillRunning
    code = str(document["code"])
    return Rejected(f"{status} {code}: {'the key was refused' if status == 401 else words(document.get('message'))}")


def read_confirmed(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    """Refused details are no refused payment."""
    return Unknown(f"the details were refused with HTTP {status}") if status >= 400 else outcome_of(document)


def read_found(command: Command, status: int, headers: Headers, document: Json) -> Outcome:
    """An inquiry never rejects."""
    if status >= 400:
        return Unknown(f"the question was refused with HTTP {status}")
    if not document["found"]:
        return Unknown(f"{NOT_FOUND} at ExamplePay", absent=True)
    [only] = document["found"]
    return read(command, status, headers, only)


# --- notifications -----------------------------------------------------------------------------


def verify(raw: bytes, headers: Headers, credentials: Mapping[str, str], now: int) -> bool:
    key = credentials.get("signing_key", "")
    expected = hmac.new(key.encode(), raw, hashlib.sha256).hexdigest()
    return bool(key) and same(expected, headers.get("examplepay-signature", ""))


def notifications(raw: bytes) -> list[Notification]:
    document = msgspec.json.decode(raw)
    known = document["operation"] in set(Operation)
    return [
        Notification(
            event_id=document["event"],
            kind=document["operation"],
            operation=Operation(document["operation"]) if known else None,
            outcome=outcome_of(document) if known else None,
            reference=document["reference"],
            psp_reference=document["id"],
        )
    ]


# --- the connector: a value --------------------------------------------------------------------


ASKED = (Operation.AUTHORIZE, Operation.CAPTURE, Operation.VOID, Operation.REFUND)


def check_credentials(credentials: Mapping[str, str], live: bool) -> str | None:
    return unusable(credentials, CREDENTIALS)


def headers(credentials: Mapping[str, str], request: Request) -> dict[str, str]:
    key = {"Idempotency-Key": request.idempotency_key} if request.idempotency_key else {}
    return {"Authorization": f"Bearer {credentials['api_key']}", **key}


EXAMPLEPAY = Connector(
    name="examplepay",
    test_url="https://test.examplepay.example",
    live_url="https://api.examplepay.example",
    credentials=CREDENTIALS,
    check_credentials=check_credentials,
    base_url=without_version,
    headers=headers,
    endpoints={
        Operation.AUTHORIZE: Endpoint(authorize, read),
        Operation.CAPTURE: Endpoint(modification("captures"), read),
        Operation.VOID: Endpoint(modification("voids"), read),
        Operation.REFUND: Endpoint(modification("refunds"), read),
    },
    continuation=Endpoint(proceed, read_confirmed),
    inquiries={operation: Endpoint(question, read_found) for operation in ASKED},
    abandon=None,
    replayed=lambda given: given.get("replayed") == "true",
    verify=verify,
    notifications=notifications,
    accepted=(200, ""),
    cards={"authorize": CARD},
    amount=amount,
    recovery=Recovery(replay_for=23 * 3600, horizon=60),  # "Keys are kept for a day; found after a minute."
)
