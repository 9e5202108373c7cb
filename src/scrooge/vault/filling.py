"""A card of the vault in the words of connectors/filling.py: what goes into a request, and what may not come back."""

from scrooge.connectors import filling
from scrooge.connectors.connector import CardTemplate
from scrooge.vault.checks import Card


def values_of(card: Card, code: str | None) -> dict[str, str]:
    return {
        "number": card.number,
        "exp_month": f"{card.exp_month:02d}",
        "exp_year": f"{card.exp_year:04d}",
        "holder": card.holder,
        "security_code": code or "",
    }


def clean(template: CardTemplate, body: str, card: Card) -> str:
    return filling.clean(body, template.kept, card.number)


def clean_text(text: str, card: Card) -> str:
    return filling.clean_text(text, card.number)
