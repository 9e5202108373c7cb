"""Structured logs: one JSON object a line on stderr, with the ids of the request, payment and attempt."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

SECRET_NAMES = (
    "key",
    "secret",
    "credential",
    "password",
    "authorization",
    "token",
    "pan",
    "cvc",
    "number",
)
HIDDEN = "[hidden]"


def hide_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last guard, not the first: nothing that is named like a secret reaches a log."""
    for name, value in event.items():
        if name != "event":
            event[name] = hidden(name, value)
    return event


def hidden(name: str, value: Any) -> Any:
    if any(word in name.lower() for word in SECRET_NAMES):
        return HIDDEN
    if isinstance(value, Mapping):
        return {k: hidden(str(k), v) for k, v in value.items()}
    return value


def configure(level: str, style: str) -> None:
    """Call once per process. `style` is "json" or "console"."""
    renderer: Any = structlog.dev.ConsoleRenderer() if style == "console" else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            hide_secrets,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
