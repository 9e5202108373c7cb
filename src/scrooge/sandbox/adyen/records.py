"""What the simulated Adyen remembers besides the money: amounts in Adyen's units."""

from ..records import Record


class Payment(Record, frozen=True, kw_only=True):
    """A payment by its pspReference, which is also its authorization's id."""

    merchant_account: str
    reference: str
    value: int
    currency: str
    sale: bool
    number: str
    month: int
    year: int
    return_url: str
    visible_at: float
    preauthorized: bool = False  # asked to be one whose amount may change
    shopper_reference: str | None = None
    stores: bool = False
    challenge: str | None = None
    result: str = ""  # the last resultCode
    code_result: str = "1 Matches"  # of the security code, in Adyen's words

    def index_keys(self) -> tuple[tuple[str, ...], ...]:
        """By the merchant's reference, for technical cancels."""
        return (("payments", self.merchant_account, self.reference),)


class Modification(Record, frozen=True, kw_only=True):
    """A capture, cancel or refund by its own pspReference."""

    payment: str
    reference: str
    value: int
    minor: int


class Webhook(Record, frozen=True, kw_only=True):
    """A merchant account's standard webhook."""

    merchant_account: str
    url: str
    active: bool
    description: str | None = None
    username: str | None = None
    password: str | None = None
    hmac_key: str | None = None
    done: bool = False


KINDS = (Payment, Modification, Webhook)
