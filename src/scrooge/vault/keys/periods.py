"""How long keys may encrypt."""

from msgspec import Struct


class Periods(Struct, frozen=True):
    """Cryptoperiods in days (PCI DSS 3.7.4, NIST SP 800-57 part 1)."""

    key_days: int = 90
    kek_days: int = 365
