"""Between the core and the vault: a token is for one request, an answer is the vault's."""

import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scrooge import service
from scrooge.errors import SettingsError
from scrooge.service import Identity, NotAuthentic, check_answer, check_token

ACT, BODY = "POST /v1/fills", b'{"attempt": "pay_1-1"}'
CORE, VAULT, OTHER = (Identity(Ed25519PrivateKey.generate()) for _ in range(3))
KNOWN = [OTHER.key.public_key(), CORE.key.public_key()]


def forged(**changed: object) -> str:
    """A token signed by the core's own key, with claims it would not make."""
    now = int(time.time())
    claims = {
        "iss": "scrooge", "aud": "scrooge-vault", "iat": now, "exp": now + 30, "jti": "x" * 22, "act": ACT,
        "dgs": service.digest(BODY),
    }  # fmt: skip
    claims = {name: value for name, value in (claims | changed).items() if value is not None}
    return jwt.encode(claims, CORE.key, algorithm="EdDSA")


def test_a_token_is_good_for_the_request_it_was_made_for():
    token, token_id = CORE.token(ACT, BODY)
    claims = check_token(token, KNOWN, ACT, BODY)
    assert claims.id == token_id
    assert 0 < claims.expires_at - time.time() <= 36


def test_every_token_has_an_id_of_its_own():
    assert len({CORE.token(ACT, BODY)[1] for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("act", "body"), [("POST /v1/instruments", BODY), ("DELETE /v1/fills", BODY), (ACT, BODY + b" ")]
)
def test_a_token_is_no_good_for_another_request(act, body):
    with pytest.raises(NotAuthentic, match="another request"):
        check_token(CORE.token(ACT, BODY)[0], KNOWN, act, body)


@pytest.mark.parametrize(
    "changed",
    [{"aud": "another-vault"}, {"iss": "somebody"}, {"exp": 1_700_000_000, "iat": 1_699_999_990}, {"jti": None}, {"act": None},
     {"dgs": None}, {"exp": None}, {"jti": "short"}, {"jti": 7}, {"act": 7}],
)  # fmt: skip
def test_a_token_with_other_claims_is_refused_though_it_is_signed(changed):
    with pytest.raises(NotAuthentic):
        check_token(forged(**changed), KNOWN, ACT, BODY)


@pytest.mark.parametrize("later", [{"exp": 3600}, {"iat": 600, "exp": 620}])
def test_a_token_that_lives_too_long_or_is_not_good_yet_is_refused_though_it_is_signed(later):
    with pytest.raises(NotAuthentic):
        check_token(forged(**{name: int(time.time()) + seconds for name, seconds in later.items()}), KNOWN, ACT, BODY)


def test_only_known_keys_sign():
    with pytest.raises(NotAuthentic, match="not signed by a key"):
        check_token(VAULT.token(ACT, BODY)[0], KNOWN, ACT, BODY)


@pytest.mark.parametrize("token", ["", "a.b.c", jwt.encode({"aud": "scrooge-vault"}, "s" * 32, algorithm="HS256")])
def test_what_is_no_token_of_ours_is_refused(token):
    with pytest.raises(NotAuthentic):
        check_token(token, KNOWN, ACT, BODY)


def test_an_answer_is_believed_for_its_own_request_status_and_body_alone():
    key = VAULT.key.public_key()
    signature = VAULT.signature("token-1", 200, b"body")
    check_answer(key, signature, "token-1", 200, b"body")
    for token_id, status, body in (("token-2", 200, b"body"), ("token-1", 201, b"body"), ("token-1", 200, b"bodY")):
        with pytest.raises(NotAuthentic):
            check_answer(key, signature, token_id, status, body)
    for wrong in ("", "x", CORE.signature("token-1", 200, b"body"), "é"):
        with pytest.raises(NotAuthentic):
            check_answer(key, wrong, "token-1", 200, b"body")


def test_a_key_that_cannot_be_used_names_its_setting_and_not_itself():
    with pytest.raises(SettingsError, match="SCROOGE_SERVICE_KEY") as told:
        service.identity("c2VjcmV0", "SCROOGE_SERVICE_KEY")
    assert "c2VjcmV0" not in str(told.value)
    seed = service.new_seed()
    assert service.public_key(service.identity(seed, "A").public, "B")
    assert seed not in repr(service.identity(seed, "A"))
