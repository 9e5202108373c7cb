"""How the API behaves as a service: health, metrics, logs, slow and huge bodies, a database that is gone."""

import json
import shutil
import tempfile
import uuid
from html import escape
from pathlib import Path
from typing import get_args

import asyncpg
import pytest
import structlog
from structlog.testing import capture_logs

from scrooge import errors, logs, reading
from scrooge.api import shell
from scrooge.api.bodies import Status
from scrooge.api.outside import SAID
from scrooge.api.responses import every_problem
from scrooge.postgres.embedded import start
from scrooge.storage.migrate import migrate
from tests.api.asgi import Api, asked, opened
from tests.world import World

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "errors.md"
CARD = "4242424242424242"


def test_the_document_lists_every_problem_with_its_status_and_meaning():
    text = DOCUMENT.read_text()
    for problem in set(every_problem(errors.Problem)) - {errors.MalformedId}:
        meaning = " ".join((problem.__doc__ or "").split())
        row = f"| {problem.status} | `{problem.code}` | {meaning} |"
        assert row in text, row


def test_no_two_problems_share_a_code():
    codes = [p.code for p in every_problem(errors.Problem) if p is not errors.MalformedId]
    assert len(set(codes)) == len(codes)


@pytest.fixture
async def api(database_url: str):
    async with opened(database_url) as api:
        yield api


async def test_alive_and_ready(world: World):
    assert await world.get("/healthz") == (200, {"status": "ok", "checks": []})
    status, ready = await world.get("/readyz")
    assert (status, ready["status"]) == (200, "ok")
    assert [c["name"] for c in ready["checks"]] == ["database", "migrations"]


async def test_every_answer_has_a_request_id_of_its_own(world: World):
    ids = set()
    for path in ("/healthz", "/v1/payments", "/nowhere", "/openapi.json"):
        async with world.http.get(world.api_url + path) as answer:
            ids.add(answer.headers["Scrooge-Request-Id"])
    assert len(ids) == 4
    assert all(i.startswith("req_") for i in ids)


async def test_metrics_count_by_route_and_never_by_path(world: World):
    _, p = await world.pay("stripe")
    await world.get(f"/v1/payments/{p['id']}")
    await world.get("/a/path/nobody/serves")
    async with world.http.get(f"{world.api_url}/metrics") as answer:
        text = await answer.text()
    assert 'scrooge_requests_total{method="GET",route="/v1/payments/{payment}",status="200"}' in text
    assert 'route="unmatched",status="404"' in text
    assert p["id"] not in text
    assert "nobody" not in text


async def test_a_wrong_method_says_which_are_right(world: World):
    async with world.http.put(f"{world.api_url}/v1/payments", headers=world.headers()) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, POST")


async def test_a_missing_key_says_how_to_authenticate(world: World):
    async with world.http.get(f"{world.api_url}/v1/payments") as answer:
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_the_log_line_names_route_status_and_payment_but_no_key_and_no_path(
    world: World, api: Api, monkeypatch: pytest.MonkeyPatch
):
    structlog.reset_defaults()
    monkeypatch.setattr(shell, "log", structlog.get_logger())  # The one in use is kept as it was first configured.
    with capture_logs() as logged:
        got = await asked(api, "GET", "/v1/payments/pay_01M7YQMS4TFENT8V0TVAS7ZQ7J")
    assert got.status == 404
    [line] = [entry for entry in logged if entry["event"] == "request"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/payments/{payment}", 404)
    assert line["milliseconds"] > 0
    assert api.key not in str(logged)


@pytest.mark.parametrize("path", [f"/v1/payments/{CARD}", f"/{CARD}", f"/v1/payments?reference={CARD}"])
async def test_a_card_number_is_neither_logged_nor_shown(api: Api, path: str):
    with capture_logs() as logged:
        got = await asked(api, "GET", path)
    assert (got.status, got.document["code"]) == (422, "pan_refused")
    assert CARD not in str(logged) + got.content.decode() + str(got.headers)


async def test_a_body_that_grows_too_large_is_refused_while_it_comes(api: Api):
    parts = [b'{"reference": "', *[b"x" * 100_000] * 3]
    got = await asked(api, "POST", "/v1/payments", parts, ends=False)
    assert (got.status, got.document["code"]) == (413, "body_too_large")
    got = await asked(api, "POST", "/v1/payments", [b""], content_length="300000", ends=False)
    assert (got.status, got.document["code"]) == (413, "body_too_large")


async def test_a_body_that_does_not_come_is_given_up(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "BODY_SECONDS", 0.05)
    got = await asked(api, "POST", "/v1/payments", [b'{"reference'], ends=False)
    assert (got.status, got.document["code"]) == (408, "request_timeout")
    assert got.headers["connection"] == "close"


async def test_a_bug_is_a_bare_500_and_its_log_names_the_place_but_no_value(fresh_database_url: str):
    async with opened(fresh_database_url) as api:
        owner = await asyncpg.connect(fresh_database_url)
        await owner.execute("ALTER TABLE events RENAME COLUMN type TO kind")
        with capture_logs() as logged:
            got = await asked(api, "GET", "/v1/events?types=void_reversed")
        await owner.close()
    assert (got.status, got.document["code"]) == (500, "internal_error")
    assert "type" not in got.document["detail"]
    [bug] = [entry for entry in logged if entry["event"] == "internal_error"]
    assert bug["request_id"] == got.document["request_id"] == got.headers["scrooge-request-id"]
    assert bug["error"] == "UndefinedColumnError"
    assert any("storage/listing.py" in frame for frame in bug["frames"])
    assert "seldom_seen" not in json.dumps(logged)


async def test_a_schema_that_is_behind_is_not_ready_and_says_what_to_run(fresh_database_url: str):
    async with opened(fresh_database_url) as api:
        owner = await asyncpg.connect(fresh_database_url)
        await owner.execute(
            "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)"
        )
        await owner.close()
        got = await asked(api, "GET", "/readyz")
    assert got.status == 503
    [database, migrations] = got.document["checks"]
    assert database["ok"]
    assert not migrations["ok"]
    assert "scrooge migrate" in migrations["detail"]


async def test_without_a_database_the_answer_is_503_and_it_recovers_by_itself():
    folder = Path(tempfile.mkdtemp(prefix="scrooge-api-"))
    server = start(folder)
    try:
        await migrate(server.url)
        async with opened(server.url) as api:
            assert (await asked(api, "GET", "/v1/payments")).status == 200
            server.stop()
            got = await asked(api, "GET", "/v1/payments")
            assert (got.status, got.document["code"]) == (503, "database_unavailable")
            assert got.headers["retry-after"] == "1"
            ready = await asked(api, "GET", "/readyz")
            assert (ready.status, ready.document["checks"][0]["ok"]) == (503, False)
            assert (await asked(api, "GET", "/healthz")).status == 200
            server = start(folder)
            assert (await asked(api, "GET", "/v1/payments")).status == 200
    finally:
        if server.alive():
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    ("answer", "title"), [("success", "<h1>Payment approved</h1>"), ("fail", "<h1>Payment declined</h1>")]
)
async def test_a_payer_who_is_sent_nowhere_is_told_what_became_of_the_payment(world: World, answer: str, title: str):
    reference = f"<b>&{uuid.uuid4().hex}"
    _, p = await world.pay("stripe", token="pm_card_threeDSecure2Required", reference=reference)
    async with world.http.post(p["next_action"]["url"], data={"result": answer}) as page:
        shown = await page.text()
    assert (page.status, page.content_type) == (200, "text/html")
    assert title in shown
    assert escape(reference) in shown
    assert "<b>" not in shown
    assert page.headers["Cache-Control"] == "no-store"


def test_there_are_words_for_every_status_a_payer_can_come_back_to():
    assert set(SAID) == set(get_args(Status))


def test_a_logged_error_says_where_and_never_what_it_says():
    try:
        raise ValueError("DETAIL: Failing row contains (pm_card_visa)")
    except ValueError:
        line = logs.in_json(logs.without_words(None, "error", {"event": "job_failed", "exc_info": True}))
    assert b"test_service.py" in line
    assert b"pm_card_visa" not in line
