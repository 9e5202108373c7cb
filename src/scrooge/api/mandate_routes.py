"""The URLs of what payers agreed to: a part of the table in routes.py."""

from scrooge import errors as e
from scrooge.api import bodies as b
from scrooge.api import mandate_answers as a
from scrooge.api import mandates
from scrooge.api.call import Route
from scrooge.api.updating import links, payer

LINK = "/v1/update-links/{update_link}"
LINKED = (e.NotFound, e.MandatePending, e.MandateRevoked, e.UnsupportedOperation)
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
    Route(method="POST", path=f"{MANDATE}/update-links", handler=links.create, scope=WRITE, body=links.CreateUpdateLink,
          answers={201: links.UpdateLink}, problems=LINKED,
          summary="Make a link to a page on which the payer leaves another card for it"),
    Route(method="POST", path="/v1/payments/{payment}/update-links", handler=links.create_of_payment, scope=WRITE,
          body=links.CreateUpdateLink, answers={201: links.UpdateLink}, problems=LINKED,
          summary="The same for a declined payment's mandate; the payment is tried again with the card"),
    Route(method="GET", path=LINK, handler=links.read, scope=READ, answers={200: links.UpdateLink},
          problems=(e.NotFound,), summary="Read what became of a link"),
    Route(method="POST", path=f"{LINK}/revoke", handler=links.revoke, scope=WRITE, body=b.Nothing,
          answers={200: links.UpdateLink}, problems=(e.NotFound,), summary="Nobody may use the link any more"),
    Route(method="GET", path="/update/{token}", handler=payer.show, scope=None, raw=True,
          answers={200: None, 404: None, 503: None}, summary="For payers: the page on which they leave another card"),
    Route(method="POST", path="/update/{token}", handler=payer.take, scope=None, raw=True,
          answers={200: None, 404: None}, summary="For that page: the card, and where the browser goes next"),
)
# fmt: on
# A payment under one.
PAID_UNDER = (e.UnknownMandate, e.MandatePending, e.MandateRevoked, e.AmountOverMandate)
