"""What a payment tells of being tried again later."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
STATUS = ["scheduled", "needs_customer", "made", "recovered", "lost", "canceled", None]
State = Literal["open", "recovered", "lost"]
MEANS = ["wait", "refresh", "other_mandate", "customer", None]
WHY = ["deadline", "hard_decline", "exhausted", "withdrawn", "refused", "customer_updated", None]
NEED = ["update_card", "authenticate", "contact_issuer", "add_funds", "other", None]
MeansShown = Annotated[str | None, Meta(extra_json_schema={"enum": MEANS})]
WhyShown = Annotated[str | None, Meta(extra_json_schema={"enum": WHY})]


class Retry(Struct, frozen=True, kw_only=True):
    """What follows declines until `until`. `status` is null while nothing was declined, or that is being asked about;
    `at` is when it is tried again, `retries` how often it was."""

    until: Moment
    status: Annotated[str | None, Meta(extra_json_schema={"enum": STATUS})]
    at: Moment | None
    because: str | None
    retries: int


class Recovery(Struct, frozen=True, kw_only=True):
    """Of a payment that was declined and may be tried again: `reason` is the last decline's, `means` what is done about
    it (or what won it), `need` what only the payer can do, while they are waited for: POST to `update_links` gives the
    page for another card. `why` it ended. `control`: it is
    left to the timetable alone, for comparison."""

    state: State
    means: MeansShown
    reason: str | None
    why: WhyShown
    need: Annotated[str | None, Meta(extra_json_schema={"enum": NEED})]
    update_links: str | None
    next_at: Moment | None
    control: bool
