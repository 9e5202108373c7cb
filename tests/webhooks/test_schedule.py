"""When a webhook comes again, when it is given up, and what its signature is."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from scrooge.webhooks.schedule import DELAYS, HOUR, RETRY_AFTER_MAX, verdict
from scrooge.webhooks.sender import Reply, seconds_of
from scrooge.webhooks.signing import headers_of, new_secret


def reply(status: int | None, retry_after: float | None = None) -> Reply:
    return Reply(status, None if status else "no answer in time", "", retry_after, 1)


def test_ten_tries_over_about_75_hours_and_then_it_is_dead():
    verdicts = [verdict(reply(500), tries, 0.0) for tries in range(1, 11)]
    assert [v.state for v in verdicts] == ["pending"] * 9 + ["dead"]
    assert [v.due_in for v in verdicts[:9]] == [float(d) for d in DELAYS]
    assert 75 * HOUR <= sum(DELAYS) <= 76 * HOUR


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_taken(status: int):
    assert verdict(reply(status), 10, 0.5).state == "delivered"


@pytest.mark.parametrize("status", [None, 100, 300, 301, 308, 400, 401, 404, 409, 500, 599])
def test_everything_else_is_tried_again(status: int | None):
    assert verdict(reply(status), 1, 0.5).state == "pending"


def test_gone_is_dead_at_once():
    assert verdict(reply(410), 1, 0.5) == type(verdict(reply(410), 1, 0.5))("dead", gone=True)


def test_chance_only_ever_adds_so_that_no_try_comes_early():
    assert DELAYS[1] <= verdict(reply(500), 2, 0.0).due_in < verdict(reply(500), 2, 1.0).due_in <= DELAYS[1] * 1.1


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_may_ask_for_time_within_bounds(status: int):
    assert verdict(reply(status, 1000), 1, 0.0).due_in == 1000
    assert verdict(reply(status, 1), 3, 0.0).due_in == DELAYS[2]
    assert verdict(reply(status, 1e9), 1, 0.0).due_in == RETRY_AFTER_MAX
    assert verdict(reply(500, 1000), 1, 0.0).due_in == DELAYS[0]


def test_retry_after_is_a_number_or_a_date_or_nothing():
    assert seconds_of("120") == 120
    assert 100 < (seconds_of(format_datetime(datetime.now(UTC) + timedelta(seconds=120))) or 0) <= 120
    assert seconds_of(format_datetime(datetime.now(UTC) - timedelta(days=1))) == 0
    assert [seconds_of(text) for text in (None, "", "soon", "-1")] == [None] * 4


def test_a_signature_is_the_hmac_that_the_specification_says():
    """By hand, because the library that verifies in the other tests also signs."""
    secret, at, body = new_secret(), datetime.fromtimestamp(1_700_000_000, UTC), b'{"type":"caf\xc3\xa9"}'
    headers = headers_of("evt_1", at, body, [secret])
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, b"evt_1.1700000000." + body, hashlib.sha256).digest()).decode()
    assert headers == {
        "webhook-id": "evt_1", "webhook-timestamp": "1700000000", "webhook-signature": f"v1,{expected}",
    }  # fmt: skip
    assert len(key) == 32
