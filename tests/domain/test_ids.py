"""Ids carry their bucket and their time, and nothing else is taken for one."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrooge.errors import MalformedId
from scrooge.ids import BUCKETS, bucket_in, bucket_of, encode, hex_of, new_id, number_of, retyped


@given(st.integers(0, BUCKETS - 1))
def test_an_id_names_its_bucket(bucket: int):
    assert bucket_in(new_id("pay", bucket)) == bucket


def test_ids_sort_by_time():
    first = new_id("pay", 1023)
    time.sleep(0.002)
    assert first < new_id("pay", 0)


@given(st.integers(0, 2**128 - 1))
def test_the_public_form_and_the_uuid_are_the_same_number(number: int):
    public = encode("att", number)
    assert number_of(public, "att") == int(hex_of(public), 16) == number


@pytest.mark.parametrize("text", ["", "pay_", "pay_1", "xyz_01K9Y000000000000000000000", "pay_01K9Y00000000000000000000I",
                                  "pay_Z1K9Y000000000000000000000", "PAY_01K9Y000000000000000000000", "pay_é" * 9,
                                  "pay_+1K9Y000000000000000000000",
                                  "pay_0_K9Y000000000000000000000"])  # fmt: skip
def test_what_is_no_id_is_not_found(text: str):
    with pytest.raises(MalformedId):
        number_of(text)


def test_the_kind_matters():
    with pytest.raises(MalformedId):
        number_of(new_id("att", 1), "pay")
    assert retyped(new_id("att", 1), "ref").startswith("ref_")


def test_buckets_are_stable_for_ever():
    """A change here would lose every payment's idempotency."""
    assert [bucket_of("a"), bucket_of("a", "b"), bucket_of("ab"), bucket_of("order-9912")] == [539, 655, 291, 25]
