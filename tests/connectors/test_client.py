"""The HTTP client towards PSPs: it asks once, whatever happens."""

import aiohttp
import pytest

from .conftest import Psp


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_on_a_kept_connection_that_breaks_is_not_repeated(
    method: str, psp: Psp, http: aiohttp.ClientSession
) -> None:
    async with http.request(method, psp.url + "/") as answer:
        await answer.read()
    psp.hang_up = True
    with pytest.raises(aiohttp.ClientError):
        await http.request(method, psp.url + "/")
    assert len(psp.seen) == 2
