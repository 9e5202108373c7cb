"""What a payment tells of being tried again later."""

from typing import Annotated

from msgspec import Meta, Struct

Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
STATUS = ["scheduled", "made", "recovered", "lost", "canceled", None]


class Retry(Struct, frozen=True, kw_only=True):
    """What follows declines until `until`. `status` is null while nothing was declined, or that is being asked about;
    `at` is when it is tried again, `retries` how often it was."""

    until: Moment
    status: Annotated[str | None, Meta(extra_json_schema={"enum": STATUS})]
    at: Moment | None
    because: str | None
    retries: int
