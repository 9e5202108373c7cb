"""What follows an authorization at once: nothing, another account, the same with 3-D Secure or with the number."""

import structlog
from msgspec import structs

from scrooge.connectors.connector import Request
from scrooge.connectors.limits import Slot
from scrooge.crash import reach
from scrooge.domain.attempt import Operation, State
from scrooge.domain.payment import Payment
from scrooge.domain.retry import Elsewhere, Stop
from scrooge.errors import MandateRevoked, Problem, PspOverloaded, ReattemptRefused, SettingsError
from scrooge.flows.ask import account_of, ask
from scrooge.flows.attempts import attempted
from scrooge.flows.perform import NOT_KEPT, apply_or_unknown, latest, saved
from scrooge.flows.scrooge import Scrooge
from scrooge.routing.retries import AsNumber, Situation, StepUp, next_step
from scrooge.storage.directory import ConnectorAccount
from scrooge.storage.instruments import Instrument
from scrooge.storage.low_value import LowValueUsedUp

log = structlog.get_logger()
NEXT = Elsewhere("the next account")


async def through(
    s: Scrooge, p: Payment, instrument: Instrument, request: Request, slot: Slot, *, always: bool = False
) -> Payment:
    """Ask about the last attempt, apply, and go on while the outcome allows it; `always`: each with 3-D Secure."""
    tries, authenticated = 0, always
    while True:
        tries += 1
        attempt = p.attempts[-1]
        account = await account_of(s, attempt)
        endpoint = s.connectors[account.connector].endpoints[Operation.AUTHORIZE]
        outcome = await ask(s, p, attempt.id, endpoint, request, first=True, slot=slot)
        seen = situation(s, p, instrument, request, account, authenticated)
        step = next_step(outcome, tries, len(p.accounts), seen)
        last = isinstance(step, Stop)
        after = await apply_or_unknown(s, p, attempt.id, outcome, answered=last, first=True)
        ended = after.attempt(attempt.id).state in {State.DECLINED, State.REJECTED}
        if isinstance(step, Stop) or after.answered or not ended or after.version == p.version:
            return after
        stepped = isinstance(step, StepUp)
        authenticated = stepped or always
        if isinstance(step, AsNumber):
            instrument = structs.replace(instrument, network_token=None)
            after = structs.replace(after, accounts=(attempt.connector_account, *after.accounts))
        elif stepped:  # What the issuer wants is the payer's proof, not another account.
            after = structs.replace(after, accounts=(attempt.connector_account,))
        try:
            following = await elsewhere(s, after, instrument, slot, step, always=always)
        except NOT_KEPT as error:
            log.error("cascade_not_recorded", payment=p.id, error=type(error).__name__)
            return after
        if following is None:
            return await latest(s, after)
        p, request = following


def situation(
    s: Scrooge, p: Payment, instrument: Instrument, request: Request, account: ConnectorAccount, authenticated: bool
) -> Situation:
    """What is known beside the outcome. What the schemes allow is not: the transaction that records decides that."""
    connector = s.connectors[account.connector]
    present = p.initiator == "customer" and p.return_url is not None
    chosen = p.attempts[-1].authentication
    return Situation(
        connector=connector.name,
        brand=instrument.brand or "",
        can_authenticate=present and connector.authenticates and request.token is None,
        authenticated=authenticated or (chosen is not None and chosen.ask == "challenge"),
        network_token=request.token is not None,
        number_at_hand=instrument.vault and s.vault is not None and "authorize" in connector.cards,
    )


async def elsewhere(
    s: Scrooge, p: Payment, instrument: Instrument, slot: Slot, step: Elsewhere | StepUp | AsNumber = NEXT,
    *, always: bool = False, used_up: bool = False,
) -> tuple[Payment, Request] | None:  # fmt: skip
    """Records an attempt at the first account that takes it. None: none does, the schemes allow no more, or somebody
    else changed the payment meanwhile."""
    told = because(p, step.because)
    try:
        if not slot.move(p.accounts[0]):
            raise PspOverloaded("the next PSP has no slot just now")
        left = structs.replace(told, accounts=p.accounts[1:])
        after, request = await attempted(
            s, left, instrument, p.accounts[0], authenticate=always or isinstance(step, StepUp), used_up=used_up
        )
    # The next PSP cannot take this amount or no more now, its credentials cannot be opened, or the authorization is
    # live again.
    except (Problem, SettingsError, OSError):
        after, request = (
            structs.replace(p, accounts=p.accounts[1:], answered=len(p.accounts) == 1),
            None,
        )
    requests = {after.attempts[-1].id: request} if request is not None else {}
    reach("cascade.before")
    try:
        if not await saved(s, p, after, requests):
            return None
    except LowValueUsedUp:
        return await elsewhere(s, p, instrument, slot, step, always=always, used_up=True)
    except (ReattemptRefused, MandateRevoked) as refused:
        log.info("cascade_refused", payment=p.id, rule=refused.members.get("rule", refused.code))
        await saved(s, p, structs.replace(because(p, refused.detail), accounts=(), answered=True))
        return None
    reach("cascade.after")
    after = structs.replace(after, version=p.version + 1)
    if request is not None:
        return after, request
    return await elsewhere(s, after, instrument, slot, step, always=always) if after.accounts else None


def because(p: Payment, words: str) -> Payment:
    """The payment, with why its last attempt was followed by what it was."""
    return p.replacing(structs.replace(p.attempts[-1], followed=words))
