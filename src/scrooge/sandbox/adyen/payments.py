"""/payments and /payments/details: authorizations, captured at once unless asked otherwise."""

import hashlib
from typing import Any

from msgspec import structs

from .. import acquirer
from ..cards import find_card, is_past
from ..currencies import shown, to_minor
from ..issuer import Ask, Verdict, no
from ..records import Authorization, Challenge, Token
from ..world import World, short_reference, token
from . import codes
from . import fields as f
from .errors import Refused, missing, raw_refusal, refusal
from .methods import method_of
from .notifications import News, announce, brand
from .records import Payment

_OPERATIONS = ["CANCEL", "CAPTURE", "REFUND"]
_EXEMPTIONS = ("lowValue", "secureCorporate", "trustedBeneficiary", "transactionRiskAnalysis")


def pay(world: World, document: f.Json, origin: str) -> f.Json:
    """POST /payments."""
    f.check_names(document, "PaymentRequest")
    account = f.merchant(document)
    value, currency, _ = f.amount(document, least=0)
    reference = f.text(document, "reference", 80)
    interaction = f.optional(document, "shopperInteraction") or "Ecommerce"
    return_url = f.optional(document, "returnUrl", 1024)
    if return_url is None and interaction == "Ecommerce":
        raise missing("returnUrl")
    method = method_of(world, document)
    payment = Payment(
        id=short_reference(),
        merchant_account=account,
        reference=reference,
        value=value,
        currency=currency,
        sale=not _manual(document),
        preauthorized=f.mapping(document, "additionalData").get("authorisationType") == "PreAuth",
        number=method.number,
        month=method.month,
        year=method.year,
        return_url=return_url or "",
        visible_at=world.visible_at("adyen"),
        shopper_reference=f.optional(document, "shopperReference"),
        stores=document.get("storePaymentMethod") is True,
        code_result=method.code_check,
    )
    return authorize(world, payment, _ask(document, interaction), origin)


def details(world: World, document: f.Json, origin: str) -> f.Json:
    """POST /payments/details: what the payer brought back from the challenge, used once."""
    f.check_names(document, "PaymentDetailsRequest")
    given = f.mapping(document, "details")
    if not given:
        raise missing("details")
    challenge = world.state.get(Challenge, f.text(given, "redirectResult", 20_000))
    if challenge is None or challenge.connector != "adyen" or challenge.answer not in ("success", "fail"):
        raise Refused(422, "14_0408", "Unable to process the provided redirectResult")
    payment = world.state.need(Payment, challenge.payment)
    if payment.result != "RedirectShopper":
        raise Refused(422, "704", "request already processed or in progress")
    if challenge.answer == "success":
        return authorize(world, payment, Ask(authenticated=True), origin)
    acquirer.refuse_authentication(world, _authorization(payment))
    return _conclude(world, payment, no("authentication_failed"))


def authorize(world: World, payment: Payment, ask: Ask, origin: str) -> f.Json:
    """Ask the issuer and answer in Adyen's words."""
    card = find_card(payment.number)
    assert card is not None, "a payment's number was checked when it was made"
    if is_past(payment.month, payment.year):
        card = structs.replace(card, outcome="declined", decline="expired_card")
    elif codes.refused(payment.code_result):
        card = structs.replace(card, outcome="declined", decline="incorrect_cvc")
    verdict = acquirer.authorize(world, _authorization(payment), card, ask)
    if verdict.answer == "challenge":
        return _challenge(world, payment, origin)
    if verdict.answer == "pending":
        # Both of Adyen's words for "later" are met: Pending, and Received for what then fails.
        result = "Received" if card.outcome == "pending_declined" else "Pending"
        payment = structs.replace(payment, result=result)
        world.state.put(payment)
        world.later("adyen.conclude", payment.id)
        return _document(payment)
    if verdict.answer == "approved":
        if card.outcome == "capture_fails" and payment.sale:
            world.later("adyen.sale_fails", payment.id)
        if card.outcome == "expires" and not payment.sale:
            world.later("adyen.expire", payment.id)
    return _conclude(world, payment, verdict)


def conclude_pending(world: World, id_: str) -> None:
    """A pending payment comes to its end, and says so by notification only."""
    payment = world.state.need(Payment, id_)
    auth = world.state.need(Authorization, id_)
    card = find_card(auth.number)
    assert card is not None, "a payment's number was checked when it was made"
    _conclude(world, payment, acquirer.authorize(world, auth, card, Ask(concluding=True)))


def _conclude(world: World, payment: Payment, verdict: Verdict) -> f.Json:
    """The final answer, kept, announced and rendered."""
    more = _more(world, payment, verdict)
    if verdict.decline:
        reason, code = refusal(verdict.decline)
        payment = structs.replace(payment, result="Refused")
        answer = _document(payment) | {"refusalReason": reason, "refusalReasonCode": code}
    else:
        reason = f"{more['authCode']}:{payment.number[-4:]}:{more['expiryDate']}"
        payment = structs.replace(payment, result="Authorised")
        answer = _document(payment)
    world.state.put(payment)
    announce(
        world,
        payment,
        News(
            code="AUTHORISATION",
            psp_reference=payment.id,
            merchant_reference=payment.reference,
            value=payment.value,
            success=verdict.decline is None,
            reason=reason,
            operations=[] if verdict.decline else _OPERATIONS,
            more=more,
        ),
    )
    return answer | {"additionalData": more}


def _challenge(world: World, payment: Payment, origin: str) -> f.Json:
    """Send the payer to the issuer's page; nothing has been decided yet."""
    challenge = Challenge(
        id=token(32),
        connector="adyen",
        payment=payment.id,
        return_url=payment.return_url,
        merchant=payment.merchant_account,
        amount=shown(payment.currency, to_minor("adyen", payment.currency, payment.value)),
        last4=payment.number[-4:],
    )
    world.state.put(challenge)
    payment = structs.replace(payment, challenge=challenge.id, result="RedirectShopper")
    world.state.put(payment)
    action = {
        "type": "redirect",
        "method": "GET",
        "paymentMethodType": "scheme",
        "url": f"{origin}/acs/{challenge.id}",
    }
    return {"action": action, "pspReference": payment.id, "resultCode": "RedirectShopper"}


def _document(payment: Payment) -> f.Json:
    return {
        "pspReference": payment.id,
        "resultCode": payment.result,
        "amount": {"currency": payment.currency, "value": payment.value},
        "merchantReference": payment.reference,
        "paymentMethod": {"brand": brand(payment.number), "type": "scheme"},
    }


def _more(world: World, payment: Payment, verdict: Verdict) -> dict[str, str]:
    """additionalData of an answer and of its notification."""
    auth = world.state.need(Authorization, payment.id)
    more = {
        "alias": f"H{hashlib.sha256(payment.number.encode()).hexdigest()[:15]}",
        "aliasType": "Default",
        "cardSummary": payment.number[-4:],
        "cardBin": payment.number[:6],
        "expiryDate": f"{payment.month}/{payment.year}",
        "paymentMethodVariant": brand(payment.number),
        "cvcResult": payment.code_result,
    }
    if verdict.decline:
        return more | raw_refusal(verdict.decline)
    more |= {
        "authCode": auth.network_transaction_id[-6:],
        "networkTxReference": auth.network_transaction_id,
        "refusalReasonRaw": "AUTHORISED",
        "avsResult": "4 AVS not supported for this card type",
    }
    if payment.challenge:
        more |= {"threeDOffered": "true", "threeDAuthenticated": "true"}
    if payment.stores and payment.shopper_reference:
        more |= _store(world, payment)
    return more


def _store(world: World, payment: Payment) -> dict[str, str]:
    """Keep the card for later payments of this shopper."""
    stored = Token(
        id=short_reference(),
        connector="adyen",
        number=payment.number,
        month=payment.month,
        year=payment.year,
        owner=payment.shopper_reference,
        account=payment.merchant_account,
    )
    world.state.put(stored)
    return {
        "tokenization.storedPaymentMethodId": stored.id,
        "tokenization.shopperReference": payment.shopper_reference or "",
        "tokenization.store.operationType": "created",
    }


def _authorization(payment: Payment) -> Authorization:
    return Authorization(
        id=payment.id,
        connector="adyen",
        merchant_account=payment.merchant_account,
        reference=payment.reference,
        psp_reference=payment.id,
        currency=payment.currency,
        minor=to_minor("adyen", payment.currency, payment.value),
        sale=payment.sale,
        number=payment.number,
    )


def _manual(document: f.Json) -> bool:
    """Is the capture left to the merchant, or to a delay we do not live to see?"""
    more = f.mapping(document, "additionalData")
    delay = document.get("captureDelayHours", 0)
    if not isinstance(delay, int) or isinstance(delay, bool) or delay < 0:
        raise Refused(422, "702", "Field 'captureDelayHours' must be a number of hours.")
    return str(more.get("manualCapture", "false")).lower() == "true" or delay > 0


def _ask(document: f.Json, interaction: str) -> Ask:
    """ContAuth of a card on file is the payer's own; of a subscription it is the merchant's."""
    model = document.get("recurringProcessingModel")
    absent = interaction == "ContAuth" and model != "CardOnFile"
    attempt: Any = f.mapping(document, "authenticationData").get("attemptAuthentication")
    execute = f.mapping(document, "additionalData").get("executeThreeD")
    wants = attempt == "always" or str(execute).lower() == "true"
    exemption = f.optional(f.mapping(document, "additionalData"), "scaExemption") or ""
    if exemption not in ("", *_EXEMPTIONS):
        raise Refused(422, "702", "Field 'scaExemption' has an unknown value.")
    return Ask(
        merchant_initiated=absent or interaction == "Moto", wants_challenge=wants, exemption="" if wants else exemption
    )
