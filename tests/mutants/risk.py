"""Bugs in the risk check: ways around it, and ways in which it stands in a payment's way."""

from tests.mutants.mutant import Mutant

RISKING, SERVICE = "src/scrooge/flows/risking.py", "src/scrooge/flows/risk_service.py"
MISUSED = ("tests/flows/test_risk_misused.py",)

RISK = (
    Mutant(
        "velocity-before-the-service", "payments that come while the service is asked do not count each other", RISKING,
        "    if service is not None:  # While",
        "    if service is None:  # While",
        MISUSED,
    ),
    Mutant(
        "deep-answer-fails-the-payment", "an answer nested too deep ends the payment with a 500", "src/scrooge/risk/service.py",
        "ValueError, RecursionError)",
        "ValueError)",
        MISUSED,
    ),
    Mutant(
        "risk-service-takes-the-psps-time", "a risk service that hangs uses up what a PSP gets at least", SERVICE,
        "until - began - REST_SECONDS",
        "until - began",
        MISUSED,
    ),
    Mutant(
        "others-shut-my-service", "a service that another merchant, or a test, cannot use is not asked for this one", SERVICE,
        'f"{who.merchant} {who.livemode} {service.url}"',
        "service.url",
        MISUSED,
    ),
    Mutant(
        "unseen-is-low-risk", "risk analysis is claimed for a payment at which nothing looked", RISKING,
        ' or not self.looked:',
        ":",
        MISUSED,
    ),
    Mutant(
        "skewed-clock-empties-counters", "one process whose clock is ahead takes away what all have counted",
        "src/scrooge/flows/risk_memory.py",
        "seen if seen.minute <= soon else structs.replace(seen, minute=soon)",
        "seen",
        MISUSED,
    ),
)  # fmt: skip
