"""The jobs that take away what counts no more: keys, counters of the schemes, what was learned long ago."""

import random
from collections.abc import Awaitable, Callable

from scrooge.flows.scrooge import Scrooge
from scrooge.ids import BUCKETS
from scrooge.storage import forgetting, work
from scrooge.storage.scheme_limits import rules

KEYS_A_TURN = 1000
ROWS_A_TURN = 500
BUCKETS_A_TURN = 4

Spawn = Callable[[Awaitable[object]], None]


async def forget_keys(s: Scrooge, spawn: Spawn) -> int:
    return await work.forget_keys(s.db, KEYS_A_TURN)


class Counters:
    """A walk through the buckets, which begins somewhere: workers that start together do not walk together."""

    def __init__(self) -> None:
        self.bucket = random.randrange(BUCKETS)  # noqa: S311 - any will do

    async def turn(self, s: Scrooge, spawn: Spawn) -> int:
        kept = forgetting.kept(rules())
        for _ in range(BUCKETS_A_TURN):
            gone = await forgetting.counters(s.db, self.bucket, kept, ROWS_A_TURN)
            if gone == ROWS_A_TURN:
                return gone
            self.bucket = (self.bucket + 1) % BUCKETS
        return 0


async def forget_lessons(s: Scrooge, spawn: Spawn) -> int:
    return await forgetting.lessons(s.db, ROWS_A_TURN)
