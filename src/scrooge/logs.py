"""Structured logs: one JSON object a line on stderr, with the ids of the request, payment and attempt."""

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

import msgspec
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
PLAIN = frozenset({str, int, float, bool, type(None)})


def hide_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last guard, not the first: nothing that is named like a secret reaches a log."""
    for name, value in event.items():
        if name != "event" and (secret(name) or type(value) not in PLAIN):
            event[name] = hidden(name, value)
    return event


@lru_cache(maxsize=1024)
def secret(name: str) -> bool:
    """Field names are few, and come again with every line."""
    return any(word in name.lower() for word in SECRET_NAMES)


def hidden(name: str, value: Any) -> Any:
    if secret(name):
        return HIDDEN
    if isinstance(value, Mapping):
        return {k: hidden(str(k), v) for k, v in value.items()}
    return value


def frames_of(error: BaseException) -> list[str]:
    """Where it happened, without what it says: messages, PostgreSQL's above all, carry what was sent."""
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    return [f"{f.filename.rpartition('scrooge/')[2]}:{f.lineno} {f.name}" for f in frames]


def without_words(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """`exc_info` becomes frames."""
    if event.pop("exc_info", None):
        error = sys.exception()
        event["frames"] = frames_of(error) if error is not None else []
    return event


def in_json(event: Any, **_: Any) -> bytes:
    return msgspec.json.encode(event, enc_hook=repr)


def configure(level: str, style: str) -> None:
    """Call once per process. `style` is "json" or "console"."""
    json = structlog.processors.JSONRenderer(serializer=in_json)
    renderer: Any = structlog.dev.ConsoleRenderer() if style == "console" else json
    lines: Any = structlog.PrintLoggerFactory(sys.stderr)
    if renderer is json:
        lines = structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            hide_secrets,
            without_words,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lines,
        cache_logger_on_first_use=True,
    )
