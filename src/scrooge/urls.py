"""Which addresses we may call because somebody configured them: URLs by their form, and what names resolve to."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from scrooge.errors import BadUrl

# IANA's special-purpose registries: what is not somebody else's server on the public Internet.
NOT_PUBLIC_4 = [
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip
PUBLIC_6 = ip_network("2000::/3")  # All else: loopback, unique local, link-local, multicast, mapped IPv4.
NOT_PUBLIC_6 = [ip_network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
TRANSLATED = ip_network("64:ff9b::/96")  # An IPv4 address as DNS64 shows it to a network that has none.
METADATA_6 = ip_network("fd00:ec2::/32")
METADATA = frozenset({"metadata.google.internal", "metadata", "instance-data"})
PORTS_FROM = 1024  # Of the ports below only that of https is called: the others speak something else.


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Can this be a server of somebody else on the Internet, and nothing within our own network?"""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_4)
    if address in TRANSLATED:
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return address in PUBLIC_6 and not any(address in network for network in NOT_PUBLIC_6)


def is_metadata(address: str) -> bool:
    """Where clouds hand out credentials: nothing of ours ever connects there, whatever a name resolves to."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return found.is_link_local or found in METADATA_6


def may_call(address: str, *, loopback: bool) -> bool:
    """May a connection go to this very address? `loopback`: this machine is allowed too."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return is_public(found) or (loopback and found in {ip_address("127.0.0.1"), ip_address("::1")})


def parts_of(url: str, name: str) -> SplitResult:
    """Raises BadUrl for what is not a plain URL with a host."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise BadUrl(f"{name} is not a URL", param=name) from None
    if not parts.hostname or parts.username or parts.password or parts.fragment:
        raise BadUrl(f"{name} is a plain URL with a host", param=name)
    return parts


def is_local(host: str | None) -> bool:
    return host in {"127.0.0.1", "localhost", "::1"}


def check_host(host: str, name: str, *, loopback: bool) -> None:
    """Refuses what can be told without asking for the name's addresses; those are checked when we connect."""
    if host.startswith("169.254.") or host.rstrip(".") in METADATA:
        raise BadUrl(f"{name} may not be a metadata service", param=name)
    if is_local(host) and loopback:
        return
    try:
        address = ip_address(host)
    except ValueError:
        if is_local(host) or host.rstrip(".").endswith((".localhost", ".internal", ".local")) or "." not in host:
            raise BadUrl(f"{name} must be a public host", param=name) from None
        return
    if not is_public(address):
        raise BadUrl(f"{name} must be a public address", param=name)


def check_url(url: str, livemode: bool) -> None:
    """A base URL of our own choice is for tests only: https anywhere, http on this machine alone."""
    if livemode:
        raise BadUrl("base_url may be set in test mode only", param="base_url")
    parts = parts_of(url, "base_url")
    if parts.query:
        raise BadUrl("base_url is a plain URL with a host", param="base_url")
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local(host)):
        raise BadUrl("base_url must use https, or http on this machine", param="base_url")
    check_host(host, "base_url", loopback=True)


def check_endpoint(url: str, *, loopback: bool) -> None:
    """Where webhooks may go: https on the Internet; with `loopback` (test mode, where allowed) this machine too."""
    parts = parts_of(url, "url")
    host = parts.hostname or ""
    local = loopback and is_local(host)
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise BadUrl("url must use https", param="url")
    port = parts.port or 443
    if not local and port != 443 and port < PORTS_FROM:
        raise BadUrl(f"url has port 443, or one from {PORTS_FROM} on", param="url")
    check_host(host, "url", loopback=loopback)
