"""Declined payments that are won back, or not: one by one, and what it comes to."""

from collections.abc import Callable, Iterable

from scrooge.api import pages
from scrooge.api import recovery_answers as answers
from scrooge.api.call import Answer, Call
from scrooge.api.payments import moment_of
from scrooge.api.show import amount, instant_if
from scrooge.domain.recovery import Means, Recovery
from scrooge.domain.uplift import Share, uplift
from scrooge.postgres.rows import instant
from scrooge.storage import recoveries
from scrooge.storage.recoveries import BEGINNING, END, Filter, Row, Sum

DIGITS = 4  # of a rate


async def several(call: Call) -> Answer:
    query: answers.RecoveryFilter = call.query
    before = pages.position_of(call, query.cursor, "cursor", tuple[int, str]) if query.cursor else None
    found, place = await recoveries.page(call.s.db, filter_of(call), before, query.limit)
    cursor = pages.cursor_of(call, list(place)) if place else None
    document = answers.RecoveryList(
        data=[shown(r) for r in found], **pages.listed(call, cursor, more=cursor is not None)
    )
    return Answer(200, document, pages.link(call, cursor))


async def summary(call: Call) -> Answer:
    sums = await recoveries.summary(call.s.db, filter_of(call))
    return Answer(200, summed(sums, call.principal.livemode))


def filter_of(call: Call) -> Filter:
    query: answers.Opened = call.query
    narrowed = query if isinstance(query, answers.RecoveryFilter) else answers.RecoveryFilter()
    return Filter(
        merchant=call.principal.merchant, livemode=call.principal.livemode,
        since=moment_of(query.created_from, "created[gte]", BEGINNING),
        before=moment_of(query.created_before, "created[lt]", END),
        state=Recovery(narrowed.state) if narrowed.state else None, reason=narrowed.reason,
        means=Means(narrowed.means) if narrowed.means else None,
    )  # fmt: skip


def shown(r: Row) -> answers.Recovered:
    return answers.Recovered(
        payment=r.payment,
        object="recovery",
        amount=amount(r.minor, r.currency),
        state=r.state.value,
        reason=r.reason,
        means=r.means,
        why=r.why,
        control=r.control,
        retries=r.retries,
        next_at=instant_if(r.next_at),
        until=instant(r.until),
        opened_at=instant(r.opened_at),
        ended_at=instant_if(r.ended_at),
    )


def summed(sums: list[Sum], livemode: bool) -> answers.RecoverySummary:
    """Currencies apart, and counts of all of them for the arms: a rate has no currency."""
    treated, control = (share(s for s in sums if s.control is arm) for arm in (False, True))
    found = uplift(treated, control)
    return answers.RecoverySummary(
        object="recovery_summary",
        livemode=livemode,
        currencies=[of_currency(c, [s for s in sums if s.currency == c]) for c in sorted({s.currency for s in sums})],
        treated=arm_of(treated),
        control=arm_of(control),
        uplift=None
        if found is None
        else answers.Uplift(
            difference=round(found.difference, DIGITS), low=round(found.low, DIGITS), high=round(found.high, DIGITS)
        ),
    )


def share(sums: Iterable[Sum]) -> Share:
    """Of those whose time is over: of the others one arm loses sooner than the other."""
    over = [(s.state is Recovery.RECOVERED, s.matured) for s in sums]
    return Share(sum(n for won, n in over if won), sum(n for _, n in over))


def arm_of(s: Share) -> answers.Arm:
    return answers.Arm(recovered=s.recovered, of=s.of, rate=round(s.rate, DIGITS) if s.of else None)


def of_currency(currency: str, sums: list[Sum]) -> answers.OfCurrency:
    def by(name: Callable[[Sum], str]) -> dict[str, answers.Told]:
        return {key: told(currency, [s for s in sums if name(s) == key]) for key in dict.fromkeys(map(name, sums))}

    lost = [s for s in sums if s.state is Recovery.LOST]
    return answers.OfCurrency(
        currency=currency,
        all=told(currency, sums),
        by_reason=by(lambda s: s.reason),
        by_means=by(lambda s: s.means or "none"),
        lost_by_why={
            why: counted(currency, [s for s in lost if s.why == why])
            for why in dict.fromkeys(str(s.why) for s in lost if s.why)
        },
    )


def told(currency: str, sums: list[Sum]) -> answers.Told:
    def of(state: Recovery) -> answers.Counted:
        return counted(currency, [s for s in sums if s.state is state])

    return answers.Told(
        declined=counted(currency, sums), recovered=of(Recovery.RECOVERED), lost=of(Recovery.LOST),
        open=of(Recovery.OPEN),
    )  # fmt: skip


def counted(currency: str, sums: list[Sum]) -> answers.Counted:
    return answers.Counted(count=sum(s.count for s in sums), amount=amount(sum(s.minor for s in sums), currency))
