"""What callers may send. These structs are the contract: decoded strictly, and shown in the OpenAPI document.

Every text is bounded, no field is ignored, nothing is converted: a number where a text belongs is refused.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

PRINTABLE = r"^[!-~]+$"
Text = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\u0000-\u001f\u007f]+$")]
Reference = Annotated[
    Text,
    Meta(description="Yours, unique for ever for this merchant and caller.", examples=["order-9912"]),
]
ModificationReference = Annotated[Text, Meta(description="Yours, unique within the payment.", examples=["ship-1"])]
Name = Annotated[str, Meta(max_length=64, pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", examples=["stripe_eu"])]
Url = Annotated[
    str,
    Meta(max_length=1024, pattern=r"^https?://[A-Za-z0-9\[][!-~]*$", examples=["https://shop.example/return"]),
]
Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=PRINTABLE)]
InstrumentId = Annotated[Id, Meta(examples=["ins_01K9YH4V9GYB7T2D4Z8QW3M5N6"])]
AccountName = Annotated[Id, Meta(description="Id or name of a connector account.", examples=["stripe_eu"])]
PspText = Annotated[str, Meta(min_length=1, max_length=255, pattern=PRINTABLE)]
MetadataName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\u0000-\u001f\u007f]+$")]
MetadataText = Annotated[str, Meta(max_length=500, pattern=r"^[^\u0000-\u001f\u007f]*$")]
Metadata = Annotated[dict[MetadataName, MetadataText], Meta(max_length=50, examples=[{"plan": "premium"}])]


class Body(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A request body; a field that does not exist is refused."""


class AmountAsked(Body, frozen=True, kw_only=True):
    """A decimal string with exactly the decimals of the currency in ISO 4217, more than zero."""

    value: Annotated[str, Meta(max_length=32, examples=["12.99"])]
    currency: Annotated[str, Meta(max_length=3, examples=["EUR"])]


class SaveFor(Body, frozen=True, kw_only=True):
    """What the payer agrees to: payments at fixed times, whenever they are due, or one purchase in parts, each of `max`
    or less. `subscription` is `recurring`, `on_demand` is `unscheduled`."""

    use: Literal["recurring", "unscheduled", "instalment", "subscription", "on_demand"]
    max: AmountAsked | UnsetType = UNSET
    interval: Literal["day", "week", "month", "quarter", "year"] | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    fallback: Annotated[
        bool,
        Meta(description="May pay what another mandate of this payer, for the same use, was declined for."),
    ] = False


Instant = Annotated[
    str, Meta(max_length=40, extra_json_schema={"format": "date-time"}, examples=["2026-12-20T10:00:00Z"])
]


class Payer(Body, frozen=True, kw_only=True):
    """What is known of the person who pays, for the risk check alone: neither is kept or sent to a PSP."""

    ip: Annotated[str, Meta(max_length=45, pattern=r"^[0-9a-fA-F:.]+$", examples=["203.0.113.7"])] | None = None
    email: Annotated[str, Meta(max_length=254, pattern=PRINTABLE, examples=["jo@shop.example"])] | None = None


class TenderAsked(Body, frozen=True, kw_only=True):
    """One of the instruments that pay a payment together. Only the last may lack an amount: the rest."""

    instrument: InstrumentId
    amount: (
        Annotated[str, Meta(max_length=32, description="In the payment's currency.", examples=["12.50"])] | UnsetType
    ) = UNSET
    connector_account: AccountName | UnsetType = UNSET


class CreatePayment(Body, frozen=True, kw_only=True):
    reference: Reference
    amount: AmountAsked
    instrument: InstrumentId | UnsetType = UNSET  # or a mandate, which names one
    mandate: Annotated[
        Id | UnsetType,
        Meta(
            description="What the payer agreed to: says instrument, customer and that the merchant initiates it.",
            examples=["man_01K9YH4V9GYB7T2D4Z8QW3M5N6"],
        ),
    ] = UNSET
    customer: Text | None = None
    initiator: Literal["customer", "merchant"] = "customer"
    purpose: Annotated[str, Meta(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    capture: Literal["automatic", "manual"] = "automatic"
    return_url: Url | None = None
    statement_descriptor: Annotated[str, Meta(min_length=1, max_length=22, pattern=r"^[ -~]+$")] | None = None
    metadata: Metadata = {}
    connector_account: AccountName | None = None  # where given, the only one to try
    incremental: Annotated[
        bool | UnsetType,
        Meta(description="The amount may be raised later, where the PSP and the issuer can: `/increments`."),
    ] = UNSET
    save_for: SaveFor | None = None  # the payer agrees to later payments, so the PSP is asked to keep the card
    retry_until: Annotated[
        Instant | None,
        Meta(description="Merchant-initiated only: when declined, try again until then, at most 60 days away."),
    ] = None
    payer: Payer | UnsetType = UNSET  # not null: a request that was sent before this field was there is still the same
    tenders: (
        Annotated[
            list[TenderAsked],
            Meta(min_length=2, max_length=2, description="In place of an instrument: all of them pay, or none."),
        ]
        | UnsetType
    ) = UNSET


class AuthorizePayment(Body, frozen=True, kw_only=True):
    """After a decline, a void or an expiry; without an instrument the payment's own is used again."""

    instrument: InstrumentId | None = None
    payer: Payer | UnsetType = UNSET


class AuthenticatePayment(Body, frozen=True, kw_only=True):
    """What the payer brought back from the authentication, as the return URL received it."""

    details: Annotated[
        dict[Id, Annotated[str, Meta(max_length=8192, pattern=r"^[^\u0000-\u001f]*$")]],
        Meta(max_length=20, examples=[{"redirectResult": "eyJ0cmFuc1N0YXR1cyI6IlkifQ"}]),
    ] = {}


class CapturePayment(Body, frozen=True, kw_only=True):
    """Without an amount: all that is left. `final`: the PSP may release the rest."""

    amount: AmountAsked | None = None
    reference: ModificationReference | None = None
    final: bool = False


class VoidPayment(Body, frozen=True, kw_only=True):
    """Without an amount: all that is left."""

    amount: AmountAsked | None = None
    reference: ModificationReference | None = None


class IncrementPayment(Body, frozen=True, kw_only=True):
    """`amount` is by how much the authorization is to be raised."""

    amount: AmountAsked
    reference: ModificationReference | None = None


class RefundPayment(Body, frozen=True, kw_only=True):
    """Without an amount: all that is left. `tender`: of a payment with tenders, the instrument that is paid back."""

    reference: ModificationReference
    amount: AmountAsked | None = None
    tender: InstrumentId | UnsetType = UNSET


class Nothing(Body, frozen=True, kw_only=True):
    """No body, or an empty object."""


class InstrumentCard(Body, frozen=True, kw_only=True):
    """What may be shown of a card. The number itself is never sent here."""

    brand: Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[a-z0-9_]+$", examples=["visa"])] | None = None
    iin: Annotated[str, Meta(pattern=r"^[0-9]{6,8}$", max_length=8, examples=["424242"])] | None = None
    last4: Annotated[str, Meta(pattern=r"^[0-9]{4}$", max_length=4, examples=["4242"])] | None = None
    exp: Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", max_length=7, examples=["2029-03"])] | None = None


class InstrumentCredential(Body, frozen=True, kw_only=True):
    """The instrument as one PSP knows it."""

    type: Literal["psp_token"] = "psp_token"
    connector_account: AccountName
    psp_token: Annotated[PspText, Meta(examples=["pm_card_visa"])]
    psp_customer: PspText | None = None


class CreateInstrument(Body, frozen=True, kw_only=True):
    customer: Text
    credentials: Annotated[list[InstrumentCredential], Meta(min_length=1, max_length=16)]
    card: InstrumentCard | None = None
    network_transaction_id: Annotated[
        PspText | None, Meta(description="The scheme's name of the first payment with this card, where it was made.")
    ] = None


Secrets = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9_]+$")],
        Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"^[ -~]+$")],
    ],
    Meta(max_length=20, extra_json_schema={"writeOnly": True}),
]


AcquirerCountry = Annotated[
    str,
    Meta(
        description="ISO 3166-1, of the acquirer this contract is with: what a law asks of a payer depends on it.",
        max_length=2, pattern=r"^[A-Z]{2}$", examples=["NL"],
    ),
]  # fmt: skip


class CreateConnectorAccount(Body, frozen=True, kw_only=True):
    name: Name
    connector: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9_]+$", examples=["stripe"])]
    merchant_account: Annotated[str, Meta(min_length=1, max_length=128, pattern=PRINTABLE)]
    mode: Literal["test", "live"]
    credentials: Secrets
    base_url: Url | None = None
    acquirer_country: AcquirerCountry | None = None


class ChangeCredentials(Body, frozen=True, kw_only=True):
    """The credentials named replace those of the same name; what is not given stays."""

    credentials: Secrets = {}
    base_url: Annotated[Url | None, Meta(description="Where the PSP answers; in test mode only.")] = None
    acquirer_country: AcquirerCountry | None = None


# --- queries ----------------------------------------------------------------------------------

Limit = Annotated[int, Meta(ge=1, le=100)]
Cursor = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[A-Za-z0-9_-]+$")]
MOMENT = {"anyOf": [{"format": "date-time"}, {"format": "date"}]}
Moment = Annotated[str, Meta(max_length=40, extra_json_schema=MOMENT, examples=["2026-11-20T10:00:00Z"])]
Status = Literal[
    "requires_action", "processing", "authorized", "partially_captured", "captured", "partially_refunded",
    "refunded", "voided", "declined", "failed", "expired",
]  # fmt: skip


class NoQuery(Body, frozen=True, kw_only=True):
    """No query parameters."""


class Expand(Body, frozen=True, kw_only=True):
    expand: (
        Annotated[
            str,
            Meta(
                max_length=64,
                pattern="^(attempts|timeline|journals|routing|risk)(,(attempts|timeline|journals|routing|risk)){0,4}$",
            ),
        ]
        | None
    ) = None


class PaymentFilter(Body, frozen=True, kw_only=True):
    status: Status | None = None
    reference: Text | None = None
    customer: Text | None = None
    part_of: Annotated[Id, Meta(description="The payment whose parts are listed; else none are.")] | None = None
    created_from: Moment | None = field(name="created[gte]", default=None)
    created_after: Moment | None = field(name="created[gt]", default=None)
    created_until: Moment | None = field(name="created[lte]", default=None)
    created_before: Moment | None = field(name="created[lt]", default=None)
    limit: Limit = 20
    cursor: Cursor | None = None


class Page(Body, frozen=True, kw_only=True):
    limit: Limit = 20
    cursor: Cursor | None = None


class InstrumentFilter(Body, frozen=True, kw_only=True):
    customer: Text
    cursor: Cursor | None = None
    limit: Limit = 20


class EventFilter(Body, frozen=True, kw_only=True):
    after: Cursor | None = None
    limit: Limit = 20
    types: Annotated[str, Meta(min_length=1, max_length=512, pattern="^[a-z_]+(,[a-z_]+){0,31}$")] | None = None
