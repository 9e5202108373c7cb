"""Routing decisions alone, in process: how many a second on one core, and how long one takes."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scrooge.cli.bench.machine import described
from scrooge.cli.bench.result import percentiles
from scrooge.routing.choose import Candidate
from scrooge.routing.costs import Costs
from scrooge.routing.decide import decide
from scrooge.routing.decision import Knowledge
from scrooge.routing.estimates import Estimates
from scrooge.routing.facts import Facts
from scrooge.routing.health import Health
from scrooge.routing.learning import learn, note
from scrooge.routing.lessons import Heard
from scrooge.routing.policy.document import Policy, Rule, Terms
from scrooge.routing.policy.lint import lint
from scrooge.routing.policy.plan import Compiled
from scrooge.routing.shares import Shares
from scrooge.routing.tariff import Fee, Prices, Tariff
from scrooge.routing.when import Range, When

ACCOUNTS, RULES, BINS, WARM = 20, 50, 300, 20_000
COUNTRIES = ("DE", "FR", "NL", "GB", "US", "IN", "BR", "JP")
BRANDS = ("visa", "mastercard", "amex")
START = 1_767_225_600_000_000  # 2026-01-01


def measured(seconds: float, say: Callable[[str], None], folder: Path) -> dict[str, Any]:
    """CPU seconds of this thread are told, so that what else runs on the machine does not count."""
    chance = random.Random(1)  # noqa: S311 - the same payments every time
    policy = Compiled(wide(chance))
    assert not lint(policy.policy), "the policy that is measured is refused"
    knowledge = Knowledge(estimates=Estimates(), costs=Costs(prices()), health=Health(), shares=Shares())
    candidates = [Candidate(f"con_{i}", f"account{i}", True, False, True) for i in range(ACCOUNTS)]
    say(f"learning from {WARM:,} outcomes")
    for i in range(WARM):
        facts = payment(i, chance)
        decision = decide(facts, policy, candidates, knowledge, chance.random())
        note(knowledge, decision, policy.policy.scorer, facts)
        heard = Heard.APPROVED if chance.random() < 0.85 else Heard.DECLINED
        learn(knowledge, facts, decision.accounts[0], heard, facts.at, seconds=0.5)
    payments = [payment(WARM + i, chance) for i in range(5000)]
    took: list[float] = []
    say(f"deciding for {seconds:g} seconds")
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for facts in payments:
            before = time.thread_time()
            decide(facts, policy, candidates, knowledge, chance.random())
            took.append(time.thread_time() - before)
    return {
        "accounts": ACCOUNTS,
        "rules": RULES,
        "decisions": len(took),
        "decisions_per_second": len(took) / sum(took),
        "decision_us": {name: ms * 1000 for name, ms in percentiles(took).items()},
        "machine": described(folder),
    }


def wide(chance: random.Random) -> Policy:
    """So many rules over country, brand and amount that every payment meets a few, and none decides alone."""
    rules = []
    for i in range(RULES):
        when = When(
            country=(chance.choice(COUNTRIES),),
            brand=(chance.choice(BRANDS),),
            amount=(Range("EUR", min="10.00", max=f"{20 + i}.00"),),
        )
        name = f"account{chance.randrange(ACCOUNTS)}"
        likes = i % 2 == 1
        prefer, exclude = ((name,), None) if likes else (None, (name,))
        rules.append(Rule(name=f"rule{i}", when=when, prefer=prefer, exclude=exclude))
    takes = Terms(takes=(When(currency=("EUR", "USD", "GBP")),))
    accounts = {f"account{i}": takes for i in range(ACCOUNTS)}
    return Policy(name="bench", accounts=accounts, rules=tuple(rules), scope=takes.takes)


def prices() -> Prices:
    fees = (
        Fee(component="interchange", name="debit", region="area", when=When(funding=("debit",)), rate="0.2"),
        Fee(component="interchange", name="other", rate="1.3"),
        Fee(component="scheme", name="assessment", rate="0.0195"),
        Fee(component="markup", name="acquirer", rate="0.25", fixed={"EUR": "0.05"}),
    )
    area = ("DE", "FR", "NL")
    return Prices(
        tariffs=tuple(
            Tariff(account=f"con_{i}", valid_from="2020-01-01", country="DE", area=area, fees=fees)
            for i in range(ACCOUNTS)
        )
    )


def payment(number: int, chance: random.Random) -> Facts:
    country = chance.choice(COUNTRIES)
    return Facts(
        currency="EUR",
        minor=chance.randint(500, 9000),
        at=START + number * 20_000,
        country=country,
        brand=chance.choice(BRANDS),
        iin=f"4{10_000 + chance.randrange(BINS)}",
        issuer=f"{country} bank {chance.randrange(20)}",
        funding=chance.choice(("credit", "debit")),
        product="consumer",
    )
