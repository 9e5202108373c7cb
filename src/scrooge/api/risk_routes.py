"""The URLs of what is checked before a payment: a part of the table in routes.py."""

from scrooge import errors as e
from scrooge.api import risk
from scrooge.api import risk_answers as ka
from scrooge.api import risk_bodies as kb
from scrooge.api import routing_bodies as rb
from scrooge.api.call import Route

RISK, RISK_WRITE, RISK_POLICY = "risk:read", "risk:admin", "/v1/risk/policies/{risk_policy}"
AMOUNT = (e.AmountScaleMismatch, e.AmountMustBePositive, e.AmountOutOfRange, e.UnknownCurrency)

# fmt: off
RISK_ROUTES = (
    Route(method="POST", path="/v1/risk/policies", handler=risk.draft, scope=RISK_WRITE, body=kb.DraftRiskPolicy,
          answers={201: ka.RiskPolicy, 200: ka.RiskPolicy}, problems=(e.RiskPolicyRefused,),
          summary="Draft a risk policy; the same document again is the same version"),
    Route(method="GET", path="/v1/risk/policies", handler=risk.several, scope=RISK, query=rb.PolicyFilter,
          answers={200: ka.RiskPolicyList}, summary="List every version of the risk policies, newest first"),
    Route(method="GET", path=RISK_POLICY, handler=risk.read, scope=RISK, answers={200: ka.RiskPolicy},
          problems=(e.NotFound,), summary="Read a version of a risk policy"),
    Route(method="POST", path=f"{RISK_POLICY}/activate", handler=risk.activate, scope=RISK_WRITE,
          body=kb.ActivateRiskPolicy, answers={200: ka.RiskPolicy},
          problems=(e.NotFound, e.ActivePolicyChanged, e.RiskPolicyRefused),
          summary="Check payments by it from now on, if what is active is what you expect"),
    Route(method="POST", path="/v1/risk/rollback", handler=risk.roll_back, scope=RISK_WRITE, body=kb.RollBackRisk,
          answers={200: ka.RiskState}, problems=(e.NotFound, e.RiskPolicyRefused),
          summary="Go back to a risk policy that was active before, or to none"),
    Route(method="GET", path="/v1/risk/activations", handler=risk.activations, scope=RISK,
          query=rb.ActivationFilter, answers={200: ka.RiskActivationList},
          summary="List which risk policy was active since when, and who said so"),
    Route(method="POST", path="/v1/risk/explain", handler=risk.explain, scope=RISK, body=kb.ExplainRisk,
          answers={200: ka.RiskExplanation},
          problems=(*AMOUNT, e.NotFound, e.RiskPolicyRefused, e.RiskUnavailable, e.UnknownInstrument, e.ModeMismatch,
                    e.InstrumentNotOfCustomer, e.VaultUnavailable),
          summary="What the rules would say now of a payment; the service is not asked"),
)
# fmt: on
