"""What an Adyen payment is made with: a card in the clear, a stored one, or a network token."""

import time

from msgspec import structs

from ..cards import PUBLIC_TOKENS, find_card
from ..records import Token
from ..tsp.tokens import card_behind
from ..world import World
from . import codes
from . import fields as f
from .errors import Refused, missing


def method_of(world: World, document: f.Json) -> Token:
    """The card the request carries or names; raises Refused."""
    given = f.mapping(document, "paymentMethod")
    if not given:
        raise missing("paymentMethod")
    f.check_names(given, "CardDetails")
    if given.get("type", "scheme") not in ("scheme", "card", "networkToken"):
        raise Refused(422, "14_006", "Payment method is not supported here")
    stored = given.get("storedPaymentMethodId") or given.get("recurringDetailReference")
    if stored is not None:
        return _stored(world, str(stored), document)
    if given.get("type") == "networkToken":
        return _by_network_token(world, given, document)
    number = _plain(given, "number", "encryptedCardNumber")
    month = _plain(given, "expiryMonth", "encryptedExpiryMonth")
    year = _plain(given, "expiryYear", "encryptedExpiryYear")
    if find_card(number) is None:
        raise Refused(422, "101", "Invalid card number")
    if not (month.isdigit() and 1 <= int(month) <= 12 and year.isdigit() and len(year) == 4):
        raise Refused(422, "129", "Expiry Date Invalid")
    code = _plain(given, "cvc", "encryptedSecurityCode")
    if code and not codes.is_code(code):
        raise Refused(422, "103", "CVC is not the right length")
    return Token(
        id="",
        connector="adyen",
        number=number,
        month=int(month),
        year=int(year),
        created=int(time.time()),
        code_check=codes.result(number, code),
    )


def _by_network_token(world: World, given: f.Json, document: f.Json) -> Token:
    """https://docs.adyen.com/online-payments/tokenization: the cryptogram is in `mpiData`, unless the payer is away."""
    if not all(f.optional(given, name) for name in ("brand", "number", "expiryMonth", "expiryYear")):
        raise missing("paymentMethod")
    asked = {
        "number": given["number"], "exp_month": given["expiryMonth"], "exp_year": given["expiryYear"],
        "cryptogram": f.mapping(document, "mpiData").get("tokenAuthenticationVerificationValue"),
    }  # fmt: skip
    present = document.get("shopperInteraction", "Ecommerce") == "Ecommerce"
    found = card_behind(world, "adyen", asked, present=present)
    if found == "unknown":
        raise Refused(422, "101", "Invalid card number")
    if isinstance(found, str):
        raise Refused(422, "905_1", "Could not find an acquirer account for the provided network token")
    return structs.replace(found, created=int(time.time()), code_check=codes.result(found.number, ""))


def _plain(given: f.Json, name: str, encrypted: str) -> str:
    """A card field in the clear, or as Adyen's test environment takes it: `test_` and the value."""
    value = given.get(name) or str(given.get(encrypted, "")).removeprefix("test_")
    return str(value).replace(" ", "")


def _stored(world: World, id_: str, document: f.Json) -> Token:
    if number := PUBLIC_TOKENS["adyen"].get(id_):
        check = codes.result(number, "737")
        return Token(id=id_, connector="adyen", number=number, month=3, year=2034, code_check=check)
    stored = world.state.get(Token, id_)
    owner = document.get("shopperReference")
    if stored is None or stored.connector != "adyen" or stored.owner != owner or stored.gone:
        raise Refused(422, "800", "Contract not found")
    return stored
