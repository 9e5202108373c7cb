"""Settings come from the environment, prefix `SCROOGE_`; a bad one stops the start and names itself."""

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from scrooge.errors import SettingsError


class Settings(Struct, frozen=True, kw_only=True):
    """One field per variable: `database_url` is `SCROOGE_DATABASE_URL`. docs/settings.md has the table."""

    database_url: str | None = None  # none: the embedded PostgreSQL under data_dir
    embedded: bool = False  # set by the command line when it started the database itself
    data_dir: Path = Path("~/.scrooge")
    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str | None = None  # where payers come back to; none: http://host:port
    sandbox_host: str = "127.0.0.1"
    sandbox_port: int = 8090
    shop_port: int = 8082  # of the demo's sample shop
    database_pool: int = 16  # connections per process
    requests_at_work: int = 256  # at once per process; those that wait for a PSP are not counted
    psp_timeout_seconds: int = 10
    psp_concurrency: int = 512  # requests at once to one connector account, per process; it finds less by itself
    psp_breaker: bool = True  # stop sending new payments to a PSP that technically fails
    credentials_key: str | None = None  # Fernet keys, newest first, comma-separated
    secrets_dir: Path | None = None  # credentials may name a file here: "secret:NAME"
    log_level: str = "info"
    log_format: str = "json"  # or "console"
    body_max_bytes: int = 256 * 1024
    batch_uploads: int = 4  # inputs of batches that one caller uploads at once, per process
    challenge_seconds: int = 3600  # how long a payer may take to authenticate
    webhook_timeout_seconds: int = 15
    webhook_loopback: bool = False  # webhooks of test mode may go to this machine; always so when embedded
    webhook_failing_days: int = 5  # an endpoint that took nothing for so long is disabled
    unresolved_hours: int = 24  # what is in doubt for so long becomes a break
    late_success: str = "refund"  # of an authorization that succeeds after it had ended; or "keep"
    recovery_control_percent: int = 5  # of declined renewals that are left to the timetable alone, for comparison
    test_day_seconds: int = 86_400  # how long a day of the retry timetable takes for test payments
    scheme_limits: str = "live"  # the schemes' limits on trying again hold live payments; "all": test mode as well
    vault_url: str | None = None  # of the card vault; none: payments by PSP tokens only
    vault_public_key: str | None = None
    service_key: str | None = None  # ours, private: what the vault knows us by
    vault_ca: Path | None = None
    stored_value_load_max_minor: int = 500_000  # at once, in the minor units of whatever currency
    stored_value_adjustment_max_minor: int = 10_000  # a larger one needs a second API key
    stored_value_breakage: str = "post"  # what expired unspent: post it as revenue, or "keep" it as a liability
    network_tokens: str | None = None  # brands whose saved cards get one, comma-separated; none: no card does

    def base(self) -> str:
        """The URL under which the outside reaches us, without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    def token_brands(self) -> frozenset[str]:
        return frozenset(filter(None, (self.network_tokens or "").replace(" ", "").split(",")))

    def __repr__(self) -> str:
        return f"Settings(data_dir={str(self.data_dir)!r}, host={self.host!r}, port={self.port})"


LIMITS = {
    "port": (0, 65535),
    "sandbox_port": (0, 65535),
    "shop_port": (0, 65535),
    "database_pool": (2, 500),
    "requests_at_work": (4, 4096),
    "psp_timeout_seconds": (1, 60),
    "psp_concurrency": (4, 10_000),
    "batch_uploads": (1, 256),
    "body_max_bytes": (1024, 16 * 1024 * 1024),
    "challenge_seconds": (60, 7 * 86_400),
    "webhook_timeout_seconds": (1, 60),
    "webhook_failing_days": (1, 60),
    "unresolved_hours": (1, 24 * 60),
    "recovery_control_percent": (0, 50),
    "test_day_seconds": (1, 86_400),
    "stored_value_load_max_minor": (1, 10**12),
    "stored_value_adjustment_max_minor": (0, 10**12),
}
CHOICES = {
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("json", "console"),
    "stored_value_breakage": ("post", "keep"),
    "late_success": ("refund", "keep"),
    "scheme_limits": ("live", "all"),
}


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises SettingsError, naming the variable and what it takes."""
    settings = Settings(**given(Settings, "SCROOGE_", LIMITS, CHOICES, environment))  # type: ignore[arg-type]
    if settings.database_url is not None and not settings.database_url.startswith(("postgresql://", "postgres://")):
        raise SettingsError("SCROOGE_DATABASE_URL must begin with postgresql://")
    return settings


def variable(name: str) -> str:
    return f"SCROOGE_{name.upper()}"


def given(
    kind: type[Struct],
    prefix: str,
    limits: Mapping[str, tuple[float, float]],
    choices: Mapping[str, tuple[str, ...]],
    environment: Mapping[str, str],
) -> dict[str, object]:
    """The fields of a settings struct that the environment sets. Raises SettingsError."""
    found: dict[str, object] = {}
    for name, annotation in kind.__annotations__.items():
        setting = f"{prefix}{name.upper()}"
        text = environment.get(setting, "")
        if not text:
            continue
        if name in choices and text not in choices[name]:
            raise SettingsError(f"{setting} must be one of {', '.join(choices[name])}; got {text!r}")
        found[name] = parse(setting, str(annotation), text, limits.get(name, (0, float("inf"))))
    return found


def parse(setting: str, kinds: str, text: str, limits: tuple[float, float]) -> object:
    if kinds == "<class 'bool'>":
        if text not in {"0", "1"}:
            raise SettingsError(f"{setting} must be 0 or 1; got {text!r}")
        return text == "1"
    if "Path" in kinds:
        return Path(text).expanduser()
    if "int" in kinds or "float" in kinds:
        try:
            number = float(text) if "float" in kinds else int(text)
        except ValueError:
            raise SettingsError(f"{setting} must be a number; got {text!r}") from None
        low, high = limits
        if not low <= number <= high:
            raise SettingsError(f"{setting} must be between {low} and {high}; got {text!r}")
        return number
    return text
