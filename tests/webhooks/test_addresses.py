"""Where webhooks can go: to the address that was checked, and to no other, whatever names and receivers say."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scrooge.api.app import create_api
from scrooge.app import open_scrooge
from scrooge.connectors.client import client, socket_for
from scrooge.settings import Settings
from scrooge.storage.access import create_caller, create_key, create_merchant
from scrooge.urls import is_public, may_call
from scrooge.webhooks.sender import KEPT_MAX, Sender
from tests.api.asgi import Api, asked
from tests.receiver import Receiver, receiving

PUBLIC = "93.184.216.34"


def names(*answers: list[str]) -> tuple[Callable[..., list[Any]], list[str]]:
    """A name server of the test's: one list of addresses per question, the last one for ever; and what was asked."""
    asked: list[str] = []

    def lookup(host: str, port: int, family: int, kind: int) -> list[Any]:
        asked.append(host)
        addresses = answers[min(len(asked), len(answers)) - 1]
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses
        ]

    return lookup, asked


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1", "172.31.255.255",
     "192.0.0.8", "192.168.1.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
     "::", "::1", "::ffff:10.0.0.1", "::ffff:93.184.216.34", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1",
     "2001::1", "2001:db8::1", "2002:7f00:1::", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1"],
)  # fmt: skip
def test_what_is_not_somebody_elses_server_is_not_public(address: str):
    assert not is_public(ip_address(address))
    assert not may_call(address, loopback=False)


@pytest.mark.parametrize("address", [PUBLIC, "172.32.0.1", "100.128.0.1", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_servers_on_the_internet_may_be_called(address: str):
    assert may_call(address, loopback=False)


def test_loopback_is_for_this_machine_alone():
    assert may_call("127.0.0.1", loopback=True)
    assert not any(may_call(a, loopback=True) for a in ("127.0.0.2", "10.0.0.1", "::ffff:127.0.0.1", "x", ""))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1",
                                  "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])  # fmt: skip
async def test_however_this_machine_is_written_it_is_not_called(receiver: Receiver, host: str):
    sender = Sender()
    port = receiver.url.rsplit(":", 1)[1]
    reply = await sender.post(f"http://{host}:{port}", {}, b"{}", seconds=5, loopback=False)
    await sender.close()
    assert reply.status is None
    assert reply.error
    assert receiver.got == []


async def test_a_name_that_leads_elsewhere_at_the_next_delivery_is_refused_then(receiver: Receiver):
    """DNS rebinding: the name was good when it was checked first."""
    lookup, asked = names(["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1", "10.0.0.1"])
    sender = Sender(lookup=lookup)
    url = receiver.url.replace("127.0.0.1", "shop.example")
    replies = [await sender.post(url, {}, b"{}", seconds=5, loopback=True) for _ in range(3)]
    await sender.close()
    assert [r.status for r in replies] == [204, None, None]
    assert [r.error for r in replies[1:]] == ["address refused: not public"] * 2
    assert len(receiver.got) == 1
    assert asked == ["shop.example"] * 3, "one look-up a delivery: what was checked is what is connected to"


async def test_a_name_with_one_private_address_among_public_ones_is_refused_whole():
    lookup, _ = names([PUBLIC, "192.168.0.9"])
    sender = Sender(lookup=lookup)
    reply = await sender.post("https://shop.example/", {}, b"{}", seconds=5, loopback=False)
    await sender.close()
    assert reply.error == "address refused: not public"


async def test_the_name_stays_in_the_host_header_and_no_proxy_is_asked(receiver: Receiver, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    lookup, _ = names(["127.0.0.1"])
    sender = Sender(lookup=lookup)
    url = receiver.url.replace("127.0.0.1", "shop.example")
    reply = await sender.post(url, {}, b"{}", seconds=5, loopback=True)
    await sender.close()
    assert reply.taken
    assert receiver.got[0][0]["host"].startswith("shop.example:")


async def test_a_certificate_must_be_the_names_and_the_name_is_said_in_the_handshake(tmp_path: Path):
    said: list[str | None] = []
    context = self_signed(tmp_path)
    context.sni_callback = lambda _, name, __: said.append(name)
    runner = web.AppRunner(web.Application(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    lookup, _ = names(["127.0.0.1"])
    sender = Sender(lookup=lookup)
    reply = await sender.post(f"https://shop.example:{port}/", {}, b"{}", seconds=5, loopback=True)
    await sender.close()
    await runner.cleanup()
    assert said == ["shop.example"]
    assert (reply.error, reply.cause) == ("TLS failed", "ClientConnectorCertificateError")


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, path = serialization.Encoding.PEM, folder / "both.pem"
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(pem) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def test_an_endless_reply_costs_a_few_bytes_and_what_looks_like_a_card_is_not_kept(receiver: Receiver):
    receiver.answer = lambda n: web.Response(text="5555-5555-5555-4444 " + "x" * 5_000_000)
    sender = Sender()
    reply = await sender.post(receiver.url, {}, b"{}", seconds=5, loopback=True)
    await sender.close()
    assert reply.taken
    assert len(reply.text) == KEPT_MAX
    assert reply.text.startswith("[digits] xxx")


async def test_why_there_was_no_answer_is_said_in_words(receiver: Receiver):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}/"

        def nothing(*args: Any, **more: Any) -> Any:
            raise socket.gaierror("no such name")

        sender = Sender(lookup=nothing)
        urls = [nobody, "http://nowhere.example/", receiver.url.replace("http:", "https:")]
        replies = [await sender.post(url, {}, b"{}", seconds=20, loopback=True) for url in urls]
        await sender.close()
    assert [r.error for r in replies] == ["could not connect", "the host's name was not found", "TLS failed"]
    assert [r.cause for r in replies] == [
        "ClientConnectorError", "ClientConnectorDNSError", "ClientConnectorSSLError",
    ]  # fmt: skip


async def test_a_receiver_that_does_not_answer_is_given_up_in_time(receiver: Receiver):
    receiver.delay = 60
    sender = Sender()
    reply = await sender.post(receiver.url, {}, b"{}", seconds=0.3, loopback=True)
    await sender.close()
    assert (reply.status, reply.error) == (None, "no answer in time")


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/webhook-endpoints", '{"url": "https://shop.example/"}', "url"),
        (
            "/v1/connector-accounts",
            '{"name": "s", "connector": "stripe", "merchant_account": "acct_1", "mode": "test",'
            ' "credentials": {"api_key": "sk_test_x"}, "base_url": "https://shop.example/"}',
            "base_url",
        ),
    ],
)
async def test_a_name_that_leads_into_our_network_is_refused_when_it_is_configured(
    database_url: str, path: str, body: str, param: str, tmp_path: Path
):
    lookup, _ = names(["10.0.0.7"])
    async with open_scrooge(Settings(database_url=database_url, database_pool=4, data_dir=tmp_path)) as s:
        await s.sender.close()
        s.sender = Sender(lookup=lookup)
        caller = await create_caller(s.db, await create_merchant(s.db, "asgi"), "checkout")
        _, key = await create_key(s.db, caller, ["*"], False)
        got = await asked(Api(create_api(s), key, s), "POST", path, [body.encode()])
    assert (got.status, got.document["code"], got.document["param"]) == (422, "bad_url", param)


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fd00:ec2::254"])
async def test_not_even_a_psp_is_where_clouds_hand_out_credentials(address: str):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(PermissionError):
        socket_for((family, socket.SOCK_STREAM, 6, "", (address, 443)))
    http = client()
    assert http.connector._socket_factory is socket_for
    await http.close()
