"""Refusals of what is asked of a batch."""

from scrooge.errors.problem import Problem


class BatchStatusConflict(Problem):
    """The batch has a status in which this makes no sense; `batch_status` is the one it has."""

    status = 409


class BatchWindowClosed(Problem):
    """The batch's window is over. Nothing of it is sent any more."""

    status = 409


class InputDiffers(Problem):
    """Other bytes are kept for this place of the input; `first_line` is where it begins to differ, or little before."""

    status = 409


class InputOutOfPlace(Problem):
    """The upload does not begin where the kept input ends; `expected` is that byte. From 0 it may always begin."""

    status = 409


class InputMoved(Problem):
    """Another upload of this batch was faster, or the batch is closed. Read `input.bytes` and go on from there."""

    status = 409


class TooManyUploads(Problem):
    """As many inputs of this caller as may be are being uploaded. Nothing was read; try again after `Retry-After`."""

    status = 429


class InputTooLarge(Problem):
    """The input has more lines or bytes than one batch takes. What came before is kept; nothing is sent."""

    status = 413
