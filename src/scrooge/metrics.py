"""What Prometheus sees. Labels are bounded: no ids but connector accounts', no references, no messages."""

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

MEDIA_TYPE = CONTENT_TYPE_LATEST

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

REQUESTS = Counter("scrooge_requests_total", "HTTP requests answered", ["route", "method", "status"])
REQUEST_SECONDS = Histogram("scrooge_request_seconds", "Time to answer", ["route"], buckets=SECONDS)
ATTEMPTS = Counter("scrooge_attempts_total", "Answers heard from PSPs", ["connector", "operation", "outcome"])
PSP_SECONDS = Histogram("scrooge_psp_seconds", "Time a PSP took to answer", ["connector", "operation"], buckets=SECONDS)
VAULT_FILLS = Counter(
    "scrooge_vault_fills_total",
    "Requests that went by way of the vault, by its answer or the code of its refusal",
    ["result"],
)
VAULT_SECONDS = Histogram("scrooge_vault_seconds", "Time the way by the vault added to the PSP's own", buckets=SECONDS)
PSP_SHED = Counter(
    "scrooge_psp_shed_total", "Requests refused before anything was recorded", ["account", "lane", "reason"]
)
PSP_LIMIT = Gauge(
    "scrooge_psp_limit", "Requests that a connector account gets at once", ["account"], multiprocess_mode="sum"
)
PSP_INSIDE = Gauge("scrooge_psp_in_flight", "Requests at a connector account", ["account"], multiprocess_mode="sum")
PSP_WAITING = Gauge("scrooge_psp_waiting", "Requests in line for a PSP", ["account", "lane"], multiprocess_mode="sum")
PSP_BREAKER = Gauge(
    "scrooge_psp_breaker", "Circuit breaker: 0 closed, 1 half open, 2 open", ["account"], multiprocess_mode="max"
)
SHED = Counter("scrooge_shed_total", "Requests refused because there were too many", ["rank"])
AT_WORK = Gauge("scrooge_requests_at_work", "Requests being worked on", ["rank"], multiprocess_mode="sum")
WAITING = Gauge("scrooge_requests_waiting", "Requests waiting to be begun", ["rank"], multiprocess_mode="sum")
HELD = Gauge("scrooge_requests_held", "Requests begun and not answered", multiprocess_mode="sum")
NOTIFICATIONS = Counter("scrooge_notifications_total", "Notifications from PSPs", ["connector", "result"])
FAILURES = Counter("scrooge_payments_failed_at_once_total", "Payments that failed before any PSP was asked", ["code"])
BREAKS = Counter("scrooge_breaks_total", "Contradictions kept for an operator", ["kind"])
DECISIONS = Counter("scrooge_decisions_total", "Decisions of operators", ["state", "outcome"])
RESOLVED = Counter(
    "scrooge_attempts_resolved_total",
    "Attempts whose lost outcome was found",
    ["connector", "outcome"],
)
POOL_WAIT_SECONDS = Histogram(
    "scrooge_database_pool_wait_seconds",
    "Time spent waiting for a database connection",
    buckets=SECONDS,
)
BATCHED = Histogram(
    "scrooge_batch_size",
    "Items that went to the database together: records, applies, reads",
    ["lane"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
OLDEST_UNRESOLVED = Gauge(
    "scrooge_oldest_unresolved_seconds",
    "Age of the oldest attempt whose outcome is unknown",
    multiprocess_mode="max",
)
UNRESOLVED = Gauge("scrooge_unresolved_attempts", "Attempts whose outcome is unknown", multiprocess_mode="max")
IN_DOUBT = Gauge(
    "scrooge_in_doubt_attempts",
    "Attempts whose end is not known, by the longest of several ages that they have reached",
    ["connector", "connector_account", "state", "age"],
    multiprocess_mode="max",
)
OLDEST_UNREAD = Gauge(
    "scrooge_oldest_unread_seconds",
    "How late the notification is whose turn to be applied came first",
    multiprocess_mode="max",
)
UNMAPPED = Gauge(
    "scrooge_unmapped_decline_codes",
    "Codes of declines that no table maps, heard within a week",
    multiprocess_mode="max",
)
UNHANDLED = Gauge(
    "scrooge_unhandled_notifications",
    "Notifications of kinds not handled yet",
    multiprocess_mode="max",
)
OUTBOX_AGE = Gauge(
    "scrooge_outbox_age_seconds",
    "Age of the oldest event that the feed cannot show yet",
    multiprocess_mode="max",
)
BREAKS_OPEN = Gauge("scrooge_breaks_open", "Breaks waiting for an operator", multiprocess_mode="max")
JOB_FAILURES = Counter("scrooge_job_failures_total", "Background work that failed and comes back later", ["job"])
ERRANDS = Counter("scrooge_errands_total", "Turns of errands at PSPs and at the vault", ["kind", "result"])
ERRANDS_OPEN = Gauge(
    "scrooge_errands_open", "Errands that are not done: due, or parked as tried too often", ["state"],
    multiprocess_mode="max",
)  # fmt: skip
OLDEST_ERRAND = Gauge("scrooge_oldest_errand_seconds", "Age of the oldest errand not done", multiprocess_mode="max")
BATCH_LINES = Counter("scrooge_batch_lines_total", "Lines of batches by how they ended", ["end"])
BATCHES = Gauge("scrooge_batches", "Batches at work", ["status"], multiprocess_mode="max")
BATCH_LINES_LEFT = Gauge(
    "scrooge_batch_lines_left", "Lines of batches at work that have not ended", multiprocess_mode="max"
)
RETRIES = Counter("scrooge_retries_total", "Later retries, by the step that was taken", ["step"])
SPLITS_DUE = Gauge("scrooge_splits_due", "Payments with tenders whose turn has come", multiprocess_mode="mostrecent")
OLDEST_SPLIT = Gauge(
    "scrooge_oldest_split_seconds", "How long the oldest of them waits", multiprocess_mode="mostrecent"
)
RETRIES_WAITING = Gauge(
    "scrooge_retries_waiting", "Payments that are to be tried again: scheduled, and whose time has come", ["state"],
    multiprocess_mode="max",
)  # fmt: skip
OLDEST_RETRY = Gauge(
    "scrooge_oldest_retry_seconds", "How late the retry is whose time came first", multiprocess_mode="max"
)
SAVED = Counter("scrooge_tokens_saved_total", "Tokens that PSPs kept of payments", ["result"])
NETWORK_TOKENS = Counter("scrooge_network_tokens_total", "Network tokens: made, looked at, ended, paid with", ["what"])
CARD_UPDATES = Counter("scrooge_card_updates_total", "News of PSPs about the cards behind tokens", ["what"])
VAULT_CARDS = Counter("scrooge_vault_cards_total", "Changes of the vault's cards", ["result"])
VAULT_SHREDDED = Counter(
    "scrooge_vault_shredded_total", "Cards that the vault shredded by itself or forgot", ["reason"]
)
VAULT_SILENT = Gauge(
    "scrooge_vault_silent_seconds", "How long the card vault has told nothing", multiprocess_mode="max"
)
VAULT_KEY_SECONDS_LEFT = Gauge(
    "scrooge_vault_key_seconds_left",
    "Time until a key of the vault has reached the end of its cryptoperiod and encrypts no more",
    ["purpose", "mode"],
    multiprocess_mode="min",
)
VAULT_KEYS_UNREAD = Counter("scrooge_vault_keys_unread_total", "Times that the vault's keys could not be read again")
RISK_CHECKS = Counter(
    "scrooge_risk_checks_total", "Risk checks: what was done, and what all would have", ["did", "would"]
)
WEBHOOKS = Counter("scrooge_webhook_tries_total", "Webhooks sent, by what became of the try", ["result"])
WEBHOOK_ENDPOINTS_DISABLED = Counter(
    "scrooge_webhook_endpoints_disabled_total", "Endpoints that Scrooge disabled", ["reason"]
)
OLDEST_WEBHOOK = Gauge(
    "scrooge_oldest_webhook_seconds",
    "How late the latest webhook to an enabled endpoint is",
    multiprocess_mode="max",
)
WEBHOOKS_DEAD = Gauge("scrooge_webhooks_dead", "Webhooks that were given up", multiprocess_mode="max")
WEBHOOK_ENDPOINTS_FAILING = Gauge(
    "scrooge_webhook_endpoints_failing", "Endpoints whose last webhook was not taken", multiprocess_mode="max"
)


def told() -> bytes:
    """With several processes on one port, PROMETHEUS_MULTIPROC_DIR names where they keep their counts together."""
    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    return generate_latest(registry)
