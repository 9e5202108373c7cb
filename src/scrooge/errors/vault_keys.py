"""Refusals of the vault for reasons of its keys."""

from scrooge.errors.problem import Problem


class CannotOpen(Problem):
    """What is stored does not open with the vault's keys. It was changed, moved to another row, or its key is gone."""

    status = 500


class KeyNotHere(CannotOpen):
    """A key that this process has not read yet, or that was destroyed. It reads the keys again every few seconds."""

    status = 503


class VaultSealed(Problem):
    """The vault waits for its custodians; nothing was done. `scrooge vault unseal` takes their shares."""

    status = 503


class LiveModeRefused(Problem):
    """The vault's key-encryption key is for test mode only, so it keeps no live cards; see SCROOGE_VAULT_KEK."""

    status = 403


class KeyPeriodOver(Problem):
    """The key's cryptoperiod is over, so nothing is encrypted with it. `scrooge vault keys rotate` makes a new one."""

    status = 503


class KeysStale(Problem):
    """This process could not read the keys' states for a while, so it encrypts nothing; it goes on trying."""

    status = 503


class KekUnavailable(Problem):
    """The key-encryption key cannot be used now; nothing was changed."""

    status = 503


class KeyRegistryBroken(Problem):
    """A row that tells of the vault's keys is not as the vault wrote it."""

    status = 500


class KeyInUse(Problem):
    """The key cannot be retired yet; the answer says what needs it."""

    status = 409


class ShareRefused(Problem):
    """The share is not one that the vault waits for; nothing was kept of it."""
