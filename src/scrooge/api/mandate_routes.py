"""The URLs of what payers agreed to: a part of the table in routes.py."""

from scrooge import errors as e
from scrooge.api import mandate_answers as a
from scrooge.api import mandates
from scrooge.api.call import Route

READ, WRITE, MANDATE = "instruments:read", "instruments:write", "/v1/mandates/{mandate}"

# fmt: off
MANDATE_ROUTES = (
    Route(method="GET", path="/v1/customers/{customer}/mandates", handler=mandates.of_customer, scope=READ,
          query=a.MandatePage, answers={200: a.MandateList}, problems=(e.NotFound,),
          summary="List what a customer agreed to, newest first"),
    Route(method="GET", path=MANDATE, handler=mandates.read, scope=READ, answers={200: a.Mandate},
          problems=(e.NotFound,), summary="Read a mandate"),
    Route(method="POST", path=f"{MANDATE}/revoke", handler=mandates.revoke, scope=WRITE, body=a.RevokeMandate,
          answers={200: a.Mandate}, problems=(e.NotFound,),
          summary="Pay nothing under it any more; twice is as good as once"),
)
# fmt: on
# A payment under one.
PAID_UNDER = (e.UnknownMandate, e.MandatePending, e.MandateRevoked, e.AmountOverMandate)
