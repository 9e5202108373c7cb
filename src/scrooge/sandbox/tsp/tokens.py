"""Network tokens: provisioned for a card, shown, ended; and what PSPs and issuers make of them."""

import base64
import secrets
from random import Random
from typing import Any

from msgspec import structs

from ..cards import find_card, is_past, luhn
from ..records import Token
from ..world import World, token
from .notifications import announce
from .records import Cryptogram, NetworkToken, State

Json = dict[str, Any]
YEARS = 3  # that a token is good for beyond its card
BINS = {"visa": "489537", "mastercard": "520473"}
TYPES = {"visa": "vts", "mastercard": "mdes"}
_DIGITS = Random()  # noqa: S311 - a number of a test


class Refused(Exception):
    """In the provider's words: a status, a code, a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def provision(world: World, account: str, document: Json) -> tuple[int, Json]:
    """One token for one reference, however often it is asked for."""
    reference, source = document.get("reference"), document.get("source")
    if not isinstance(reference, str) or not reference or not isinstance(source, dict):
        raise Refused(422, "request_invalid", "reference and source are required")
    if known := by_reference(world, account, reference):
        return 200, shown(known) | {"number": known.number}
    number = str(source.get("number", ""))
    card = find_card(number)
    if card is None:
        raise Refused(422, "card_invalid", "this is no card number")
    if card.brand not in BINS:
        raise Refused(422, "card_not_eligible", f"{card.brand} has no network tokens here")
    try:
        month, year = int(source["exp_month"]), int(source["exp_year"])
    except (KeyError, ValueError):
        raise Refused(422, "request_invalid", "exp_month and exp_year are required") from None
    if not 1 <= month <= 12 or is_past(month, year):
        raise Refused(422, "card_not_eligible", "the card has expired")
    made = NetworkToken(
        id=f"nt_{token()}", account=account, reference=reference, number=fresh_number(world, card.brand),
        month=month, year=year + YEARS, card_number=number, card_month=month, card_year=year,
    )  # fmt: skip
    world.state.put(made)
    return 201, shown(made) | {"number": made.number}


def fresh_number(world: World, brand: str) -> str:
    while True:
        body = f"{BINS[brand]}{_DIGITS.randrange(10**9):09}"
        number = next(body + digit for digit in "0123456789" if luhn(body + digit))
        if not world.state.index[("network_tokens", number)]:
            return number


def shown(t: NetworkToken) -> Json:
    card = find_card(t.card_number)
    assert card is not None, "it was one when the token was made"
    return {
        "id": t.id,
        "object": "network_token",
        "reference": t.reference,
        "state": t.state,
        "type": TYPES[card.brand],
        "last4": t.number[-4:],
        "exp_month": t.month,
        "exp_year": t.year,
        "card": {
            "brand": card.brand, "last4": t.card_number[-4:], "exp_month": t.card_month, "exp_year": t.card_year,
        },
    }  # fmt: skip


def by_reference(world: World, account: str, reference: str) -> NetworkToken | None:
    found = world.state.index[("network_tokens", account, reference)]
    return world.state.get(NetworkToken, found[0]) if found else None


def find(world: World, account: str, id_: str) -> NetworkToken:
    """Raises Refused for what is gone, too."""
    found = world.state.get(NetworkToken, id_)
    if found is None or found.account != account or found.state == "deleted":
        raise Refused(404, "token_not_found", "there is no such network token")
    return found


def cryptogram(world: World, account: str, id_: str, document: Json) -> Json:
    """What one payment needs. Without its payer a payment has no cryptogram."""
    found = find(world, account, id_)
    if found.state == "suspended":
        raise Refused(409, "token_suspended", "the issuer has suspended this token")
    answer: Json = {"number": found.number, "exp_month": found.month, "exp_year": found.year}
    match document.get("transaction_type"):
        case "merchant":
            return answer
        case "customer":
            made = Cryptogram(id=base64.b64encode(secrets.token_bytes(20)).decode(), token=found.id)
            world.state.put(made)
            return answer | {"cryptogram": made.id, "eci": "07" if TYPES[brand(found)] == "vts" else "06"}
        case _:
            raise Refused(422, "request_invalid", "transaction_type is customer or merchant")


def brand(t: NetworkToken) -> str:
    card = find_card(t.card_number)
    assert card is not None, "it was one when the token was made"
    return card.brand


def end(world: World, account: str, id_: str) -> None:
    world.state.put(structs.replace(find(world, account, id_), state="deleted"))


def change(world: World, t: NetworkToken, **news: Any) -> None:
    """Whatever happens to it by itself is told."""
    after = structs.replace(t, **news)
    world.state.put(after)
    state: State = after.state
    announce(world, after, {"active": "resumed" if t.state == "suspended" else "updated"}.get(state, state))


# --- at a PSP ---------------------------------------------------------------------------------


def card_behind(world: World, connector: str, given: Json, *, present: bool) -> Token | str:
    """The card that a network token in a payment stands for, or why it may not be paid with: "unknown", "refused".

    A payer who is there has a cryptogram, good for one payment by this token.
    """
    ids = world.state.index[("network_tokens", str(given.get("number", "")))]
    found = world.state.get(NetworkToken, ids[0]) if ids else None
    if found is None:
        return "unknown"
    if found.state != "active" or (int(given["exp_month"]), int(given["exp_year"])) != (found.month, found.year):
        return "refused"
    if present or given.get("cryptogram"):
        spent = world.state.get(Cryptogram, str(given.get("cryptogram", "")))
        if spent is None or spent.spent or spent.token != found.id:
            return "refused"
        world.state.put(structs.replace(spent, spent=True))
    return Token(id="", connector=connector, number=found.card_number, month=found.card_month, year=found.card_year)
