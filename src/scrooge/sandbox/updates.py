"""Account updates: the card behind a stored token gets another expiry or number, or is closed, and its PSP says so."""

import msgspec
from msgspec import structs

from .adyen import notifications as adyen
from .cards import TEST_CARDS, brand_of, luhn
from .records import Token
from .stripe import events as stripe
from .stripe.documents import method_document
from .stripe.records import Customer, Who
from .tsp import tokens as tsp
from .tsp.records import NetworkToken
from .world import World

KINDS = ("expiry", "number", "closed")
OF_TOKENS = (*KINDS, "suspended", "resumed")  # of a token provider's
YEARS = 4  # that a new card is good for beyond the old one


class Update(msgspec.Struct, frozen=True):
    """What happens to one token of a PSP, or to all that stand for a number."""

    connector: str
    kind: str
    token: str | None = None
    number: str | None = None


class BadUpdate(Exception):
    """A request that names no update."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field} {detail}")
        self.field, self.detail = field, detail


def read_update(raw: object, connectors: tuple[str, ...]) -> Update:
    """Raises BadUpdate."""
    if not isinstance(raw, dict) or not all(isinstance(value, str) for value in raw.values()):
        raise BadUpdate("body", "must be a JSON object of strings")
    if unknown := sorted(set(raw) - set(Update.__struct_fields__)):
        raise BadUpdate(str(unknown[0]), "is not a field of an update")
    if raw.get("connector") not in connectors:
        raise BadUpdate("connector", f"must be one of {', '.join(connectors)}")
    kinds = OF_TOKENS if raw["connector"] == "tsp" else KINDS
    if raw.get("kind") not in kinds:
        raise BadUpdate("kind", f"must be one of {', '.join(kinds)}")
    if ("token" in raw) is ("number" in raw):
        raise BadUpdate("token", "or number, one of them, says whose")
    return Update(**raw)


def update(world: World, asked: Update) -> list[str]:
    """The tokens that were changed, and told of."""
    if asked.connector == "tsp":
        return of_network_tokens(world, asked)
    found = [t for t in world.state.all(Token) if t.connector == asked.connector and t.owner and not t.gone]
    mine = [t for t in found if t.id == asked.token or t.number == asked.number]
    for token in mine:
        changed = changed_by(token, asked.kind)
        world.state.put(changed)
        if asked.connector == "stripe":
            tell_of_method(world, token, changed)
        else:
            adyen.announce_token(world, changed, "disabled" if changed.gone else "updated")
    return [token.id for token in mine]


def of_network_tokens(world: World, asked: Update) -> list[str]:
    found = [t for t in world.state.all(NetworkToken) if asked.token == t.id or asked.number == t.card_number]
    mine = [t for t in found if t.state != "deleted"]
    for t in mine:
        match asked.kind:
            case "expiry":
                tsp.change(world, t, card_year=t.card_year + YEARS)
            case "number":
                tsp.change(world, t, card_number=next_number(t.card_number), card_year=t.card_year + YEARS)
            case "closed":
                tsp.change(world, t, state="deleted")
            case "suspended" | "resumed":
                tsp.change(world, t, state="suspended" if asked.kind == "suspended" else "active")
    return [t.id for t in mine]


def changed_by(token: Token, kind: str) -> Token:
    if kind == "closed":
        return structs.replace(token, gone=True)
    number = token.number if kind == "expiry" else next_number(token.number)
    return structs.replace(token, number=number, year=token.year + YEARS)


def next_number(number: str) -> str:
    """Another of the same issuer, with the same outcome: the first that is no test card."""
    for serial in range(1, 100):
        body = f"{number[:-3]}{serial:02}"
        found = next(body + digit for digit in "0123456789" if luhn(body + digit))
        if found != number and found not in {card.number for card in TEST_CARDS} and brand_of(found):
            return found
    raise AssertionError("a hundred serial numbers hold one that is free")


def tell_of_method(world: World, before: Token, after: Token) -> None:
    """https://docs.stripe.com/payments/cards/overview#automatic-card-updates"""
    customer = world.state.need(Customer, before.owner)
    who = Who(customer.account, customer.account, "", None)
    shown = structs.replace(after, owner=None) if after.gone else after
    kind = "detached" if after.gone else "automatically_updated"
    if after.gone:
        world.state.put(shown)
    stripe.announce(world, who, f"payment_method.{kind}", method_document(shown))
