"""What an approved payment teaches its instrument, learned after it: a token to pay with again, a first payment's
name, and that the payer agreed to more.

Never lost: that an attempt teaches something is written when it is made, and that it is approved with what it brings,
so the work is there from the moment the money is, whoever dies. It is taken in the transaction that learns from it.
Never twice: taking is compare-and-set, and under the lock of the instrument there is one token for each account; what
the PSP keeps beside that one, or for an instrument that is gone by now, is forgotten there by an errand.
Never in the way: nothing of it happens in the transactions that move money, and what fails here fails alone.
"""

from typing import Any

import structlog
from msgspec import structs

from scrooge.crash import reach
from scrooge.domain.mandate import Mandate, Revoked, Status
from scrooge.flows import network_tokens
from scrooge.flows.scrooge import Scrooge
from scrooge.metrics import SAVED
from scrooge.storage import errands, mandates, recoveries, saving
from scrooge.storage.errands import FORGET_TOKEN, KEEP_TOKEN, Errand
from scrooge.storage.saving import Held, Lesson

log = structlog.get_logger()


async def learn(s: Scrooge, payment: str, attempt: str) -> None:
    """One transaction: what the attempt brought is its instrument's, or is an errand on its way there or to its end."""
    await s.directory.refresh()
    async with s.db.transaction() as connection:
        lesson = await saving.take(connection, payment, attempt)
        held = await saving.hold(connection, lesson.instrument) if lesson is not None else None
        if lesson is None or held is None:
            return
        if lesson.network_transaction_id and not held.deleted:
            await saving.name_first_payment(connection, held.id, lesson.network_transaction_id)
        if lesson.save_for is not None and lesson.psp_token is not None:
            await token_learned(s, connection, lesson, held)
        if lesson.save_for is not None:
            await network_tokens.wanted(s, connection, held)
        if lesson.mandate is not None:
            await (renewed if lesson.renews else agreed)(connection, lesson.mandate, held, payment)
        reach("learn.written")
    reach("learn.after")


async def renewed(connection: Any, m: Mandate, held: Held, verification: str) -> None:
    """Payments are made with this card from now on; what waits to be tried again is, at once."""
    if not held.deleted and await mandates.renew(connection, m, verification):
        await recoveries.card_updated(connection, m.id)


async def agreed(connection: Any, m: Mandate, held: Held, _: str) -> None:
    """Payments may be made under it from now on, unless there is nothing left to pay with."""
    if not held.deleted:
        await mandates.write(connection, [m])
        return
    await mandates.write(connection, [structs.replace(m, status=Status.PENDING)])
    await mandates.revoke(connection, [m], Revoked("the instrument was deleted", "merchant"))


async def token_learned(s: Scrooge, connection: Any, lesson: Lesson, held: Held) -> None:
    """A token without a customer cannot be used again, unless the PSP lets us give it one."""
    assert lesson.psp_token is not None
    account = await s.directory.account_by_id(lesson.connector_account)
    assert account is not None, "connector accounts are never deleted"
    if lesson.psp_customer is not None:
        await save(connection, held, account.id, lesson.psp_token, lesson.psp_customer)
    elif s.connectors[account.connector].adopt is not None and not held.deleted:
        if await saving.token_at(connection, held.id, account.id) is not None:
            return  # It has one there: this one was given by the caller, or is good for nothing more.
        await errands.add(
            connection,
            [
                Errand(
                    kind=KEEP_TOKEN, merchant=held.merchant, livemode=held.livemode, instrument=held.id,
                    connector_account=account.id, psp_token=lesson.psp_token,
                )
            ],
        )  # fmt: skip


async def save(connection: Any, held: Held, account: str, psp_token: str, psp_customer: str) -> None:
    """The instrument's row is locked. Its one token at the account stays what it is; any other goes."""
    known = await saving.token_at(connection, held.id, account)
    if known == psp_token:
        return
    if known is None and not held.deleted:
        await saving.save_token(connection, held.id, account, psp_token, psp_customer)
        SAVED.labels("saved").inc()
        log.info("token_saved", instrument=held.id, connector_account=account)
        return
    SAVED.labels("superfluous").inc()
    await errands.add(
        connection,
        [
            Errand(
                kind=FORGET_TOKEN, merchant=held.merchant, livemode=held.livemode, instrument=held.id,
                connector_account=account, psp_token=psp_token, psp_customer=psp_customer,
            )
        ],
    )  # fmt: skip
