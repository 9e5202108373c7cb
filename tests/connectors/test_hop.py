"""By way of the vault: what each end of the hop says about the payment, the first time and on a replay.

Real HTTP to a server that plays the vault, with real keys on both sides.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec import Struct, structs
from structlog.testing import capture_logs

from scrooge.admission import Admission
from scrooge.connectors.adyen import ADYEN
from scrooge.connectors.breaker import State
from scrooge.connectors.client import client
from scrooge.connectors.connector import Request, Wire, render
from scrooge.connectors.hop import FILLS, MARGIN_SECONDS, question
from scrooge.connectors.limits import Lane, Limits
from scrooge.connectors.send import Answer, Health, send
from scrooge.connectors.stripe import STRIPE
from scrooge.connectors.vault_client import Vault
from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import Approved, Declined, Rejected, Unknown
from scrooge.metrics import VAULT_FILLS, VAULT_SECONDS
from scrooge.service import SIGNATURE, check_token, identity, new_seed, public_key
from tests.conftest import free_port

from .cases.adyen_words import CREDENTIALS as ADYEN_CREDENTIALS
from .cases.adyen_words import SALE as ADYEN_SALE
from .cases.stripe_words import AUTHORIZE as BY_TOKEN
from .cases.stripe_words import CREDENTIALS, HELD, NO_FUNDS, POOR, error, intent

COMMAND = structs.replace(BY_TOKEN, psp_token=None, vault_card="ins_1")
REQUEST = render(STRIPE, COMMAND)
CORE, VAULT = identity(new_seed(), "TEST"), identity(new_seed(), "TEST")
STRANGER = identity(new_seed(), "TEST")
Signed = Callable[[str, int, bytes], str]


def good(token_id: str, status: int, body: bytes) -> str:
    return VAULT.signature(token_id, status, body)


def answered(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The vault's 200: the PSP's answer is within."""
    body = msgspec.json.encode(document).decode()
    return {"outcome": "answered", "status": status, "headers": headers or {}, "body": body, "seconds": 0.0001}


def refusal(code: str, **more: Any) -> dict[str, Any]:
    return {"type": "about:blank", "code": code, "detail": "Why.", "status": 410, **more}


class Says(Struct, frozen=True):
    """One way in which a hop may end: `first` and `again` are what is concluded from it."""

    claim: str
    first: type
    again: type
    document: Any = None  # or raw bytes
    status: int = 200
    signed: Signed | None = good
    health: Health = Health.UNHEARD
    how: str = ""  # what the wire does
    result: str = "silent"


REFUSED = refusal("card_gone", sent=False)
OK = answered(HELD)
ROWS = (
    Says("the vault refuses and says that nothing was sent", Rejected, Unknown, REFUSED, 410, result="card_gone"),
    Says("the vault cannot write its record", Rejected, Unknown, refusal("audit_unavailable", sent=False), 503,
         result="audit_unavailable"),
    Says("the vault could not connect to the PSP", Rejected, Unknown, {"outcome": "not_sent", "reason": "could not connect"},
         health=Health.FAILED, result="not_sent"),
    Says("sent, and the answer lost", Unknown, Unknown, {"outcome": "lost", "reason": "the connection ended"},
         health=Health.FAILED, result="lost"),
    Says("sent, and no answer in time", Unknown, Unknown, {"outcome": "lost", "reason": "no answer", "late": True},
         health=Health.LATE, result="lost"),
    Says("the PSP approves", Approved, Approved, OK, health=Health.GOOD, result="answered"),
    Says("the PSP declines", Declined, Declined,
         answered(error("card_error", **NO_FUNDS, payment_intent=intent("requires_payment_method")), 402),
         health=Health.GOOD, result="answered"),
    Says("the PSP refuses", Rejected, Unknown, answered(error("invalid_request_error"), 400), health=Health.GOOD,
         result="answered"),
    Says("the PSP's stored refusal", Rejected, Rejected,
         answered(error("invalid_request_error"), 400, {"Idempotent-Replayed": "true"}), health=Health.GOOD,
         result="answered"),
    Says("the vault tells an answer again that ended it", Declined, Declined,
         {**answered(error("card_error", **NO_FUNDS, payment_intent=intent("requires_payment_method")), 402), "stored": True},
         health=Health.GOOD, result="stored"),
    Says("the vault tells a refusal again: of which send, is not known", Rejected, Unknown,
         {**answered(error("invalid_request_error"), 400), "stored": True}, health=Health.GOOD, result="stored"),
    Says("the PSP knows the key for a request with the security code", Unknown, Unknown,
         answered(error("idempotency_error"), 400), health=Health.GOOD, result="answered"),
    Says("the PSP fails", Unknown, Unknown, answered(error("api_error"), 500), health=Health.FAILED, result="answered"),
    Says("the PSP is busy", Rejected, Unknown, answered(error("rate_limit_error"), 429), health=Health.BUSY,
         result="answered"),
    Says("a refusal that does not say whether anything was sent", Unknown, Unknown, refusal("internal"), 410),
    Says("a refusal after something was sent", Unknown, Unknown, refusal("internal", sent=True), 410),
    Says("a refusal of the token: a copy of the request may have been before", Unknown, Unknown,
         refusal("service_token_refused", sent=False), 401),
    Says("a failure of the vault, signed", Unknown, Unknown, refusal("internal"), 500),
    Says("a failure of the vault, as a web page", Unknown, Unknown, b"<html>", 500),
    Says("a refusal by nobody", Unknown, Unknown, REFUSED, 410, signed=None),
    Says("a refusal by something on the way", Unknown, Unknown, REFUSED, 503, signed=None),
    Says("an approval that nobody signed", Unknown, Unknown, OK, signed=None),
    Says("a word of the vault that nobody signed", Unknown, Unknown, {"outcome": "not_sent", "reason": "x"}, signed=None),
    Says("an approval signed by a stranger", Unknown, Unknown, OK, signed=STRANGER.signature),
    Says("a refusal signed by us ourselves", Unknown, Unknown, REFUSED, 410, signed=CORE.signature),
    Says("the answer to another request", Unknown, Unknown, OK, signed=lambda _, s, b: good("another-token-id", s, b)),
    Says("a refusal of another request", Unknown, Unknown, REFUSED, 410, signed=lambda _, s, b: good("another", s, b)),
    Says("an answer with another status", Unknown, Unknown, REFUSED, 410, signed=lambda t, _, b: good(t, 503, b)),
    Says("an answer that was changed on its way", Unknown, Unknown, OK, signed=lambda t, s, b: good(t, s, b + b" ")),
    Says("a signature that is none", Unknown, Unknown, OK, signed=lambda *_: "%%%"),
    Says("a signed web page", Unknown, Unknown, b"<html>"),
    Says("a signed nothing", Unknown, Unknown, b""),
    Says("a word that the vault does not have", Unknown, Unknown, {"outcome": "refunded"}),
    Says("an answer without the PSP's", Unknown, Unknown, {"outcome": "answered", "status": 200}),
    Says("a redirection", Unknown, Unknown, REFUSED, 307, signed=None),
    Says("a signed redirection", Unknown, Unknown, REFUSED, 307),
    Says("a connection that ends before an answer", Unknown, Unknown, how="hang up"),
    Says("a connection that ends within an answer", Unknown, Unknown, OK, how="break off"),
    Says("silence", Unknown, Unknown, OK, how="silence"),
)  # fmt: skip


class PlayedFills:
    """Answers /v1/fills with a row of the table, and remembers what it was asked."""

    def __init__(self) -> None:
        self.row = ROWS[0]
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    @property
    def vault(self) -> Vault:
        return Vault(self.url, CORE, public_key(VAULT.public, "TEST"))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        token = request.headers["Authorization"].removeprefix("Bearer ")
        claims = check_token(token, [public_key(CORE.public, "TEST")], f"POST {FILLS}", body)
        self.asked.append(msgspec.json.decode(body))
        row = self.row
        raw = row.document if isinstance(row.document, bytes) else msgspec.json.encode(row.document)
        headers = {} if row.signed is None else {SIGNATURE: row.signed(claims.id, row.status, raw)}
        if row.how == "silence":
            await asyncio.sleep(60)
        if row.how == "break off":
            response = web.StreamResponse(status=row.status, headers={**headers, "Content-Length": str(len(raw))})
            await response.prepare(request)
            await response.write(raw[: len(raw) // 2])
        if row.how and request.transport is not None:
            request.transport.abort()
        return web.Response(status=row.status, body=raw, headers={**headers, "Location": "/elsewhere"})


@pytest.fixture(scope="module")
async def wires() -> AsyncIterator[tuple[PlayedFills, aiohttp.ClientSession]]:
    played, app = PlayedFills(), web.Application()
    app.router.add_post(FILLS, played.handle)
    async with TestServer(app) as listening, client() as http:
        played.url = str(listening.make_url("")).rstrip("/")
        yield played, http


WIRE = Wire(STRIPE, "http://127.0.0.1:8090/stripe", CREDENTIALS, merchant="mer_1")


async def asked(
    http: aiohttp.ClientSession, vault: Vault | None, *, first: bool, request: Request = REQUEST, timeout: float = 5.0
) -> Answer:
    endpoint = STRIPE.endpoints[Operation.AUTHORIZE]
    return await send(http, WIRE, endpoint, COMMAND, request, first=first, timeout=timeout, vault=vault)


def counted(result: str) -> float:
    return VAULT_FILLS.labels(result)._value.get()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.claim)
@pytest.mark.parametrize("first", [True, False], ids=["first", "replay"])
async def test_every_end_of_the_hop_means_what_the_table_says(
    wires: tuple[PlayedFills, aiohttp.ClientSession], row: Says, first: bool
) -> None:
    played, http = wires
    played.row, played.asked = row, []
    before = counted(row.result)
    with capture_logs() as logs:
        answer = await asked(http, played.vault, first=first, timeout=0.3 if row.how == "silence" else 5.0)
    assert type(answer.outcome) is (row.first if first else row.again)
    assert answer.health is row.health
    assert len(played.asked) == 1, "it is asked once, and nobody is asked instead"
    assert counted(row.result) == before + 1
    assert CREDENTIALS["api_key"] not in repr((logs, answer))


@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_refusal_for_good_says_that_the_request_cannot_be_repeated(
    wires: tuple[PlayedFills, aiohttp.ClientSession], repeatable: bool
) -> None:
    played, http = wires
    refused = refusal("security_code_gone", sent=False, **({} if repeatable else {"repeatable": False}))
    played.row = Says("", Rejected, Unknown, refused, 410)
    outcome = (await asked(http, played.vault, first=False)).outcome
    assert isinstance(outcome, Unknown)
    assert outcome.unrepeatable is not repeatable
    assert isinstance((await asked(http, played.vault, first=True)).outcome, Rejected), "nothing was ever sent"


@pytest.mark.parametrize(("first", "expected"), [(True, Rejected), (False, Unknown)], ids=["first", "replay"])
async def test_a_vault_that_is_not_reached_has_sent_nothing(
    wires: tuple[PlayedFills, aiohttp.ClientSession], first: bool, expected: type
) -> None:
    played, http = wires
    nobody = structs.replace(played.vault, url=f"http://127.0.0.1:{free_port()}")
    for vault in (nobody, None):
        answer = await asked(http, vault, first=first)
        assert type(answer.outcome) is expected
        assert answer.health is Health.UNHEARD


async def test_what_the_psp_said_is_read_as_if_it_had_been_said_to_us(
    wires: tuple[PlayedFills, aiohttp.ClientSession],
) -> None:
    played, http = wires
    declined = answered(error("card_error", **NO_FUNDS, payment_intent=intent("requires_payment_method")), 402)
    played.row = Says("", Declined, Declined, declined)
    summed = VAULT_SECONDS._sum.get()
    answer = await asked(http, played.vault, first=True)
    assert answer.outcome == POOR
    assert (answer.status, answer.seconds) == (402, 0.0001), "the time of the PSP, not that of the vault"
    assert VAULT_SECONDS._sum.get() > summed


async def test_the_vault_is_asked_with_the_bytes_that_were_recorded(
    wires: tuple[PlayedFills, aiohttp.ClientSession],
) -> None:
    played, http = wires
    played.row, played.asked = ROWS[0], []
    await asked(http, played.vault, first=True)
    await asked(http, played.vault, first=False)
    one, two = played.asked
    assert two == {**one, "again": True}, "and so the vault knows that it was sent before"
    assert one["timeout"] == 5.0 - MARGIN_SECONDS
    assert {k: v for k, v in one.items() if k not in {"body", "headers", "timeout"}} == {
        "attempt": "pay_1-1", "merchant": "mer_1", "instrument": "ins_1", "connector": "stripe",
        "template": "authorize", "live": False, "names": {}, "base_url": "http://127.0.0.1:8090/stripe",
        "method": "POST", "path": "/v1/payment_intents", "content_type": "application/x-www-form-urlencoded",
    }  # fmt: skip
    assert one["body"].encode() == REQUEST.body
    assert one["headers"]["Idempotency-Key"] == "pay_1-1"


def test_in_live_mode_the_vault_is_told_names_and_no_address() -> None:
    live = {**ADYEN_CREDENTIALS, "live_prefix": "1797a841fbb37ca7-Example"}
    wire = Wire(ADYEN, "https://whatever.example", live, merchant="mer_1", live=True)
    request = render(ADYEN, structs.replace(ADYEN_SALE, psp_token=None, vault_card="ins_1"))
    document = msgspec.json.decode(question(wire, request, "pay_1-1", 10.0))
    assert document["names"] == {"live_prefix": "1797a841fbb37ca7-Example"}
    assert "base_url" not in document
    assert "whatever" not in repr(document)
    assert live["hmac_key"] not in repr(document), "the vault sends requests; it verifies no notifications"


async def test_trouble_of_the_vault_teaches_nothing_about_the_psp() -> None:
    now = time.monotonic()
    for health, state in ((Health.UNHEARD, State.CLOSED), (Health.FAILED, State.OPEN)):
        limits = Limits(64, Admission(64))
        for _ in range(30):

            async def sending(health: Health = health) -> Answer:
                return Answer(Unknown("x"), 9.0, None, health)

            if limits.of("con_1").breaker.refuses(now) is None:
                await (await limits.take("con_1", Lane.NEW)).ask(sending(), patient=True)
        assert limits.of("con_1").breaker.state is state
        assert limits.of("con_1").gate.count == 0
        assert (limits.of("con_1").pace.all == 0.0) is (health is Health.UNHEARD)
