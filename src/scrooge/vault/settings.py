"""The vault's own settings: environment variables with the prefix `SCROOGE_VAULT_`."""

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, structs

from scrooge.errors import SettingsError
from scrooge.settings import given
from scrooge.vault.keys.periods import Periods

PREFIX = "SCROOGE_VAULT_"


class VaultSettings(Struct, frozen=True, kw_only=True):
    """One field per variable: `database_url` is `SCROOGE_VAULT_DATABASE_URL`. docs/settings.md has the table."""

    database_url: str | None = None  # none: an embedded PostgreSQL of the vault's own, under data_dir
    embedded: bool = False  # set by the command line when it started the database itself
    data_dir: Path = Path("~/.scrooge/vault")
    host: str = "127.0.0.1"
    port: int = 8081
    public_url: str | None = None  # the origin that browsers know it by; none: http://host:port
    database_pool: int = 8  # connections per process
    processes: int = 1  # on one port
    service_key: str | None = None  # our own private key: answers to the core are signed with it
    core_keys: str | None = None  # the core's public keys, comma-separated
    test_urls: str | None = None  # where test cards may be sent beside the PSPs' test hosts, comma-separated
    templates: Path | None = None  # the signed list of requests that cards may go into
    templates_key: str | None = None  # the public key that signs it
    kek: str | None = None  # the key-encryption key; none: file:kek.json under data_dir, for test mode only
    key_days: int = 90  # cryptoperiod of the keys that seal cards
    kek_days: int = 365  # and of the key-encryption key
    code_minutes: int = 10  # how long a security code waits for its authorization
    retention_days: int = 180  # a card is shredded so long after it has expired
    unused_days: int = 0  # and when nobody used it for so long; 0: never for that
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    body_max_bytes: int = 64 * 1024
    log_level: str = "info"
    log_format: str = "json"

    def base(self) -> str:
        """The URL under which browsers and merchants reach us, without a trailing slash."""
        scheme = "https" if self.tls_certificate else "http"
        return (self.public_url or f"{scheme}://{self.host}:{self.port}").rstrip("/")

    def kek_uri(self) -> str:
        """Where the key-encryption key is; while one takes the place of another, both, comma-separated."""
        return self.kek or f"file:{self.data_dir.expanduser() / 'kek.json'}"

    def periods(self) -> Periods:
        return Periods(self.key_days, self.kek_days)

    def __repr__(self) -> str:
        return f"VaultSettings(data_dir={str(self.data_dir)!r}, host={self.host!r}, port={self.port})"


LIMITS = {
    "port": (0, 65535),
    "database_pool": (3, 200),
    "processes": (1, 64),
    "key_days": (1, 730),
    "kek_days": (1, 1095),
    "code_minutes": (1, 15),
    "retention_days": (0, 3650),
    "unused_days": (0, 3650),
    "body_max_bytes": (4096, 1024 * 1024),
}
CHOICES = {"log_level": ("debug", "info", "warning", "error"), "log_format": ("json", "console")}


def load(environment: Mapping[str, str] = os.environ) -> VaultSettings:
    """Raises SettingsError, naming the variable and what it takes."""
    settings = VaultSettings(**given(VaultSettings, PREFIX, LIMITS, CHOICES, environment))  # type: ignore[arg-type]
    if f"{PREFIX}DATA_DIR" not in environment and environment.get("SCROOGE_DATA_DIR"):
        settings = structs.replace(settings, data_dir=Path(environment["SCROOGE_DATA_DIR"]).expanduser() / "vault")
    url = settings.database_url
    if url is not None and not url.startswith(("postgresql://", "postgres://")):
        raise SettingsError("SCROOGE_VAULT_DATABASE_URL must begin with postgresql://")
    if url is not None and url == environment.get("SCROOGE_DATABASE_URL"):
        raise SettingsError("SCROOGE_VAULT_DATABASE_URL is the core's: the vault needs a database of its own")
    if (settings.tls_certificate is None) is not (settings.tls_key is None):
        raise SettingsError("SCROOGE_VAULT_TLS_CERTIFICATE and SCROOGE_VAULT_TLS_KEY come together")
    return settings
