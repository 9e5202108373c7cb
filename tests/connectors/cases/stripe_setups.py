"""Stripe's words about a card that is verified for nothing."""

from typing import Any

from msgspec import structs

from scrooge.domain.attempt import Operation
from scrooge.domain.declines import Decline
from scrooge.domain.outcome import Approved, Declined, Unknown
from scrooge.money import Money

from .case import Ask, Item, Reply
from .stripe_words import AUTHORIZE, CHALLENGE, NO_FUNDS, STEP, error

VERIFY = structs.replace(AUTHORIZE, operation=Operation.VERIFY, amount=Money(0, "EUR"))


def setup(status: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": "seti_1", "object": "setup_intent", "status": status, "payment_method": "pm_1", "customer": None,
        "last_setup_error": None, "next_action": None, "cancellation_reason": None,
        "metadata": {"reference": "pay_1-1", "payment": "pay_1"}, **fields,
    }  # fmt: skip


NOTHING = Money(0, "EUR")
VERIFIED = Approved("seti_1", NOTHING, psp_token="pm_1")
SETUP_REPLIES = (
    Reply(item=Item.APPROVED, claim="a card is verified", command=VERIFY, body=setup("succeeded"), expected=VERIFIED),
    Reply(item=Item.APPROVED, claim="a card verified for a customer is the customer's", command=VERIFY,
          body=setup("succeeded", customer="cus_1"), expected=structs.replace(VERIFIED, psp_customer="cus_1")),
    Reply(item=Item.UNMAPPED, claim="a card that is not verified", command=VERIFY, status=402,
          body=error("card_error", **NO_FUNDS, setup_intent=setup("requires_payment_method")),
          expected=Declined(Decline.INSUFFICIENT_FUNDS, "insufficient_funds", NO_FUNDS["message"], "51", "24", "seti_1")),
    Reply(item=Item.CHALLENGE, claim="the payer is redirected to verify", command=VERIFY,
          body=setup("requires_action", next_action=STEP), expected=structs.replace(CHALLENGE, psp_reference="seti_1")),
    Reply(item=Item.UNREADABLE, claim="another verification's answer", command=VERIFY,
          body=setup("succeeded", metadata={"reference": "pay_2-1"}),
          expected=Unknown("HTTP 200: the answer cannot be read", "seti_1")),
    Reply(item=Item.QUESTION, claim="our verification among the newest", command=VERIFY, ask=Ask.INQUIRE,
          body={"object": "list", "data": [setup("succeeded", id="seti_0", metadata={}), setup("succeeded")]},
          expected=VERIFIED),
    Reply(item=Item.QUESTION, claim="no verification of ours", command=VERIFY, ask=Ask.INQUIRE,
          body={"object": "list", "data": [], "has_more": False},
          expected=Unknown("not found among the setups", absent=True)),
    Reply(item=Item.QUESTION, claim="no verification of ours among the newest", command=VERIFY, ask=Ask.INQUIRE,
          body={"object": "list", "data": [], "has_more": True},
          expected=Unknown("not among the newest setups, and there are more")),
)  # fmt: skip
