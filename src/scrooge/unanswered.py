"""Why a request of ours got no answer, in words for merchants: Python's names for it are for the log."""

import ssl

import aiohttp

# The first line that fits: what is special stands before what it is a kind of.
WORDS: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientSSLError, "TLS failed"),
    (ssl.SSLError, "TLS failed"),
    (aiohttp.ClientConnectorDNSError, "the host's name was not found"),
    (aiohttp.ClientConnectorError, "could not connect"),
    (aiohttp.ConnectionTimeoutError, "could not connect in time"),
    (aiohttp.InvalidURL, "the address cannot be used"),
    (TimeoutError, "no answer in time"),
    (aiohttp.ClientPayloadError, "the answer did not arrive whole"),
    (aiohttp.ClientResponseError, "the answer was not HTTP"),
    (aiohttp.ClientConnectionError, "the connection ended before an answer"),
    (OSError, "the connection ended before an answer"),
    (ValueError, "the answer could not be read"),
)
OTHERWISE = "the request failed"


def why(error: Exception) -> str:
    return next((words for kind, words in WORDS if isinstance(error, kind)), OTHERWISE)
