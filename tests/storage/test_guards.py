"""What guards the making of payments, whoever asks and however many at once."""

import asyncio

from tests.storage.test_writer import caller, made, w  # noqa: F401 - fixtures

from scrooge.storage import payments
from scrooge.storage.writer import Writer


async def test_a_key_that_is_taken_makes_no_payment_under_another_reference(w: Writer, caller: tuple[str, str]):  # noqa: F811
    first, second = made(caller, "one", "key"), made(caller, "two", "key")
    assert await w.create(first)
    assert not await w.create(second)
    assert await payments.read(w.db, second[0].id) is None


async def test_a_reference_that_is_taken_makes_no_payment_under_another_key(w: Writer, caller: tuple[str, str]):  # noqa: F811
    first, second = made(caller, "order-1", "key-1"), made(caller, "order-1", "key-2")
    assert await w.create(first)
    assert not await w.create(second)
    assert await payments.read(w.db, second[0].id) is None


async def test_of_a_hundred_that_want_one_reference_under_keys_of_their_own_one_is_made(
    w: Writer, caller: tuple[str, str],  # noqa: F811
):  # fmt: skip
    """They meet in one batch, in which none is visible to the others yet."""
    rivals = [made(caller, "order-1", f"key-{n}") for n in range(100)]
    told = await asyncio.gather(*map(w.create, rivals))
    assert told.count(True) == 1
    kept = [await payments.read(w.db, item[0].id) for item in rivals]
    assert [p is not None for p in kept] == told
