"""Bugs that let a card out of the vault, or keep one where none may be: the canary test looks everywhere."""

from tests.mutants.mutant import Mutant

FILLS, INSTRUMENTS = "src/scrooge/vault/fills.py", "src/scrooge/vault/instruments.py"
DOORS, RECEIVE, SEND = "src/scrooge/vault/doors.py", "src/scrooge/flows/receive.py", "src/scrooge/connectors/send.py"
CANARY = ("tests/vault/test_canary.py::test_no_card_that_was_played_is_in_a_row_a_log_an_answer_or_a_webhook",)

CANARIES = (
    Mutant(
        "a-fill-is-logged",
        "the vault logs the request that it filled",
        FILLS,
        "    headers = {**ask.headers, ",
        '    log.info("filled", body=body.decode())\n    headers = {**ask.headers, ',
        CANARY,
    ),
    Mutant(
        "a-number-is-kept-in-a-row",
        "the vault keeps the number beside what it sealed",
        INSTRUMENTS,
        "brand=card.brand, iin=card.iin,",
        "brand=card.number, iin=card.iin,",
        CANARY,
    ),
    Mutant(
        "a-refusal-repeats-the-number",
        "the vault says in a problem which field was not known, a number for a name",
        DOORS,
        "        problem.param = None  #",
        "        problem.param = problem.param  #",
        ("tests/vault/test_tokenize.py", *CANARY),
    ),
    Mutant(
        "a-reply-comes-back-whole",
        "the vault takes nothing out of a PSP's answer",
        FILLS,
        "clean(template, sent.body, card)",
        "sent.body",
        ("tests/vault/test_fills.py", *CANARY),
    ),
    Mutant(
        "schemes-number-taken-out",
        "a scheme's number for a payment that looks like a card number is not kept, so that no later payment can name it",
        RECEIVE,
        "return names | {getattr(n.outcome, name, None) for name in APPROVED_WITH}",
        "return names",
        ("tests/api/test_notified_cards.py",),
    ),
    Mutant(
        "a-notification-is-kept-as-it-came",
        "the core keeps what a PSP wrote into its news",
        RECEIVE,
        "    raw = clean\n",
        "",
        CANARY,
    ),
    Mutant(
        "a-psps-words-are-kept-as-they-came",
        "the core keeps a card number in a PSP's message",
        SEND,
        "return without_cards(outcome), health",
        "return outcome, health",
        ("tests/api/test_notified_cards.py", *CANARY),
    ),
)
