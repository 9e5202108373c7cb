"""Is it alive, is it ready, what does it count: for load balancers and Prometheus."""

import asyncio

from scrooge.api import reports
from scrooge.api.call import Answer, Call
from scrooge.errors import DatabaseUnavailable
from scrooge.metrics import MEDIA_TYPE, told

CHECK_SECONDS = 3.0


async def alive(call: Call) -> Answer:
    """The process answers. Says nothing about the database: a restart would not mend it."""
    return Answer(200, reports.Health(status="ok", checks=[]))


async def ready(call: Call) -> Answer:
    checks = [await database(call)]
    if checks[0].ok:
        checks.append(await migrations(call))
    ok = all(c.ok for c in checks)
    return Answer(200 if ok else 503, reports.Health(status="ok" if ok else "unavailable", checks=checks))


async def database(call: Call) -> reports.Check:
    try:
        async with asyncio.timeout(CHECK_SECONDS), call.s.db.connection() as connection:
            await connection.fetchval("SELECT 1")
    except Exception as error:  # Whatever it is, requests would meet it too.
        why = "" if isinstance(error, DatabaseUnavailable) else f": {type(error).__name__}"
        return reports.Check(name="database", ok=False, detail=f"the database cannot be reached{why}")
    return reports.Check(name="database", ok=True, detail="reachable")


async def migrations(call: Call) -> reports.Check:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            behind = await call.s.schema_behind()
    except Exception as error:
        detail = f"the schema cannot be read: {type(error).__name__}"
        return reports.Check(name="migrations", ok=False, detail=detail)
    if behind:
        detail = f"run scrooge migrate: {', '.join(behind)}"
        return reports.Check(name="migrations", ok=False, detail=detail)
    return reports.Check(name="migrations", ok=True, detail="up to date")


async def metrics(call: Call) -> Answer:
    return Answer(200, told(), media_type=MEDIA_TYPE)
