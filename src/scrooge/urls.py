"""Which addresses we may call because somebody configured them."""

from urllib.parse import urlsplit

from scrooge.errors import BadUrl


def check_url(url: str, livemode: bool) -> None:
    """A base URL of our own choice is for tests only: https anywhere, http on this machine alone."""
    if livemode:
        raise BadUrl("base_url may be set in test mode only", param="base_url")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise BadUrl("base_url is not a URL", param="base_url") from None
    local = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        raise BadUrl("base_url is a plain URL with a host", param="base_url")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise BadUrl("base_url must use https, or http on this machine", param="base_url")
    if parts.hostname.startswith("169.254.") or parts.hostname == "metadata.google.internal":
        raise BadUrl("base_url may not be a metadata service", param="base_url")
