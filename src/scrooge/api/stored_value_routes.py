"""The URLs of stored value: a part of the table in routes.py."""

from scrooge import errors as e
from scrooge.api import bodies as b
from scrooge.api import stored_value
from scrooge.api import stored_value_documents as d
from scrooge.api.call import Route

READ, WRITE = "stored_value:read", "stored_value:write"
ACCOUNTS = "/v1/stored-value-accounts"
ACCOUNT = f"{ACCOUNTS}/{{stored_value_account}}"
AMOUNT = (e.AmountScaleMismatch, e.AmountMustBePositive, e.AmountOutOfRange, e.UnknownCurrency, e.CurrencyMismatch)
KEYED = (
    e.IdempotencyKeyMissing, e.IdempotencyKeyInvalid, e.IdempotencyKeyReused, e.RequestInProgress, e.ReferenceExists,
)  # fmt: skip
OVER = (e.StoredValueClosed, e.StoredValueExpired)

# fmt: off
STORED_VALUE_ROUTES = (
    Route(method="POST", path=ACCOUNTS, handler=stored_value.create, scope=WRITE, body=d.OpenStoredValueAccount,
          answers={201: d.StoredValueAccount}, idempotent=True, problems=(*KEYED, e.UnknownCurrency),
          summary="Open a customer's account of stored value, with the instrument that pays from it"),
    Route(method="GET", path=ACCOUNTS, handler=stored_value.of_customer, scope=READ, query=d.StoredValueFilter,
          answers={200: d.StoredValueAccountList}, summary="List a customer's accounts of stored value, newest first"),
    Route(method="GET", path=ACCOUNT, handler=stored_value.read, scope=READ, answers={200: d.StoredValueAccount},
          problems=(e.NotFound,), summary="Read an account of stored value: what is available and what is held"),
    Route(method="POST", path=f"{ACCOUNT}/loads", handler=stored_value.load, scope=WRITE, body=d.LoadStoredValue,
          answers={201: d.StoredValueMove}, idempotent=True, problems=(*AMOUNT, *KEYED, *OVER, e.NotFound),
          summary="Load value that an order of yours paid for"),
    Route(method="GET", path=f"{ACCOUNT}/statement", handler=stored_value.statement, scope=READ, query=b.Page,
          answers={200: d.StoredValueMoveList}, problems=(e.NotFound,),
          summary="List what moved on an account of stored value, newest first"),
    Route(method="POST", path=f"{ACCOUNT}/close", handler=stored_value.close, scope=WRITE, body=b.Nothing,
          answers={200: d.StoredValueAccount}, problems=(e.NotFound, e.StoredValueNotEmpty),
          summary="Close an empty account of stored value for good"),
)
# fmt: on
PAID_FROM = (e.CurrencyMismatch, e.StoredValueClosed, e.StoredValueExpired)
