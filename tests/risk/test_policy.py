"""What a risk policy may say, what a service may answer, and what is kept of both."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrooge.risk.check import Hit, Suspect, Verdict, check
from scrooge.risk.policy import Policy, from_json, lint, rules_of, to_json
from scrooge.risk.recent import MINUTE, Recent, digest
from scrooge.risk.record import Asked, kept
from scrooge.risk.rules import STRICTNESS, CardTesting, Listed, Velocity, shipped
from scrooge.risk.service import ANSWER_MOST, Garbled, answer, question

NOW = 1_795_305_600_000_000
BLOCKED = Listed(
    name="no", of="ip", mode="enforce", values=frozenset({"203.0.113.0/24", "2001:db8::/48"}), does="block"
)
SERVICE = {"url": "https://risk.example/check", "secret": "secret:risk", "fail": "open"}


def policy(**more) -> Policy:
    return msgspec.convert({"name": "p", **more}, Policy)


def test_what_ships_only_watches_and_holds_together():
    assert not list(lint(policy()))
    assert {rule.mode for rule in rules_of(policy(), "v").rule} == {"observe"}
    assert rules_of(policy(), "v").rule == shipped().rule


def test_a_policy_that_watches_overrules_rules_that_would_decide():
    rules = rules_of(Policy(name="p", rules=(BLOCKED,)), "v")
    found = check(rules, Suspect(merchant="m", at=NOW, ip="203.0.113.9"), {})
    assert (found.does, found.would) == ("allow", "block")
    rules = rules_of(Policy(name="p", mode="enforce", rules=(BLOCKED,)), "v")
    assert check(rules, Suspect(merchant="m", at=NOW, ip="203.0.113.9"), {}).does == "block"


@pytest.mark.parametrize(
    ("ip", "listed"),
    [
        ("203.0.113.255", True),
        ("203.0.114.1", False),
        ("2001:db8:0:1::", True),
        ("2001:db9::", False),
        ("nonsense", False),
    ],
)
def test_addresses_are_listed_by_their_network(ip: str, listed: bool):
    rules = rules_of(Policy(name="p", mode="enforce", rules=(BLOCKED,)), "v")
    assert (check(rules, Suspect(merchant="m", at=NOW, ip=ip), {}).does == "block") is listed


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"mode": "enforce"}, "mode"),
        ({"service": {**SERVICE, "fail": "closed"}}, "service.fail"),
        (
            {"rules": [{"name": "a", "type": "list", "of": "ip", "values": ["300.1.1.1"], "does": "block"}]},
            "rules[0] 'a'",
        ),
        ({"rules": [{"name": "a", "type": "list", "of": "iin", "values": ["4111x"], "does": "block"}]}, "rules[0] 'a'"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_place(document: dict, place: str):
    assert [where for where, _ in lint(policy(**document))] == [place]


@pytest.mark.parametrize(
    "service",
    [
        {**SERVICE, "secret": "whsec_plain"},
        {**SERVICE, "secret": "secret:../etc/passwd"},
        {**SERVICE, "deadline_ms": 2001},
        {**SERVICE, "deadline_ms": 0},
        {"url": SERVICE["url"], "secret": SERVICE["secret"]},
        {**SERVICE, "url": "ftp://x"},
        {**SERVICE, "later": 1},
    ],
)
def test_a_service_is_named_strictly_and_says_what_its_silence_means(service: dict):
    with pytest.raises(msgspec.ValidationError):
        policy(service=service)


def test_the_same_policy_is_the_same_bytes():
    values = [f"203.0.113.{n}" for n in range(200)]
    one = Listed(name="no", of="ip", values=frozenset(values), does="block")
    other = Listed(name="no", of="ip", values=frozenset(reversed(values)), does="block")
    assert to_json(Policy(name="p", rules=(one,))) == to_json(Policy(name="p", rules=(other,)))
    made = Policy(name="p", rules=(one, *shipped().rule))
    assert from_json(to_json(made)) == made


# --- the service -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"OK", b"[]", b"{}", b'{"decision": "deny"}', b'{"decision": "block", "score": "high"}',
     b'{"decision": "block", "score": 1e999}', b'{"decision": "block", "reasons": "bad"}', b"\xff\xfe",
     b'{"decision": "block", "score": NaN}'],
)  # fmt: skip
def test_what_is_no_answer_is_none(body: bytes):
    with pytest.raises(Garbled):
        answer(body)


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_no_answer(body: bytes):
    with suppress(Garbled):
        assert answer(body).decision in STRICTNESS


def test_an_answer_is_kept_short_and_without_card_numbers():
    said = answer(msgspec.json.encode({
        "decision": "review", "score": 71, "reasons": ["4111 1111 1111 1111\nseen", *["x" * 500] * 40], "model": "v9",
    }))  # fmt: skip
    assert said.reasons[0] == "[digits] seen"
    assert (len(said.reasons), max(map(len, said.reasons))) == (10, 160)
    assert ANSWER_MOST < 2**15


def test_a_question_says_what_is_known_and_leaves_out_what_is_not():
    body = question("chk_1", "2026-11-22T00:00:00.000000Z", False, "shop", "web", payment={"purpose": None, "x": 1},
                    payer={"ip": "203.0.113.7", "email": None})  # fmt: skip
    told = msgspec.json.decode(body)
    assert (told["version"], told["payment"], told["payer"]) == (1, {"x": 1}, {"ip": "203.0.113.7"})


DEEDS = st.sampled_from(STRICTNESS)


@given(DEEDS, DEEDS, DEEDS, st.sampled_from(["observe", "enforce"]))
def test_a_service_that_watches_decides_nothing_and_is_told(does: str, would: str, said: str, mode: str):
    verdict = Verdict(does, would, (Hit("r", would, "because", True),), "v")
    found = kept("rsk_1", verdict, Asked(mode=mode, decision=said), NOW)
    decided = [does, said] if mode == "enforce" else [does]
    assert found.did == max(decided, key=STRICTNESS.index)
    assert found.would == max([would, said], key=STRICTNESS.index)
    assert kept("rsk_1", verdict, Asked(mode=mode, failed="no answer"), NOW).did == does


# --- what was seen ---------------------------------------------------------------------------


def test_what_one_process_saw_counts_in_another():
    here, there = Recent(), Recent()
    who = Suspect(merchant="m", at=NOW, ip="203.0.113.7", card="c1")
    sightings = [here.add(who), here.declined(who)]
    for told in msgspec.json.decode(msgspec.json.encode(sightings), type=list[type(sightings[0])]):
        there.put(told)
    ask = next(iter(_asks(who)))
    assert there.tally(ask, who) == here.tally(ask, who)
    assert (there.tally(ask, who).attempts, there.tally(ask, who).declines) == (1, 1)


def test_memory_is_bounded_whatever_is_seen():
    recent = Recent(most=100)
    for n in range(5_000):
        recent.add(Suspect(merchant="m", at=NOW + n * MINUTE // 10, ip=f"198.51.{n // 256}.{n % 256}", card=f"c{n}"))
    assert len(recent.seen) <= 100
    whole = recent.seen[digest("m", "ip", "198.51.19.135")]
    assert len(whole.cards) == 1
    for n in range(3_000):
        recent.add(Suspect(merchant="m", at=NOW + n * MINUTE, ip="203.0.113.7", card=f"c{n}"))
    one = recent.seen[digest("m", "ip", "203.0.113.7")]
    assert len(one.cards) <= 1001 and len(one.minutes) <= 1441


def test_nothing_that_names_a_person_is_kept_in_a_sighting():
    told = Recent().add(Suspect(merchant="m", at=NOW, ip="203.0.113.7", email="jo@shop.example", customer="jo"))
    text = msgspec.json.encode(told).decode()
    assert "203.0" not in text and "jo" not in text


def _asks(who: Suspect):
    from scrooge.risk.check import Ask

    yield Ask(who.merchant, "ip", who.ip, 10)


def test_every_kind_of_rule_ships():
    assert {type(rule) for rule in shipped().rule} == {Velocity, CardTesting}
