"""A key-encryption key in Google Cloud KMS: it never leaves there, and what goes over the wire is checked both ways.

Fields and checks after Google's pages (cloud.google.com/kms/docs/data-integrity-guidelines): CRC32C of everything sent
and received, the resource that answered compared with the one that was asked.
"""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

import google_crc32c
from google.api_core.exceptions import BadRequest, GoogleAPICallError, ServiceUnavailable
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.cloud.kms_v1 import KeyManagementServiceClient
from google.cloud.kms_v1.services.key_management_service.transports.rest import KeyManagementServiceRestTransport
from msgspec import Struct

from scrooge.errors import CannotOpen, KekUnavailable, SettingsError
from scrooge.vault.keys.kek import KMS

NAME = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")
HOST = "https://cloudkms.googleapis.com"
TIMEOUT_SECONDS = 10.0
PAUSE_SECONDS = 0.2
TRIES = 3  # Google: discard an answer whose checksum is wrong, and try again a limited number of times.


class Corrupted(Exception):
    """A checksum is wrong: this answer is not what was sent."""


class InKms(Struct, frozen=True):
    """`name` is the resource of the CryptoKey; its primary version wraps, and each opens what it wrapped."""

    name: str
    client: Any

    @property
    def uri(self) -> str:
        return f"{KMS}{self.name}"

    @property
    def live(self) -> bool:
        return True

    @staticmethod
    def of(uri: str, host: str = HOST, credentials: Credentials | None = None) -> "InKms":
        """With the machine's own credentials (Application Default Credentials) where none are given.

        Raises SettingsError.
        """
        name = uri.removeprefix(KMS)
        if not NAME.fullmatch(name):
            raise SettingsError(f"SCROOGE_VAULT_KEK: {uri} is not {KMS}projects/P/locations/L/keyRings/R/cryptoKeys/K")
        try:
            transport = KeyManagementServiceRestTransport(host=host, credentials=credentials)
        except GoogleAuthError as error:
            raise SettingsError(f"SCROOGE_VAULT_KEK: no credentials for Google Cloud: {error}") from None
        return InKms(name, KeyManagementServiceClient(transport=transport))

    async def wrap(self, clear: bytes, context: bytes) -> bytes:
        return await asyncio.to_thread(asked, lambda: self.encrypt(clear, context))

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        return await asyncio.to_thread(asked, lambda: self.decrypt(wrapped, context))

    def encrypt(self, clear: bytes, context: bytes) -> bytes:
        request = {
            "name": self.name,
            "plaintext": clear,
            "plaintext_crc32c": google_crc32c.value(clear),
            "additional_authenticated_data": context,
            "additional_authenticated_data_crc32c": google_crc32c.value(context),
        }
        answer = self.client.encrypt(request=request, timeout=TIMEOUT_SECONDS, retry=None)
        verified = answer.verified_plaintext_crc32c and answer.verified_additional_authenticated_data_crc32c
        ours = answer.name.startswith(f"{self.name}/")
        if not verified or not ours or answer.ciphertext_crc32c != google_crc32c.value(answer.ciphertext):
            raise Corrupted
        return answer.ciphertext

    def decrypt(self, wrapped: bytes, context: bytes) -> bytes:
        request = {
            "name": self.name,
            "ciphertext": wrapped,
            "ciphertext_crc32c": google_crc32c.value(wrapped),
            "additional_authenticated_data": context,
            "additional_authenticated_data_crc32c": google_crc32c.value(context),
        }
        answer = self.client.decrypt(request=request, timeout=TIMEOUT_SECONDS, retry=None)
        if answer.plaintext_crc32c != google_crc32c.value(answer.plaintext):
            raise Corrupted
        return answer.plaintext


def asked(call: Callable[[], bytes]) -> bytes:
    """Raises CannotOpen for what this key did not wrap in this context, KekUnavailable for everything else."""
    trouble: Exception | None = None
    for n in range(TRIES):
        time.sleep(n * PAUSE_SECONDS)
        try:
            return call()
        except (Corrupted, ServiceUnavailable, OSError) as error:
            trouble = error
        except BadRequest as error:
            # KMS says so of a wrong ciphertext or context; and of a key that is disabled, in other words.
            if status_of(error) == "INVALID_ARGUMENT":
                raise CannotOpen("Google Cloud KMS does not open this with its key") from None
            raise KekUnavailable(f"Google Cloud KMS: {status_of(error)}") from None
        except (GoogleAPICallError, GoogleAuthError) as error:
            raise KekUnavailable(f"Google Cloud KMS: {type(error).__name__}") from None
    raise KekUnavailable(f"Google Cloud KMS: {type(trouble).__name__}, {TRIES} times") from None


def status_of(error: BadRequest) -> str:
    """The canonical code by which Google tells its errors of one HTTP status apart."""
    try:
        return str(error.response.json()["error"]["status"])  # type: ignore[union-attr]
    except (AttributeError, KeyError, TypeError, ValueError):
        return "unreadable"
