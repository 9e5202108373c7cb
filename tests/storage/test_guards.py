"""What guards the making of payments, whoever asks and however many at once."""

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
