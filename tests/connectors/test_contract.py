"""One suite for every connector: the same questions, answered from each PSP's own words.

What a PSP says is in `cases/`; adding a connector means adding a module there, and nothing here.
"""

import itertools
import socket
from typing import Any

import aiohttp
import msgspec
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from scrooge.connectors.connector import PLACEHOLDERS, Command, Fill, Request, Wire, render
from scrooge.connectors.send import Answer, send
from scrooge.domain.attempt import Operation, State, advance
from scrooge.domain.declines import Decline
from scrooge.domain.outcome import ActionRequired, Approved, Declined, Rejected, Unknown
from scrooge.errors import AmountNotRepresentable, UnsupportedOperation

from .cards import filled, positions
from .cases import CASES
from .cases.case import NOW, Ask, Cases, Notice, Reply, Story, endpoint_of
from .conftest import Psp

EVERY = pytest.mark.parametrize("cases", CASES.values(), ids=CASES)
WITH_CARDS = {name: cases for name, cases in CASES.items() if cases.connector.cards}
EVERY_WITH_CARDS = pytest.mark.parametrize("cases", WITH_CARDS.values(), ids=WITH_CARDS)


def each(name: str) -> Any:
    """Parametrize over one table of every connector; the id is the claim."""
    rows = [(cases, row) for cases in CASES.values() for row in getattr(cases, name)]
    ids = [f"{cases.connector.name}-{row.claim}" for cases, row in rows]
    return pytest.mark.parametrize(("cases", "row"), rows, ids=ids)


async def ask(cases: Cases, row: Reply, psp: Psp, http: aiohttp.ClientSession, timeout: float = 5) -> Answer:
    wire = Wire(cases.connector, cases.connector.base_url(psp.url + "/psp/"), cases.credentials)
    endpoint = endpoint_of(cases.connector, row)
    request = endpoint.build(row.command)
    return await send(http, wire, endpoint, row.command, request, first=row.first, timeout=timeout)


def asked(cases: Cases) -> Reply:
    """Any question at all, for tests in which the answer never comes."""
    return next(row for row in cases.replies if row.ask is Ask.SEND and row.first)


# --- replies --------------------------------------------------------------------------------


@each("replies")
async def test_every_reply_means_what_the_table_says(
    cases: Cases, row: Reply, psp: Psp, http: aiohttp.ClientSession
) -> None:
    psp.says(row.status, b"" if row.body is None else row.body, row.headers)
    answer = await ask(cases, row, psp, http)
    assert answer.outcome == row.expected
    assert answer.status == row.status


DECLINES = [(cases, code) for cases in CASES.values() for code in cases.declines]


@pytest.mark.parametrize(("cases", "code"), DECLINES, ids=[f"{c.connector.name}-{code}" for c, code in DECLINES])
async def test_every_mapped_decline_is_known_and_keeps_its_code(
    cases: Cases, code: str, psp: Psp, http: aiohttp.ClientSession
) -> None:
    row = cases.declined(code)
    psp.says(row.status, row.body)
    answer = await ask(cases, row, psp, http)
    assert answer.outcome == row.expected
    assert answer.outcome.decline is cases.declines[code]
    assert answer.outcome.raw_code == code


@EVERY
async def test_an_unmapped_decline_is_a_decline_and_keeps_its_code(
    cases: Cases, psp: Psp, http: aiohttp.ClientSession
) -> None:
    row = cases.declined("9999")
    psp.says(row.status, row.body)
    outcome = (await ask(cases, row, psp, http)).outcome
    assert outcome.decline is Decline.UNMAPPED
    assert outcome.raw_code == "9999"


@each("replies")
async def test_a_field_that_we_do_not_know_breaks_nothing(
    cases: Cases, row: Reply, psp: Psp, http: aiohttp.ClientSession
) -> None:
    body = row.body
    if isinstance(body, dict):
        body = {**body, "a_new_field": {"of": ["theirs"]}}
    psp.says(row.status, body, {**row.headers, "A-New-Header": "of theirs"})
    assert (await ask(cases, row, psp, http)).outcome == row.expected


# --- no reply -------------------------------------------------------------------------------


@EVERY
async def test_a_timeout_is_unknown(cases: Cases, psp: Psp, http: aiohttp.ClientSession) -> None:
    psp.delay = 0.5
    answer = await ask(cases, asked(cases), psp, http, timeout=0.05)
    assert answer.outcome == Unknown("no answer in time")
    assert len(psp.seen) == 1


@EVERY
async def test_a_connection_that_breaks_is_unknown_and_nothing_is_repeated(
    cases: Cases, psp: Psp, http: aiohttp.ClientSession
) -> None:
    psp.hang_up = True
    answer = await ask(cases, asked(cases), psp, http)
    assert answer.outcome == Unknown("the connection ended before an answer")
    assert len(psp.seen) == 1


@EVERY
async def test_what_was_never_sent_is_rejected_the_first_time_only(cases: Cases, http: aiohttp.ClientSession) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = Psp(f"http://127.0.0.1:{unused.getsockname()[1]}")
        row = asked(cases)
        first = await ask(cases, row, nobody, http)
        again = await ask(cases, structs.replace(row, first=False), nobody, http)
    assert first.outcome == Rejected("not sent: could not connect")
    assert again.outcome == Unknown("not sent: could not connect")


@EVERY
async def test_a_replay_sends_the_same_bytes_under_the_same_key(
    cases: Cases, psp: Psp, http: aiohttp.ClientSession
) -> None:
    row = asked(cases)
    psp.says(row.status, row.body)
    await ask(cases, row, psp, http)
    await ask(cases, structs.replace(row, first=False), psp, http)
    one, two = psp.seen
    assert (one.method, one.path, one.body) == (two.method, two.path, two.body)
    assert one.headers["idempotency-key"] == two.headers["idempotency-key"] == row.command.reference


# --- requests -------------------------------------------------------------------------------


@EVERY
def test_amounts_that_the_psp_cannot_count_are_refused_before_anything_is_sent(cases: Cases) -> None:
    assert cases.connector.amount is not None, "routing asks it, or another account would not be tried"
    for amount in cases.not_representable:
        with pytest.raises(AmountNotRepresentable):
            cases.connector.amount(amount)
        for operation in (Operation.AUTHORIZE, Operation.CAPTURE, Operation.REFUND):
            command = structs.replace(cases.commands[operation], amount=amount)
            with pytest.raises(AmountNotRepresentable):
                render(cases.connector, command)


@EVERY
def test_what_builds_on_an_unnamed_authorization_is_refused(cases: Cases) -> None:
    for operation in (Operation.CAPTURE, Operation.VOID, Operation.REFUND):
        command = structs.replace(cases.commands[operation], parent_psp_reference=None)
        with pytest.raises(UnsupportedOperation):
            render(cases.connector, command)


@EVERY
def test_an_instrument_without_a_token_is_refused(cases: Cases) -> None:
    with pytest.raises(UnsupportedOperation):
        render(cases.connector, structs.replace(cases.authorize, psp_token=None))


@EVERY
async def test_no_reference_of_a_psp_can_leave_its_place_in_the_path(
    cases: Cases, psp: Psp, http: aiohttp.ClientSession
) -> None:
    command = structs.replace(cases.commands[Operation.CAPTURE], parent_psp_reference="../../x?y=1#z")
    row = structs.replace(asked(cases), command=command)
    plain = render(cases.connector, cases.commands[Operation.CAPTURE]).path
    await ask(cases, row, psp, http)
    assert psp.seen[0].path.count("/") == plain.count("/") + 1
    assert "?" not in psp.seen[0].path


@EVERY
def test_a_base_url_may_end_in_a_version_or_a_slash(cases: Cases) -> None:
    strip = cases.connector.base_url
    for tail in ("", "/", "/v1", "/v72/"):
        assert strip(f"http://127.0.0.1:8090/psp{tail}") == "http://127.0.0.1:8090/psp"
    for url in (cases.connector.test_url, cases.connector.live_url):
        assert strip(url) == url


# --- cards that the vault fills in ----------------------------------------------------------


def by_card(cases: Cases, **more: Any) -> tuple[Command, Request]:
    command = structs.replace(cases.authorize, psp_token=None, vault_card="ins_1", **more)
    return command, render(cases.connector, command)


@EVERY_WITH_CARDS
def test_a_card_has_its_placeholders_where_the_template_says_and_nowhere_else(cases: Cases) -> None:
    template = cases.connector.cards["authorize"]
    named = {name: getattr(template, name, None) for name in PLACEHOLDERS}
    wanted = {place: PLACEHOLDERS[name] for name, place in named.items() if place}
    for initiator in ("customer", "merchant"):
        _, request = by_card(cases, initiator=initiator)
        found = {place: value for place, value in positions(request).items() if "{{" in value}
        code = template.security_code if initiator == "merchant" else None
        assert found == {place: value for place, value in wanted.items() if place != code}
        assert request.fill == Fill("ins_1", "authorize")
        assert (request.method, request.path) == (template.method, template.path)
        assert request.content_type == template.content_type


@EVERY_WITH_CARDS
def test_a_token_of_the_psp_goes_before_the_card_and_past_the_vault(cases: Cases) -> None:
    request = render(cases.connector, structs.replace(cases.authorize, vault_card="ins_1"))
    assert request == render(cases.connector, cases.authorize)
    assert request.fill is None
    assert b"%7B%7B" not in request.body
    assert b"{{" not in request.body


@EVERY_WITH_CARDS
def test_nothing_but_an_authorization_carries_a_card(cases: Cases) -> None:
    for operation, command in cases.commands.items():
        request = render(cases.connector, structs.replace(command, vault_card="ins_1"))
        assert operation is Operation.AUTHORIZE or request.fill is None


@EVERY_WITH_CARDS
def test_what_a_merchant_says_is_no_placeholder(cases: Cases) -> None:
    """A template names positions: a text that looks like a placeholder elsewhere stays what it is."""
    _, request = by_card(cases, customer="{{number}}", statement_descriptor="SHOP*{{number}}")
    sent = filled(request, cases.connector.cards["authorize"])
    numbers = [place for place, value in positions(sent).items() if "4242" in value]
    assert numbers == [cases.connector.cards["authorize"].number]


@EVERY_WITH_CARDS
async def test_the_psps_own_ids_are_kept_in_a_reply(cases: Cases) -> None:
    """What no redaction may touch is what our readers take: without it a payment is lost from sight, a payer stuck."""
    kept = cases.connector.cards["authorize"].kept
    assert len(kept) == len(set(kept))
    for row in cases.replies:
        if row.ask is not Ask.SEND or row.command.operation is not Operation.AUTHORIZE:
            continue
        if isinstance(row.expected, Approved | ActionRequired | Declined):
            answer = positions(Request("POST", "/", msgspec.json.encode(row.body)))
            values = {answer[place] for place in kept if place in answer}
            assert row.expected.psp_reference in {None, *values}
        if isinstance(row.expected, Approved):
            assert {row.expected.network_transaction_id, row.expected.psp_token} <= {None, *values}
        if isinstance(row.expected, ActionRequired):
            assert {row.expected.action.url, *row.expected.action.fields.values()} <= values


# --- secrets --------------------------------------------------------------------------------


@EVERY
async def test_credentials_travel_in_headers_only_and_show_up_nowhere_else(
    cases: Cases, psp: Psp, http: aiohttp.ClientSession
) -> None:
    secrets = list(cases.credentials.values())
    shown = []
    for operation, command in cases.commands.items():
        row = structs.replace(asked(cases), command=command)
        for status in (200, 400, 401, 403, 422, 500):
            psp.says(status, cases.echoes(" ".join(secrets) if status == 401 else "x"))
            with capture_logs() as logs:
                answer = await ask(cases, row, psp, http)
            shown += [answer.outcome, logs]
        shown += [render(cases.connector, command), operation]
    sent = [(seen.path, seen.body) for seen in psp.seen]
    for secret in secrets:
        assert secret not in repr((shown, sent))
    assert all(cases.credentials["api_key"] in repr(seen.headers) for seen in psp.seen)


@EVERY
def test_bad_credentials_are_explained_without_repeating_them(cases: Cases) -> None:
    check = cases.connector.check_credentials
    assert check(cases.credentials, False) is None
    for name, required in cases.connector.credentials.items():
        without = {k: v for k, v in cases.credentials.items() if k != name}
        if required:
            assert name in (check(without, False) or "")
        bad = check({**cases.credentials, name: "S3cret with spaces\r\n"}, False)
        assert bad is not None
        assert "S3cret" not in bad
    unknown = check({**cases.credentials, "S3cret": "S3cret"}, False)
    assert unknown is not None
    assert "S3cret" not in unknown


# --- notifications --------------------------------------------------------------------------


@each("notices")
def test_an_authentic_notification_is_believed_and_read(cases: Cases, row: Notice) -> None:
    raw, headers = cases.signed(row.document, NOW)
    assert cases.connector.verify(raw, headers, cases.credentials, NOW)
    assert cases.connector.notifications(raw) == [row.expected]


FORGED = [(cases, claim) for cases in CASES.values() for claim in cases.forgeries]


@pytest.mark.parametrize(("cases", "claim"), FORGED, ids=[f"{c.connector.name}-{claim}" for c, claim in FORGED])
def test_a_forged_notification_is_refused(cases: Cases, claim: str) -> None:
    raw, headers, now = cases.forgeries[claim]
    assert cases.connector.verify(raw, headers, cases.credentials, now) is False


@EVERY
def test_without_its_secret_no_notification_is_believed(cases: Cases) -> None:
    raw, headers = cases.signed(cases.notices[0].document, NOW)
    only_key = {"api_key": cases.credentials["api_key"]}
    assert cases.connector.check_credentials(only_key, False) is None
    assert cases.connector.verify(raw, headers, only_key, NOW) is False


@each("notices")
def test_a_duplicate_has_the_same_event_id_whenever_it_comes(cases: Cases, row: Notice) -> None:
    once, _ = cases.signed(row.document, NOW)
    again, _ = cases.signed(row.document, NOW + 86_400)
    assert cases.connector.notifications(once) == cases.connector.notifications(again)


@EVERY
def test_different_news_have_different_event_ids(cases: Cases) -> None:
    for story in cases.stories:
        documents = [d for i, d in enumerate(story.documents) if d not in story.documents[:i]]
        found = [
            note.event_id
            for document in documents
            for note in cases.connector.notifications(msgspec.json.encode(document))
        ]
        assert len(set(found)) == len(found)


@each("stories")
def test_the_order_of_notifications_does_not_matter(cases: Cases, row: Story) -> None:
    outcomes = [
        note.outcome
        for document in row.documents
        for note in cases.connector.notifications(msgspec.json.encode(document))
    ]
    for order in itertools.permutations(outcomes):
        state = State.SENT
        for outcome in order:
            state = advance(state, outcome)
        assert state is row.ends
