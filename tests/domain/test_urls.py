"""Where we may be told to send requests: tests may point elsewhere, live never."""

import pytest

from scrooge.errors import BadUrl
from scrooge.urls import check_url


@pytest.mark.parametrize("url", ["http://127.0.0.1:8090/stripe", "https://psp.example", "http://localhost/adyen"])
def test_https_anywhere_and_http_on_this_machine(url: str):
    check_url(url, livemode=False)


@pytest.mark.parametrize(
    "url",
    ["http://psp.example", "ftp://127.0.0.1", "https://", "https://user:pw@psp.example", "https://psp.example?x=1",
     "https://psp.example#x", "https://169.254.169.254/", "https://metadata.google.internal", "http://[::1", "x",
     "https://psp.example:port"],
)  # fmt: skip
def test_anything_else_is_refused(url: str):
    with pytest.raises(BadUrl):
        check_url(url, livemode=False)


def test_live_credentials_never_leave_for_another_address():
    with pytest.raises(BadUrl):
        check_url("https://psp.example", livemode=True)
