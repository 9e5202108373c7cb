"""Continue after 3-D Secure or a redirect: the payer comes back once, and the PSP is asked what became of it."""

import hmac
from collections.abc import Mapping
from contextlib import suppress

from msgspec import structs

from scrooge.connectors.connector import Connector, Request
from scrooge.connectors.limits import Lane
from scrooge.crash import reach
from scrooge.domain.attempt import Attempt, State
from scrooge.domain.news import continuing, hear
from scrooge.domain.outcome import ReversalKind, Reversed
from scrooge.domain.payment import Payment, authorization_of
from scrooge.errors import InvalidField, MalformedId, NotFound, NothingToAuthenticate
from scrooge.flows.ask import SECOND, account_of, ask, command_of
from scrooge.flows.authorize import visible
from scrooge.flows.keys import Keyed, earlier, guard_of
from scrooge.flows.perform import GRACE, apply, apply_or_unknown, change_of, saved
from scrooge.flows.scrooge import Scrooge, now
from scrooge.postgres.database import redone
from scrooge.storage import changes, payments
from scrooge.storage.directory import Principal

OVERTAKEN_MAX = 3


async def come_back(s: Scrooge, token: str, details: Mapping[str, str]) -> tuple[Payment, str | None]:
    """The payer's browser is here: (payment, where to send it). Coming twice asks once. Raises NotFound."""
    payment_id, _, secret = token.partition(".")
    try:
        p = await payments.read(s.db, payment_id)
    except MalformedId:
        p = None
    attempt = next((a for a in p.attempts if same(a.return_token, secret)), None) if p else None
    if p is None or attempt is None:
        raise NotFound("no payer is expected here")
    if attempt.state is State.ACTION_REQUIRED:
        with suppress(InvalidField):  # A payer who left the bank may bring nothing that the PSP can be asked with.
            p = await continued(s, p, attempt, details)
    return p, p.return_url


def same(a: str | None, b: str) -> bool:
    return a is not None and hmac.compare_digest(a.encode(), b.encode())


async def authenticate(
    s: Scrooge, principal: Principal, payment_id: str, details: Mapping[str, str], keyed: Keyed
) -> tuple[Payment, bool]:
    """The same, told by the caller, whose own page the payer came back to. Raises NothingToAuthenticate.

    Where the payer's browser overtakes it the key stays unused, and nothing is replayed.
    """
    p = await visible(s, principal, payment_id)
    before = await earlier(s, principal, keyed)
    if before is not None:
        return before[0], True
    attempt = authorization_of(p)
    if attempt is None or attempt.state is not State.ACTION_REQUIRED:
        raise NothingToAuthenticate("the payment does not wait for the payer")
    return await continued(s, p, attempt, details, (principal, keyed)), False


class Overtaken(Exception):
    """Somebody else changed the payment; what was recorded is undone."""


async def continued(
    s: Scrooge, p: Payment, attempt: Attempt, details: Mapping[str, str], key: tuple[Principal, Keyed] | None = None
) -> Payment:
    """Records that we ask, asks, applies; once, whoever comes first."""
    account = await account_of(s, attempt)
    connector = s.directory.wire(account).connector
    with await s.limits.take(account.id, Lane.RECOVERY, key[1].until if key else None) as slot:
        for _ in range(OVERTAKEN_MAX):
            request = connector.continuation.build(command_of(p, attempt, account, details=details))
            try:
                after = await record(s, p, attempt, request, key)
            except Overtaken:
                p = await payments.read(s.db, p.id) or p
                attempt = p.attempt(attempt.id)
                if attempt.state is not State.ACTION_REQUIRED:
                    break
                continue
            # Never `first`: the payer may have finished at the PSP, whatever becomes of this question.
            outcome = await ask(s, after, attempt.id, connector.continuation, request, first=False, slot=slot)
            return await apply_or_unknown(s, after, attempt.id, outcome, answered=True, first=False)
    return p


@redone
async def record(
    s: Scrooge, p: Payment, attempt: Attempt, request: Request, key: tuple[Principal, Keyed] | None
) -> Payment:
    """Commits that the attempt is out again. Raises Overtaken, leaving nothing, not even the key."""
    sent_at = now()
    deadline = sent_at + s.settings.psp_timeout_seconds * SECOND + GRACE
    after = structs.replace(continuing(p, attempt.id, sent_at), deadline_at=deadline, answered=False)
    async with s.turn(p.id), s.db.transaction() as connection:
        await payments.lock(connection, p.id)  # Whoever only holds the payment does not overtake the payer.
        if not await changes.save(connection, [await change_of(s, p, after, {attempt.id: request})]):
            raise Overtaken
        if key is not None:
            principal, keyed = key
            s.limits.check(keyed.until)
            guard = guard_of(principal, keyed)
            if not await payments.claim_key(connection, guard, principal.caller, p.id, attempt.id, deadline):
                raise Overtaken
        reach("continue.before")
    reach("continue.after")
    return structs.replace(after, version=p.version + 1)


async def abandon(s: Scrooge, p: Payment, attempt: Attempt, connector: Connector) -> Payment:
    """The payer never came back. The PSP is told to end it; where only we can go on, we never will."""
    if connector.abandon is None:
        gone = Reversed("the payer did not come back in time", ReversalKind.EXPIRED)
        return await only_if_unchanged(s, p, attempt, gone)
    account = await account_of(s, attempt)
    request = connector.abandon.build(command_of(p, attempt, account))
    outcome = await ask(s, p, attempt.id, connector.abandon, request, first=False)
    return await apply(s, p, attempt.id, outcome)


async def only_if_unchanged(s: Scrooge, p: Payment, attempt: Attempt, gone: Reversed) -> Payment:
    """Concludes by compare-and-set alone: if the payer comes back at this moment, one of the two loses."""
    after = hear(p, attempt.id, gone, now())
    if await saved(s, p, after):
        return structs.replace(after, version=p.version + 1)
    return await payments.read(s.db, p.id) or p
