"""A batch from its first byte to its last line: its statuses, what may change them, and who may."""

from enum import StrEnum


class Status(StrEnum):
    DRAFT = "draft"  # Its input is not whole.
    VALIDATING = "validating"
    READY = "ready"
    RUNNING = "running"  # Or waiting for its window.
    PAUSED = "paused"
    COMPLETED = "completed"  # Every line has a payment, or was refused.
    CANCELED = "canceled"
    EXPIRED = "expired"  # The window closed before the last line was sent.


class Act(StrEnum):
    CLOSE = "close"  # The input is whole.
    VALIDATE = "validate"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    ALARM = "alarm"
    FINISH = "finish"
    EXPIRE = "expire"


# fmt: off
S, A = Status, Act
TABLE: dict[Act, dict[Status, Status]] = {
    A.CLOSE:    {S.DRAFT: S.VALIDATING},
    A.VALIDATE: {S.VALIDATING: S.READY},
    A.START:    {S.READY: S.RUNNING},
    A.PAUSE:    {S.RUNNING: S.PAUSED},
    A.RESUME:   {S.PAUSED: S.RUNNING},
    A.CANCEL:   {S.DRAFT: S.CANCELED, S.VALIDATING: S.CANCELED, S.READY: S.CANCELED, S.RUNNING: S.CANCELED,
                 S.PAUSED: S.CANCELED},
    A.ALARM:    {S.RUNNING: S.PAUSED},
    A.FINISH:   {S.RUNNING: S.COMPLETED, S.PAUSED: S.COMPLETED},
    A.EXPIRE:   {S.READY: S.EXPIRED, S.RUNNING: S.EXPIRED, S.PAUSED: S.EXPIRED},
}
# fmt: on
OF_CALLERS = frozenset({A.START, A.PAUSE, A.RESUME, A.CANCEL})
OF_WORKERS = frozenset({A.VALIDATE, A.ALARM, A.FINISH, A.EXPIRE})
ENDED = frozenset({S.COMPLETED, S.CANCELED, S.EXPIRED})
LINES_MAX = 5_000_000
LINE_MAX = 8192  # bytes


def after(status: Status, act: Act) -> Status | None:
    """The status that follows; the same one where the act was done before; None where it makes no sense."""
    if status in TABLE[act].values():
        return status
    return TABLE[act].get(status)
