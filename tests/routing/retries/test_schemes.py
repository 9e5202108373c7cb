"""No sequence of allowed attempts breaks a scheme's rule; and where exactly each rule begins and ends."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from tests.routing.retries.checker import MAY_19_2025, NOVEMBER_1_2023, broken

from scrooge.routing.calendar import DAY, HOUR, day_starts
from scrooge.routing.schemes.allowed import Allowed, Past, allowed
from scrooge.routing.schemes.counters import MOST, Admitted, Counter, admit, conclude, scopes
from scrooge.routing.schemes.rules import Attempt, Refused, category, load

RULES = load()
NOW = day_starts("2026-11-22")


def attempt(at: int, brand: str = "visa", **facts) -> Attempt:
    known = {"merchant": "mer", "card": "card:1", "minor": 1000, "currency": "EUR", "initiator": "merchant"}
    return Attempt(at=at, brand=brand, **(known | facts))


def past(a: Attempt, outcome: str = "declined", network: str | None = "51", advice: str | None = None) -> Past:
    return Past(
        at=a.at, minor=a.minor, currency=a.currency, initiator=a.initiator, outcome=outcome,
        network_code=network, advice_code=advice, acquirer=a.acquirer,
    )  # fmt: skip


def declined(times: list[int], brand: str = "visa", **facts) -> list[Past]:
    return [past(attempt(at, brand, **facts)) for at in times]


# --- by hand ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("day", "most"), [("2025-01-10", 15), ("2025-05-19", 20)])
def test_visa_allows_so_many_reattempts_in_thirty_days(day: str, most: int):
    """One first attempt and `most` reattempts; 15 until 2025-05-19, then 20 (Checkout.com's support page)."""
    at = day_starts(day)
    history = declined([at - (n + 1) * HOUR for n in range(most)])
    assert allowed(RULES, history, attempt(at)) == Allowed(1), "the last one: a first attempt and most-1 reattempts"
    history.append(past(attempt(at)))
    refused = allowed(RULES, history, attempt(at + 1))
    assert isinstance(refused, Refused)
    assert refused.rule == "visa-reattempts"
    first_reattempt = at - (most - 1) * HOUR
    assert refused.until == first_reattempt + 30 * DAY + 1
    assert isinstance(allowed(RULES, history, attempt(refused.until - 1)), Refused)
    assert isinstance(allowed(RULES, history, attempt(refused.until)), Allowed)


def test_a_rule_that_changes_in_the_middle_of_the_window_counts_the_whole_window():
    """Sixteen declines before the change: refused on its eve, allowed from midnight."""
    change = day_starts("2025-05-19")
    history = declined([change - (16 - n) * HOUR for n in range(16)])
    assert isinstance(allowed(RULES, history, attempt(change - 1)), Refused)
    assert allowed(RULES, history, attempt(change)) == Allowed(5)


def test_visa_counts_the_payers_and_the_merchants_attempts_apart_since_then():
    history = declined([NOW - n * HOUR for n in range(1, 22)])
    assert isinstance(allowed(RULES, history, attempt(NOW)), Refused)
    assert isinstance(allowed(RULES, history, attempt(NOW, initiator="customer")), Allowed)
    assert isinstance(allowed(RULES, history, attempt(NOW, minor=1001)), Allowed), "nor other amounts"


def test_mastercard_allows_ten_declines_in_twenty_four_hours_whatever_the_amount():
    history = [past(attempt(NOW + n, "mastercard", minor=100 + n)) for n in range(10)]
    exactly = attempt(NOW + DAY, "mastercard")
    refused = allowed(RULES, history, exactly)
    assert isinstance(refused, Refused), "24 hours after the first is still within 24 hours"
    assert (refused.rule, refused.until) == ("mastercard-day", NOW + DAY + 1)
    assert isinstance(allowed(RULES, history, structs.replace(exactly, at=exactly.at + 1)), Allowed)
    assert isinstance(allowed(RULES, history[:9], exactly), Allowed)


def test_mastercard_allows_thirty_five_declines_of_an_amount_in_thirty_days():
    history = declined([NOW - n * 20 * HOUR for n in range(35)], "mastercard")
    refused = allowed(RULES, history, attempt(NOW + 1, "mastercard"))
    assert isinstance(refused, Refused)
    assert refused.rule == "mastercard-month"
    assert allowed(RULES, history[:34], attempt(NOW + 1, "mastercard")) == Allowed(1)


def test_brazil_counts_seven_in_a_day():
    history = declined([NOW - n for n in range(7)], "mastercard")
    assert isinstance(allowed(RULES, history, attempt(NOW, "mastercard")), Allowed)
    assert isinstance(allowed(RULES, history, attempt(NOW, "mastercard", region="BR")), Refused)


@pytest.mark.parametrize("code", ["04", "07", "14", "15", "41", "43", "46"])
def test_visas_category_1_is_never_tried_again(code: str):
    history = [past(attempt(NOW), network=code)]
    refused = allowed(RULES, history, attempt(NOW + 3000 * DAY, minor=7, initiator="customer"))
    assert isinstance(refused, Refused)
    assert refused.until is None


def test_the_lists_disagree_so_an_acquirer_may_have_its_own():
    """Checkout.com's list of codes that are never tried again has no 14, and since 2025-04-12 no 15."""
    through = attempt(NOW, acquirer="checkout")
    for code, verdict in (("14", Allowed), ("15", Allowed), ("41", Refused)):
        assert isinstance(allowed(RULES, [past(through, network=code)], through), verdict), code
    assert isinstance(allowed(RULES, [past(attempt(NOW, acquirer="adyen"), network="15")], through), Refused)


@pytest.mark.parametrize(
    ("advice", "hours"),
    [("02", 72), ("24", 1), ("25", 24), ("26", 48), ("27", 96), ("28", 144), ("29", 192), ("30", 240)],
)
def test_a_merchant_waits_as_long_as_mastercards_advice_says(advice: str, hours: int):
    history = [past(attempt(NOW, "mastercard"), advice=advice)]
    again = attempt(NOW + hours * HOUR, "mastercard")
    refused = allowed(RULES, history, again)
    assert isinstance(refused, Refused)
    assert refused.until == again.at + 1
    assert isinstance(allowed(RULES, history, structs.replace(again, at=again.at + 1)), Allowed)
    assert isinstance(allowed(RULES, history, structs.replace(again, initiator="customer")), Allowed)


def test_the_wait_begins_with_the_answer():
    answered = structs.replace(past(attempt(NOW, "mastercard"), advice="24"), answered=NOW + 600_000_000)
    refused = allowed(RULES, [answered], attempt(NOW + HOUR + 1, "mastercard"))
    assert isinstance(refused, Refused)
    assert refused.until == NOW + HOUR + 600_000_001


@pytest.mark.parametrize("advice", ["03", "21"])
def test_never_again_is_thirty_days_for_everybody_and_for_stopped_agreements_until_the_payer_pays_again(advice: str):
    history = [past(attempt(NOW, "mastercard"), advice=advice)]
    soon = attempt(NOW + 30 * DAY, "mastercard", initiator="customer", minor=5)
    assert isinstance(allowed(RULES, history, soon), Refused)
    later = attempt(NOW + 31 * DAY, "mastercard")
    assert isinstance(allowed(RULES, history, later), Refused if advice == "21" else Allowed)
    consent = past(attempt(NOW + 31 * DAY, "mastercard", initiator="customer"), "approved")
    assert isinstance(allowed(RULES, [*history, consent], structs.replace(later, at=later.at + DAY)), Allowed)


def test_an_unknown_brand_is_held_to_the_strictest():
    for brand in ("", "amex", "discover", "jcb"):
        assert isinstance(allowed(RULES, declined([NOW - n for n in range(7)], brand), attempt(NOW, brand)), Refused)
        for network, advice in (("43", None), ("05", "03")):
            answered = [past(attempt(NOW, brand), network=network, advice=advice)]
            assert isinstance(allowed(RULES, answered, attempt(NOW, brand)), Refused)


def test_an_attempt_whose_end_is_not_known_counts_as_declined():
    """Else two that are sent at once could both be the last."""
    history = [past(attempt(NOW, "mastercard"), "open")] * 10
    assert isinstance(allowed(RULES, history, attempt(NOW, "mastercard")), Refused)
    assert isinstance(
        allowed(RULES, [past(attempt(NOW, "mastercard"), "approved")] * 10, attempt(NOW, "mastercard")), Allowed
    )


def recorded(counters: dict[str, Counter], a: Attempt) -> Admitted:
    admitted = admit(RULES, counters, a)
    assert isinstance(admitted, Admitted)
    counters.update(admitted.changed)
    return admitted


def test_a_rule_begins_with_what_was_tried_before_it():
    """Fourteen reattempts on the eve of Visa's change, counted by what it counts apart: six of twenty are left."""
    counters: dict[str, Counter] = {}
    for n in range(15):
        a = attempt(MAY_19_2025 - DAY + n)
        recorded(counters, a)
        counters.update(conclude(RULES, counters, a, "declined", "51"))
    assert recorded(counters, attempt(MAY_19_2025)).left == 6


def reattempts_left(counters: dict[str, Counter], at: int) -> int | None:
    admitted = admit(RULES, counters, attempt(at))
    return admitted.left if isinstance(admitted, Admitted) else 0


def test_an_approval_that_comes_late_does_not_undo_a_later_decline():
    counters: dict[str, Counter] = {}
    first, second = attempt(NOW), attempt(NOW + 1)
    recorded(counters, first)
    recorded(counters, second)
    counters.update(conclude(RULES, counters, second, "declined", "51"))
    counters.update(conclude(RULES, counters, first, "approved"))
    assert recorded(counters, attempt(NOW + 2)).left == 20, (
        "the second came after an approval, the third after a decline"
    )
    assert reattempts_left(counters, NOW + 3) == 19


@pytest.mark.parametrize("order", ["as sent", "backwards"])
def test_approvals_of_many_at_once_leave_the_card_as_it_was(order: str):
    """Each but the first came while another was open: until that is known, they may all be reattempts."""
    counters: dict[str, Counter] = {}
    out = [attempt(NOW + n) for n in range(21)]
    for a in out:
        recorded(counters, a)
    assert isinstance(admit(RULES, counters, attempt(NOW + 21)), Refused), "twenty are out that may follow a decline"
    for a in out if order == "as sent" else reversed(out):
        counters.update(conclude(RULES, counters, a, "approved"))
    assert set(counters.values()) == {Counter()}, "a card that is well leaves nothing behind"


def test_what_was_approved_between_two_declines_is_a_reattempt_whichever_is_heard_first():
    """Of D, A, D, A, each pair has one attempt that follows a decline: the second and the fourth."""
    ends = ["declined", "approved", "declined", "approved"]
    for order in permutations(range(4)):
        counters: dict[str, Counter] = {}
        out = [attempt(NOW + n) for n in range(4)]
        for a in out:
            recorded(counters, a)
        for n in order:
            counters.update(conclude(RULES, counters, out[n], ends[n], "51"))
        assert reattempts_left(counters, NOW + 4) == 18, order


def test_no_moment_goes_because_somebodys_clock_is_ahead():
    """Nine declines, then one attempt of a process that is seventy days ahead, which is given back: nine all the same."""
    counters: dict[str, Counter] = {}
    for n in range(9):
        recorded(counters, attempt(NOW + n, "mastercard"))
    ahead = attempt(NOW + 70 * DAY, "mastercard")
    recorded(counters, ahead)
    counters.update(conclude(RULES, counters, ahead, "rejected"))
    assert recorded(counters, attempt(NOW + 10, "mastercard")).left == 1
    assert isinstance(admit(RULES, counters, attempt(NOW + 11, "mastercard")), Refused)


def test_visas_categories():
    for code, expected in (("41", 1), ("57", 1), ("51", 2), ("54", 3), ("05", 4)):
        assert category(RULES, attempt(NOW), code) == expected
    assert category(RULES, attempt(NOW, "mastercard"), "51") is None


def test_every_row_has_a_source_and_the_day_it_was_read():
    for rows in (*RULES.limits.values(), *RULES.answers.values()):
        for row in rows:
            assert row.assumed or row.source.startswith("https://"), row.rule
            assert day_starts(row.since) < NOW
            assert day_starts(row.checked) <= NOW


# --- for all --------------------------------------------------------------------------------------

GAPS = st.sampled_from([1, 1_000_000, HOUR, 6 * HOUR, DAY - 1, DAY, DAY + 1, 3 * DAY, 30 * DAY, 30 * DAY + 1])
ENDS = st.sampled_from(
    [
        *[("declined", code, None) for code in ("51", "05", "12", "57")] * 4,
        *[("declined", "51", code) for code in ("02", "24", "25", "30")] * 2,
        ("declined", "43", None),
        ("declined", "05", "03"),
        ("declined", "05", "21"),
        ("declined", "R1", None),
        *[("approved", None, None)] * 3,
        ("rejected", None, None),
    ]
)
STEP = st.tuples(st.integers(1, 25), GAPS, st.sampled_from([100, 200]), st.sampled_from(["customer", "merchant"]), ENDS)
STARTS = st.sampled_from([NOW, MAY_19_2025 - 3 * DAY, NOVEMBER_1_2023 - 2 * DAY])


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["visa", "mastercard"]), STARTS, st.lists(STEP, max_size=12), st.integers(1, 4))
def test_no_sequence_of_allowed_attempts_breaks_a_rule(brand: str, at: int, steps: list, together: int):
    """Whoever asks both ways, history and counters, and only sends what is allowed; up to four at once."""
    counters: dict[str, Counter] = {}
    done: list[Past] = []
    waiting: list[tuple[int, Attempt, tuple]] = []

    def end() -> None:
        n, a, ended = waiting.pop(0)
        done[n] = structs.replace(past(a, *ended), answered=at)
        counters.update(conclude(RULES, counters, a, *ended, answered=at))

    for times, gap, minor, initiator, ended in steps:
        for _ in range(times):
            at += gap
            a = attempt(at, brand, minor=minor, initiator=initiator)
            said, admitted = allowed(RULES, done, a), admit(RULES, counters, a)
            if isinstance(said, Refused):
                assert isinstance(admitted, Refused), "the counters allow nothing that the rule does not"
                assert said.until is None or said.until > at
                assert said.until == admitted.until
            if isinstance(admitted, Admitted):
                assert isinstance(said, Allowed), "and refuse nothing that it does"
                assert admitted.left == said.left
                counters.update(admitted.changed)
                assert set(admitted.changed) <= scopes(RULES, a)
                done.append(past(a, "open"))
                waiting.append((len(done) - 1, a, ended))
            if len(waiting) >= together:
                end()
    while waiting:
        end()
    assert not broken(done, brand)
    assert all(len(c.times) <= MOST for c in counters.values()), "a counter is bounded"


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["visa", "mastercard", "amex"]), STARTS, st.lists(STEP, max_size=12))
def test_counters_say_what_the_history_says(brand: str, at: int, steps: list):
    """One at a time, everything that reached an issuer: the same verdict with the same end."""
    counters: dict[str, Counter] = {}
    done: list[Past] = []
    for times, gap, minor, initiator, ended in steps:
        for _ in range(times if ended[0] != "rejected" else 0):
            at += gap
            a = attempt(at, brand, minor=minor, initiator=initiator)
            said, admitted = allowed(RULES, done, a), admit(RULES, counters, a)
            if isinstance(said, Refused):
                assert isinstance(admitted, Refused)
                assert admitted.until == said.until
                continue
            assert isinstance(admitted, Admitted)
            assert admitted.left == said.left
            counters.update(admitted.changed)
            counters.update(conclude(RULES, counters, a, *ended))
            done.append(past(a, *ended))


def test_the_checker_sees_what_is_broken():
    """A checker that never complains proves nothing."""
    assert broken(declined([NOW + n for n in range(22)]), "visa")
    assert not broken(declined([NOW + n for n in range(21)]), "visa")
    assert broken(declined([NOW + n for n in range(11)], "mastercard"), "mastercard")
    assert broken([past(attempt(NOW), network="43"), past(attempt(NOW + DAY))], "visa")
