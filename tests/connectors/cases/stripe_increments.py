"""Stripe's words about an authorization that is raised."""

from msgspec import structs

from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import Approved, Rejected, Unknown
from scrooge.money import Money

from .case import Ask, Item, Reply
from .stripe_words import CAPTURE, HELD, KNOWN, NO_FUNDS, POOR, charge, error, intent

TOTAL, ADDED = Money(1799, "EUR"), Money(500, "EUR")
INCREMENT = structs.replace(CAPTURE, operation=Operation.INCREMENT, amount=TOTAL, increase=ADDED, reference="pay_1-5")
MARKED = {"reference": "pay_1-1", "payment": "pay_1", "increment_reference": "pay_1-5"}
RAISED = intent("requires_capture", amount=1799, amount_capturable=1799, latest_charge=charge(), metadata=MARKED)
UNTIL = 1_790_600_000
NOT_OURS = "without this increment (no increment_reference)"

INCREMENT_REPLIES = (
    Reply(item=Item.APPROVED, claim="an increment is told as the whole, and counts by what it adds", command=INCREMENT,
          body=RAISED, expected=Approved("pi_1", ADDED, expires_at=UNTIL)),
    Reply(item=Item.UNMAPPED, claim="an increment that the issuer refuses", command=INCREMENT, status=402,
          body=error("card_error", **NO_FUNDS, payment_intent=HELD), expected=POOR),
    Reply(item=Item.EXPLAINED, claim="an increment that was not asked for at first", command=INCREMENT, status=400,
          body=error("invalid_request_error"), expected=Rejected("400 invalid_request_error: Why.")),
    Reply(item=Item.UNREADABLE, claim="an increment to another whole than asked", command=INCREMENT,
          body={**RAISED, "amount": 1899},
          expected=Unknown("the PSP approved 18.99 EUR, asked was 17.99 EUR", "pi_1", differs=True)),
    Reply(item=Item.UNREADABLE, claim="an increment accepted but not done", command=INCREMENT, body=HELD,
          expected=Unknown("HTTP 200: the answer cannot be read", "pi_1")),
    Reply(item=Item.QUESTION, claim="our increment", command=INCREMENT, ask=Ask.INQUIRE, body=RAISED,
          expected=Approved("pi_1", ADDED, expires_at=UNTIL)),
    Reply(item=Item.QUESTION, claim="our increment, captured since", command=INCREMENT, ask=Ask.INQUIRE,
          body={**RAISED, "status": "succeeded", "latest_charge": "ch_1"}, expected=Approved("pi_1", ADDED)),
    Reply(item=Item.QUESTION, claim="no increment yet", command=INCREMENT, ask=Ask.INQUIRE, body=HELD,
          expected=Unknown(f"not found: pi_1 is requires_capture {NOT_OURS}", absent=True)),
    Reply(item=Item.QUESTION, claim="another increment is not this one", command=INCREMENT, ask=Ask.INQUIRE,
          body={**RAISED, "metadata": {**MARKED, "increment_reference": "pay_1-4"}},
          expected=Unknown(f"not found: pi_1 is requires_capture {NOT_OURS}", absent=True)),
    Reply(item=Item.QUESTION, claim="held, and raised since: its amount is not the first one's", command=KNOWN,
          ask=Ask.INQUIRE, body={**RAISED, "latest_charge": "ch_1"},
          expected=Approved("pi_1", Money(1299, "EUR"), psp_token="pm_1")),
)  # fmt: skip
