"""Keys as Google Tink makes them: AES-256-GCM for cards, HMAC-SHA-256 for fingerprints and for the key registry."""

from enum import StrEnum
from typing import Any

import tink
from tink import aead, mac, proto_keyset_format, secret_key_access
from tink.proto import aes_gcm_pb2, tink_pb2

from scrooge.errors import CannotOpen

aead.register()
mac.register()

TINK = b"\x01"  # Every ciphertext and tag begins with it and the key's id, four bytes.
PREFIX_LENGTH = 5
AES_GCM = "type.googleapis.com/google.crypto.tink.AesGcmKey"


class Purpose(StrEnum):
    """What a key is for. A key of one purpose is of no use for another: its wrapping says so."""

    CARD = "card"
    FINGERPRINT = "fingerprint"
    REGISTRY = "registry"  # authenticates the rows that tell of the keys


TEMPLATES = {
    Purpose.CARD: aead.aead_key_templates.AES256_GCM,
    Purpose.FINGERPRINT: mac.mac_key_templates.HMAC_SHA256_256BITTAG,
    Purpose.REGISTRY: mac.mac_key_templates.HMAC_SHA256_256BITTAG,
}


def made(purpose: Purpose) -> tuple[int, bytes]:
    """A new key from Tink's generator: its id, and the clear keyset of this one key."""
    handle = tink.new_keyset_handle(TEMPLATES[purpose])
    return handle.keyset_info().primary_key_id, proto_keyset_format.serialize(handle, secret_key_access.TOKEN)


def handle_of(clear: bytes) -> tink.KeysetHandle:
    return proto_keyset_format.parse(clear, secret_key_access.TOKEN)


def aead_of(clear: bytes) -> aead.Aead:
    return handle_of(clear).primitive(aead.Aead)


def mac_of(clear: bytes) -> mac.Mac:
    return handle_of(clear).primitive(mac.Mac)


def aead_of_secret(secret: bytes) -> aead.Aead:
    """AES-256-GCM under 32 bytes that people keep; such ciphertexts carry no key id."""
    assert len(secret) == 32
    form: Any = tink_pb2  # Its names are made when it is imported.
    material: Any = aes_gcm_pb2
    keyset = form.Keyset(primary_key_id=1)
    key = keyset.key.add(key_id=1, status=form.ENABLED, output_prefix_type=form.RAW)
    key.key_data.type_url = AES_GCM
    key.key_data.value = material.AesGcmKey(version=0, key_value=secret).SerializeToString()
    key.key_data.key_material_type = form.KeyData.SYMMETRIC
    return aead_of(keyset.SerializeToString())


def key_id_of(sealed: bytes) -> int:
    """The key that a ciphertext or a tag names. Raises CannotOpen for what Tink did not make."""
    if len(sealed) <= PREFIX_LENGTH or sealed[:1] != TINK:
        raise CannotOpen("this was not sealed by a key of the vault")
    return int.from_bytes(sealed[1:PREFIX_LENGTH])
