"""Bugs on the way by the vault: what is known and what is unknown, across one more hop."""

from tests.mutants.mutant import Mutant

SEND, RULES = "src/scrooge/connectors/send.py", "src/scrooge/connectors/hop.py"
KIT, ROWS = "src/scrooge/connectors/kit.py", "src/scrooge/storage/changes.py"
CLIENT, LIMITS = "src/scrooge/connectors/vault_client.py", "src/scrooge/connectors/limits.py"
TABLE = ("tests/connectors/test_hop.py",)

HOP = (
    Mutant(
        "silent-vault-means-rejected",
        "no answer of the vault that can be believed is taken for a refusal",
        SEND,
        'outcome = Unknown(f"the vault: {error}")',
        'outcome = Rejected(f"the vault: {error}")',
        TABLE,
    ),
    Mutant(
        "lost-behind-the-vault-means-rejected",
        "sent by the vault and not answered counts as never sent",
        SEND,
        "outcome, health, result = Unknown(reason), Health.LATE",
        "outcome, health, result = Rejected(reason), Health.LATE",
        TABLE,
    ),
    Mutant(
        "vault-refusal-settles-a-replay",
        "that the vault refuses now is taken for what the first send did",
        SEND,
        'nothing_left(f"not sent: the vault refused: {code}", first, repeatable)',
        'nothing_left(f"not sent: the vault refused: {code}", True, repeatable)',
        TABLE,
    ),
    Mutant(
        "told-again-means-told-first",
        "a refusal that the vault tells again settles what a send before it did",
        SEND,
        "names, text.encode(), first)",
        "names, text.encode(), first or stored)",
        TABLE,
    ),
    Mutant(
        "unrepeatable-unheard",
        "the vault says that a request can never be repeated, and the core asks it for days",
        SEND,
        "unrepeatable=not repeatable",
        "unrepeatable=False",
        (*TABLE, "tests/vault/test_unrepeatable.py"),
    ),
    Mutant(
        "vault-not-reached-settles-a-replay",
        "ruling 1, one hop further",
        SEND,
        'nothing_left(f"not sent: the vault: {error}", first)',
        'nothing_left(f"not sent: the vault: {error}", True)',
        TABLE,
    ),
    Mutant(
        "unsigned-answer-believed",
        "whoever is between core and vault may say that a payment was approved",
        CLIENT,
        "        check_answer(vault.key, signature, token_id, answer.status, answer.body)\n",
        "        assert token_id, signature\n",
        TABLE,
    ),
    Mutant(
        "used-token-means-not-sent",
        "a request repeated on its way is charged, and refused the second time",
        RULES,
        "status < 400 or status == UNAUTHENTICATED or",
        "status < 400 or",
        TABLE,
    ),
    Mutant(
        "silent-refusal-means-not-sent",
        "a refusal that does not say whether anything was sent is believed",
        RULES,
        "refusal.sent is not False",
        "refusal.sent is True",
        TABLE,
    ),
    Mutant(
        "vault-trouble-opens-the-breaker",
        "a vault that fails stops payments by token at every PSP",
        LIMITS,
        "told = answer.health is not Health.UNHEARD and (",
        "told = (",
        TABLE,
    ),
    Mutant(
        "fill-is-not-kept",
        "a replay goes straight to the PSP, with placeholders for a card",
        ROWS,
        "return row | {name: structs.asdict(what) for name, what in filled.items() if what is not None}",
        "return row",
        ("tests/vault/test_payments.py::test_a_sale_by_a_card_is_taken_once_and_the_core_keeps_no_number",),
    ),
    Mutant(
        "card-goes-where-a-token-is",
        "a PSP that has a token is sent the card all the same",
        KIT,
        "if command.vault_card and not instead else None",
        "if command.vault_card else None",
        ("tests/connectors/test_contract.py::test_a_token_of_the_psp_goes_before_the_card_and_past_the_vault",),
    ),
    Mutant(
        "merchants-payment-with-the-code",
        "a payment without the customer asks for a security code",
        KIT,
        '"security_code" if command.initiator == "customer" else None',
        '"security_code"',
        (
            "tests/connectors/test_contract.py::test_a_card_has_its_placeholders_where_the_template_says_and_nowhere_else",
        ),
    ),
)
