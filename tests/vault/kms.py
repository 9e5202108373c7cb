"""Google Cloud KMS as its REST reference describes it: `:encrypt` and `:decrypt` of one CryptoKey, over plain HTTP.

https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/encrypt and /decrypt: bytes
are base64, int64 are decimal strings, a wrong ciphertext or context is INVALID_ARGUMENT.
"""

import base64
import binascii
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import google_crc32c
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NAME = "projects/shop/locations/europe-west1/keyRings/vault/cryptoKeys/cards"


class Refused(Exception):
    """An error of KMS: HTTP status, the status's name."""


class Kms:
    """`spoil` changes an answer on its way; `asked` counts requests by verb."""

    def __init__(self) -> None:
        self.versions = {1: secrets.token_bytes(32)}
        self.asked: list[str] = []
        self.spoil: Any = lambda answer: answer
        self.down = self.disabled = False
        self.url = ""

    def rotate(self) -> None:
        self.versions[max(self.versions) + 1] = secrets.token_bytes(32)

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        name, _, verb = path.removeprefix("/v1/").partition("?")[0].partition(":")
        self.asked.append(verb)
        if self.down:
            raise Refused(503, "UNAVAILABLE")
        if self.disabled:
            raise Refused(400, "FAILED_PRECONDITION")
        if name != NAME:
            raise Refused(404, "NOT_FOUND")
        context = taken(body, "additionalAuthenticatedData", required=False)
        if verb == "encrypt":
            clear, version = taken(body, "plaintext"), max(self.versions)
            nonce = secrets.token_bytes(12)
            sealed = version.to_bytes(4) + nonce + AESGCM(self.versions[version]).encrypt(nonce, clear, context)
            return self.spoil({
                "name": f"{NAME}/cryptoKeyVersions/{version}", "protectionLevel": "HSM",
                "verifiedPlaintextCrc32c": "plaintextCrc32c" in body,
                "verifiedAdditionalAuthenticatedDataCrc32c": "additionalAuthenticatedDataCrc32c" in body,
                **given("ciphertext", sealed),
            })  # fmt: skip
        sealed = taken(body, "ciphertext")
        try:
            clear = AESGCM(self.versions[int.from_bytes(sealed[:4])]).decrypt(sealed[4:16], sealed[16:], context)
        except (InvalidTag, KeyError, ValueError):
            raise Refused(400, "INVALID_ARGUMENT") from None
        return self.spoil({"usedPrimary": True, "protectionLevel": "HSM", **given("plaintext", clear)})


def taken(body: dict[str, Any], field: str, *, required: bool = True) -> bytes:
    if required and field not in body:
        raise Refused(400, "INVALID_ARGUMENT")
    try:
        value = base64.b64decode(body.get(field, ""), validate=True)
    except binascii.Error:
        raise Refused(400, "INVALID_ARGUMENT") from None
    checksum = body.get(f"{field}Crc32c")
    if checksum is not None and int(checksum) != google_crc32c.value(value):
        raise Refused(400, "INVALID_ARGUMENT")
    return value


def given(field: str, value: bytes) -> dict[str, str]:
    return {field: base64.b64encode(value).decode(), f"{field}Crc32c": str(google_crc32c.value(value))}


@contextmanager
def serving() -> Iterator[Kms]:
    kms = Kms()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                status, answer = 200, kms.answer(self.path, body)
            except Refused as refused:
                status, name = refused.args
                answer = {"error": {"code": status, "status": name, "message": name}}
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kms.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield kms
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
