"""Signatures of Standard Webhooks: the receiver verifies them with a library of its language, or by hand."""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook

PREFIX = "whsec_"
SECRET_BYTES = 32  # The specification asks for 24 to 64.


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers_of(message: str, at: datetime, body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """The three headers. `message` is the same for every try; `at` (UTC) is the moment of this one.

    While a secret is being replaced there are two `keys`, and a signature by each.
    """
    signed = [Webhook(key).sign(message, at, body.decode()) for key in keys]
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signed),
    }
