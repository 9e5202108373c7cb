"""The jobs of outgoing webhooks: spread the feed, send, replay, forget, show."""

from collections.abc import Awaitable, Callable

from scrooge import metrics
from scrooge.flows.deliver import go_on, lane, spread
from scrooge.flows.scrooge import Scrooge
from scrooge.storage import webhooks

BATCH = 64
# Endpoints in hand at once, and how many of them may be failing ones: those can never take all the room.
LANES, FAILING = 128, 64
FORGOTTEN = 1000

Spawn = Callable[[Awaitable[object]], None]


async def spread_events(s: Scrooge, spawn: Spawn) -> int:
    found = await webhooks.behind(s.db, BATCH)
    for endpoint_id in found:
        spawn(spread(s, endpoint_id))
    return 0  # The next turn finds them again until they are done, so there is no hurry.


async def send_webhooks(s: Scrooge, spawn: Spawn) -> int:
    lanes = s.sender.lanes
    room = LANES - len(lanes)
    if room <= 0:
        return 0
    failing = sum(lanes.values())
    for e in await webhooks.due(s.db, list(lanes), failing < FAILING, room):
        if e.failing_since is None or failing < FAILING:
            failing += e.failing_since is not None
            lanes[e.id] = e.failing_since is not None
            spawn(lane(s, e))
    return 0


async def replay_events(s: Scrooge, spawn: Spawn) -> int:
    for replay_id in await webhooks.replays(s.db, BATCH):
        spawn(go_on(s, replay_id))
    return 0


async def forget_webhooks(s: Scrooge, spawn: Spawn) -> int:
    return await webhooks.forget(s.db, FORGOTTEN)


async def show_webhooks(s: Scrooge, spawn: Spawn) -> int:
    seen = await webhooks.backlog(s.db)
    metrics.OLDEST_WEBHOOK.set(max(0.0, seen["oldest_seconds"]))
    metrics.WEBHOOKS_DEAD.set(seen["dead"])
    metrics.WEBHOOK_ENDPOINTS_FAILING.set(seen["failing"])
    return 0
