"""What the command line asked for."""

from msgspec import Struct


class Options(Struct, frozen=True, kw_only=True):
    """Of every run. The rest says which run it is."""

    seconds: float
    rounds: int
    clients: int
    workers: int
    psps: tuple[str, ...]
    latency_ms: float
    rate: float | None = None
    brief: bool = False  # only the closed loop and the limit
    profile: str | None = None  # the folder for where the time goes
    grow: int | None = None  # payments in the tables at the end of the curve
    payments: int | None = None  # of the run that watches memory
    batch: int | None = None  # renewals of the run that measures a batch
    stored_value: bool = False  # payments from stored value
    cards: int | None = None  # that the vault keeps before it is measured again
