"""The URLs of stored value: a part of the table in routes.py."""

from scrooge import errors as e
from scrooge.api import bodies as b
from scrooge.api import stored_value
from scrooge.api import stored_value_documents as d
from scrooge.api.call import Route

READ, WRITE = "stored_value:read", "stored_value:write"
ACCOUNTS = "/v1/stored-value-accounts"
ACCOUNT = f"{ACCOUNTS}/{{stored_value_account}}"
ADJUSTMENT = "/v1/stored-value-adjustments/{stored_value_adjustment}"
CODES = "/v1/stored-value-codes"
ISSUE = f"{CODES}/{{stored_value_codes}}"
OPERATE = "operations:write"
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
          answers={201: d.StoredValueMove}, idempotent=True,
          problems=(*AMOUNT, *KEYED, *OVER, e.NotFound, e.CodeNotAccepted, e.CodesLocked),
          summary="Load value that an order of yours paid for, or by a code"),
    Route(method="POST", path=f"{ACCOUNT}/adjustments", handler=stored_value.adjust, scope=WRITE,
          body=d.AdjustStoredValue, answers={201: d.StoredValueAdjustment, 202: d.StoredValueAdjustment},
          idempotent=True,
          problems=(*AMOUNT, *KEYED, *OVER, e.NotFound, e.StoredValueTooLow),
          summary="Give value or take it back for no order; a large adjustment waits for another API key"),
    Route(method="GET", path=ADJUSTMENT, handler=stored_value.read_adjustment, scope=READ,
          answers={200: d.StoredValueAdjustment}, problems=(e.NotFound,), summary="Read an adjustment"),
    Route(method="POST", path=f"{ADJUSTMENT}/approve", handler=stored_value.approve, scope=OPERATE, body=b.Nothing,
          answers={200: d.StoredValueAdjustment},
          problems=(*OVER, e.NotFound, e.SecondApproverRequired, e.AdjustmentClosed, e.StoredValueTooLow),
          summary="Apply an adjustment that another API key proposed"),
    Route(method="POST", path=f"{ADJUSTMENT}/reject", handler=stored_value.reject, scope=OPERATE, body=b.Nothing,
          answers={200: d.StoredValueAdjustment}, problems=(e.NotFound, e.AdjustmentClosed),
          summary="Drop a proposed adjustment"),
    Route(method="POST", path=CODES, handler=stored_value.make_codes, scope=WRITE, body=d.MakeStoredValueCodes,
          answers={201: d.StoredValueCodes}, idempotent=True, problems=(*AMOUNT, *KEYED),
          summary="Make codes that load stored value; they are told now and never again"),
    Route(method="GET", path=ISSUE, handler=stored_value.read_codes, scope=READ, answers={200: d.StoredValueCodes},
          problems=(e.NotFound,), summary="Read how many of some codes are used"),
    Route(method="POST", path=f"{ISSUE}/cancel", handler=stored_value.cancel_codes, scope=WRITE, body=b.Nothing,
          answers={200: d.StoredValueCodes}, problems=(e.NotFound,), summary="Accept no more of some codes"),
    Route(method="GET", path=f"{ACCOUNT}/statement", handler=stored_value.statement, scope=READ, query=b.Page,
          answers={200: d.StoredValueMoveList}, problems=(e.NotFound,),
          summary="List what moved on an account of stored value, newest first"),
    Route(method="POST", path=f"{ACCOUNT}/close", handler=stored_value.close, scope=WRITE, body=b.Nothing,
          answers={200: d.StoredValueAccount}, problems=(e.NotFound, e.StoredValueNotEmpty),
          summary="Close an empty account of stored value for good"),
)
# fmt: on
PAID_FROM = (e.CurrencyMismatch, e.StoredValueClosed, e.StoredValueExpired)
