"""Which request a security code is bound to, and which answers of a PSP end its authorization. Pure."""

import hashlib

import msgspec

from scrooge.connectors.connector import Command, Connector
from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import Rejected, Unknown
from scrooge.money import Money
from scrooge.vault.egress import Sent

BUSY = 429
ANSWER_MAX = 1 << 17  # bytes; a longer one is not kept


def name_of(*parts: str) -> bytes:
    """Of a request: whoever has another body sends another request, and gets neither its code nor its answer."""
    return hashlib.sha256(msgspec.json.encode(parts)).digest()


def ends(connector: Connector, reference: str, sent: Sent, first: bool, template: str = "authorize") -> bool:
    """Is what was asked over with this answer? Whatever the connector cannot read leaves it in doubt.

    A refusal of a replay says nothing of the first request, unless it is proven to be that one's own answer.
    """
    if sent.outcome != "answered" or sent.status >= 500 or sent.status == BUSY:
        return False
    try:
        document = msgspec.json.decode(sent.body) if sent.body else {}
    except msgspec.DecodeError:
        return False
    # How it is captured the vault is not told, and a connector may refuse to read what was captured otherwise.
    operation = Operation.VERIFY if template == "verify" else Operation.AUTHORIZE
    outcomes = [outcome_of(connector, operation, reference, sale, sent, document) for sale in (True, False)]
    readable = [outcome for outcome in outcomes if not isinstance(outcome, Unknown)]
    proven = first or connector.replayed(sent.headers)
    return any(proven or not isinstance(outcome, Rejected) for outcome in readable)


def outcome_of(
    connector: Connector, operation: Operation, reference: str, sale: bool, sent: Sent, document: object
) -> object:
    command = Command(
        operation=operation, amount=Money(0, "EUR"), reference=reference, payment=reference,
        merchant_account="", sale=sale,
    )  # fmt: skip
    try:
        return connector.endpoints[operation].read(command, sent.status, sent.headers, document)  # type: ignore[arg-type]
    except Exception:
        return Unknown("it cannot be read")
