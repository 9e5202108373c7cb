"""What a caller asks for when it creates a payment, and what may be asked."""

from msgspec import Struct, structs

from scrooge.domain.mandate import Mandate, Terms
from scrooge.errors import InvalidField, RetriesRefused
from scrooge.flows import mandates
from scrooge.flows.route import Asked
from scrooge.flows.scrooge import now
from scrooge.money import Money
from scrooge.routing.calendar import DAY

RETRY_DAYS_MAX = 60


class Wanted(Struct, frozen=True, kw_only=True):
    """What a caller asks for. `connector_account` (id or name), where given, is the only one to try."""

    reference: str
    amount: Money
    instrument: str = ""  # or a mandate, which names one
    mandate: str | None = None
    agreed: Mandate | None = None  # that mandate, once it is known
    customer: str | None = None
    initiator: str = "customer"
    purpose: str | None = None
    capture: str = "automatic"
    return_url: str | None = None
    statement_descriptor: str | None = None
    metadata: dict[str, str] = {}
    connector_account: str | None = None
    save_for: str | None = None
    save_terms: Terms | None = None
    incremental: bool = False
    retry_until: int | None = None  # Unix microseconds
    ip: str | None = None  # the payer's, for the risk check alone; so is the next
    email: str | None = None
    id: str | None = None  # of the payment, where it was decided before; of a part of another it is
    part_of: str | None = None  # that other payment, which is for the amount `whole`
    whole: Money | None = None


def under(wanted: Wanted, mandate: Mandate) -> Wanted:
    """With what the mandate says: whose instrument it is, what for, and that the payer is not there.

    Raises AmountOverMandate, InvalidField.
    """
    mandates.within(mandate, wanted.amount)
    if wanted.instrument not in ("", mandate.instrument):
        raise InvalidField("the mandate is for another instrument", param="instrument")
    if wanted.save_for is not None:
        raise InvalidField("the payer, who would have to agree, is not there", param="save_for")
    return structs.replace(
        wanted, instrument=mandate.instrument, customer=wanted.customer or mandate.customer, initiator="merchant",
        agreed=mandate,
    )  # fmt: skip


def check_retries(wanted: Wanted) -> None:
    """Raises RetriesRefused: nobody is asked again whose payer has to come back, and none for ever."""
    until = wanted.retry_until
    if until is None:
        return
    if wanted.initiator != "merchant":
        raise RetriesRefused("a payment of the customer is not tried again by itself: the payer has to come back",
                             param="retry_until")  # fmt: skip
    if not now() < until <= now() + RETRY_DAYS_MAX * DAY:
        raise RetriesRefused(f"a moment from now on and at most {RETRY_DAYS_MAX} days away", param="retry_until")


def check_incremental(wanted: Wanted) -> None:
    """Raises InvalidField: what is captured at once cannot be raised any more."""
    if wanted.incremental and wanted.capture != "manual":
        raise InvalidField("only what is captured by hand can be raised: send capture manual", param="incremental")


def asked(wanted: Wanted) -> Asked:
    money = wanted.amount
    return Asked(
        minor=money.minor, currency=money.currency, initiator=wanted.initiator, purpose=wanted.purpose,
        mandate=wanted.agreed,
    )  # fmt: skip
