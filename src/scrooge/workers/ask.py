"""Asking PSPs what became of attempts: whose turn it is, and how much of one worker each connector account may take."""

from collections import Counter
from collections.abc import Awaitable, Callable

from scrooge.connectors.connector import Recovery
from scrooge.flows.resolve import lease_seconds, resolve
from scrooge.flows.scrooge import Scrooge
from scrooge.storage import work
from scrooge.storage.directory import ConnectorAccount
from scrooge.storage.work import Lease, Turn

AT_ONCE = 128  # questions of one worker in the air
PER_ACCOUNT = 32  # of these about one connector account: a PSP that is slow takes no turns from the others
TEST_MOST = 20.0  # seconds between questions in test mode, where everything is resolved within a minute


class Asking:
    """The questions in the air, by connector account. One for each worker process."""

    def __init__(self) -> None:
        self.in_hand: Counter[str] = Counter()

    async def run(self, s: Scrooge, spawn: Callable[[Awaitable[object]], None]) -> int:
        await s.directory.refresh()
        turns = [
            turn_of(account, s.connectors[account.connector].recovery, PER_ACCOUNT - self.in_hand[account.id])
            for account in s.directory.by_id.values()
            if account.connector in s.connectors
        ]
        room = AT_ONCE - self.in_hand.total()
        turns = [turn for turn in turns if turn.room > 0]
        if not turns or room <= 0:
            return 0
        claimed = await work.claim_attempts(s.db, turns, room, lease_seconds(s))
        for lease in claimed:
            self.in_hand[lease.account] += 1
            spawn(self.asked(s, lease))
        return len(claimed)

    async def asked(self, s: Scrooge, lease: Lease) -> None:
        try:
            await resolve(s, lease)
        finally:
            self.in_hand[lease.account] -= 1


def turn_of(account: ConnectorAccount, recovery: Recovery, room: int) -> Turn:
    most = float("inf") if account.livemode else TEST_MOST
    return Turn(
        account=account.id,
        room=room,
        first=recovery.ask_every,
        most=min(recovery.ask_most, most),
        pending_most=min(recovery.pending_most, most),
    )
