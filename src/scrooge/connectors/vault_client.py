"""The card vault as the core asks it: every request signed by us, every answer by it, or it is not believed."""

import ssl
from urllib.parse import urlsplit

import aiohttp
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from scrooge.connectors.client import NEVER_SENT, bounded
from scrooge.errors import SettingsError
from scrooge.service import SIGNATURE, Identity, NotAuthentic, check_answer, identity, public_key
from scrooge.settings import Settings
from scrooge.unanswered import why
from scrooge.urls import is_local

log = structlog.get_logger()


class Vault(Struct, frozen=True):
    """Where it is, who we are to it, its public key; `trust` is for TLS, where its certificate is of a CA of ours."""

    url: str
    identity: Identity
    key: Ed25519PublicKey
    trust: ssl.SSLContext | None = None


class Reply(Struct, frozen=True):
    """What the vault said, and signed, to the very request it was asked."""

    status: int
    body: bytes


class VaultSilent(Exception):
    """No answer that could be believed. The vault may have done what it was asked."""


class VaultNotReached(VaultSilent):
    """Not a byte has left for it."""


def vault_of(settings: Settings) -> Vault | None:
    """None where no vault is set. Raises SettingsError."""
    given = {
        "SCROOGE_VAULT_URL": settings.vault_url,
        "SCROOGE_VAULT_PUBLIC_KEY": settings.vault_public_key,
        "SCROOGE_SERVICE_KEY": settings.service_key,
    }
    missing = [name for name, value in given.items() if not value]
    if len(missing) == len(given):
        return None
    if missing:
        raise SettingsError(f"{missing[0]} is missing: `scrooge vault pair` prints what belongs together")
    url = (settings.vault_url or "").rstrip("/")
    parts = urlsplit(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_local(parts.hostname))):
        raise SettingsError("SCROOGE_VAULT_URL must begin with https://, or http:// on this machine")
    try:
        trust = ssl.create_default_context(cafile=str(settings.vault_ca)) if settings.vault_ca else None
    except (OSError, ssl.SSLError):
        raise SettingsError("SCROOGE_VAULT_CA must be a file of certificates in PEM") from None
    return Vault(
        url,
        identity(settings.service_key or "", "SCROOGE_SERVICE_KEY"),
        public_key(settings.vault_public_key or "", "SCROOGE_VAULT_PUBLIC_KEY"),
        trust,
    )


async def ask_vault(
    http: aiohttp.ClientSession,
    vault: Vault,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    timeout: float,  # noqa: ASYNC109 - it is the HTTP client's to keep
) -> Reply:
    """Once; `path` with its query is what the token is for. Raises VaultNotReached, VaultSilent."""
    token, token_id = vault.identity.token(f"{method} {path}", body)
    headers = {"Authorization": f"Bearer {token}"}
    if body:
        headers["Content-Type"] = "application/json"
    try:
        async with http.request(
            method,
            vault.url + path,
            data=body or None,
            headers=headers,
            ssl=vault.trust or True,
            timeout=aiohttp.ClientTimeout(total=timeout),
            allow_redirects=False,
        ) as reply:
            answer = Reply(reply.status, await bounded(reply))
            signature = reply.headers.get(SIGNATURE, "")
    except NEVER_SENT as error:
        log.warning("vault_not_reached", error=type(error).__name__)
        raise VaultNotReached(why(error)) from None
    except Exception as error:
        log.warning("vault_answer_lost", error=type(error).__name__)
        raise VaultSilent(why(error)) from None
    try:
        check_answer(vault.key, signature, token_id, answer.status, answer.body)
    except NotAuthentic as error:
        log.error("vault_not_believed", status=answer.status, reason=str(error))
        raise VaultSilent(str(error)) from None
    return answer
