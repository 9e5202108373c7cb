"""A real sandbox server on a free port, a receiver for its notifications, and the PSPs' clients."""

import http.server
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import Adyen
import msgspec
import pytest
import stripe
import uvicorn

from scrooge.sandbox.config import SandboxConfig
from scrooge.sandbox.server import create_app

QUICK = SandboxConfig(latency_ms=0, notify_delay_ms=5, later_ms=60, search_lag_ms=0)


class Server:
    """A sandbox in a thread, with what tests ask of it."""

    def __init__(self, config: SandboxConfig) -> None:
        settings = uvicorn.Config(create_app(config), port=0, loop="uvloop", http="httptools", log_level="warning")
        self.uvicorn = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self.uvicorn.run, daemon=True)
        self._thread.start()
        wait_for(lambda: self.uvicorn.started)
        self.port = self.uvicorn.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.uvicorn.should_exit = True
        self._thread.join(10)

    def call(self, method: str, path: str, document: Any = None, **headers: str) -> Any:
        """(status, body) of a call to one of the sandbox's own routes or a dialect."""
        body = None if document is None else json.dumps(document).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def truth(self, after: int = 0, **wanted: Any) -> list[dict[str, Any]]:
        """Lines of ground truth with these fields."""
        _, body = self.call("GET", f"/truth?after={after}")
        lines = [json.loads(line) for line in body.splitlines()]
        return [line for line in lines if all(line[k] == v for k, v in wanted.items())]

    def fault(self, connector: str, kind: str, rate: float = 1.0, **more: Any) -> None:
        fault = {"connector": connector, "kind": kind, "rate": rate, "seed": 7, **more}
        status, body = self.call("POST", "/faults", fault)
        assert status == 200, body


class Receiver:
    """Takes notifications; `refuse_first` of them are answered 500."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.refuse_first = 0
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.taken.append((dict(self.headers.items()), body))
                self.send_response(500 if len(receiver.taken) <= receiver.refuse_first else 202)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/notify"
        # It looks so often whether it is to stop: by default every half second.
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.taken]

    def wait(self, count: int) -> list[dict[str, Any]]:
        wait_for(lambda: len(self.taken) >= count)
        return self.documents()


def wait_for(true: Callable[[], Any], seconds: float = 60.0) -> None:
    """Until it is so; fails the test if it never is."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


@pytest.fixture(scope="session")
def shared() -> Iterator[Server]:
    server = Server(QUICK)
    yield server
    server.stop()


@pytest.fixture
def sandbox(shared: Server) -> Iterator[Server]:
    """The shared server, with all faults off before and after."""
    shared.call("DELETE", "/faults")
    yield shared
    shared.call("DELETE", "/faults")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """An API key of this test's own, so that its account is its own too."""
    return f"sk_test_{abs(hash(request.node.nodeid)):x}"


@pytest.fixture
def stripe_client(sandbox: Server, key: str) -> stripe.StripeClient:
    return stripe_at(sandbox, key)


def stripe_at(server: Server, key: str) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": f"{server.url}/stripe"}, max_network_retries=0)


@pytest.fixture
def adyen_client(sandbox: Server) -> Adyen.Adyen:
    return adyen_at(sandbox)


def adyen_at(server: Server) -> Adyen.Adyen:
    adyen = Adyen.Adyen(xapikey="a-key", platform="test")
    checkout = f"{server.url}/adyen/v72"
    adyen.checkout.payments_api.baseUrl = checkout
    adyen.checkout.modifications_api.baseUrl = checkout
    management = f"{server.url}/adyen/management/v3"
    adyen.management.webhooks_merchant_level_api.baseUrl = management
    return adyen


@pytest.fixture
def merchant(request: pytest.FixtureRequest) -> str:
    return f"Merchant{abs(hash(request.node.nodeid)):x}"


def adyen_payment(merchant: str, reference: str, token: str = "stored_visa", **more: Any) -> Any:
    """A payment request for a stored card; captured by hand unless told otherwise."""
    return {
        "amount": {"value": 1299, "currency": "EUR"},
        "merchantAccount": merchant,
        "reference": reference,
        "paymentMethod": {"type": "scheme", "storedPaymentMethodId": token},
        "returnUrl": "https://shop.example/return?order=1",
        "additionalData": {"manualCapture": "true"},
    } | more


def listening(adyen: Adyen.Adyen, merchant: str, url: str, **more: str) -> str:
    """Register a webhook and make its HMAC key."""
    api = adyen.management.webhooks_merchant_level_api
    webhook = api.set_up_webhook(
        {"type": "standard", "url": url, "active": True, "communicationFormat": "json"} | more,
        merchant,
    ).message
    return api.generate_hmac_key(merchant, webhook["id"]).message["hmacKey"]


def decode(body: bytes) -> Any:
    return msgspec.json.decode(body)
