"""The simulated PSP in Adyen's dialect: modifications are only accepted, nothing can be asked, news tells the rest."""

import base64
import hashlib
import hmac
from typing import Any

import msgspec

from scrooge.connectors.adyen import ADYEN
from scrooge.connectors.adyen_notifications import signed_text
from scrooge.connectors.connector import Request
from tests.simulation.psp import Modification, Psp, Record, Reply

RESULT = {"action": "RedirectShopper", "processing": "Received", "authorized": "Authorised",
          "succeeded": "Authorised", "declined": "Refused", "canceled": "Cancelled"}  # fmt: skip
KINDS = {"amountUpdates": "increment", "captures": "capture", "cancels": "void", "refunds": "refund"}
EVENTS = {"increment": "AUTHORISATION_ADJUSTMENT", "capture": "CAPTURE", "void": "CANCELLATION", "refund": "REFUND"}
WORDS = {"2": "Refused", "9": "Issuer Unavailable", "12": "Not enough balance"}
Json = dict[str, Any]


class Adyen(Psp):
    connector = ADYEN
    retention_seconds = 7 * 86_400
    soft_decline = "2"
    secret = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"

    def execute(self, request: Request) -> Reply:
        given = msgspec.json.decode(request.body)
        match request.path.split("/")[2:]:
            case ["payments"]:
                return self.payment(given, request.idempotency_key or "")
            case ["payments", "details"]:
                return self.details(given["details"], request.idempotency_key or "")
            case ["payments", reference, what]:
                return self.modify(self.records[reference], KINDS[what], given, request.idempotency_key or "")
        raise AssertionError(request.path)

    # --- requests ---

    def payment(self, given: Json, key: str) -> Reply:
        by_hand = (given.get("additionalData") or {}).get("manualCapture") == "true"
        r = Record(
            self.new_id("psp"), given["reference"], given["merchantOrderReference"], given["amount"]["value"],
            given["amount"]["currency"], by_hand, self.clock.now,
        )  # fmt: skip
        self.records[r.id] = r
        self.decide(r, self.fate("authorize" if r.minor else "verify", True))
        return Reply(200, self.shown(r), {"idempotency-key": key})

    def payer_acts(self, psp_reference: str, success: bool) -> dict[str, str]:
        """The payer's browser carries the result; nothing happens here before it is posted as details."""
        result = self.records[psp_reference].redirect = f"{self.new_id('result')}:{'success' if success else 'failure'}"
        return {"redirectResult": f"{psp_reference}:{result}"}

    def details(self, details: Json, key: str) -> Reply:
        reference, _, given = details["redirectResult"].partition(":")
        r = self.records.get(reference)
        if r is None or not r.redirect or given != r.redirect:
            return Reply(
                422, {"status": 422, "errorCode": "101", "message": "details are wrong"}, {"idempotency-key": key}
            )
        if r.state == "action":
            fate = self.fate("continue", True) if given.endswith("success") else "decline:2"
            if fate != "challenge":
                self.decide(r, fate)
        return Reply(200, self.shown(r), {"idempotency-key": key})

    def modify(self, r: Record, kind: str, given: Json, key: str) -> Reply:
        """Whether it can be done is found out after it was accepted."""
        minor = given["amount"]["value"] if "amount" in given else 0
        m = Modification(self.new_id(kind), kind, given["reference"], minor)
        r.modifications = [*r.modifications, m]
        fate = self.fate(kind, True)
        wait = self.patience() if fate == "pending" else self.clock.random.uniform(0.01, 3)
        self.clock.later(wait, lambda: self.ends(r, m, fate))
        document = {"status": "received", "pspReference": m.id, "paymentPspReference": r.id, "reference": m.reference}
        return Reply(201, document, {"idempotency-key": key})

    def ends(self, r: Record, m: Modification, fate: str) -> None:
        possible = {
            "capture": r.state in {"authorized", "succeeded"} and r.by_hand
                       and r.total("capture") + m.minor <= r.approved and not r.cancellation,
            "void": r.state == "authorized" and not r.cancellation,
            "increment": r.state == "authorized" and not r.cancellation and m.minor > r.approved and not r.total("capture"),
            "refund": r.total("refund") + m.minor <= (r.total("capture") if r.by_hand else r.approved),
        }[m.kind]  # fmt: skip
        if not possible or fate.startswith(("decline", "flip")):
            m.state = "failed"
            gone = r.cancellation if m.kind == "void" else r.total("refund") >= r.approved
            self.tell(r, m.kind, m, "Transaction already cancelled or refunded" if gone else "")
            if possible and fate.startswith("flip"):
                self.clock.later(20, lambda: self.ends(r, m, "approve"))
            return
        m.state = "done"
        if m.kind == "void":
            left = r.approved - r.total("capture")
            r.cancellation = "asked"
            self.happened(m.reference, "void", m.id, left, r, "approved")
        elif m.kind == "increment":
            self.happened(m.reference, "increment", m.id, m.minor - r.approved, r, "approved")
            r.approved = m.minor
        else:
            self.happened(m.reference, m.kind, m.id, m.minor, r, "approved")
        self.tell(r, m.kind, m)

    # --- documents ---

    def shown(self, r: Record) -> Json:
        found: Json = {"resultCode": RESULT[r.state], "pspReference": r.id, "merchantReference": r.reference}
        if r.state in {"authorized", "succeeded"}:
            found["amount"] = {"value": r.approved, "currency": r.currency}
            if r.approved < r.minor:
                found["resultCode"] = "PartiallyAuthorised"
        if r.state == "declined":
            found |= {"refusalReasonCode": r.code, "refusalReason": WORDS.get(r.code, "Unheard of")}
        if r.state == "action":
            found["action"] = {"type": "redirect", "method": "GET", "url": f"https://acs.example/{r.id}"}
        return found

    def busy(self) -> Reply:
        return Reply(422, {"status": 422, "errorCode": "704", "message": "request already in progress"})

    def failure(self) -> Reply:
        raise AssertionError("Adyen keeps no failure under a key")

    def again(self, reply: Reply) -> Reply:
        return reply

    # --- notifications ---

    def tell(self, r: Record, what: str, m: Modification | None = None, why: str = "") -> None:
        if what == "processing":
            return
        good = m.state == "done" if m is not None else what == "approved"
        item: Json = {
            "pspReference": m.id if m is not None else r.id,
            "originalReference": r.id if m is not None else "",
            "merchantAccountCode": "Shop",
            "merchantReference": m.reference if m is not None else r.reference,
            "amount": {"value": (m.minor or r.approved) if m is not None else (r.approved or r.minor), "currency": r.currency},
            "eventCode": EVENTS[m.kind] if m is not None else "AUTHORISATION",
            "success": "true" if good else "false",
            "reason": "" if good else why or WORDS.get(r.code, "Unheard of"),
            "additionalData": {},
        }  # fmt: skip
        self.outbox(self, msgspec.json.encode(item), item["eventCode"])

    def signed(self, raw: bytes, forged: bool) -> tuple[bytes, dict[str, str]]:
        item = msgspec.json.decode(raw)
        secret = bytes.fromhex("00" * 32 if forged else self.secret)
        mac = base64.b64encode(hmac.new(secret, signed_text(item).encode(), hashlib.sha256).digest()).decode()
        item["additionalData"] = {**item["additionalData"], "hmacSignature": mac}
        return msgspec.json.encode({"notificationItems": [{"NotificationRequestItem": item}]}), {}
