"""The contract suite asks every question of every connector, or fails here."""

import pytest

from scrooge.connectors.adyen_replies import DECLINES as ADYEN_DECLINES
from scrooge.connectors.kit import NOT_FOUND
from scrooge.connectors.registry import connectors
from scrooge.connectors.stripe_declines import DECLINES as STRIPE_DECLINES
from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import Rejected, Unknown

from .cases import CASES
from .cases.case import Ask, Cases, Item

EVERY = pytest.mark.parametrize("cases", CASES.values(), ids=CASES)
TABLES = {"stripe": STRIPE_DECLINES, "adyen": ADYEN_DECLINES}


def test_every_connector_that_takes_payments_has_cases() -> None:
    asked = {name for name, found in connectors().items() if found.endpoints and found.transport == "http"}
    assert CASES.keys() == asked


@EVERY
def test_no_item_of_the_list_is_missing(cases: Cases) -> None:
    assert {row.item for row in cases.replies} == set(Item)
    assert cases.notices
    assert cases.stories
    assert cases.forgeries
    assert cases.not_representable


@EVERY
def test_every_endpoint_has_a_reply(cases: Cases) -> None:
    covered = {(row.ask, row.command.operation) for row in cases.replies}
    found = cases.connector
    expected = {(Ask.SEND, operation) for operation in found.endpoints}
    expected |= {(Ask.INQUIRE, operation) for operation in found.inquiries}
    expected |= {(Ask.CONTINUE, Operation.AUTHORIZE)}
    expected |= {(Ask.ABANDON, Operation.AUTHORIZE)} if found.abandon else set()
    expected |= {(Ask.REVERSE, Operation.AUTHORIZE)} if found.reversal else set()
    assert covered == expected
    assert cases.commands.keys() == found.endpoints.keys()


@EVERY
def test_no_question_that_found_nothing_rejects(cases: Cases) -> None:
    for row in cases.replies:
        if row.ask is not Ask.SEND:
            assert not isinstance(row.expected, Rejected), row.claim
        if isinstance(row.expected, Unknown):
            assert row.expected.absent is row.expected.reason.startswith(NOT_FOUND), row.claim
            assert not (row.expected.absent and row.ask is not Ask.INQUIRE), row.claim


@EVERY
def test_every_claim_is_made_once(cases: Cases) -> None:
    for rows in (cases.replies, cases.notices, cases.stories):
        claims = [row.claim for row in rows]
        assert len(set(claims)) == len(claims)


@EVERY
def test_every_decline_that_is_mapped_is_reviewed(cases: Cases) -> None:
    assert cases.declines == TABLES[cases.connector.name]
