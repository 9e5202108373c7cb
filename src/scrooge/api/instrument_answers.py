"""What callers get back about instruments."""

from typing import Annotated, Literal

from msgspec import Meta

from scrooge.api.answers import Answered, Listed, Moment


class Card(Answered, frozen=True, kw_only=True):
    brand: str | None
    iin: str | None
    last4: str | None
    exp: str | None


class PspToken(Answered, frozen=True, kw_only=True, tag_field="type", tag="psp_token"):
    connector_account: str
    psp_token: str
    psp_customer: str | None
    source: Annotated[str, Meta(extra_json_schema={"enum": ["given", "saved", "updated"]})]


class VaultCard(Answered, frozen=True, kw_only=True, tag_field="type", tag="vault_card"):
    status: Annotated[str, Meta(extra_json_schema={"enum": ["active", "expired", "replaced"]})]


class NetworkToken(Answered, frozen=True, kw_only=True, tag_field="type", tag="network_token"):
    last4: str | None
    exp: str | None
    status: Annotated[str, Meta(extra_json_schema={"enum": ["active", "suspended"]})]


class Instrument(Answered, frozen=True, kw_only=True):
    id: str
    object: Literal["instrument"]
    livemode: bool
    customer: str
    card: Card
    credentials: list[PspToken | VaultCard | NetworkToken]
    fingerprint: str | None
    has_network_transaction_id: bool
    stored_value_account: str | None  # for which it stands; of a card none
    created_at: Moment


class InstrumentList(Listed, frozen=True, kw_only=True):
    data: list[Instrument]


class Deleted(Answered, frozen=True, kw_only=True):
    id: str
    object: Literal["instrument"]
    deleted: bool
