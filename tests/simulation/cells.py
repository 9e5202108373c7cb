"""The four dimensions, and which of their combinations cannot exist, with the reason."""

from typing import NamedTuple

POINTS = (
    "none", "record.before", "record.written", "record.after", "send.before", "send.written", "send.after",
    "commit.before", "commit.after", "apply.before", "apply.after", "cascade.before", "cascade.after",
    "continue.before", "continue.after", "answer.before", "answer.after", "inbox.before", "inbox.after",
    "receive.claimed", "receive.applied", "resolve.claimed", "resolve.applied", "reverse.before", "reverse.after",
)  # fmt: skip
OPERATIONS = ("authorize", "sale", "capture", "void", "refund", "continue")
FAULTS = (
    "drop_request", "charge_then_drop", "charge_then_500", "500_before", "slow", "reset_midway", "garbage",
    "wrong_amount", "duplicate_notification", "late_notification", "reordered_notifications", "lost_notification",
    "inquiry_lag", "broken_idempotency", "outage",
)  # fmt: skip
BEHAVIORS = (*FAULTS, "normal", "declined", "pending", "challenge", "decline_then_success", "partial")
CLIENTS = ("waits", "retries", "concurrent", "gives_up", "duplicates", "other_key")


class Cell(NamedTuple):
    point: str
    operation: str
    behavior: str
    client: str

    def __str__(self) -> str:
        return "/".join(self)


MODIFICATIONS = ("capture", "void", "refund")
EVERY = tuple(
    Cell(point, operation, behavior, client)
    for point in POINTS
    for operation in OPERATIONS
    for behavior in BEHAVIORS
    for client in CLIENTS
)


def parsed(text: str) -> Cell:
    cell = Cell(*text.split("/"))
    if cell not in EVERY:
        raise ValueError(f"{text} is no cell: point/operation/behavior/client")
    return cell


def impossible(c: Cell) -> str | None:
    """Why there is no such cell; None when there is."""
    if c.operation in MODIFICATIONS:
        if c.behavior == "challenge":
            return "no payer takes part in a capture, void or refund"
        if c.behavior == "partial":
            return "a PSP moves what a capture, void or refund asks for, or nothing"
    return no_such_point(c) or never_in_doubt(c)


def no_such_point(c: Cell) -> str | None:
    """Points that an operation never passes under a behavior."""
    place, challenged = c.point.split(".")[0], c.operation == "continue" or c.behavior == "challenge"
    if place == "record" and c.operation == "continue":
        return "coming back from a challenge is recorded at the continue points"
    if c.point == "record.written" and c.operation not in MODIFICATIONS:
        return "a new payment is one statement: it is never written in an open transaction"
    if place == "continue" and not challenged:
        return "no payer was sent to authenticate, so none comes back"
    if place == "cascade" and (c.operation not in {"authorize", "sale"} or c.behavior not in CASCADING):
        return "only an authorization that is known not to have moved money is tried elsewhere"
    if place == "reverse" and (c.operation, c.behavior) not in UNWANTED:
        return "money goes back only where a PSP takes it late or twice"
    if place == "commit" and c.behavior == "outage" and c.operation in MODIFICATIONS:
        return "a modification that was not sent is recorded and applied under the payment's lock, in no batch"
    if place in {"inbox", "receive"} and c.behavior == "lost_notification":
        return "no notification arrives"
    if place in {"inbox", "receive"} and c.behavior == "outage" and c.operation != "continue":
        return "a PSP that cannot be reached has nothing to tell"
    return None


def never_in_doubt(c: Cell) -> str | None:
    """The resolver's points need something to resolve."""
    if not c.point.startswith("resolve"):
        return None
    if c.behavior == "challenge" and c.point == "resolve.applied" and c.client != "gives_up":
        return "a challenge that the payer abandons is ended, not asked about"
    if c.operation == "void" and c.behavior == "pending" and c.client != "gives_up":
        return "Stripe voids at once, and Adyen cannot be asked"
    if c.operation == "void" and c.behavior == "wrong_amount" and c.client != "gives_up":
        return "the reply to a void names no amount"
    if c.behavior == "lost_notification" and c.operation in MODIFICATIONS:
        return None if c.point == "resolve.claimed" else "Adyen cannot be asked what became of a modification"
    certain = c.behavior in CERTAIN or (c.behavior == "outage" and c.operation != "continue")
    if certain and c.client != "gives_up":
        return "every answer arrives and is final: nothing is left to ask about"
    return None


CASCADING = {"declined", "decline_then_success", "outage"}
UNWANTED = {(operation, "decline_then_success") for operation in ("authorize", "sale", "continue")}
UNWANTED |= {(operation, "broken_idempotency") for operation in ("authorize", "sale")}
CERTAIN = {"normal", "declined", "decline_then_success", "partial", "duplicate_notification", "late_notification",
           "reordered_notifications", "lost_notification"}  # fmt: skip
UNRECORDED = {"record.before", "record.written", "commit.before", "continue.before"}


def unasked(c: Cell) -> str | None:
    """Why the PSP's behavior may not show although the process died at the point."""
    if c.point in UNRECORDED and c.client in {"waits", "gives_up"}:
        return "nothing was recorded, and the caller does not come again: no PSP is asked"
    if c.point == "none" and c.client == "gives_up":
        return "the caller may hang up before anything was recorded"
    if c.operation == "continue" and c.point not in {"none", "send.after"}:
        return "the payer has acted at the PSP, whose notification settles it before anybody asks"
    return None
