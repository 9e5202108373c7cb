"""/storedPaymentMethods: what is stored for a shopper, and its end."""

from urllib.parse import parse_qsl

from msgspec import structs

from ..cards import PUBLIC_TOKENS
from ..records import Token
from ..wire import Call
from ..world import World
from . import fields as f
from .errors import Refused
from .notifications import brand


def listed(world: World, call: Call) -> f.Json:
    """GET /storedPaymentMethods: of one shopper at one merchant account."""
    account, shopper = _asked(call)
    mine = [t for t in world.state.all(Token) if (t.connector, t.account, t.owner) == ("adyen", account, shopper)]
    return {
        "merchantAccount": account,
        "shopperReference": shopper,
        "storedPaymentMethods": [_document(t) for t in mine if not t.gone],
    }


def remove(world: World, call: Call, id_: str) -> None:
    """DELETE /storedPaymentMethods/{id}; the test tokens are everybody's, so they stay. Raises Refused."""
    account, shopper = _asked(call)
    if id_ in PUBLIC_TOKENS["adyen"]:
        return
    stored = world.state.get(Token, id_)
    if stored is None or (stored.connector, stored.account, stored.owner) != ("adyen", account, shopper) or stored.gone:
        raise Refused(422, "800", "Contract not found")
    world.state.put(structs.replace(stored, gone=True))


def _asked(call: Call) -> tuple[str, str]:
    query = dict(parse_qsl(call.query.decode()))
    return f.merchant(query), f.text(query, "shopperReference")


def _document(stored: Token) -> f.Json:
    return {
        "id": stored.id,
        "brand": brand(stored.number),
        "expiryMonth": f"{stored.month:02}",
        "expiryYear": str(stored.year),
        "lastFour": stored.number[-4:],
        "shopperReference": stored.owner,
        "supportedRecurringProcessingModels": ["CardOnFile", "Subscription", "UnscheduledCardOnFile"],
        "type": "scheme",
    }
