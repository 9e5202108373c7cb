"""Processes die by SIGKILL at every point of a payment from stored value: it moves once, and books and balances agree."""

import asyncio
import uuid

from tests.flows.test_crashes import dying
from tests.flows.test_payments import until
from tests.stored_value.conftest import Wallets, amount
from tests.world import World

CREATE = ["record.before", "record.after", "stored.before", "stored.after", "apply.before", "apply.after"]
MODIFY = ["record.written", "record.after", "stored.before", "stored.after", "apply.before"]
LEFT = {"captures": ("4.00", "0.00"), "voids": ("10.00", "0.00"), "refunds": ("10.00", "0.00")}


async def test_a_crash_while_paying_takes_it_once(world: World, wallets: Wallets):
    async def paid(point: str) -> None:
        account = await wallets.open("10.00")
        body = {"reference": uuid.uuid4().hex, "amount": amount("6.00"), "instrument": account["instrument"]}
        answer = await dying(world, point, body)
        await until(world, answer["id"], lambda p: p["status"] == "captured")
        assert await wallets.balance(account) == ("4.00", "0.00"), point
        assert [m["kind"] for m in await wallets.statement(account)] == ["sale", "load"], point

    await asyncio.gather(*(paid(point) for point in CREATE))
    report = await wallets.audit()
    assert (report.stored_value_differs, report.ledger_differs, report.unbalanced_journals) == (0, 0, 0), (
        report.findings
    )


async def test_a_crash_while_modifying_moves_it_once(world: World, wallets: Wallets):
    async def modified(point: str, operation: str) -> None:
        account = await wallets.open("10.00")
        _, p = await wallets.pay(account, "6.00", capture="automatic" if operation == "refunds" else "manual")
        body: dict[str, object] = {"reference": "r-1"} if operation == "refunds" else {}
        await dying(world, point, body, f"/v1/payments/{p['id']}/{operation}")
        final = {"captures": "captured", "voids": "voided", "refunds": "refunded"}[operation]
        await until(world, p["id"], lambda p: p["status"] == final)
        assert await wallets.balance(account) == LEFT[operation], (point, operation)
        assert len(await wallets.statement(account)) == 3, (point, operation)

    await asyncio.gather(*(modified(point, operation) for point in MODIFY for operation in LEFT))
    report = await wallets.audit()
    assert (report.stored_value_differs, report.ledger_differs, report.unbalanced_journals) == (0, 0, 0), (
        report.findings
    )
