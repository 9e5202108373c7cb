"""The oracle of docs: it knows what the PSPs really did, and asks whether we, our books, our answers and our
announcements agree with that, to the penny, once faults have stopped and the resolver had its time.
"""

from collections import defaultdict
from typing import Any

from scrooge.domain.attempt import OPEN, Attempt, Operation, State
from scrooge.domain.news import event_of
from scrooge.domain.payment import Payment, raised, standing, status_of, tally
from tests.simulation.psp import Effect
from tests.simulation.store import Violation

# Where the PSP breaks its own promises, there are breaks; and a capture or refund that it did twice, or after it had
# refused it, may stand as a contradiction instead of agreement. Of an authorization everything is given back.
CONTRADICTING = {"broken_idempotency", "decline_then_success"}
# And these are told amounts that differ from what was asked, which is a break even when it ends well.
DIFFERING = {"wrong_amount", "partial"}
SETTLED = {State.APPROVED, State.REVERSED, State.REVERSING}
STANDING = {State.APPROVED, State.REVERSING}  # `at_rest` says when the second may last


def audit(w: Any) -> None:
    """Raises Violation. `w` is a world that has come to rest."""
    truth = [e for a in w.accounts.values() for e in a.psp.truth]
    for p in w.store.payments.values():
        mine = [e for e in truth if e.reference.startswith(f"{p.id}-")]
        breaks = [b["kind"] for b in w.store.breaks.values() if b["attempt"] in {a.id for a in p.attempts}]
        disputed = "contradictory_outcome" in breaks
        excused = disputed and bool(w.behaviors & CONTRADICTING)
        at_rest(w, p)
        if not excused:
            charged_once(p, mine)
            all_ours(p, mine)
            books_agree(w, p, mine)
        approvals_exist(p, mine, excused)
        announced(w, p)
    answers_hold(w)
    nothing_foreign(w, truth)
    breaks_have_a_cause(w)


def at_rest(w: Any, p: Payment) -> None:
    """Nothing is left open that could have been found out."""
    for a in p.attempts:
        if a.state in {State.SENT, State.UNKNOWN} and w.away:
            continue  # Its key is forgotten and nothing was found: an operator decides.
        if a.state in {State.SENT, State.UNKNOWN, State.ACTION_REQUIRED}:
            raise Violation(f"{a.reference} is still {a.state}: {a.reason}")
        # Adyen has no inquiry: a modification whose notification was lost waits for the settlement file.
        waits = "lost_notification" in w.behaviors and w.accounts[a.connector_account].name == "adyen"
        if a.state in {State.PENDING, State.REVERSING} and not waits:
            raise Violation(f"{a.reference} is still {a.state}")
    status_of(p)


def charged_once(p: Payment, truth: list[Effect]) -> None:
    """(i) Of all that was taken for a payment, at most one taking stands that was not given back."""
    takings = [e for e in truth if e.operation in {"authorize", "sale"}]
    given = defaultdict(int)
    for e in truth:
        if e.operation in {"void", "refund"}:
            child = next((a for a in p.attempts if a.reference == e.reference), None)
            parent = p.attempt(child.parent).psp_reference if child and child.parent else e.psp_reference
            given[parent] += e.minor
    stand = [e for e in takings if e.minor > given[e.psp_reference]]
    if len(stand) > 1:
        raise Violation(f"(i) taken {len(stand)} times: {stand}")
    for e in stand:
        a = next(
            (a for a in p.attempts if a.psp_reference == e.psp_reference and a.operation is Operation.AUTHORIZE), None
        )
        if (a is None or a.state not in STANDING) and not unheard(p, e):
            raise Violation(f"(i) taken, and nobody wants it: {e}, ours: {a and a.state}")
    for operation in ("capture", "refund"):
        references = [e.reference for e in truth if e.operation == operation]
        if len(references) > len(set(references)):
            raise Violation(f"(i) the same {operation} twice: {references}")


def all_ours(p: Payment, truth: list[Effect]) -> None:
    """(ii) Every success at a PSP is an attempt of ours, approved or reversed."""
    for e in truth:
        found = [a for a in p.attempts if e.reference in {a.reference, f"{a.reference}-abandon"}]
        if e.operation == "void":  # Refused and done after all: it is not said which of several did it.
            found += [x for x in p.attempts for a in found if a.parent and x.parent == a.parent]
        kinds = {operation_of(e), "authorize"} if e.operation == "void" else {operation_of(e)}
        if not any(a.operation in kinds and (a.state in SETTLED or a.state is State.PENDING) for a in found):
            raise Violation(f"(ii) lost: {e}, ours: {[(a.reference, a.operation, a.state) for a in p.attempts]}")


def approvals_exist(p: Payment, truth: list[Effect], excused: bool) -> None:
    """(iii) Every approval of ours is the PSP's, for the same amount and currency.

    Where a capture was done twice there is less left to be voided than we believe; that is the break's to mend.
    """
    for a in p.attempts:
        if a.state is State.APPROVED:
            names = {"sale" if a.sale else str(a.operation)}
            same = [e for e in truth if e.reference == a.reference and e.operation in names]
            if a.operation is Operation.VOID:  # Or it had been voided already.
                same += [e for e in truth if e.operation == "void" and e.psp_reference == a.psp_reference]
            less = excused and a.operation is Operation.VOID
            if not any((e.minor, e.currency) == (a.money, p.currency) or less for e in same):
                raise Violation(f"(iii) we believe {a.reference} {a.operation} {a.money} was approved; truth: {same}")


def operation_of(e: Effect) -> str:
    return "authorize" if e.operation == "sale" else e.operation


def books_agree(w: Any, p: Payment, truth: list[Effect]) -> None:
    """(iv) What the books say each PSP owes is what it took less what it gave back; and so for every account."""
    expected: dict[str, int] = defaultdict(int)
    for e in truth:
        sign = {"sale": 1, "capture": 1, "refund": -1}.get(e.operation, 0)
        if sign and not unheard(p, e):
            expected[f"assets.psp_receivable.{e.psp}"] += sign * e.minor
            expected["liabilities.order_clearing.checkout"] -= sign * e.minor
    for a in p.attempts:
        if a.operation is Operation.REFUND and a.state in OPEN:
            expected["liabilities.refunds_pending"] -= a.minor
            expected["liabilities.order_clearing.checkout"] += a.minor
    t = standing(p)
    expected["memo.authorized"], expected["memo.contra"] = t.uncaptured, -t.uncaptured
    posted: dict[str, int] = defaultdict(int)
    for journal in w.store.journals.values():
        if any(a.id == journal.attempt for a in p.attempts):
            for line in journal.postings:
                posted[line.account] += line.minor
    for account in expected.keys() | posted.keys():
        if expected[account] != posted[account]:
            raise Violation(f"(iv) {account}: posted {posted[account]}, should be {expected[account]}")


def unheard(p: Payment, e: Effect) -> bool:
    """The PSP has done it, its news was lost, and the attempt still waits."""
    return any(a.reference == e.reference and a.state is State.PENDING for a in p.attempts)


def answers_hold(w: Any) -> None:
    """(v) Every 2xx that a caller got still holds, and one key has one answer."""
    by_key: dict[str, set[tuple[str, str | None]]] = defaultdict(set)
    late = {f"{b['kind']}:{b['attempt']}" for b in w.store.breaks.values()}
    for answer in w.answers:
        if answer.status >= 500:
            raise Violation(f"(v) a caller was told {answer.status}")
        if answer.payment is None:
            continue
        by_key[answer.asked.key].add((answer.payment.id, answer.attempt))
        now = w.store.payments[answer.payment.id]
        for a in answer.payment.attempts:
            if f"late_success:{a.id}" not in late:
                held(a, now.attempt(a.id))
    for key, answers in by_key.items():
        if len({payment for payment, _ in answers}) > 1 or len({a for _, a in answers if a}) > 1:
            raise Violation(f"(v) the key {key} had {len(answers)} answers")


def held(told: Attempt, now: Attempt) -> None:
    """What was told as final may only be taken back by the PSP."""
    final = told.state not in OPEN and told.state is not State.REVERSING
    taken_back = told.state is State.APPROVED and now.state is State.REVERSED
    if final and now.state is not told.state and not taken_back:
        raise Violation(f"(v) {told.reference} was told as {told.state}, and is {now.state}")


def announced(w: Any, p: Payment) -> None:
    """(vi) Every final state was announced."""
    events = {(e.attempt, e.type) for e in w.store.events}
    for a in p.attempts:
        if a.state not in OPEN:
            sent = type(a)(id=a.id, number=1, operation=a.operation, minor=1, connector_account="", sale=a.sale)
            event = event_of(sent, a)
            if (a.id, event) not in events:
                raise Violation(f"(vi) {a.reference} {event} was never announced")
    versions = [e.version for e in w.store.events if e.payment == p.id]
    if versions != sorted(versions):
        raise Violation("(vi) events out of order")
    for a in p.attempts:
        if a.operation is Operation.AUTHORIZE and tally(p, a).captured > max(p.minor, raised(p, a) or 0):
            raise Violation(f"{a.reference} captured more than the payment")


def nothing_foreign(w: Any, truth: list[Effect]) -> None:
    for e in truth:
        if e.reference.rpartition("-")[0].removesuffix("-abandon") not in w.store.payments and not any(
            e.reference.startswith(f"{p}-") for p in w.store.payments
        ):
            raise Violation(f"(ii) nobody recorded {e}")
    for account in w.accounts.values():
        for key, times in account.psp.executed.items():
            if times > 1 and "broken_idempotency" not in w.behaviors:
                raise Violation(f"{key} was executed {times} times")


def breaks_have_a_cause(w: Any) -> None:
    """A break is opened when a PSP contradicts itself, not when we misread it."""
    breaks = [b for b in w.store.breaks.values() if b["kind"] != "amount_differs" or not w.behaviors & DIFFERING]
    if breaks and not w.behaviors & CONTRADICTING:
        raise Violation(f"a break without a cause: {w.store.breaks}")
