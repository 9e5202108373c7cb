"""Which requests the vault fills: those of the connectors' code that the operator has signed, to PSPs' own hosts."""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from scrooge import service
from scrooge.connectors.connector import CardTemplate, Connector
from scrooge.errors import HostRefused, SettingsError, UnknownTemplate

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?")


class Manifest(Struct, frozen=True):
    """What an operator has looked at: the digest of each template, "stripe.authorize", and a signature over them."""

    templates: dict[str, str]
    signature: str


def digests(connectors: Mapping[str, Connector]) -> dict[str, str]:
    """Of every template and the hosts it goes to: any change of either is another digest."""
    return {
        f"{connector.name}.{name}": service.digest(
            msgspec.json.encode([template, connector.test_url, connector.live_url], order="deterministic")
        )
        for connector in connectors.values()
        for name, template in connector.cards.items()
    }


def signed(connectors: Mapping[str, Connector], key: Ed25519PrivateKey) -> Manifest:
    found = digests(connectors)
    return Manifest(found, service.encoded(key.sign(words(found))))


def words(templates: Mapping[str, str]) -> bytes:
    return b"scrooge card templates" + msgspec.json.encode(dict(templates), order="deterministic")


class Book:
    """The templates that may be filled. Without a manifest they may be in test mode alone."""

    def __init__(
        self, connectors: Mapping[str, Connector], test_urls: tuple[str, ...], manifest: Manifest | None
    ) -> None:
        self.connectors, self.test_urls = connectors, test_urls
        self.found = digests(connectors)
        self.approved = None if manifest is None else manifest.templates

    def template(self, connector: str, name: str, live: bool) -> CardTemplate:
        """Raises UnknownTemplate."""
        whole = f"{connector}.{name}"
        if whole not in self.found:
            raise UnknownTemplate("no connector has a template of this name", param="template")
        if self.approved is None:
            if live:
                why = "live cards go into signed templates only: SCROOGE_VAULT_TEMPLATES"
                raise UnknownTemplate(why, param="template")
        elif self.approved.get(whole) != self.found[whole]:
            raise UnknownTemplate("the template is not as it was signed", param="template")
        return self.connectors[connector].cards[name]

    def base_url(self, connector: str, live: bool, wanted: str | None, names: Mapping[str, str]) -> str:
        """Where the request goes: the connector's own host; in test mode also what the vault's settings allow.

        Raises HostRefused.
        """
        c = self.connectors[connector]
        if not all(NAME.fullmatch(value) for value in names.values()):
            raise HostRefused("a part of a host has letters, digits and dashes only", param="names")
        try:
            own = (c.live_url if live else c.test_url).format_map(names)
        except KeyError:
            raise HostRefused("a part of the connector's host is missing", param="names") from None
        if wanted is None or wanted == own:
            return own
        if not live and any(wanted == base or wanted.startswith(f"{base}/") for base in self.test_urls):
            return wanted
        raise HostRefused("this is not a host of the connector", param="base_url")


def read_manifest(path: Path, key: Ed25519PublicKey) -> Manifest:
    """Raises SettingsError for one that is not signed by the key."""
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        key.verify(service.decoded(manifest.signature), words(manifest.templates))
    except OSError as error:
        raise SettingsError(f"SCROOGE_VAULT_TEMPLATES: {path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, ValueError, InvalidSignature):
        raise SettingsError(f"SCROOGE_VAULT_TEMPLATES: {path} is not signed by SCROOGE_VAULT_TEMPLATES_KEY") from None
    return manifest
