"""What a PSP calls the card behind its token, heard with any answer, so that a card has one limit however often it was
saved. Nothing waits for it: it goes to the database with what the process has learned; one that dies hears it again.
"""

from collections import OrderedDict
from typing import Any

from scrooge.domain.attempt import Attempt, Counted
from scrooge.domain.outcome import Approved, Declined, Outcome
from scrooge.domain.payment import Payment
from scrooge.routing.schemes.rules import card_key
from scrooge.storage import fingerprints
from scrooge.storage.directory import ConnectorAccount
from scrooge.storage.fingerprints import Fingerprint
from scrooge.storage.instruments import Credential, Instrument

ASKED_MOST = 50_000  # attempts whose answer is awaited
NEWS_MOST = 1_000  # that wait for a database that is away


def names_of(instrument: Instrument) -> tuple[str, tuple[str, ...]]:
    """What its card is counted as, and what it is called besides: by each PSP that has told us."""
    card = card_key(instrument.fingerprint, None, "", instrument.id)
    told = (c.card_fingerprint for c in instrument.credentials if c.card_fingerprint)
    return card, tuple(dict.fromkeys(told))


class Fingerprints:
    """Of one process."""

    def __init__(self) -> None:
        self.asked: OrderedDict[str, tuple[Fingerprint, str]] = OrderedDict()
        self.news: OrderedDict[tuple[str, str], Fingerprint] = OrderedDict()

    def ask(self, p: Payment, a: Attempt, instrument: Instrument, account: ConnectorAccount, token: Credential) -> None:
        """An attempt is made with a PSP's token. What its card was counted as will count for the name that is heard."""
        names = (a.counted.card, *a.counted.also) if isinstance(a.counted, Counted) else ()
        known = Fingerprint(
            p.merchant, p.livemode, instrument.id, account.id, token.psp_token, token.card_fingerprint or "", names
        )
        self.asked[a.id] = known, account.connector
        if len(self.asked) > ASKED_MOST:
            self.asked.popitem(last=False)

    def hear(self, attempt_id: str, outcome: Outcome) -> None:
        if not isinstance(outcome, Approved | Declined) or (asked := self.asked.pop(attempt_id, None)) is None:
            return
        known, connector = asked
        name = card_key(None, outcome.card_fingerprint, connector, "") if outcome.card_fingerprint else known.name
        if name == known.name:
            return
        self.keep(
            Fingerprint(
                known.merchant, known.livemode, known.instrument, known.connector_account, known.psp_token, name,
                tuple(n for n in known.names if n != name),
            )
        )  # fmt: skip

    def keep(self, heard: Fingerprint) -> None:
        self.news[heard.instrument, heard.connector_account] = heard
        if len(self.news) > NEWS_MOST:
            self.news.popitem(last=False)

    async def tell(self, db: Any) -> None:
        """What the database does not take is told again."""
        if not self.news:
            return
        told, self.news = self.news, OrderedDict()
        try:
            await fingerprints.tell(db, told.values())
        except BaseException:
            for key, heard in told.items():
                if key not in self.news:
                    self.keep(heard)
            raise
