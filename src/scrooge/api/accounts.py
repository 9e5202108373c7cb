"""Connectors that are installed, and connector accounts: a merchant's contracts at PSPs."""

from datetime import UTC, datetime, timedelta

from scrooge.api import bodies, pages, reports, show
from scrooge.api.call import Answer, Call
from scrooge.connectors.limits import Lane
from scrooge.errors import BadCredentials, BadUrl, InvalidField, ModeMismatch, NotFound, UnknownConnector
from scrooge.postgres.rows import instant
from scrooge.routing.facts import COUNTRIES
from scrooge.storage import listing
from scrooge.storage.directory import ConnectorAccount

HEALTH_OVER = timedelta(minutes=15)


async def installed(call: Call) -> Answer:
    found = [
        reports.Connector(
            name=c.name,
            object="connector",
            operations=sorted(c.endpoints),
            multi_capture=c.multi_capture,
            partial_void=c.partial_void,
            credentials=dict(c.credentials),
        )
        for c in sorted(call.s.connectors.values(), key=lambda c: c.name)
    ]
    return Answer(200, reports.ConnectorList(data=found, **pages.listed(call, None, more=False)))


async def create(call: Call) -> Answer:
    body: bodies.CreateConnectorAccount = call.body
    who = call.principal
    livemode = body.mode == "live"
    if livemode is not who.livemode:
        raise ModeMismatch("the API key is of the other mode", param="mode")
    await check_base_url(call, body.base_url)
    installed = call.s.connectors.get(body.connector)
    if installed is not None and installed.transport == "ledger":
        raise UnknownConnector("an account of our own ledger is made with the first account of stored value")
    try:
        account = await call.s.directory.add_account(
            who.merchant, body.name, body.connector, body.merchant_account, livemode,
            body.credentials, body.base_url, f"key:{who.key_id}", country_of(body.acquirer_country),
        )  # fmt: skip
    except ValueError:  # From urlsplit, for something like http://[
        raise BadUrl("base_url is a plain URL with a host", param="base_url") from None
    return Answer(201, shown(account))


async def several(call: Call) -> Answer:
    who = call.principal
    found = await call.s.directory.accounts(who.merchant)
    document = reports.ConnectorAccountList(
        data=[shown(a) for a in found if a.livemode is who.livemode],
        **pages.listed(call, None, more=False),
    )
    return Answer(200, document)


async def read(call: Call) -> Answer:
    return Answer(200, shown(await account_of(call)))


async def change_credentials(call: Call) -> Answer:
    body: bodies.ChangeCredentials = call.body
    await check_base_url(call, body.base_url)
    country, actor = country_of(body.acquirer_country), f"key:{call.principal.key_id}"
    account = await account_of(call)
    if call.s.directory.is_ledger(account.id) and (body.credentials or body.base_url is not None):
        raise BadCredentials("our own ledger takes no credentials and has no address")
    if body.credentials or body.base_url is not None or country is None:
        account = await call.s.directory.change_credentials(account, body.credentials, body.base_url, actor)
    if country is not None:
        account = await call.s.directory.set_acquirer_country(account, country, actor)
    return Answer(200, shown(account))


def country_of(given: str | None) -> str | None:
    """Raises InvalidField."""
    if given is not None and given not in COUNTRIES:
        raise InvalidField("no country of ISO 3166-1", param="acquirer_country")
    return given


async def check_base_url(call: Call, url: str | None) -> None:
    """A name that leads into our own network is refused, whoever's DNS says so; this machine is for the sandbox."""
    if url is not None:
        await call.s.sender.local.check(url, "base_url")


async def drain(call: Call) -> Answer:
    """New payments go elsewhere; captures, voids, refunds and questions still go here."""
    return await turned(call, "draining")


async def pause(call: Call) -> Answer:
    return await turned(call, "paused")


async def resume(call: Call) -> Answer:
    return await turned(call, "active")


async def turned(call: Call, state: str) -> Answer:
    account = await call.s.directory.set_state(await account_of(call), state, f"key:{call.principal.key_id}")
    return Answer(200, shown(account))


async def health(call: Call) -> Answer:
    account = await account_of(call)
    since = datetime.now(UTC) - HEALTH_OVER
    h = await listing.health(call.s.db, account.merchant, account.id, since)
    bulkhead = call.s.limits.of(account.id)
    final = h.approved + h.declined
    document = reports.ConnectorAccountHealth(
        id=account.id,
        object="connector_account_health",
        name=account.name,
        state=account.state,
        since=show.moment_of(since),
        attempts=h.attempts,
        approved=h.approved,
        declined=h.declined,
        rejected=h.rejected,
        open=h.open,
        approval_rate=f"{h.approved / final:.4f}" if final else None,
        latency_ms_p50=h.p50,
        latency_ms_p95=h.p95,
        unresolved=h.unresolved,
        oldest_unresolved_at=instant(h.oldest) if h.oldest else None,
        circuit_breaker=bulkhead.breaker.state.value,
        concurrency_limit=int(bulkhead.pace.limit),
        in_flight=bulkhead.gate.count,
        waiting=sum(map(bulkhead.gate.waiting, Lane)),
    )
    return Answer(200, document)


async def account_of(call: Call) -> ConnectorAccount:
    """By id or name. Raises NotFound, for one of the other mode as well."""
    who = call.principal
    account = await call.s.directory.account(call.path["account"], who.merchant)
    if account is None or account.livemode is not who.livemode:
        raise NotFound("no such connector account")
    return account


def shown(a: ConnectorAccount) -> reports.ConnectorAccount:
    return reports.ConnectorAccount(
        id=a.id,
        object="connector_account",
        name=a.name,
        connector=a.connector,
        merchant_account=a.merchant_account,
        mode="live" if a.livemode else "test",
        base_url=a.base_url,
        acquirer_country=a.acquirer_country,
        state=a.state,
        created_at=instant(a.created_at),
    )
