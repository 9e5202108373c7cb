"""The sandbox's token service provider: network tokens for cards, cryptograms to pay with them. No payments.

Its wire format is the sandbox's own (docs/sandbox.md). Its words are those of the schemes' services and of who sells
them on; a real provider is another file like this one.
"""

import hashlib
import hmac
from collections.abc import Mapping

import msgspec

from scrooge.cards import holds_card_number
from scrooge.connectors.connector import (
    PLACEHOLDERS,
    CardSeen,
    CardTemplate,
    Command,
    Connector,
    Cryptogram,
    Endpoint,
    Fill,
    Headers,
    Json,
    Notification,
    Provisioned,
    Recovery,
    Request,
    TokenFill,
    TokenGone,
    TokenService,
)
from scrooge.connectors.kit import (
    Never,
    UnreadableReply,
    form,
    json_request,
    optional,
    same,
    segment,
    unusable,
    without_version,
    words,
)
from scrooge.domain.outcome import Outcome
from scrooge.errors import UnsupportedOperation

TOKENS = "/v1/network_tokens"
DAY = 86_400
CREDENTIALS = {"api_key": True, "webhook_secret": False}
TOLERANCE = 300  # seconds, to both sides
CARD = CardTemplate(
    method="POST",
    path=TOKENS,
    content_type="application/json",
    number="source.number",
    exp_month="source.exp_month",
    exp_year="source.exp_year",
    kept=("id", "reference"),
)
STATES = {"active": "active", "suspended": "suspended"}
# Of a card that no network token is made for; anything else may pass.
NEVER = frozenset({"card_not_eligible", "card_invalid"})
GONE = frozenset({"token_not_found", "token_suspended"})


# --- credentials ----------------------------------------------------------------------------


def check_credentials(credentials: Mapping[str, str], live: bool) -> str | None:
    if live:
        return "this provider is the sandbox's: it has no live mode"
    return unusable(credentials, CREDENTIALS)


def headers(credentials: Mapping[str, str], request: Request) -> dict[str, str]:
    found = {"Authorization": f"Bearer {credentials['api_key']}"}
    if request.idempotency_key is not None:
        found["Idempotency-Key"] = request.idempotency_key
    return found


# --- tokens ---------------------------------------------------------------------------------


def provision(instrument: str, reference: str) -> Request:
    """Without a key: the reference makes it one token, however often it is asked for."""
    source = {name: PLACEHOLDERS[name] for name in ("number", "exp_month", "exp_year")}
    body = msgspec.json.encode({"reference": reference, "source": source})
    return Request("POST", TOKENS, body, fill=Fill(instrument, "provision"))


def look(token: str) -> Request:
    return Request("GET", f"{TOKENS}/{segment(token)}")


def find(reference: str) -> Request:
    return Request("GET", f"{TOKENS}?{form([('reference', reference)]).decode()}")


def read(status: int, document: Json) -> Provisioned | None:
    """Raises Never for a card that gets none."""
    if status >= 400:
        code = code_of(document)
        if code == "token_not_found":
            return None
        if code in NEVER:
            raise Never(f"{code}: {words(document['error'].get('message'))}")
        raise UnreadableReply(f"HTTP {status}")
    if document["state"] == "deleted":
        return None
    token, card = document["id"], document["card"]
    if holds_card_number(token):
        raise UnreadableReply("the token's id looks like a number that nobody may keep")
    seen = CardSeen(card["last4"], month_of(card), optional(card.get("brand")))
    return Provisioned(token, STATES[document["state"]], document["last4"], month_of(document), seen)


def month_of(found: Json) -> str:
    return f"{found['exp_year']:04}-{found['exp_month']:02}"


def code_of(document: Json) -> str:
    found = document.get("error")
    return words(found.get("code")) if isinstance(found, dict) else ""


def ask_cryptogram(fill: TokenFill, reference: str) -> Request:
    document = {"transaction_type": "customer" if fill.cryptogram else "merchant"}
    return json_request(f"{TOKENS}/{segment(fill.token)}/cryptograms", document, reference)


def read_cryptogram(status: int, document: Json) -> Cryptogram:
    """Raises TokenGone."""
    if status >= 400:
        if code_of(document) in GONE:
            raise TokenGone(code_of(document))
        raise UnreadableReply(f"HTTP {status}")
    return Cryptogram(
        document["number"],
        f"{document['exp_month']:02}",
        f"{document['exp_year']:04}",
        document.get("cryptogram", ""),
        document.get("eci", ""),
    )


def forget(token: str) -> Request:
    return Request("DELETE", f"{TOKENS}/{segment(token)}")


def forgotten(status: int, document: Json) -> bool:
    return status < 300 or code_of(document) == "token_not_found"


# --- notifications --------------------------------------------------------------------------


def verify(raw: bytes, given: Headers, credentials: Mapping[str, str], now: int) -> bool:
    """HMAC-SHA256 over the time and the bytes."""
    secret = credentials.get("webhook_secret", "")
    signed = (part.strip().partition("=") for part in given.get("tsp-signature", "").split(","))
    parts = {name: value for name, _, value in signed}
    at = parts.get("t", "")
    if not secret or not (at.isascii() and at.isdigit() and len(at) <= 12) or abs(now - int(at)) > TOLERANCE:
        return False
    mac = hmac.new(secret.encode(), at.encode() + b"." + raw, hashlib.sha256).hexdigest()
    return same(mac, parts.get("v1", ""))


def notifications(raw: bytes) -> list[Notification]:
    """Only that there is news of a token."""
    event = msgspec.json.decode(raw)
    told = event["data"]["id"] if event["type"].startswith("network_token.") else None
    return [Notification(event_id=event["id"], kind=event["type"], psp_token=told)]


# --- no payments ----------------------------------------------------------------------------


def no_request(command: Command) -> Request:
    raise UnsupportedOperation("a token provider takes no payments")


def no_reply(command: Command, status: int, given: Headers, document: Json) -> Outcome:
    raise UnreadableReply("a token provider takes no payments")


TSP = Connector(
    name="tsp",
    test_url="https://tsp.invalid",  # Nowhere: an account of it names the sandbox.
    live_url="https://tsp.invalid",
    credentials=CREDENTIALS,
    check_credentials=check_credentials,
    base_url=without_version,
    headers=headers,
    endpoints={},
    continuation=Endpoint(no_request, no_reply),
    inquiries={},
    abandon=None,
    replayed=lambda given: given.get("idempotent-replayed") == "true",
    verify=verify,
    notifications=notifications,
    accepted=(200, ""),
    cards={"provision": CARD},
    recovery=Recovery(replay_for=0, horizon=0),
    tokens=TokenService(
        provision=provision,
        look=look,
        find=find,
        read=read,
        cryptogram=ask_cryptogram,
        read_cryptogram=read_cryptogram,
        forget=forget,
        forgotten=forgotten,
        brands=frozenset({"visa", "mastercard"}),
        repeats_for=DAY,
    ),
)
