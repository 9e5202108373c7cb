"""What connectors share: amounts in a PSP's units, bodies of requests, checks of credentials."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import quote, quote_plus

import msgspec

from scrooge.connectors.connector import (
    PLACEHOLDERS,
    CardTemplate,
    Command,
    Fill,
    Json,
    Request,
    TokenFill,
    TokenTemplate,
)
from scrooge.errors import UnsupportedOperation
from scrooge.money import Money, exponent_of, rescaled

NOT_FOUND = "not found"  # How the reason of an inquiry begins when the PSP knows of no such attempt.
REASON_MAX = 200  # characters of a PSP's words that we keep
CENTURY_END = 4_102_444_800
PLAIN = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch  # what a form has as it is: ids and words mostly
VERSION = re.compile(r"/v\d+$")


class StillRunning(Exception):
    """The PSP is still busy with the first request that had this key."""


class KeyConflict(Exception):
    """The PSP remembers this key for another request: its answer says nothing about ours."""


class Never(Exception):
    """The PSP will not do it, however often it is asked; in words for an operator."""


class UnreadableReply(Exception):
    """A result that the PSP's documents do not name, or one that cannot be about this attempt."""


# --- requests -------------------------------------------------------------------------------


def form(pairs: Iterable[tuple[str, str]]) -> bytes:
    """application/x-www-form-urlencoded."""
    return "&".join([f"{form_name(name)}={form_value(value)}" for name, value in pairs]).encode()


def form_value(value: str) -> str:
    return value if PLAIN(value) else quote_plus(value)


@lru_cache(maxsize=1024)
def form_name(name: str) -> str:
    """Fields are few, and come again with every request."""
    return quote_plus(name)


def json_request(
    path: str, document: Json, key: str, fill: Fill | None = None, token: TokenFill | None = None
) -> Request:
    return Request("POST", path, msgspec.json.encode(document), "application/json", key, fill, token)


def card_fields(template: CardTemplate, command: Command) -> list[tuple[str, str]]:
    """Where the vault puts the card: position and placeholder. Nobody is there to give a merchant the code."""
    places = {
        template.number: "number",
        template.exp_month: "exp_month",
        template.exp_year: "exp_year",
        template.holder: "holder",
        template.security_code: "security_code" if command.initiator == "customer" else None,
    }
    return [(place, PLACEHOLDERS[name]) for place, name in places.items() if place and name]


def segment(reference: str) -> str:
    """A PSP's id as one part of a path, whatever is in it."""
    return quote(reference, safe="")


def parent_of(command: Command) -> str:
    """The authorization that this attempt builds on. Raises UnsupportedOperation."""
    if not command.parent_psp_reference:
        raise UnsupportedOperation(f"nothing to {command.operation}: the PSP has not named the authorization yet")
    return command.parent_psp_reference


def token_of(command: Command) -> str:
    """The instrument at the PSP. Raises UnsupportedOperation."""
    if not command.psp_token:
        raise UnsupportedOperation("the instrument has no token at this PSP", param="instrument")
    return command.psp_token


def fill_of(command: Command, template: str = "authorize") -> Fill | None:
    """The card goes by way of the vault into this template, unless something stands for it."""
    instead = command.psp_token or command.network_token
    return Fill(command.vault_card, template) if command.vault_card and not instead else None


def token_fill_of(command: Command) -> TokenFill | None:
    """A network token is used where the PSP has no token of its own. Nobody is there to vouch for a merchant."""
    token = command.network_token
    if token is None or command.psp_token:
        return None
    return TokenFill(token.provider, token.token, command.initiator == "customer")


def token_fields(template: TokenTemplate, fill: TokenFill) -> list[tuple[str, str]]:
    """Where the network token goes: position and placeholder."""
    names = ["number", "exp_month", "exp_year", *(("cryptogram", "eci") if fill.cryptogram else ())]
    return [(getattr(template, name), PLACEHOLDERS[name]) for name in names]


def without_version(configured: str) -> str:
    """A base URL as people write it, without the slash and the version at its end."""
    return VERSION.sub("", configured.rstrip("/")).rstrip("/")


# --- amounts --------------------------------------------------------------------------------


def units(money: Money, exponents: Mapping[str, int]) -> int:
    """The integer a PSP wants. `exponents` names the currencies that it counts in its own way.

    Raises AmountNotRepresentable.
    """
    return money.count_in(exponents.get(money.currency, money.exponent))


def money_of(count: int, currency: str, exponents: Mapping[str, int]) -> Money:
    """What a PSP's integer means.

    Raises UnreadableReply, AmountNotRepresentable, UnknownCurrency.
    """
    code = currency.upper()
    if type(count) is not int or count < 0:
        raise UnreadableReply(f"{count!r} is no amount")
    return rescaled(count, exponents.get(code, exponent_of(code)), code)


# --- moments --------------------------------------------------------------------------------


def moment(value: object) -> int | None:
    """Unix seconds of this century, or nothing."""
    return value if type(value) is int and 0 < value < CENTURY_END else None


# --- words ----------------------------------------------------------------------------------


def words(text: object) -> str:
    """A PSP's own explanation, shortened; empty when there is none."""
    return text[:REASON_MAX] if isinstance(text, str) else ""


def optional(value: object) -> str | None:
    """A non-empty string, or nothing."""
    return value if isinstance(value, str) and value else None


def card_fingerprint(name: object) -> str | None:
    """A PSP's own name for a card number, digested: some are digits, and what looks like a number is kept nowhere."""
    found = optional(name)
    return hashlib.sha256(found.encode()).hexdigest()[:32] if found else None


def web_address(url: object) -> str:
    """Where a payer may be sent. Raises UnreadableReply."""
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise UnreadableReply("no web address to send the payer to")
    return url


# --- secrets --------------------------------------------------------------------------------


def same(expected: str, given: str) -> bool:
    """Compared in constant time; any text may be given."""
    return hmac.compare_digest(expected.encode(), given.encode(errors="surrogateescape"))


def unusable(credentials: Mapping[str, str], known: Mapping[str, bool]) -> str | None:
    """What is wrong with the names and the form of credentials. Never repeats what it was given."""
    if not known.keys() >= credentials.keys():
        return f"an unknown credential was given; known are {', '.join(known)}"
    for name, required in known.items():
        value = credentials.get(name, "")
        if required and not value:
            return f"{name} is missing"
        if any(not "!" <= character <= "~" for character in value):
            return f"{name} may only have printable ASCII characters without spaces"
    return None
