"""The simulated PSP in Stripe's dialect: intents, one capture each, search by metadata, keys kept for a day."""

import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from scrooge.connectors.connector import Request
from scrooge.connectors.stripe import STRIPE
from tests.simulation.clock import SECOND
from tests.simulation.psp import Modification, Psp, Record, Reply

STATUS = {"action": "requires_action", "processing": "processing", "authorized": "requires_capture",
          "succeeded": "succeeded", "declined": "requires_payment_method", "canceled": "canceled"}  # fmt: skip
Json = dict[str, Any]


class Stripe(Psp):
    connector = STRIPE
    retention_seconds = 24 * 3600
    soft_decline = "do_not_honor"

    def execute(self, request: Request) -> Reply:
        url = urlsplit(request.path)
        given = {k: v[0] for k, v in parse_qs((request.body or url.query.encode()).decode()).items()}
        parts = [unquote(part) for part in url.path.split("/")[2:]]
        key = request.idempotency_key or ""
        match request.method, *parts:
            case "POST", "payment_intents":
                return self.intent(given)
            case "POST", "payment_intents", intent, "capture":
                return self.capture(self.records[intent], given)
            case "POST", "payment_intents", intent, "cancel":
                return self.release(self.records[intent], key, given["cancellation_reason"])
            case "POST", "payment_intents", intent, "increment_authorization":
                return self.increment(self.records[intent], given)
            case "POST", "setup_intents":
                return self.setup(given)
            case "POST", "setup_intents", setup, "cancel":
                return self.release(self.records[setup], key, given["cancellation_reason"])
            case "GET", "setup_intents":
                setups = [self.shown(r) for r in self.records.values() if not r.minor and r.seen_at <= self.clock.now]
                return Reply(200, {"object": "list", "data": setups, "has_more": False})
            case "GET", "setup_intents", setup:
                return Reply(200, self.shown(self.records[setup])) if setup in self.records else self.nothing()
            case "POST", "refunds":
                return self.refund(self.records[given["payment_intent"]], key, given)
            case "GET", "payment_intents", "search":
                intents = [r for r in self.records.values() if f"'{r.reference}'" in given["query"]]
                seen = [self.shown(r) for r in intents if r.seen_at <= self.clock.now]
                return Reply(200, {"object": "search_result", "data": seen})
            case "GET", "payment_intents", intent:
                return Reply(200, self.shown(self.records[intent])) if intent in self.records else self.nothing()
            case "GET", "refunds":
                r = self.records[given["payment_intent"]]
                return Reply(200, {"object": "list", "data": [self.shown_refund(r, m) for m in refunds(r)]})
            case "GET", "refunds", refund:
                found = [(r, m) for r in self.records.values() for m in refunds(r) if m.id == refund]
                return Reply(200, self.shown_refund(*found[0])) if found else self.nothing()
        raise AssertionError(request.path)

    # --- requests ---

    def intent(self, given: dict[str, str]) -> Reply:
        r = Record(
            self.new_id("pi"), given["metadata[reference]"], given["metadata[payment]"], int(given["amount"]),
            given["currency"].upper(), given["capture_method"] == "manual",
            self.clock.now + int(self.lag_seconds * SECOND),
        )  # fmt: skip
        self.records[r.id] = r
        self.authorize(r)
        return Reply(200, self.shown(r)) if r.state != "declined" else self.card_error(r)

    def setup(self, given: dict[str, str]) -> Reply:
        r = Record(
            self.new_id("seti"), given["metadata[reference]"], given["metadata[payment]"], 0, "EUR", False,
            self.clock.now + int(self.lag_seconds * SECOND),
        )  # fmt: skip
        self.records[r.id] = r
        self.decide(r, self.fate("verify", True))
        return Reply(200, self.shown(r)) if r.state != "declined" else self.card_error(r)

    def increment(self, r: Record, given: dict[str, str]) -> Reply:
        """At once; a decline leaves the intent as it was."""
        fate, whole = self.fate("increment", True), int(given["amount"])
        if r.state != "authorized" or whole <= r.approved:
            return self.unexpected(r)
        if fate.startswith(("decline", "flip")):
            r.code = fate.partition(":")[2]
            if fate.startswith("flip"):
                self.clock.later(20, lambda: self.raised(r, given["metadata[increment_reference]"], whole))
            return self.card_error(r)
        self.raised(r, given["metadata[increment_reference]"], whole)
        return Reply(200, self.shown(r))

    def raised(self, r: Record, reference: str, whole: int) -> None:
        if r.state == "authorized" and whole > r.approved:
            self.happened(reference, "increment", r.id, whole - r.approved, r, "approved")
            r.approved, r.raised = whole, reference
            self.tell(r, "approved")

    def payer_acts(self, psp_reference: str, success: bool) -> dict[str, str]:
        r = self.records[psp_reference]
        if r.state == "action":
            fate = self.fate("continue", True) if success else "decline:card_declined"
            if fate != "challenge":
                self.decide(r, fate)
        return {}

    def capture(self, r: Record, given: dict[str, str]) -> Reply:
        fate = self.fate("capture", not r.modifications)
        if r.state != "authorized" or r.total("capture", "running"):
            return self.unexpected(r)
        m = Modification(
            self.new_id("ch"), "capture", given["metadata[capture_reference]"], int(given["amount_to_capture"])
        )
        if fate.startswith(("decline", "flip")):
            if fate.startswith("flip"):
                self.clock.later(20, lambda: self.captured(r, m))
            return self.card_error(r)
        r.modifications = [*r.modifications, m]
        if fate == "pending":
            r.state = "processing"
            self.clock.later(self.patience(), lambda: self.captured(r, m))
        else:
            self.captured(r, m)
        return Reply(200, self.shown(r))

    def captured(self, r: Record, m: Modification) -> None:
        if r.state not in {"authorized", "processing"}:
            return
        if m not in r.modifications:
            r.modifications = [*r.modifications, m]
        m.state, r.state = "done", "succeeded"
        self.happened(m.reference, "capture", r.id, m.minor, r, "approved")
        self.tell(r, "captured")

    def release(self, r: Record, key: str, why: str) -> Reply:
        fate = self.fate("void", True) if why == "requested_by_customer" else "approve"
        if r.state not in {"authorized", "action", "processing"} or r.total("capture", "running"):
            return self.unexpected(r)
        if fate.startswith(("decline", "flip")):
            if fate.startswith("flip"):
                self.clock.later(20, lambda: self.released(r, key, why))
            return self.unexpected(r)
        self.released(r, key, why)
        return Reply(200, self.shown(r))

    def released(self, r: Record, key: str, why: str) -> None:
        if r.state in {"authorized", "action", "processing"}:
            self.cancel(r, key, r.id, why)
            self.tell(r, "canceled")

    def refund(self, r: Record, key: str, given: dict[str, str]) -> Reply:
        fate, minor = self.fate("refund", True), int(given["amount"])
        m = Modification(self.new_id("re"), "refund", given["metadata[reference]"], minor)
        left = self.received(r) - r.total("refund", "done", "running")
        if r.state != "succeeded" or minor > left or fate.startswith(("decline", "flip")):
            if fate.startswith("flip"):
                self.clock.later(20, lambda: self.refunded_after_all(r, m))
            code = "charge_already_refunded" if r.state == "succeeded" and not left else "balance_insufficient"
            return Reply(400, {"error": {"type": "invalid_request_error", "code": code, "message": "no"}})
        r.modifications = [*r.modifications, m]
        if fate == "pending":
            self.clock.later(self.patience(), lambda: self.refund_ends(r, m))
        else:
            self.refunded(r, m)
        return Reply(200, self.shown_refund(r, m))

    def refunded_after_all(self, r: Record, m: Modification) -> None:
        if m.minor <= self.received(r) - r.total("refund", "done", "running"):
            self.refunded(r, m)

    def refund_ends(self, r: Record, m: Modification) -> None:
        if self.clock.random.random() < 0.6:
            self.refunded(r, m)
        else:
            m.state = "failed"
            self.tell(r, "refund.failed", m)

    def refunded(self, r: Record, m: Modification) -> None:
        if m not in r.modifications:
            r.modifications = [*r.modifications, m]
        m.state = "done"
        self.happened(m.reference, "refund", m.id, m.minor, r, "approved")
        self.tell(r, "refund.updated", m)

    # --- documents ---

    def received(self, r: Record) -> int:
        return (r.total("capture") if r.by_hand else r.approved) if r.state == "succeeded" else 0

    def shown(self, r: Record) -> Json:
        metadata = {"reference": r.reference, "payment": r.payment}
        if r.raised:
            metadata["increment_reference"] = r.raised
        if not r.minor:
            return self.shown_setup(r, metadata)
        for m in r.modifications:
            if m.kind == "capture":
                metadata["capture_reference"] = m.reference
        return {
            "object": "payment_intent", "id": r.id, "status": STATUS[r.state], "amount": r.approved or r.minor,
            "amount_capturable": r.approved if r.state == "authorized" else 0, "amount_received": self.received(r),
            "currency": r.currency.lower(), "capture_method": "manual" if r.by_hand else "automatic",
            "metadata": metadata, "payment_method": "pm_1", "latest_charge": None, "cancellation_reason": r.cancellation,
            "last_payment_error": {"code": "card_declined", "decline_code": r.code} if r.state == "declined" else None,
            "next_action": {"type": "redirect_to_url", "redirect_to_url": {"url": f"https://acs.example/{r.id}"}},
        }  # fmt: skip

    def shown_setup(self, r: Record, metadata: dict[str, str]) -> Json:
        return {
            "object": "setup_intent", "id": r.id, "status": STATUS[r.state], "metadata": metadata,
            "payment_method": "pm_1", "customer": None, "cancellation_reason": r.cancellation,
            "last_setup_error": {"code": "card_declined", "decline_code": r.code} if r.state == "declined" else None,
            "next_action": {"type": "redirect_to_url", "redirect_to_url": {"url": f"https://acs.example/{r.id}"}},
        }  # fmt: skip

    def shown_refund(self, r: Record, m: Modification) -> Json:
        status = {"running": "pending", "done": "succeeded", "failed": "failed"}[m.state]
        return {
            "object": "refund", "id": m.id, "status": status, "amount": m.minor, "currency": r.currency.lower(),
            "payment_intent": r.id, "metadata": {"reference": m.reference, "payment": r.payment},
        }  # fmt: skip

    def card_error(self, r: Record) -> Reply:
        error = {"type": "card_error", "code": "card_declined", "decline_code": r.code or "generic_decline",
                 "message": "declined", "payment_intent" if r.minor else "setup_intent": self.shown(r)}  # fmt: skip
        return Reply(402, {"error": error})

    def unexpected(self, r: Record) -> Reply:
        error = {"type": "invalid_request_error", "code": "payment_intent_unexpected_state", "message": "no",
                 "payment_intent" if r.minor else "setup_intent": self.shown(r)}  # fmt: skip
        return Reply(400, {"error": error})

    def nothing(self) -> Reply:
        return Reply(404, {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "no"}})

    def busy(self) -> Reply:
        return Reply(409, {"error": {"type": "idempotency_error", "code": "idempotency_key_in_use", "message": "busy"}})

    def failure(self) -> Reply:
        return Reply(500, {"error": {"type": "api_error", "message": "sorry"}})

    def again(self, reply: Reply) -> Reply:
        return Reply(reply.status, reply.document, {"idempotent-replayed": "true"})

    # --- notifications ---

    def tell(self, r: Record, what: str, m: Modification | None = None, why: str = "") -> None:
        kinds = {"approved": "amount_capturable_updated" if r.by_hand else "succeeded", "declined": "payment_failed",
                 "processing": "processing", "captured": "succeeded", "canceled": "canceled"}  # fmt: skip
        if not r.minor and m is None:
            kinds |= {"approved": "succeeded", "declined": "setup_failed"}
        kind = what if m is not None else f"{'payment' if r.minor else 'setup'}_intent.{kinds[what]}"
        document = self.shown_refund(r, m) if m is not None else self.shown(r)
        event = {"id": self.new_id("evt"), "type": kind, "data": {"object": document}}
        self.outbox(self, msgspec.json.encode(event), kind)

    def signed(self, raw: bytes, forged: bool) -> tuple[bytes, dict[str, str]]:
        at = str(self.clock.now // SECOND)
        secret = "whsec_wrong" if forged else self.secret
        mac = hmac.new(secret.encode(), at.encode() + b"." + raw, hashlib.sha256).hexdigest()
        return raw, {"stripe-signature": f"t={at},v1={mac}"}


def refunds(r: Record) -> list[Modification]:
    return [m for m in r.modifications if m.kind == "refund"]
