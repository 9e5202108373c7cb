"""`test-cards`: what the sandbox's cards do."""

from scrooge.cli.output import Json, document, table
from scrooge.sandbox.cards import TEST_CARDS


def list_cards(as_json: Json = False) -> None:
    """List the sandbox's test tokens and numbers, and what each does."""
    if as_json:
        document(TEST_CARDS)
    else:
        columns = ("connector", "token", "number", "outcome")
        table(columns, ((c.connector, c.token, c.number, c.outcome) for c in TEST_CARDS))
