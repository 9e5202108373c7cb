"""A card is taken, kept sealed, shown by what may be shown of it, and refused with the reason and never the number."""

import uuid
from datetime import UTC, datetime

import msgspec
import pytest

from scrooge.ids import new_id
from scrooge.postgres.database import connect
from scrooge.vault.checks import checked
from scrooge.vault.instruments import CardGiven, Wish, canonical
from scrooge.vault.keys.acts import Operator
from scrooge.vault.keys.periods import Periods
from scrooge.vault.keys.start import open_keyring
from scrooge.vault.schema import ROLE
from tests.vault.house import CARD

NOW = datetime.now(UTC)
BODY = {"type": "card", "customer": "user-1", "card": CARD}


def with_card(**card: object) -> dict[str, object]:
    return {**BODY, "card": {k: v for k, v in {**CARD, **card}.items() if v is not None}}


async def test_what_is_shown_of_a_card_is_what_may_be_shown(vault):
    made = await vault.tokenize()
    assert made["card"] == {"brand": "visa", "iin": "42424242", "last4": "4242", "exp": "2034-03"}
    assert made["credentials"] == [{"type": "vault_card"}]
    assert (made["object"], made["livemode"], made["customer"]) == ("instrument", False, "user-1")
    status, read, _ = await vault.ask("GET", f"/v1/instruments/{made['id']}")
    assert (status, read) == (200, made)
    amex = await vault.tokenize(number="3782 822463 10005", cvc="1234")
    assert amex["card"] | {"exp": ""} == {"brand": "amex", "iin": "378282", "last4": "0005", "exp": ""}


async def test_the_core_gets_no_more_than_that_and_a_fingerprint(vault):
    made, again = await vault.tokenize(), await vault.tokenize()
    other = await vault.tokenize(number="5555555555554444")
    found = [(await vault.core_asks("GET", f"/v1/cards/{i['id']}"))[1] for i in (made, again, other)]
    assert found[0].keys() == {
        "id", "merchant", "livemode", "customer", "brand", "iin", "last4", "exp", "fingerprint", "status", "created_at",
    }  # fmt: skip
    assert found[0]["fingerprint"] == found[1]["fingerprint"] != found[2]["fingerprint"]
    assert found[0]["status"] == "active"
    assert CARD["number"] not in msgspec.json.encode(found).decode()


async def test_a_fingerprint_means_nothing_to_another_merchant(vault):
    merchant = new_id("mer", 0)
    key = await vault.new_key(merchant)
    status, theirs, _ = await vault.ask("POST", "/v1/instruments", BODY, key=key)
    assert status == 201
    ours = await vault.tokenize()
    prints = {(await vault.core_asks("GET", f"/v1/cards/{i['id']}"))[1]["fingerprint"] for i in (ours, theirs)}
    assert len(prints) == 2


async def test_the_same_request_is_the_same_card(vault):
    key = uuid.uuid4().hex
    first = await vault.ask("POST", "/v1/instruments", BODY, idempotency=key)
    again = await vault.ask("POST", "/v1/instruments", with_card(number="4242 4242-4242 4242"), idempotency=key)
    assert (first[0], again[0], first[1]) == (201, 201, again[1])
    assert "Idempotent-Replayed" not in first[2]
    assert again[2]["Idempotent-Replayed"] == "true"
    for changed in (with_card(number="5555555555554444"), with_card(exp_month=4), {**BODY, "customer": "user-2"}):
        status, refused, _ = await vault.ask("POST", "/v1/instruments", changed, idempotency=key)
        assert (status, refused["code"]) == (422, "idempotency_key_reused")


async def test_of_many_copies_at_once_one_card_is_made(vault):
    import asyncio

    key = uuid.uuid4().hex
    answers = await asyncio.gather(*(vault.ask("POST", "/v1/instruments", BODY, idempotency=key) for _ in range(30)))
    assert {status for status, _, _ in answers} == {201}
    assert len({made["id"] for _, made, _ in answers}) == 1
    assert sum("Idempotent-Replayed" not in headers for _, _, headers in answers) == 1


REFUSALS = {
    "a mistyped digit": ({"number": "4242424242424241"}, "invalid_number", "card.number"),
    "letters": ({"number": "4242x24242424242"}, "invalid_number", "card.number"),
    "other scripts' digits": ({"number": "４２４２424242424242"}, "invalid_number", "card.number"),
    "too long": ({"number": "42424242424242424242424"}, "invalid_number", "card.number"),
    "a length its brand has not": ({"number": "424242424242424"}, "brand_length_mismatch", "card.number"),
    "no scheme's number": ({"number": "1234567812345670"}, "unknown_brand", "card.number"),
    "a real card in test mode": ({"number": "4539578763621486"}, "live_card_in_test_mode", "card.number"),
    "a number like those published for tests": (
        {"number": "4111111111111129"},
        "live_card_in_test_mode",
        "card.number",
    ),
    "a month that is none": ({"exp_month": 13}, "invalid_field", "card.exp_month"),
    "a month in words": ({"exp_month": "March"}, "invalid_field", "card.exp_month"),
    "a year of two digits": ({"exp_year": 34}, "invalid_field", "card.exp_year"),
    "a year too far": ({"exp_year": NOW.year + 31}, "invalid_field", "card.exp_year"),
    "expired": ({"exp_year": NOW.year - 1}, "expired_card", "card.exp_year"),
    "a code of four digits on a visa": ({"cvc": "1234"}, "invalid_security_code", "card.cvc"),
    "a code of three on an amex": ({"number": "378282246310005", "cvc": "123"}, "invalid_security_code", "card.cvc"),
    "a code in letters": ({"cvc": "abc"}, "invalid_security_code", "card.cvc"),
    "a holder with digits": ({"holder": "4242424242424242"}, "invalid_field", "card.holder"),
    "an unknown field": ({"pin": "1234"}, "unknown_field", "card.pin"),
    "no number": ({"number": None}, "missing_field", "card.number"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_card_that_cannot_be_is_refused_by_field_and_rule_and_never_repeated(vault, name):
    changed, code, param = REFUSALS[name]
    status, refused, _ = await vault.ask("POST", "/v1/instruments", with_card(**changed))
    assert (status, refused["code"], refused["param"]) == (422, code, param)
    said = msgspec.json.encode(refused).decode()
    assert not any(str(value) in said for k, value in changed.items() if k in {"number", "cvc", "holder"} and value)
    [row] = await vault.fetch(
        "SELECT detail FROM audit WHERE act = 'tokenize' AND outcome = $1 ORDER BY at DESC LIMIT 1", code
    )
    assert msgspec.json.decode(row["detail"])["param"] == param


async def test_this_months_card_is_good_through_its_last_day(vault):
    made = await vault.tokenize(exp_month=NOW.month, exp_year=NOW.year)
    assert made["card"]["exp"] == f"{NOW.year}-{NOW.month:02d}"


async def test_test_and_live_do_not_mix(vault):
    live = await vault.new_key(live=True)
    status, refused, _ = await vault.ask("POST", "/v1/instruments", BODY, key=live)
    assert (status, refused["code"]) == (422, "test_card_in_live_mode")
    made = await vault.tokenize()
    status, refused, _ = await vault.ask("GET", f"/v1/instruments/{made['id']}", key=live)
    assert (status, refused["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("request_of", "status", "code"),
    [
        ({"key": "vk_test_wrong"}, 401, "unauthenticated"),
        ({"headers": {"Authorization": ""}}, 401, "unauthenticated"),
        ({"headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type"),
        ({"raw": b"{"}, 400, "malformed_json"),
        ({"raw": b'{"type": "card"' + b" " * 100_000}, 413, "body_too_large"),
        ({"idempotency": ""}, 400, "idempotency_key_invalid"),
        ({"idempotency": "4242424242424242"}, 422, "pan_refused"),
        ({"body": {**BODY, "customer": "4242 4242 4242 4242"}}, 422, "pan_refused"),
        ({"body": {**BODY, "type": "iban"}}, 422, "invalid_field"),
    ],
)
async def test_a_request_that_is_none_is_refused(vault, request_of, status, code):
    asked = {"body": BODY, **request_of}
    got, refused, _ = await vault.ask("POST", "/v1/instruments", asked.pop("body"), **asked)
    assert (got, refused["code"]) == (status, code)


async def test_a_key_may_do_what_its_scopes_say_for_its_own_merchant(vault):
    made = await vault.tokenize()
    reader = await vault.new_key(scopes=["read"])
    stranger = await vault.new_key(new_id("mer", 0))
    assert (await vault.ask("GET", f"/v1/instruments/{made['id']}", key=reader))[0] == 200
    for method, path, body in (("POST", "/v1/instruments", BODY), ("DELETE", f"/v1/instruments/{made['id']}", None)):
        status, refused, _ = await vault.ask(method, path, body, key=reader)
        assert (status, refused["code"]) == (403, "scope_missing")
    for method in ("GET", "DELETE"):
        assert (await vault.ask(method, f"/v1/instruments/{made['id']}", key=stranger))[0] == 404
    assert (await vault.ask("GET", f"/v1/instruments/{made['id']}"))[0] == 200


async def test_a_deleted_card_cannot_be_opened_by_anybody_any_more(vault):
    made = await vault.tokenize()
    assert (await vault.ask("DELETE", f"/v1/instruments/{made['id']}"))[0] == 200
    assert (await vault.ask("GET", f"/v1/instruments/{made['id']}"))[0] == 410
    assert (await vault.ask("DELETE", f"/v1/instruments/{made['id']}"))[0] == 410
    status, card = await vault.core_asks("GET", f"/v1/cards/{made['id']}")
    assert (status, card["status"], card["fingerprint"]) == (200, "deleted", None)
    assert ("delete", "done") in await vault.acts(made["id"])
    rows = await vault.fetch("SELECT sealed FROM cards WHERE status = 'deleted' AND sealed IS NOT NULL")
    assert rows == []


async def test_the_core_hears_of_every_change_in_order(vault):
    cursor, seen = "", []
    made = await vault.tokenize()
    await vault.core_asks("PATCH", f"/v1/cards/{made['id']}", {"exp": "2036-01"})
    await vault.core_asks("DELETE", f"/v1/cards/{made['id']}")
    other = await vault.tokenize()
    for _ in range(200):
        path = f"/v1/changes?limit=7{f'&after={cursor}' if cursor else ''}"
        status, page = await vault.core_asks("GET", path)
        assert status == 200, page
        seen += page["data"]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    mine = [c for c in seen if c["id"] in {made["id"], other["id"]}]
    assert [(c["id"], c["status"], c["exp"]) for c in mine] == [
        (made["id"], "deleted", "2036-01"), (other["id"], "active", "2034-03")
    ]  # fmt: skip
    assert len({c["id"] for c in seen}) == len(seen)


@pytest.mark.parametrize(
    ("exp", "code"), [("2020-01", "expired_card"), ("2033-01", "invalid_field"), ("2034-13", "invalid_field")]
)
async def test_an_expiry_moves_forward_only(vault, exp, code):
    made = await vault.tokenize()
    status, refused = await vault.core_asks("PATCH", f"/v1/cards/{made['id']}", {"exp": exp})
    assert (status, refused["code"]) == (422, code)


async def test_a_row_moved_to_another_card_or_merchant_does_not_open(vault, psp):
    """The seal is bound to the card's id, its merchant and its mode."""
    one, two = await vault.tokenize(), await vault.tokenize(number="5555555555554444")
    from scrooge.ids import hex_of

    await vault.fetch(
        "UPDATE cards SET sealed = (SELECT sealed FROM cards WHERE id = $1::uuid) WHERE id = $2::uuid",
        hex_of(one["id"]), hex_of(two["id"]),
    )  # fmt: skip
    status, refused = await vault.core_asks("POST", "/v1/fills", vault.fill(two["id"], psp.url))
    assert (status, refused["code"], refused["sent"]) == (410, "card_gone", False)
    assert psp.seen == []


async def test_no_number_is_in_any_row_or_log(vault):
    made = await vault.tokenize(holder="Canary Holder")
    tables = await vault.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    assert {"cards", "audit", "security_codes"} <= {t["relname"] for t in tables}
    for table in tables:
        rows = await vault.fetch(f"SELECT t::text AS row FROM {table['relname']} t")
        text = "\n".join(r["row"] for r in rows)
        assert CARD["number"] not in text
        assert CARD["number"].encode().hex() not in text
        assert "Canary Holder" not in text
    assert made["id"]
    assert CARD["number"] not in vault.log.read_text()


@pytest.mark.parametrize("name", ["4242424242424242", "4242.4242.4242.4242", "card 4242424242424242"])
async def test_a_field_that_is_named_by_a_card_number_is_refused_without_its_name(vault, name):
    status, refused, _ = await vault.ask("POST", "/v1/instruments", {**BODY, name: "x"})
    assert (status, refused["code"]) == (422, "unknown_field")
    assert "4242" not in msgspec.json.encode(refused).decode()
    # Digits enough that no digest has them by chance.
    rows = await vault.fetch("SELECT detail FROM audit WHERE translate(detail, ' .', '') LIKE '%42424242%'")
    assert rows == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/v1/4242424242424242", 404, "not_found"), ("PUT", "/v1/instruments", 405, "method_not_allowed")],
)
async def test_what_is_not_there_is_a_problem_that_repeats_no_number(vault, method, path, status, code):
    got, refused, _ = await vault.ask(method, path)
    assert (got, refused["code"]) == (status, code)
    assert "4242" not in msgspec.json.encode(refused).decode()


async def test_nothing_that_is_kept_gives_a_security_code_back(vault):
    """Not even to the vault: a keyed hash of three digits is the three digits to whoever has the key."""
    key = uuid.uuid4().hex
    _, made, _ = await vault.ask("POST", "/v1/instruments", with_card(cvc="737"), idempotency=key)
    [kept] = await vault.fetch("SELECT fingerprint FROM idempotency_keys WHERE key = $1", key)
    given = CardGiven(**with_card()["card"])
    wish = Wish(vault_key="", key=key, merchant=vault.merchant, livemode=False, customer=made["customer"], card=given)
    card = checked(given.number, given.exp_month, given.exp_year, given.holder, live=False, today=NOW)
    db = await connect(vault.database_url, size=1, role=ROLE)
    keyring = await open_keyring(db, f"file:{vault.folder / 'kek.json'}", Periods(), Operator("tests", "local"))
    await db.close()
    codes = [f"{n:03d}" for n in range(1000)]
    fitting = [
        code
        for code in codes
        if keyring.is_fingerprint(False, vault.merchant, canonical(wish, card, code), kept["fingerprint"])
    ]
    assert fitting in ([], codes)
