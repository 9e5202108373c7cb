"""Adyen's words. The shapes follow its API specification, with only the fields that matter."""

from typing import Any

from msgspec import structs

from scrooge.connectors.connector import Command
from scrooge.domain.attempt import Operation
from scrooge.money import Money

# The key of Adyen's own example of a signature.
ALIAS = "0c3612bcdad793ce16a656ed31faf8d7"  # of H167852639363479: the half of its SHA-256
HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
CREDENTIALS = {"api_key": "AQEyhmfxK4rMbhZEw0m_test", "hmac_key": HMAC_KEY}

AUTHORIZE = Command(
    operation=Operation.AUTHORIZE,
    amount=Money(1299, "EUR"),
    reference="pay_1-1",
    payment="pay_1",
    merchant_account="ExampleEU",
    psp_token="M5N7TQ4TG5PFWR50",
    customer="user-8123",
    return_url="https://shop.example/return/ret_1",
)
SALE = structs.replace(AUTHORIZE, sale=True)
BACK = structs.replace(AUTHORIZE, psp_reference="AUTH1", details={"redirectResult": "eyJ0cmFuc1N0YXR1cyI6IlkifQ=="})
CAPTURE = structs.replace(
    AUTHORIZE,
    operation=Operation.CAPTURE,
    amount=Money(1000, "EUR"),
    reference="pay_1-2",
    parent_psp_reference="AUTH1",
    psp_token=None,
)
VOID = structs.replace(CAPTURE, operation=Operation.VOID, amount=Money(1299, "EUR"), reference="pay_1-3")
REFUND = structs.replace(CAPTURE, operation=Operation.REFUND, reference="pay_1-4")
INCREMENT = structs.replace(
    CAPTURE, operation=Operation.INCREMENT, amount=Money(1799, "EUR"), increase=Money(500, "EUR"), reference="pay_1-5"
)

VERIFY = structs.replace(AUTHORIZE, operation=Operation.VERIFY, amount=Money(0, "EUR"))


def amount(value: int = 1299, currency: str = "EUR") -> dict[str, Any]:
    return {"value": value, "currency": currency}


def payment(result: str, **fields: Any) -> dict[str, Any]:
    return {
        "pspReference": "AUTH1", "resultCode": result, "merchantReference": "pay_1-1", **fields,
    }  # fmt: skip


def refusal(code: str, reason: str = "Why", result: str = "Refused", **extra: Any) -> dict[str, Any]:
    more = {"additionalData": extra} if extra else {}
    return payment(result, refusalReasonCode=code, refusalReason=reason, **more)


def received(command: Command, reference: str, **fields: Any) -> dict[str, Any]:
    return {
        "merchantAccount": "ExampleEU",
        "paymentPspReference": "AUTH1",
        "pspReference": reference,
        "reference": command.reference,
        "status": "received",
        **fields,
    }


def error(status: int, code: str, message: str = "Why", **fields: Any) -> dict[str, Any]:
    kind = "security" if status in {401, 403} else "validation"
    return {"status": status, "errorCode": code, "message": message, "errorType": kind, **fields}
