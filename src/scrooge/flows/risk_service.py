"""Asks a merchant's risk service. One that is slow or dead soon costs no payment its time: a breaker and a bulkhead per
merchant, mode and URL, in each process.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import structlog

from scrooge.connectors.limits import LEAST_SECONDS as PSP_SECONDS
from scrooge.errors import BadCredentials, Problem, SettingsError
from scrooge.flows.risk_lines import Line
from scrooge.flows.scrooge import Scrooge
from scrooge.flows.webhooks import loopback_allowed
from scrooge.postgres.rows import instant
from scrooge.risk.policy import Service
from scrooge.risk.record import Asked
from scrooge.risk.service import ANSWER_MOST, Garbled, answer, kept, question
from scrooge.storage.directory import Principal
from scrooge.urls import check_endpoint
from scrooge.webhooks.signing import headers_of

log = structlog.get_logger()
AT_ONCE_MOST = 64  # questions to one URL
LEAST_SECONDS = 0.02
REST_SECONDS = PSP_SECONDS + 0.3  # What a PSP gets at least, and we to record: no risk service may use that up.


async def asked(
    s: Scrooge, who: Principal, service: Service, until: float | None, at: int, about: Mapping[str, dict[str, Any]]
) -> Asked:
    """What it said, or why nothing came. Never raises for what a service does, or for what it is named by."""
    line = line_of(s, who, service)
    began = time.monotonic()
    if line.breaker.refuses(began) is not None:
        return Asked(mode=service.mode, failed="it failed of late, and is not asked for some seconds")
    if line.at_once >= AT_ONCE_MOST:
        return Asked(mode=service.mode, failed="too many questions wait for it")
    seconds = service.deadline_ms / 1000
    if until is not None:
        seconds = min(seconds, until - began - REST_SECONDS)
    if seconds < LEAST_SECONDS:
        return Asked(mode=service.mode, failed="the caller's deadline leaves no time for it")
    probe = line.breaker.admit(began)
    line.at_once += 1
    try:
        found = await once(s, who, service, seconds, at, about)
    except BaseException:  # It was given up, so nothing was heard: the next may try.
        line.breaker.probing = line.breaker.probing and not probe
        raise
    finally:
        line.at_once -= 1
    line.breaker.heard(found.failed is not None, began, time.monotonic())
    if found.failed is not None:
        log.warning("risk_service_failed", error=found.failed, milliseconds=found.milliseconds)
    return found


def line_of(s: Scrooge, who: Principal, service: Service) -> Line:
    """Of one merchant and mode: others may name the same URL, and be refused there."""
    return s.risk.lines.line(f"{who.merchant} {who.livemode} {service.url}")


async def once(
    s: Scrooge, who: Principal, service: Service, seconds: float, at: int, about: Mapping[str, dict[str, Any]]
) -> Asked:
    check = f"chk_{uuid4().hex}"
    body = question(check, instant(at), who.livemode, who.merchant_name, who.caller_name, **about)
    loopback = loopback_allowed(s, who.livemode)
    try:
        check_endpoint(service.url, loopback=loopback)
        headers = headers_of(check, datetime.now(UTC), body, [s.risk.lines.secret(s.directory.sealer, service.secret)])
    except (Problem, BadCredentials, SettingsError, OSError, ValueError) as error:
        return Asked(mode=service.mode, failed=f"it could not be asked: {type(error).__name__}")
    heard = await s.risk.asker.ask(service.url, headers, body, seconds=seconds, most=ANSWER_MOST, loopback=loopback)
    if heard.failed is not None:
        return Asked(mode=service.mode, failed=kept(heard.failed), milliseconds=heard.milliseconds)
    try:
        said = answer(heard.body, about.get("payer"))
    except Garbled as error:
        return Asked(mode=service.mode, failed=str(error), milliseconds=heard.milliseconds)
    return Asked(
        mode=service.mode, decision=said.decision, score=said.score, reasons=said.reasons,
        milliseconds=heard.milliseconds,
    )  # fmt: skip
