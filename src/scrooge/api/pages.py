"""Lists: opaque cursors, the `Link` header, the fields every list has.

A cursor is a position, sealed with a digest over the list, the merchant and the filters it belongs to. The
digest is no secret: a forged cursor opens nothing that the API key does not open. It is there so that a
cursor that was cut, or moved to another list, is refused instead of quietly giving wrong pages.
"""

import base64
import binascii
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

import msgspec

from scrooge.api.call import Call
from scrooge.errors import InvalidField

PLACES = frozenset({"cursor", "after", "limit", "expand"})
SEAL = 9  # bytes


def cursor_of(call: Call, position: list[Any]) -> str:
    text = msgspec.json.encode(position)
    return base64.urlsafe_b64encode(seal(call, text) + text).rstrip(b"=").decode()


def position_of(call: Call, cursor: str, param: str, kind: Any) -> Any:
    """Raises InvalidField for a cursor that is not of this list."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        if raw[:SEAL] == seal(call, raw[SEAL:]):
            return msgspec.json.decode(raw[SEAL:], type=kind)
    except (binascii.Error, msgspec.DecodeError):
        pass  # Refused below, like any other cursor that is not ours.
    raise InvalidField("send a next_cursor of this list, with the same filters", param=param)


def seal(call: Call, text: bytes) -> bytes:
    what = [call.target, call.principal.merchant, call.principal.livemode, sorted(filters_of(call).items())]
    return blake2b(text, digest_size=SEAL, key=blake2b(msgspec.json.encode(what)).digest()[:64]).digest()


def filters_of(call: Call) -> dict[str, str]:
    return {name: value for name, value in call.filters.items() if name not in PLACES}


def listed(call: Call, cursor: str | None, *, more: bool) -> dict[str, Any]:
    """The fields that every list has, beside `data`."""
    return {"object": "list", "has_more": more, "next_cursor": cursor, "query": filters_of(call)}


def link(call: Call, cursor: str | None, name: str = "cursor") -> dict[str, str]:
    """The Link header of RFC 8288 to the next page."""
    if cursor is None:
        return {}
    kept = {k: v for k, v in call.filters.items() if k != name}
    return {"Link": f'<{call.target}?{urlencode({**kept, name: cursor})}>; rel="next"'}
