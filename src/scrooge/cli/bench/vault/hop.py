"""What the way by the vault costs a payment: the core's own `send`, by turns straight to the PSP and by the vault."""

import time
from itertools import cycle
from typing import Any

from scrooge.cli.bench.load import LETTERS
from scrooge.cli.bench.result import percentiles
from scrooge.cli.bench.vault.load import REFERENCE
from scrooge.cli.bench.vault.stage import House
from scrooge.connectors import hop
from scrooge.connectors.client import client
from scrooge.connectors.connector import Command, Wire, render
from scrooge.connectors.registry import connectors
from scrooge.connectors.send import send
from scrooge.domain.attempt import Operation
from scrooge.domain.outcome import Approved
from scrooge.money import Money

TIMEOUT_SECONDS = 10.0
COLD = 5  # of each road at first, which do not count
STRIPE = connectors()["stripe"]


def wire_of(house: House) -> Wire:
    return Wire(STRIPE, f"{house.psp_url}/stripe", {"api_key": "sk_test_bench"}, house.merchant)


def command_of(reference: str, vault_card: str | None = None) -> Command:
    """A payment as the core would ask for it: by a card of the vault, or by a PSP's token."""
    return Command(
        operation=Operation.AUTHORIZE, amount=Money(1299, "EUR"), reference=reference, payment=reference,
        merchant_account="acct_bench", sale=True, customer="payer", statement_descriptor="EXAMPLE*PREMIUM",
        vault_card=vault_card, psp_token=None if vault_card else "pm_card_visa",
    )  # fmt: skip


def fill_body(house: House, instrument: str) -> str:
    """What the core asks the vault, but for the payment's reference."""
    reference = REFERENCE.decode()
    request = render(STRIPE, command_of(reference, instrument))
    return hop.question(wire_of(house), request, reference, TIMEOUT_SECONDS).decode()


async def added(house: House, instruments: list[str], pairs: int, seconds: float, tag: str) -> dict[str, Any]:
    """Milliseconds of both roads and of the difference, over so many payments of each or so many seconds."""
    wire, endpoint = wire_of(house), STRIPE.endpoints[Operation.AUTHORIZE]
    took: dict[str, list[float]] = {"direct": [], "by_vault": []}
    until, cards = time.monotonic() + seconds, cycle(instruments)
    async with client() as http:
        for number in range(pairs + COLD):
            for road in took:
                card = None if road == "direct" else next(cards)
                command = command_of(f"{tag}-{road}-{house.run}-{number}".translate(LETTERS), card)
                request = render(STRIPE, command)
                started = time.perf_counter()
                answer = await send(
                    http, wire, endpoint, command, request, first=True, timeout=TIMEOUT_SECONDS, vault=house.vault
                )
                took[road].append(time.perf_counter() - started)
                assert isinstance(answer.outcome, Approved), answer.outcome
            if time.monotonic() > until:
                break
    found = {road: percentiles(seconds[COLD:], ("p50", "p99")) for road, seconds in took.items()}
    difference = {name: round(found["by_vault"][name] - found["direct"][name], 2) for name in found["direct"]}
    return {"pairs": len(took["direct"]), **found, "added_ms": difference}
