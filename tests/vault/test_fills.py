"""A card goes to the PSP and to nobody else; what comes back has none; what cannot be is refused before it leaves."""

import time
from urllib.parse import parse_qs

import jwt
import msgspec
import pytest

from scrooge import service
from scrooge.ids import hex_of, new_id

LEFT = "SELECT sealed FROM security_codes WHERE card_id = $1::uuid"
NUMBER, CODE = "4242424242424242", "737"


async def test_the_card_is_where_the_template_says_and_the_rest_is_as_it_was(vault, psp):
    made = await vault.tokenize()
    status, sent = await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url))
    assert (status, sent["outcome"], sent["status"]) == (200, "answered", 200)
    assert msgspec.json.decode(sent["body"]) == psp.reply
    [(line, headers, body)] = psp.seen
    assert line == "POST /v1/payment_intents"
    assert headers["authorization"] == "Bearer sk_test_1"
    assert headers["idempotency-key"] == "pay_1-1"
    assert parse_qs(body) == {
        "amount": ["1299"], "currency": ["eur"], "payment_method_data[type]": ["card"],
        "payment_method_data[card][number]": [NUMBER], "payment_method_data[card][exp_month]": ["03"],
        "payment_method_data[card][exp_year]": ["2034"], "payment_method_data[card][cvc]": [CODE],
        "payment_method_data[billing_details][name]": ["Joan Doe"],
    }  # fmt: skip
    assert (await vault.acts(made["id"])) == [("tokenize", "done"), ("fill", "done")]


async def test_a_security_code_goes_into_one_request_whatever_comes_of_it(vault, psp):
    made = await vault.tokenize()
    psp.behavior = "drop"
    _, sent = await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url))
    assert sent["outcome"] == "lost"
    psp.behavior = "answer"
    await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url, attempt="pay_1-2"))
    first, second = (parse_qs(body) for _, _, body in psp.seen)
    assert first["payment_method_data[card][cvc]"] == [CODE]
    assert "payment_method_data[card][cvc]" not in second
    assert second["payment_method_data[card][number]"] == [NUMBER]


async def test_a_security_code_is_on_no_disk_readable_and_gone_after_a_crash(vault, psp):
    made = await vault.tokenize()
    [table] = await vault.fetch("SELECT relpersistence AS kind FROM pg_class WHERE relname = 'security_codes'")
    assert table["kind"] == b"u", "in no WAL"
    [row] = await vault.fetch(LEFT, hex_of(made["id"]))
    assert CODE.encode() not in row["sealed"]
    vault.stop(kill=True)
    vault.start()
    await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url))
    [(_, _, body)] = psp.seen
    assert "payment_method_data[card][cvc]" not in parse_qs(body)


@pytest.mark.parametrize(
    ("behavior", "outcome"), [("drop", "lost"), ("sleep", "lost"), ("answer", "answered")]
)  # fmt: skip
async def test_what_is_known_and_what_is_not_is_told_apart(vault, psp, behavior, outcome):
    made = await vault.tokenize()
    psp.behavior = behavior
    _, sent = await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url, timeout=1.0))
    assert sent["outcome"] == outcome
    assert sent.get("late", False) is (behavior == "sleep")


async def test_where_nobody_listens_nothing_was_sent(vault, psp):
    made = await vault.tokenize()
    asked = vault.fill(made["id"], None, timeout=1.0)  # Stripe itself: not reachable from a test.
    asked["base_url"] = psp.url.rpartition(":")[0] + ":1"
    status, refused = await vault.core_asks("POST", "/v1/fills", asked)
    assert (status, refused["code"], refused["sent"]) == (403, "host_refused", False)


async def test_a_reply_that_repeats_the_card_comes_back_without_it(vault, psp):
    made = await vault.tokenize()
    psp.reply = {
        "id": "pi_1", "echo": f"card 4242-4242 4242{NUMBER[-4:]} ok", "n": int(NUMBER), "list": [{NUMBER: "x"}],
        "cvc": CODE, "created": 1_763_760_000, "amount": 1299, "bank": "5555 5555 5555 4444",
    }  # fmt: skip
    psp.headers = {"X-Echo": NUMBER, "Request-Id": "req_1"}
    _, sent = await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url))
    whole = msgspec.json.encode(sent).decode()
    assert NUMBER not in whole.replace("-", "").replace(" ", "")
    assert "5555" not in whole
    assert CODE not in whole
    assert sent["headers"]["request-id"] == "req_1"
    found = msgspec.json.decode(sent["body"])
    assert (found["id"], found["created"], found["amount"]) == ("pi_1", 1_763_760_000, 1299)


async def test_the_psps_own_ids_are_never_taken_for_a_card(vault, psp):
    """One in ten rows of digits has a right check digit; losing a PSP's id would lose the payment."""
    made = await vault.tokenize()
    psp.reply = {"id": "4000000000000002", "latest_charge": {"payment_method_details": {"card": {
        "network_transaction_id": "378282246310005"}}}, "other": "4000000000000002"}  # fmt: skip
    _, sent = await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url))
    found = msgspec.json.decode(sent["body"])
    assert found["id"] == "4000000000000002"
    assert found["latest_charge"]["payment_method_details"]["card"]["network_transaction_id"] == "378282246310005"
    assert found["other"] == "[card number]"


@pytest.mark.parametrize(
    "reply", [b"<html>4242424242424242</html>", b"4242424242424242", b"\xff4242 4242 4242 4242", b""]
)
async def test_a_reply_that_is_no_json_comes_back_without_the_card_too(vault, psp, reply):
    made = await vault.tokenize()
    psp.reply = reply
    _, sent = await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url))
    assert sent["outcome"] == "answered"
    assert "4242" not in sent.get("body", "")


def placed(body: str, name: str, value: str) -> str:
    from urllib.parse import quote_plus

    return f"{body}&{quote_plus(name)}={quote_plus(value)}"


REFUSALS = {
    "another connector's host": ({"base_url": "https://evil.example"}, 403, "host_refused"),
    "a host that only begins like an allowed one": ({"base_url": "{psp}0/x"}, 403, "host_refused"),
    "an unknown connector": ({"connector": "nopsp"}, 403, "unknown_template"),
    "an unknown template": ({"template": "refund"}, 403, "unknown_template"),
    "another path": ({"path": "/v1/charges"}, 403, "template_mismatch"),
    "a path with a query": ({"path": "/v1/payment_intents?x=1"}, 403, "template_mismatch"),
    "another method": ({"method": "PUT"}, 403, "template_mismatch"),
    "another content type": ({"content_type": "application/json"}, 403, "template_mismatch"),
    "a header of the client's own": ({"headers": {"Host": "evil.example"}}, 403, "template_mismatch"),
    "a live fill": ({"live": True, "base_url": None}, 403, "unknown_template"),
    "an instrument that is none": ({"instrument": "ins_01"}, 404, "not_found"),
    "a field that does not exist": ({"host": "evil.example"}, 422, "unknown_field"),
    "a header with a line break": ({"headers": {"X": "a\r\nHost: evil"}}, 422, "invalid_field"),
    "no time": ({"timeout": 0}, 422, "invalid_field"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_cannot_be_filled_is_refused_before_anything_leaves(vault, psp, name):
    changed, status, code = REFUSALS[name]
    made = await vault.tokenize()
    asked = vault.fill(made["id"], psp.url)
    asked |= {k: v.format(psp=psp.url) if isinstance(v, str) else v for k, v in changed.items()}
    got, refused = await vault.core_asks("POST", "/v1/fills", asked)
    assert (got, refused["code"], refused["sent"]) == (status, code, False)
    assert psp.seen == []
    [code_left] = await vault.fetch("SELECT count(*) AS n FROM security_codes")
    assert code_left["n"] >= 1, "what was refused has not used up the security code"


@pytest.mark.parametrize(
    "body",
    [
        "description=%7B%7Bnumber%7D%7D",  # elsewhere
        "payment_method_data%5Bcard%5D%5Bnumber%5D=4111111111111111",  # a number of its own
        "payment_method_data%5Bcard%5D%5Bnumber%5D=%7B%7Bholder%7D%7D",  # another placeholder
        "payment_method_data%5Bcard%5D%5Bnumber%5D=%7B%7Bnumber%7D%7D",  # no expiry
        "",
        "{}",
    ],
)
async def test_placeholders_stand_where_the_template_has_them_and_nowhere_else(vault, psp, body):
    made = await vault.tokenize()
    status, refused = await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url, body=body))
    assert (status, refused["code"], refused["sent"]) == (403, "template_mismatch", False)
    assert psp.seen == []


@pytest.mark.parametrize("name", ["payment_method_data[card][number]", "description"])
async def test_a_number_given_twice_is_refused(vault, psp, name):
    """Once where it belongs, and once more there or anywhere else."""
    made = await vault.tokenize()
    asked = vault.fill(made["id"], psp.url)
    asked["body"] = placed(asked["body"], name, "{{number}}")
    status, refused = await vault.core_asks("POST", "/v1/fills", asked)
    assert (status, refused["code"]) == (403, "template_mismatch")
    assert psp.seen == []


async def test_another_merchants_card_is_not_there(vault, psp):
    made = await vault.tokenize()
    asked = vault.fill(made["id"], psp.url, merchant=new_id("mer", 0))
    status, refused = await vault.core_asks("POST", "/v1/fills", asked)
    assert (status, refused["code"], refused["sent"]) == (404, "not_found", False)
    assert psp.seen == []
    assert ("fill", "not_found") in await vault.acts(made["id"])


async def test_a_deleted_card_is_gone_for_good(vault, psp):
    made = await vault.tokenize()
    status, _ = await vault.core_asks("DELETE", f"/v1/cards/{made['id']}")
    assert status == 200
    status, refused = await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url))
    assert (status, refused["code"], refused["sent"]) == (410, "card_gone", False)
    [row] = await vault.fetch("SELECT count(sealed) AS n FROM cards WHERE last4 = '4242' AND status = 'deleted'")
    assert row["n"] == 0


async def test_a_service_token_is_good_once(vault, psp):
    made = await vault.tokenize()
    asked = vault.fill(made["id"], psp.url)
    token, _ = vault.core.token("POST /v1/fills", msgspec.json.encode(asked))
    assert (await vault.core_asks("POST", "/v1/fills", asked, token=token))[0] == 200
    status, refused = await vault.core_asks("POST", "/v1/fills", asked, token=token)
    assert (status, refused["code"]) == (401, "service_token_refused")
    assert "sent" not in refused, "the first copy was sent: nothing may be concluded from the second"
    assert len(psp.seen) == 1
    assert ("fill", "service_token_refused") in await vault.acts(made["id"])


@pytest.mark.parametrize("trouble", ["REVOKE INSERT ON audit", "REVOKE UPDATE (request) ON security_codes"])
async def test_of_a_second_copy_nothing_is_concluded_whatever_it_is_refused_for(vault, psp, trouble):
    """The first was sent and its answer lost: "nothing was sent" of the second would send the payment to another PSP."""
    made = await vault.tokenize()
    asked = vault.fill(made["id"], psp.url)
    token, _ = vault.core.token("POST /v1/fills", msgspec.json.encode(asked))
    assert (await vault.core_asks("POST", "/v1/fills", asked, token=token))[0] == 200
    await vault.fetch(f"{trouble} FROM scrooge_vault")
    try:
        status, refused = await vault.core_asks("POST", "/v1/fills", asked, token=token)
        assert status in {401, 503}
        assert "sent" not in refused
        status, refused = await vault.core_asks("POST", "/v1/fills", asked)
        assert (status, refused["code"], refused["sent"]) == (503, "audit_unavailable", False), "the first of its token"
    finally:
        await vault.fetch(f"{trouble.replace('REVOKE', 'GRANT')} TO scrooge_vault")
    assert len(psp.seen) == 1


async def test_what_was_refused_once_is_not_sent_when_another_copy_of_it_comes(vault, psp):
    made = await vault.tokenize()
    asked = vault.fill(made["id"], psp.url)
    token, _ = vault.core.token("POST /v1/fills", msgspec.json.encode(asked))
    await vault.fetch("REVOKE INSERT ON audit FROM scrooge_vault")
    try:
        status, refused = await vault.core_asks("POST", "/v1/fills", asked, token=token)
        assert (status, refused["sent"]) == (503, False)
    finally:
        await vault.fetch("GRANT INSERT ON audit TO scrooge_vault")
    assert (await vault.core_asks("POST", "/v1/fills", asked, token=token))[0] == 401
    assert psp.seen == []


@pytest.mark.parametrize("token", ["", "x.y.z", "other"])
async def test_nobody_but_the_core_may_have_a_card_filled(vault, psp, token):
    made = await vault.tokenize()
    asked = vault.fill(made["id"], psp.url)
    if token == "other":
        from scrooge.service import identity, new_seed

        token, _ = identity(new_seed(), "x").token("POST /v1/fills", msgspec.json.encode(asked))
    for credential in (token or "none", vault.vault_key):
        status, refused = await vault.core_asks("POST", "/v1/fills", asked, token=credential)
        assert (status, refused["code"]) == (401, "service_token_refused")
        assert "sent" not in refused
    assert psp.seen == []


@pytest.mark.parametrize("point", ["vault.grant.before", "vault.grant.after", "vault.send.written", "vault.send.after"])
async def test_a_vault_that_dies_tells_nothing_that_is_not_so(vault, psp, point):
    """No answer of it can be taken for one, what it granted is on record, and the code is gone with it."""
    import aiohttp

    made = await vault.tokenize()
    vault.stop(kill=True)
    vault.start(SCROOGE_CRASH_POINT=point)
    psp.behavior = "sleep" if point == "vault.send.written" else "answer"
    with pytest.raises((aiohttp.ClientError, OSError)):
        await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url))
    assert vault.process.wait(30) == -9
    vault.start()
    psp.behavior = "answer"
    granted = ("fill", "done") in await vault.acts(made["id"])
    assert granted is (point != "vault.grant.before")
    # The event loop writes to a socket after the code that asked for it: "on its way" may be a moment too early.
    assert len(psp.seen) in {"vault.send.after": {1}, "vault.send.written": {0, 1}}.get(point, {0})
    _, sent = await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url))
    assert sent["outcome"] == "answered"
    assert "payment_method_data[card][cvc]" not in parse_qs(psp.seen[-1][2])


@pytest.mark.parametrize("depth", [600, 5000])
async def test_a_failure_after_the_send_never_says_that_nothing_was_sent(vault, psp, depth):
    """A reply so deep that it cannot be looked through, or not even be read: the money may have moved."""
    made = await vault.tokenize()
    psp.reply = b'{"a":' * depth + b"1" + b"}" * depth
    status, answer = await vault.core_asks("POST", "/v1/fills", vault.fill(made["id"], psp.url))
    assert len(psp.seen) == 1
    assert answer.get("sent") is None
    assert status == 200 or answer["code"] == "internal_error"


async def test_what_was_long_on_its_way_is_not_sent_and_nothing_is_concluded_from_it(vault, psp):
    made = await vault.tokenize()
    asked = vault.fill(made["id"], psp.url, timeout=1.0)
    made_at = int(time.time()) - 10
    claims = {
        "iss": "scrooge", "aud": "scrooge-vault", "iat": made_at, "exp": made_at + 30, "jti": "z" * 20 + made["id"][-8:],
        "act": "POST /v1/fills", "dgs": service.digest(msgspec.json.encode(asked)),
    }  # fmt: skip
    token = jwt.encode(claims, vault.core.key, algorithm="EdDSA")
    status, refused = await vault.core_asks("POST", "/v1/fills", asked, token=token)
    assert (status, refused["code"], refused.get("sent")) == (503, "fill_too_late", None)
    assert psp.seen == []
