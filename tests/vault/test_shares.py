"""Shares of the key-encryption key: as many as it takes make it, fewer teach nothing, and a wrong one is found."""

import itertools

import pytest
from Crypto.Protocol.SecretSharing import Shamir
from hypothesis import given, settings
from hypothesis import strategies as st

from scrooge.errors import SettingsError, ShareRefused
from scrooge.vault.keys import shares
from scrooge.vault.keys.custodians import ceremony

SECRET = bytes(range(32))


@pytest.mark.parametrize(("threshold", "count"), [(2, 2), (2, 3), (3, 5)])
def test_any_of_them_that_are_enough_make_the_key(threshold: int, count: int):
    made = dict(enumerate(shares.split(SECRET, threshold, count), start=1))
    for chosen in itertools.combinations(made, threshold):
        assert shares.combine({n: made[n] for n in chosen}) == SECRET


@pytest.mark.parametrize(("threshold", "known"), [(2, (1,)), (2, (3,)), (3, (1, 4))])
def test_one_share_too_few_is_consistent_with_every_key_there_could_be(threshold: int, known: tuple[int, ...]):
    """With k-1 shares fixed, the key is an affine function of the missing share, over GF(2). It has full rank: for each
    of the 2^128 halves of a key there is exactly one missing share that makes it, so the known ones tell nothing."""
    split = dict(Shamir.split(threshold, 5, SECRET[:16]))
    fixed = [(n, split[n]) for n in known]

    def key(missing: int) -> int:
        return int.from_bytes(Shamir.combine([*fixed, (5, missing.to_bytes(16))]))

    origin = key(0)
    columns = [key(1 << bit) ^ origin for bit in range(128)]
    assert key(0b1011) ^ origin == columns[0] ^ columns[1] ^ columns[3], "affine"
    basis: dict[int, int] = {}
    for column in columns:
        while column and (top := column.bit_length()) in basis:
            column ^= basis[top]
        assert column, "two missing shares would make the same key, so some key has none"
        basis[column.bit_length()] = column


def test_a_share_is_as_long_as_the_key_and_no_half_of_it_is_the_key():
    for share in shares.split(SECRET, 2, 3):
        assert len(share) == len(SECRET)
        assert share[:16] != SECRET[:16]
        assert share[16:] != SECRET[16:]


@settings(max_examples=25)
@given(st.integers(1, 16), st.binary(min_size=32, max_size=32))
def test_a_share_survives_being_written_down_and_typed_in(number: int, share: bytes):
    text = shares.text_of(number, share)
    assert shares.read(text) == (number, share)
    assert shares.read(f"  {text.upper()} \n") == (number, share)


@settings(max_examples=25)
@given(st.data())
def test_a_slip_of_the_pen_is_found_and_never_repeated(data: st.DataObject):
    text = shares.text_of(2, SECRET)
    start = len("scrooge-share-2-")
    at = data.draw(st.sampled_from([n for n in range(start, len(text)) if text[n] != "-"]))
    wrong = data.draw(st.sampled_from([c for c in "abcdefghijklmnopqrstuvwxyz234567" if c != text[at]]))
    with pytest.raises(ShareRefused) as refused:
        shares.read(text[:at] + wrong + text[at + 1 :])
    assert text[start : start + 20] not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "hello", "scrooge-share-2", "scrooge-share-2-", "scrooge-share-2-!!!!", "scrooge-share-x-abcd"]
)
def test_what_is_no_share_is_refused(text: str):
    with pytest.raises(ShareRefused):
        shares.read(text)


def test_a_share_under_another_number_is_refused():
    with pytest.raises(ShareRefused):
        shares.read(shares.text_of(2, SECRET).replace("share-2", "share-3"))


@pytest.mark.parametrize(
    ("custodians", "threshold"),
    [(("alice",), 1), (("alice", "bob"), 1), (("alice", "bob"), 3), (("alice", "alice"), 2), (("alice", "B ob"), 2)],
)
def test_a_ceremony_without_dual_control_is_refused(custodians: tuple[str, ...], threshold: int):
    with pytest.raises(SettingsError):
        ceremony(custodians, threshold)


def test_nothing_of_a_ceremony_is_in_its_words():
    held = ceremony(("alice", "bob"), 2)
    for _, text in held.texts:
        assert text not in repr(held)
        assert text not in repr(held.new)
