"""The URL table: every path, what it takes, what it answers, what it refuses, and the scope its API key needs.

The OpenAPI document, the human page at /docs and the router are all made from this table.
"""

from scrooge import errors as e
from scrooge.api import (
    accounts,
    events,
    health,
    instruments,
    ledger,
    operations,
    outside,
    payments,
    routing,
    routing_declines,
    verifications,
    webhooks,
)
from scrooge.api import answers as a
from scrooge.api import bodies as b
from scrooge.api import instrument_answers as ia
from scrooge.api import modification_answers as ma
from scrooge.api import modifications as m
from scrooge.api import operation_answers as oa
from scrooge.api import operation_bodies as ob
from scrooge.api import reports as r
from scrooge.api import routing_answers as ra
from scrooge.api import routing_bodies as rb
from scrooge.api import webhook_answers as wa
from scrooge.api import webhook_bodies as wb
from scrooge.api.batch_routes import BATCH_ROUTES
from scrooge.api.call import Route
from scrooge.api.mandate_routes import MANDATE_ROUTES, PAID_UNDER
from scrooge.api.recovery_routes import RECOVERY_ROUTES
from scrooge.api.risk_routes import RISK_ROUTES
from scrooge.api.stored_value_routes import PAID_FROM, STORED_VALUE_ROUTES

READ, WRITE, REFUND = "payments:read", "payments:write", "refunds:write"
CONNECTORS, CONNECTORS_WRITE = "connectors:read", "connectors:write"

AMOUNT = (e.AmountScaleMismatch, e.AmountMustBePositive, e.AmountOutOfRange, e.UnknownCurrency)
KEYED = (
    e.IdempotencyKeyMissing, e.IdempotencyKeyInvalid, e.IdempotencyKeyReused, e.RequestInProgress,
    e.ReferenceExists,
)  # fmt: skip
BUSY = (e.PspOverloaded, e.PspUnavailable, e.DeadlineTooShort)
ROUTED = (
    *BUSY, e.VaultUnavailable,
    e.UnknownInstrument, e.InstrumentNotOfCustomer, e.ModeMismatch, e.AmountNotRepresentable,
    e.AuthenticationRequired, e.ReattemptRefused, e.RiskUnavailable,
)  # fmt: skip
MOVED = (
    *AMOUNT, *KEYED, *BUSY, e.NotFound, e.AmountExceedsRoom, e.AuthorizationNotApproved, e.AuthorizationExpired,
    e.CaptureInFlight, e.IncrementInFlight, e.CurrencyMismatch, e.UnsupportedOperation, e.AmountNotRepresentable,
    e.PartOfSplit,
)  # fmt: skip
PAYMENT = {201: a.Payment, 202: a.Payment}
ACCOUNT = "/v1/connector-accounts/{account}"
HOOKS, HOOKS_WRITE = "webhooks:read", "webhooks:write"
OPERATE, OPERATE_WRITE, DECISION = "operations:read", "operations:write", "/v1/decisions/{decision}"
STEER, STEER_WRITE, POLICY = "routing:read", "routing:admin", "/v1/routing/policies/{policy}"
SWITCH = "/v1/routing/switches/{switch}"
ENDPOINT, DELIVERY = "/v1/webhook-endpoints/{webhook_endpoint}", "/v1/webhook-deliveries/{webhook_delivery}"

# fmt: off
ROUTES = (
    # --- payments ---
    Route(method="POST", path="/v1/payments", handler=payments.create, scope=WRITE, body=b.CreatePayment,
          answers=PAYMENT, idempotent=True, problems=(*AMOUNT, *KEYED, *ROUTED, e.UnknownConnectorAccount,
                                                   e.RetriesRefused, e.TendersDiffer, e.NoRoute, *PAID_UNDER,
                                                   *PAID_FROM),
          summary="Create a payment and authorize it; captures too, unless capture is manual"),
    Route(method="GET", path="/v1/payments", handler=payments.several, scope=READ, query=b.PaymentFilter,
          answers={200: a.PaymentList}, summary="List payments, newest first; a page may be shorter than limit"),
    Route(method="GET", path="/v1/payments/{payment}", handler=payments.read, scope=READ, query=b.Expand,
          answers={200: a.Payment}, problems=(e.NotFound,),
          summary="Read a payment; expand=attempts,timeline,journals,routing,risk"),
    Route(method="POST", path="/v1/payments/{payment}/authorizations", handler=payments.authorize_again,
          scope=WRITE, body=b.AuthorizePayment, answers=PAYMENT, idempotent=True,
          problems=(*KEYED, *ROUTED, e.NoRoute, e.NotFound, e.AuthorizationLive, e.RiskBlocked,
                    e.MandateRevoked, e.PartOfSplit, *PAID_FROM),
          summary="Authorize again after a decline, a failure, a void or an expiry"),
    Route(method="POST", path="/v1/payments/{payment}/authentications", handler=payments.authenticate,
          scope=WRITE, body=b.AuthenticatePayment, answers=PAYMENT, idempotent=True,
          problems=(*KEYED, *BUSY, e.NotFound, e.NothingToAuthenticate, e.UnsupportedOperation),
          summary="Go on after the payer authenticated on a page of yours"),
    Route(method="POST", path="/v1/payments/{payment}/captures", handler=m.capture, scope=WRITE, body=b.CapturePayment,
          answers={201: ma.Capture, 202: ma.Capture}, idempotent=True, problems=MOVED,
          summary="Capture what was authorized, or a part of it"),
    Route(method="GET", path="/v1/payments/{payment}/captures", handler=m.captures, scope=READ,
          answers={200: ma.CaptureList}, problems=(e.NotFound,), summary="List the captures of a payment"),
    Route(method="POST", path="/v1/payments/{payment}/voids", handler=m.void, scope=WRITE, body=b.VoidPayment,
          answers={201: ma.Void, 202: ma.Void}, idempotent=True, problems=MOVED,
          summary="Release what was authorized and not captured"),
    Route(method="GET", path="/v1/payments/{payment}/voids", handler=m.voids, scope=READ,
          answers={200: ma.VoidList}, problems=(e.NotFound,), summary="List the voids of a payment"),
    Route(method="POST", path="/v1/payments/{payment}/refunds", handler=m.refund, scope=REFUND, body=b.RefundPayment,
          answers={201: ma.Refund, 202: ma.Refund}, idempotent=True, problems=MOVED,
          summary="Give back what was captured, or a part of it"),
    Route(method="GET", path="/v1/payments/{payment}/refunds", handler=m.refunds, scope=READ,
          answers={200: ma.RefundList}, problems=(e.NotFound,), summary="List the refunds of a payment"),
    Route(method="POST", path="/v1/payments/{payment}/increments", handler=m.increment, scope=WRITE,
          body=b.IncrementPayment, answers={201: ma.Increment, 202: ma.Increment}, idempotent=True,
          problems=(*MOVED, e.AuthorizationCaptured), summary="Raise an authorization that is not captured"),
    Route(method="GET", path="/v1/payments/{payment}/increments", handler=m.increments, scope=READ,
          answers={200: ma.IncrementList}, problems=(e.NotFound,), summary="List the increments of a payment"),
    Route(method="POST", path="/v1/payments/{payment}/retries/cancel", handler=payments.cancel_retries, scope=WRITE,
          body=b.Nothing, answers={200: a.Payment, 202: a.Payment}, problems=(e.NotFound,),
          summary="Do not try it again by yourself"),
    Route(method="POST", path="/v1/payments/{payment}/sync", handler=payments.sync, scope=WRITE, body=b.Nothing,
          answers={200: a.Payment, 202: a.Payment}, problems=(e.NotFound,),
          summary="Ask the PSP now what became of it"),
    # --- instruments ---
    Route(method="POST", path="/v1/instruments", handler=instruments.create, scope="instruments:write",
          body=b.CreateInstrument, answers={201: ia.Instrument},
          problems=(e.UnknownConnectorAccount, e.ModeMismatch), summary="Keep a payer's tokens at one or more PSPs"),
    Route(method="GET", path="/v1/instruments", handler=instruments.of_customer, scope="instruments:read",
          query=b.InstrumentFilter, answers={200: ia.InstrumentList},
          summary="List a customer's instruments, newest first"),
    Route(method="GET", path="/v1/instruments/{instrument}", handler=instruments.read, scope="instruments:read",
          answers={200: ia.Instrument}, problems=(e.NotFound, e.VaultUnavailable), summary="Read an instrument"),
    Route(method="DELETE", path="/v1/instruments/{instrument}", handler=instruments.delete,
          scope="instruments:write", answers={200: ia.Deleted},
          problems=(e.NotFound, e.VaultUnavailable, e.UnsupportedOperation),
          summary="Forget an instrument, here and wherever a credential of it is kept"),
    # --- batches ---
    *BATCH_ROUTES,
    # --- recoveries ---
    *RECOVERY_ROUTES,
    # --- stored value ---
    *STORED_VALUE_ROUTES,
    # --- mandates ---
    *MANDATE_ROUTES,
    Route(method="POST", path="/v1/instruments/{instrument}/verifications", handler=verifications.create, scope=WRITE,
          body=verifications.VerifyInstrument, idempotent=True,
          answers={201: verifications.Verification, 202: verifications.Verification},
          problems=(*KEYED, *ROUTED, e.NoRoute, e.UnknownConnectorAccount, e.UnknownCurrency, e.UnsupportedOperation),
          summary="Ask the issuer whether a card can be paid with, for nothing"),
    Route(method="GET", path="/v1/verifications/{verification}", handler=verifications.read, scope=READ,
          answers={200: verifications.Verification}, problems=(e.NotFound,), summary="Read a verification"),
    # --- events ---
    Route(method="GET", path="/v1/events", handler=events.feed, scope="events:read", query=b.EventFilter,
          answers={200: r.EventList}, summary="Read what happened, in order, each event once"),
    # --- webhooks ---
    Route(method="POST", path="/v1/webhook-endpoints", handler=webhooks.create, scope=HOOKS_WRITE,
          body=wb.CreateWebhookEndpoint, answers={201: wa.WebhookEndpoint}, problems=(e.BadUrl, e.TooManyEndpoints),
          summary="Have events sent to a URL of yours; the secret is shown now and never again"),
    Route(method="GET", path="/v1/webhook-endpoints", handler=webhooks.several, scope=HOOKS,
          answers={200: wa.WebhookEndpointList}, summary="List webhook endpoints"),
    Route(method="GET", path=ENDPOINT, handler=webhooks.read, scope=HOOKS, answers={200: wa.WebhookEndpoint},
          problems=(e.NotFound,), summary="Read a webhook endpoint"),
    Route(method="PATCH", path=ENDPOINT, handler=webhooks.change, scope=HOOKS_WRITE, body=wb.ChangeWebhookEndpoint,
          answers={200: wa.WebhookEndpoint}, problems=(e.NotFound, e.BadUrl),
          summary="Change a webhook endpoint, disable or enable it"),
    Route(method="DELETE", path=ENDPOINT, handler=webhooks.delete, scope=HOOKS_WRITE,
          answers={200: wa.DeletedWebhookEndpoint}, problems=(e.NotFound,),
          summary="Send nothing there any more and forget the secret"),
    Route(method="POST", path=f"{ENDPOINT}/rotate-secret", handler=webhooks.rotate, scope=HOOKS_WRITE,
          body=wb.RotateWebhookSecret, answers={200: wa.WebhookEndpoint}, problems=(e.NotFound,),
          summary="Make a new secret; both sign during the overlap"),
    Route(method="POST", path=f"{ENDPOINT}/test", handler=webhooks.test, scope=HOOKS_WRITE, body=b.Nothing,
          answers={202: wa.WebhookDelivery}, problems=(e.NotFound, e.EndpointDisabled),
          summary="Send an event of type test"),
    Route(method="POST", path=f"{ENDPOINT}/replay", handler=webhooks.replay, scope=HOOKS_WRITE,
          body=wb.ReplayWebhooks, answers={202: wa.WebhookReplay}, problems=(e.NotFound, e.ReplayRunning),
          summary="Deliver a range of events once more, each under its own webhook-id"),
    Route(method="GET", path="/v1/webhook-replays/{webhook_replay}", handler=webhooks.read_replay, scope=HOOKS,
          answers={200: wa.WebhookReplay}, problems=(e.NotFound,), summary="Read how far a replay is"),
    Route(method="GET", path=f"{ENDPOINT}/deliveries", handler=webhooks.deliveries, scope=HOOKS,
          query=wb.DeliveryFilter, answers={200: wa.WebhookDeliveryList}, problems=(e.NotFound,),
          summary="List what was sent or is to be sent, newest first"),
    Route(method="GET", path=DELIVERY, handler=webhooks.read_delivery, scope=HOOKS,
          answers={200: wa.WebhookDelivery}, problems=(e.NotFound,), summary="Read a delivery"),
    Route(method="POST", path=f"{DELIVERY}/retry", handler=webhooks.retry, scope=HOOKS_WRITE, body=b.Nothing,
          answers={202: wa.WebhookDelivery}, problems=(e.NotFound,),
          summary="Send a delivery now, with a whole new schedule"),
    # --- connectors ---
    Route(method="GET", path="/v1/connectors", handler=accounts.installed, scope=CONNECTORS,
          answers={200: r.ConnectorList}, summary="List the installed connectors and what they can do"),
    Route(method="POST", path="/v1/connector-accounts", handler=accounts.create, scope=CONNECTORS_WRITE,
          body=b.CreateConnectorAccount, answers={201: r.ConnectorAccount},
          problems=(e.UnknownConnector, e.BadCredentials, e.BadUrl, e.ModeMismatch, e.NameTaken),
          summary="Add a contract at a PSP; its credentials are never shown again"),
    Route(method="GET", path="/v1/connector-accounts", handler=accounts.several, scope=CONNECTORS,
          answers={200: r.ConnectorAccountList}, summary="List connector accounts"),
    Route(method="GET", path=ACCOUNT, handler=accounts.read, scope=CONNECTORS,
          answers={200: r.ConnectorAccount}, problems=(e.NotFound,), summary="Read a connector account"),
    Route(method="PATCH", path=ACCOUNT, handler=accounts.change_credentials, scope=CONNECTORS_WRITE,
          body=b.ChangeCredentials, answers={200: r.ConnectorAccount},
          problems=(e.NotFound, e.BadCredentials, e.BadUrl),
          summary="Replace the credentials that are named, or the address in test mode"),
    Route(method="POST", path=f"{ACCOUNT}/drain", handler=accounts.drain, scope=CONNECTORS_WRITE, body=b.Nothing,
          answers={200: r.ConnectorAccount}, problems=(e.NotFound,), summary="Send new payments elsewhere"),
    Route(method="POST", path=f"{ACCOUNT}/pause", handler=accounts.pause, scope=CONNECTORS_WRITE, body=b.Nothing,
          answers={200: r.ConnectorAccount}, problems=(e.NotFound,), summary="Stop using it for now"),
    Route(method="POST", path=f"{ACCOUNT}/resume", handler=accounts.resume, scope=CONNECTORS_WRITE,
          body=b.Nothing, answers={200: r.ConnectorAccount}, problems=(e.NotFound,), summary="Use it again"),
    Route(method="GET", path=f"{ACCOUNT}/health", handler=accounts.health, scope=CONNECTORS,
          answers={200: r.ConnectorAccountHealth}, problems=(e.NotFound,),
          summary="How its newest payments went, and what is unresolved"),
    # --- operations ---
    Route(method="GET", path="/v1/breaks", handler=operations.several, scope=OPERATE, query=ob.BreakFilter,
          answers={200: oa.BreakList}, summary="List what a person has to look at, newest first"),
    Route(method="GET", path="/v1/breaks/{break}", handler=operations.read, scope=OPERATE, answers={200: oa.Break},
          problems=(e.NotFound,), summary="Read a break"),
    Route(method="POST", path="/v1/breaks/{break}/close", handler=operations.close, scope=OPERATE_WRITE,
          body=ob.CloseBreak, answers={200: oa.Break}, problems=(e.NotFound, e.BreakClosed),
          summary="Say what was found and done; changes nothing else"),
    Route(method="POST", path="/v1/payments/{payment}/decisions", handler=operations.propose, scope=OPERATE_WRITE,
          body=ob.ProposeDecision, answers={201: oa.Decision},
          problems=(*AMOUNT, e.NotFound, e.AttemptNotInDoubt, e.DecisionOpen, e.ContradictoryOutcome),
          summary="Propose what became of an attempt that is in doubt"),
    Route(method="GET", path="/v1/payments/{payment}/decisions", handler=operations.of_payment, scope=OPERATE,
          answers={200: oa.DecisionList}, problems=(e.NotFound,), summary="List the decisions about a payment"),
    Route(method="GET", path="/v1/decisions", handler=operations.decided, scope=OPERATE, query=ob.DecisionFilter,
          answers={200: oa.DecisionList}, summary="List decisions, newest first"),
    Route(method="GET", path=DECISION, handler=operations.read_decision, scope=OPERATE,
          answers={200: oa.Decision}, problems=(e.NotFound,), summary="Read a decision"),
    Route(method="POST", path=f"{DECISION}/approve", handler=operations.approve, scope=OPERATE_WRITE, body=b.Nothing,
          answers={200: oa.Decision},
          problems=(e.NotFound, e.SecondApproverRequired, e.DecisionClosed, e.AttemptNotInDoubt, e.AttemptBusy,
                    e.ContradictoryOutcome),
          summary="Apply a decision that another API key proposed"),
    Route(method="POST", path=f"{DECISION}/reject", handler=operations.reject, scope=OPERATE_WRITE,
          body=ob.RejectDecision, answers={200: oa.Decision}, problems=(e.NotFound, e.DecisionClosed),
          summary="Drop a proposed decision"),
    # --- routing ---
    Route(method="POST", path="/v1/routing/policies", handler=routing.draft, scope=STEER_WRITE, body=rb.DraftPolicy,
          answers={201: ra.RoutingPolicy, 200: ra.RoutingPolicy}, problems=(e.PolicyRefused,),
          summary="Draft a routing policy; the same document again is the same version"),
    Route(method="GET", path="/v1/routing/policies", handler=routing.several, scope=STEER, query=rb.PolicyFilter,
          answers={200: ra.RoutingPolicyList}, summary="List every version of the routing policies, newest first"),
    Route(method="GET", path=POLICY, handler=routing.read, scope=STEER, answers={200: ra.RoutingPolicy},
          problems=(e.NotFound,), summary="Read a version of a routing policy"),
    Route(method="GET", path=f"{POLICY}/diff", handler=routing.diff, scope=STEER, query=rb.DiffFilter,
          answers={200: ra.PolicyDiff}, problems=(e.NotFound, e.PolicyRefused),
          summary="What changes from the base, or from what is active, and which payments move"),
    Route(method="POST", path=f"{POLICY}/activate", handler=routing.activate, scope=STEER_WRITE,
          body=rb.ActivatePolicy, answers={200: ra.RoutingPolicy},
          problems=(e.NotFound, e.ActivePolicyChanged, e.PolicyRefused),
          summary="Route by it from now on, if what is active is what you expect"),
    Route(method="POST", path="/v1/routing/rollback", handler=routing.roll_back, scope=STEER_WRITE, body=rb.RollBack,
          answers={200: ra.RoutingState}, problems=(e.NotFound, e.PolicyRefused),
          summary="Go back to a policy that was active before, or to none"),
    Route(method="GET", path="/v1/routing/activations", handler=routing.activations, scope=STEER,
          query=rb.ActivationFilter, answers={200: ra.RoutingActivationList},
          summary="List which policy was active since when, and who said so"),
    Route(method="POST", path="/v1/routing/explain", handler=routing.explain, scope=STEER, body=rb.ExplainRouting,
          answers={200: ra.RoutingExplanation},
          problems=(*AMOUNT, e.NotFound, e.PolicyRefused, e.RoutingUnavailable, e.UnknownInstrument, e.ModeMismatch,
                    e.VaultUnavailable),
          summary="Which accounts could take a payment, why the others could not, and every score"),
    Route(method="POST", path="/v1/routing/tariffs", handler=routing.set_tariffs, scope=STEER_WRITE,
          body=rb.SetTariffs, answers={201: ra.RoutingTariffs, 200: ra.RoutingTariffs}, problems=(e.TariffsRefused,),
          summary="Say what the accounts cost; counts at once"),
    Route(method="GET", path="/v1/routing/tariffs", handler=routing.all_tariffs, scope=STEER, query=rb.PolicyFilter,
          answers={200: ra.RoutingTariffsList}, summary="List every version of the prices, newest first"),
    Route(method="POST", path="/v1/routing/switches", handler=routing.switch, scope=STEER_WRITE, body=rb.MakeSwitch,
          answers={201: ra.RoutingSwitch}, problems=(e.UnknownConnectorAccount, e.TooManySwitches),
          summary="Switch an account, or some of its payments, by hand; replaces one for the same payments"),
    Route(method="GET", path="/v1/routing/switches", handler=routing.switches, scope=STEER, query=rb.SwitchFilter,
          answers={200: ra.RoutingSwitchList}, summary="List the switches that count, newest first"),
    Route(method="GET", path=SWITCH, handler=routing.read_switch, scope=STEER, answers={200: ra.RoutingSwitch},
          problems=(e.NotFound,), summary="Read a switch"),
    Route(method="DELETE", path=SWITCH, handler=routing.end_switch, scope=STEER_WRITE,
          answers={200: ra.RoutingSwitch}, problems=(e.NotFound,), summary="End a switch; it stays in the list"),
    Route(method="GET", path="/v1/routing/unmapped-declines", handler=routing_declines.several, scope=STEER,
          query=rb.UnmappedFilter, answers={200: ra.UnmappedDeclineList},
          summary="List the decline codes that no table maps, heard last first"),
    # --- risk ---
    *RISK_ROUTES,
    # --- ledger ---
    Route(method="GET", path="/v1/ledger/accounts", handler=ledger.accounts, scope="ledger:read",
          answers={200: r.LedgerAccountList}, summary="List ledger accounts with their balances"),
    Route(method="GET", path="/v1/ledger/accounts/{ledger_account}/entries", handler=ledger.entries,
          scope="ledger:read", query=b.Page, answers={200: r.LedgerEntryList}, problems=(e.NotFound,),
          summary="List the postings of a ledger account, newest first"),
    Route(method="GET", path="/v1/ledger/trial-balance", handler=ledger.trial_balance, scope="ledger:read",
          answers={200: r.TrialBalance}, summary="Every balance by currency; each total is zero"),
    # --- called by PSPs, payers, load balancers ---
    Route(method="POST", path="/notifications/{account}", handler=outside.notification, scope=None, raw=True,
          answers={200: None}, problems=(e.NotificationRefused, e.NotFound),
          summary="For PSPs: a notification, verified and stored before it is answered"),
    Route(method="GET", path="/return/{token}", handler=outside.come_back, scope=None, raw=True,
          answers={200: None, 303: None}, problems=(e.NotFound, e.InvalidField, *BUSY),
          summary="For payers: back from an authentication"),
    Route(method="POST", path="/return/{token}", handler=outside.come_back, scope=None, raw=True,
          answers={200: None, 303: None}, problems=(e.NotFound, e.InvalidField, *BUSY),
          summary="For payers: back from an authentication, by a form"),
    Route(method="GET", path="/healthz", handler=health.alive, scope=None, answers={200: r.Health},
          summary="Liveness"),
    Route(method="GET", path="/readyz", handler=health.ready, scope=None, answers={200: r.Health, 503: r.Health},
          summary="Readiness: database and migrations"),
    Route(method="GET", path="/metrics", handler=health.metrics, scope=None, answers={200: None},
          summary="Prometheus"),
)
# fmt: on
