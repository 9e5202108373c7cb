"""A payment whose request cannot be repeated is found out or taken back soon: its vault died, and the code with it."""

import asyncio
from collections import Counter
from typing import Any

from scrooge.cli.database import audited
from scrooge.ids import hex_of
from scrooge.storage.findings import FAULTS
from tests.vault.test_payments import CHALLENGED, VISA, Shop, calm, shop

__all__ = ["calm", "shop"]
SALE, HELD = "automatic", "manual"
# What became of it at the PSP when the vault died there; how it ends for us, and what the PSP did in all.
LOST = {
    "never sent": ("adyen", "vault.grant.after", VISA, SALE, "failed", {}),
    "never sent, at a PSP that can be asked": ("stripe", "vault.grant.after", VISA, SALE, "failed", {}),
    "waiting for a payer whom nobody can send": ("adyen", "vault.send.after", CHALLENGED, SALE, "expired", {}),
    "authorized": ("adyen", "vault.send.after", VISA, HELD, "voided", {"authorize": 1, "void": 1}),
    "taken": ("adyen", "vault.send.after", VISA, SALE, "failed", {"sale": 1, "refund": 1}),
}


async def turned(shop: Shop, payments: list[dict[str, Any]], recorded: str, asked: str) -> None:
    """The attempts as if they had been recorded, and their turn came, so long from now."""
    await shop.fetch(
        "UPDATE attempts SET recorded_at = now() + $2::text::interval, ask_at = now() + $3::text::interval"
        " WHERE payment_id = ANY($1::uuid[])",
        [hex_of(p["id"]) for p in payments], recorded, asked,
    )  # fmt: skip


async def older(shop: Shop, payments: list[dict[str, Any]]) -> None:
    """As if the PSP had had its time to tell by itself."""
    await turned(shop, payments, "-1 minute", "0")


async def approved(shop: Shop, p: dict[str, Any]) -> Counter[str]:
    found = await shop.truth(p)
    return Counter({operation: n for (_, operation, outcome), n in found.items() if outcome == "approved"})


async def lose(shop: Shop, case: str) -> dict[str, Any]:
    psp, point, number, capture, _, _ = LOST[case]
    shop.restart(point)
    card = await shop.vault.tokenize(number=number)
    more = {"capture": capture, "connector_account": psp, "return_url": "https://shop.example/return"}
    status, p = await shop.pay(instrument=card["id"], **more)
    assert (status, p["outcome_certainty"]) == (202, "unknown"), case
    await turned(shop, [p], "0", "1 hour")  # The vaults that die next die of their own requests.
    return p


async def test_what_nobody_can_repeat_is_inquired_or_taken_back_and_no_money_stays_anywhere(shop: Shop):
    await shop.world.fault("lost_notification", connector="adyen")
    waiting = {case: await lose(shop, case) for case in LOST}
    shop.restart()
    await asyncio.sleep(0.5)  # until their notifications would have come
    await shop.world.no_faults()
    await older(shop, list(waiting.values()))
    for case, p in waiting.items():
        *_, status, done = LOST[case]
        after = await shop.payment(p, status)
        assert after["outcome_certainty"] == "certain", case
        assert await approved(shop, p) == done, case
        assert ("fill", "security_code_gone") in await shop.vault.acts(p["instrument"]["id"]), case


async def test_an_approval_that_comes_after_it_was_taken_back_leaves_no_money_either(shop: Shop):
    case = "authorized"
    await shop.world.fault("late_notification", connector="adyen", delay_ms=5000)
    p = await lose(shop, case)
    shop.restart()
    await shop.world.no_faults()
    await older(shop, [p])
    *_, status, done = LOST[case]
    await shop.payment(p, status)
    for _ in range(300):
        told = await shop.fetch("SELECT kind, state FROM inbox WHERE item::text LIKE '%' || $1 || '%'", p["id"])
        if ("AUTHORISATION", "applied") in {(row["kind"], row["state"]) for row in told}:
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError("the approval never came")
    await shop.payment(p, status)
    assert await approved(shop, p) == done


async def test_a_psp_that_tells_in_time_is_believed_and_nothing_is_taken_back(shop: Shop):
    p = await lose(shop, "taken")
    shop.restart()
    await turned(shop, [p], "0", "0")
    await shop.payment(p, "captured")
    assert await approved(shop, p) == {"sale": 1}


VERIFIED = {
    ("adyen", "vault.grant.after"): "failed", ("adyen", "vault.send.after"): "failed",  # taken back
    ("stripe", "vault.grant.after"): "failed", ("stripe", "vault.send.after"): "verified",  # found
}  # fmt: skip


async def test_nor_does_a_verification_that_nobody_can_repeat_stay_in_doubt(shop: Shop):
    await shop.world.fault("lost_notification")
    waiting = {}
    for (psp, point), ends in VERIFIED.items():
        shop.restart(point)
        card = await shop.vault.tokenize(number=VISA)
        body = {"reference": f"{psp}-{point}", "currency": "EUR", "connector_account": psp}
        status, v = await shop.world.post(f"/v1/instruments/{card['id']}/verifications", body)
        assert (status, v["outcome_certainty"]) == (202, "unknown"), v
        await turned(shop, [{"id": v["payment"]}], "0", "1 hour")
        waiting[v["id"]] = v["payment"], psp, point, ends
    shop.restart()
    await asyncio.sleep(0.5)
    await shop.world.no_faults()
    await older(shop, [{"id": payment} for payment, *_ in waiting.values()])
    for verification, (_, psp, point, ends) in waiting.items():
        for _ in range(600):
            _, v = await shop.world.get(f"/v1/verifications/{verification}")
            if v["outcome_certainty"] == "certain":
                break
            await asyncio.sleep(0.1)
        assert v["status"] == ends, (psp, point, v)


async def test_the_books_agree_with_what_the_psps_did(shop: Shop):
    report = await audited(shop.world.database_url, shop.world.sandbox_url)
    assert {name: getattr(report, name) for name in (*FAULTS, "unresolved") if getattr(report, name)} == {}
