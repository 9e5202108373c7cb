"""Who is asking. Keys are looked up by their SHA-256 digest and never logged."""

from collections.abc import Mapping

from scrooge.errors import ScopeMissing, Unauthenticated
from scrooge.flows.scrooge import Scrooge
from scrooge.storage.directory import Principal


async def authenticate(s: Scrooge, headers: Mapping[str, str], scope: str) -> Principal:
    """Raises Unauthenticated, ScopeMissing."""
    kind, _, secret = headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret.strip().isascii() or not secret.strip():
        raise Unauthenticated("send a header Authorization: Bearer and your API key")
    principal = await s.directory.principal(secret.strip())
    if principal is None:
        raise Unauthenticated("this API key is unknown or was revoked")
    if not principal.allows(scope):
        raise ScopeMissing(f"this API key needs the scope {scope}", scope=scope)
    return principal
