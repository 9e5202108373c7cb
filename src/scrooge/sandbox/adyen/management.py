"""The part of the Management API that sets up a merchant account's webhooks."""

import secrets

from msgspec import structs

from ..world import World, short_reference
from . import fields as f
from .errors import Refused
from .records import Webhook

_REQUIRED = ("type", "url", "communicationFormat")


def create(world: World, account: str, document: f.Json) -> f.Json:
    """POST /merchants/{id}/webhooks; only standard webhooks in JSON are sent."""
    f.check_names(document, "CreateMerchantWebhookRequest")
    for name in _REQUIRED:
        f.text(document, name, 2048)
    if not isinstance(document.get("active"), bool):
        raise Refused(422, "31_011", "Field 'active' must be true or false.")
    if document["type"] != "standard" or document["communicationFormat"] != "json":
        raise Refused(422, "31_011", "Only standard webhooks in json are sent here.")
    if not document["url"].startswith(("http://", "https://")):
        raise Refused(422, "31_011", "Field 'url' must start with http:// or https://.")
    webhook = Webhook(
        id=f"S2-{short_reference()[:12]}",
        merchant_account=account,
        url=document["url"],
        active=document["active"],
        description=f.optional(document, "description"),
        username=f.optional(document, "username"),
        password=f.optional(document, "password"),
    )
    world.state.put(webhook)
    return _document(webhook)


def listed(world: World, account: str) -> f.Json:
    """GET /merchants/{id}/webhooks."""
    mine = [w for w in world.state.all(Webhook) if w.merchant_account == account]
    return {
        "accountReference": account,
        "data": [_document(webhook) for webhook in mine],
        "itemsTotal": len(mine),
        "pagesTotal": 1,
    }


def read(world: World, account: str, id_: str) -> f.Json:
    """GET /merchants/{id}/webhooks/{webhookId}."""
    return _document(_find(world, account, id_))


def change(world: World, account: str, id_: str, document: f.Json) -> f.Json:
    """PATCH /merchants/{id}/webhooks/{webhookId}."""
    f.check_names(document, "CreateMerchantWebhookRequest")
    webhook = _find(world, account, id_)
    names = {"url", "active", "description", "username", "password"} & set(document)
    webhook = structs.replace(webhook, **{name: document[name] for name in names})
    world.state.put(webhook)
    return _document(webhook)


def remove(world: World, account: str, id_: str) -> None:
    """DELETE /merchants/{id}/webhooks/{webhookId}."""
    world.state.put(structs.replace(_find(world, account, id_), done=True))


def generate_hmac(world: World, account: str, id_: str) -> f.Json:
    """POST .../generateHmac: a new key, used from now on."""
    key = secrets.token_hex(32).upper()
    world.state.put(structs.replace(_find(world, account, id_), hmac_key=key))
    return {"hmacKey": key}


def _find(world: World, account: str, id_: str) -> Webhook:
    webhook = world.state.get(Webhook, id_)
    if webhook is None or webhook.merchant_account != account:
        raise Refused(404, "000", f"Webhook {id_} not found", "validation")
    return webhook


def _document(webhook: Webhook) -> f.Json:
    document: f.Json = {
        "id": webhook.id,
        "type": "standard",
        "url": webhook.url,
        "active": webhook.active,
        "communicationFormat": "json",
        "hasError": False,
        "hasPassword": webhook.password is not None,
        "acceptsExpiredCertificate": False,
        "acceptsSelfSignedCertificate": False,
        "acceptsUntrustedRootCertificate": False,
        "populateSoapActionHeader": False,
    }
    if webhook.description is not None:
        document["description"] = webhook.description
    if webhook.username is not None:
        document["username"] = webhook.username
    return document
