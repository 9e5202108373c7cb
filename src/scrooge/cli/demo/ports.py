"""Where the demo's processes listen: the ports of the settings, or free ones that are kept for the next start."""

import socket
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from scrooge.cli.demo.shop import write_private
from scrooge.cli.processes import require_free
from scrooge.errors import SettingsError
from scrooge.settings import Settings
from scrooge.vault.settings import load as vault_settings


class Ports(StrEnum):
    FIXED = "fixed"
    AUTO = "auto"


class Addresses(Struct, frozen=True):
    """Where the demo's processes listen."""

    host: str
    port: int
    sandbox_port: int
    vault_port: int
    shop_port: int

    @property
    def api_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://{self.host}:{self.sandbox_port}"

    @property
    def vault_url(self) -> str:
        return f"http://{self.host}:{self.vault_port}"

    @property
    def shop_url(self) -> str:
        return f"http://{self.host}:{self.shop_port}"


def addresses(settings: Settings, folder: Path, ports: Ports) -> Addresses:
    """Raises SettingsError for a fixed port that is taken. Whatever is taken here is kept for the next start."""
    found = Addresses(settings.host, settings.port, settings.sandbox_port, vault_settings().port, settings.shop_port)
    if ports is Ports.AUTO:
        found = kept_ports(folder) or Addresses(settings.host, *free_ports(settings.host, 4))
    try:
        require_all_free(found)
    except SettingsError as error:
        raise SettingsError(f"{error}; or give --ports auto") from None
    write_private(folder / "ports.json", found)
    return found


def kept_ports(folder: Path) -> Addresses | None:
    """Those of the last start, if they are free."""
    try:
        kept = msgspec.json.decode((folder / "ports.json").read_bytes(), type=Addresses)
        require_all_free(kept)
    except (FileNotFoundError, msgspec.DecodeError, SettingsError):
        return None
    return kept


def require_all_free(where: Addresses) -> None:
    require_free(where.host, where.port, "SCROOGE_PORT")
    require_free(where.host, where.sandbox_port, "SCROOGE_SANDBOX_PORT")
    require_free(where.host, where.vault_port, "SCROOGE_VAULT_PORT")
    require_free(where.host, where.shop_port, "SCROOGE_SHOP_PORT")


def free_ports(host: str, count: int) -> list[int]:
    """Held together while they are chosen, so that no two are the same."""
    probes = [socket.create_server((host, 0)) for _ in range(count)]
    found = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return found
