"""The door for custodians: a share is its own credential, and what is entered stays in this process's memory."""

from typing import Annotated

from msgspec import Meta, Struct
from starlette.responses import Response

from scrooge.vault.doors import Call, json_answer
from scrooge.vault.keys.custodians import Progress


class EnterShare(Struct, forbid_unknown_fields=True):
    custodian: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9@._-]*$")]
    share: Annotated[str, Meta(min_length=1, max_length=256)]
    accepts: bool = False

    def __repr__(self) -> str:
        return "EnterShare()"


async def enter(call: Call) -> Response:
    """Raises ShareRefused."""
    asked = call.json(EnterShare)
    call.who, call.object = f"custodian:{asked.custodian}", "kek"
    call.noted = True  # Custodians write the record themselves, in the transaction of the entry.
    return shown(await call.v.custodians.enter(asked.custodian, asked.share, accepts=asked.accepts, origin=call.origin))


def shown(progress: Progress) -> Response:
    return json_answer(
        200, {"sealed": progress.sealed, "entered": progress.entered, "needed": progress.needed, "object": "unsealing"}
    )
